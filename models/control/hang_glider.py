"""Hang glider: how far does a glider get from 1000 m to 900 m through one thermal?

    x' = vx,   y' = vy,   m vx' = -L sin(e) - D cos(e),   m vy' = L cos(e) - D sin(e) - m g

with place x, y (m), velocity (m/s), lift L = ½ ρ S c v² and drag D = ½ ρ S (0.034 + 0.069662 c²) v² (N)
of the speed v through the air, of which the thermal lifts u(x) = 2.5 (1 - r) exp(-r) m/s,
r = (x/100 - 2.5)²; tan(e) = (vy - u)/vx.  The lift coefficient 0 ≤ c ≤ 1.4 is decided.  m = 100 kg,
S = 14 m², ρ = 1.13 kg/m³, g = 9.81 m/s².

Source: R. Bulirsch, E. Nerz, H. J. Pesch, O. von Stryk, 1993; E. Dolan, J. Moré, T. Munson, COPS 3.0,
ANL/MCS-TM-273, 2004; problem 12, the largest range is 1247.99 m in the limit of fine grids (1255.05 m
with 100 steps of the trapezoidal rule).
"""

import numpy as np

import collocode as cc

DEFAULTS = {"mesh": 60}
MASS, AREA, DENSITY, GRAVITY = 100.0, 14.0, 1.13, 9.81


def problem() -> cc.Problem:
    """The lift coefficient over time."""

    def flight(t, s, u, p, nn):
        r = (s.x / 100.0 - 2.5) ** 2
        sink = s.vy - 2.5 * (1.0 - r) * np.exp(-r)
        v = np.sqrt(s.vx**2 + sink**2)
        lift = 0.5 * DENSITY * AREA * u.lift * v  # by v, as the drag
        drag = 0.5 * DENSITY * AREA * (0.034 + 0.069662 * u.lift**2) * v
        return {
            "x": s.vx,
            "y": s.vy,
            "vx": (-lift * sink - drag * s.vx) / MASS,
            "vy": (lift * s.vx - drag * sink) / MASS - GRAVITY,
        }

    level = {"vx": 13.2275675, "vy": -1.28750052}
    return cc.Problem(
        cc.Dynamics(flight),
        cc.Window(
            end=100.0,
            end_bounds=(10.0, 1000.0),
            controls={"lift": cc.Control(0.0, 1.4)},
            initial={"x": 0.0, "y": 1000.0, **level},
            final={"y": 900.0, **level},
            guess={"x": cc.Signal([0.0, 100.0], [0.0, 1300.0])},
        ),
        states=("x", "y", "vx", "vy"),
        bounds={"x": (0.0, np.inf), "vx": (0.0, np.inf)},
        scaling={"x": 1000.0},
        costs=-cc.Mayer(lambda t, s, u, p, nn: s.x, name="range"),
        name="Hang glider",
        source="COPS 3.0, problem 12",
    )
