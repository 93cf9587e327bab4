"""The lifeguard: over the sand, then through the water, to a swimmer in least time.

    x' = c cos(a),   y' = c sin(a),   minimise the time

from (0, 0) over sand, c = 7 m/s, to the waterline at y = 20 m, then through water, c = 1.5 m/s, to (50, 40) m;
where the line is crossed is free.  Both ways are straight, and by Snell's law cos(a)/c is the same on both
sides.

Source: R. P. Feynman, *Lectures on Physics* I, 1963, section 26-3 (Fermat's principle).
"""

import casadi as ca

import collocode as cc

SAND, WATER = 7.0, 1.5  # m/s


def _moving(speed: float) -> cc.Dynamics:
    return cc.Dynamics(
        lambda t, x, u, p, nn: {"x": speed * ca.cos(u.angle), "y": speed * ca.sin(u.angle)}
    )


def problem(along: float = 50.0, out: float = 20.0) -> cc.Problem:
    """
    along: how far down the beach the swimmer is, m
    out: how far from the waterline, m
    """
    angle = {"angle": cc.Control(0.0, 1.6, unit="rad")}
    return cc.Problem(
        cc.Phases({"sand": _moving(SAND), "water": _moving(WATER)}),
        [
            cc.Window(
                name="sand",
                end=7.0,
                end_bounds=(0.1, 100.0),
                controls=angle,
                initial={"x": 0.0, "y": 0.0},
                final={"y": 20.0},
            ),
            cc.Window(
                name="water",
                start=7.0,
                start_bounds=(0.1, 100.0),
                end=21.0,
                end_bounds=(0.2, 200.0),
                duration_bounds=(0.1, 100.0),
                controls=angle,
                initial={"y": 20.0},
                final={"x": along, "y": 20.0 + out},
            ),
        ],
        states=("x", "y"),
        links=cc.Link("sand", "water"),
        costs=cc.Mayer(lambda t, x, u, p, nn: t, windows="water", name="time"),
        name="Lifeguard",
        source="Feynman (1963), I 26-3",
    )
