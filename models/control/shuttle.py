"""Space shuttle: how far to the side does it glide when it reenters the atmosphere?

    h' = v sin(γ),   φ' = v cos(γ) sin(ψ)/(r cos(θ)),   θ' = v cos(γ) cos(ψ)/r,
    v' = -D/m - g sin(γ),   γ' = L cos(β)/(m v) + cos(γ) (v/r - g/v),
    ψ' = L sin(β)/(m v cos(γ)) + v cos(γ) sin(ψ) sin(θ)/(r cos(θ))

with altitude h (ft), longitude φ and latitude θ (rad), speed v (ft/s), angles γ of the path and ψ of the
azimuth (rad); r = R + h, g = μ/r², lift L and drag D by the angle of attack α (rad, in degrees in their
polynomials) and the density 0.002378 exp(-h/23800) slug/ft³; the bank angle β (rad) turns the lift.  The
latitude reached is maximised, in free time, without a limit of the heating.

Source: J. T. Betts, *Practical Methods for Optimal Control and Estimation Using Nonlinear Programming*,
2nd ed., 2010, section 6.1: largest crossrange 34.1412 degrees after 2008.59 s.
"""

import numpy as np

import collocode as cc

DEFAULTS = {"mesh": 100}
DEGREE = np.pi / 180.0
RADIUS, GRAVITY = 20902900.0, 0.14076539e17  # ft, ft³/s²
MASS, AREA = 203000.0 / 32.174, 2690.0  # slug, ft²
DENSITY, DECAY = 0.002378, 23800.0  # slug/ft³, ft


def problem() -> cc.Problem:
    """The angles of attack and bank over time."""

    def glide(t, x, u, p, nn):
        r, attack = RADIUS + x.h, u.attack / DEGREE
        gravity, pressure = GRAVITY / r**2, 0.5 * DENSITY * np.exp(-x.h / DECAY) * x.v**2 * AREA
        lift = pressure * (-0.20704 + 0.029244 * attack) / MASS
        drag = pressure * (0.07854 - 0.61592e-2 * attack + 0.621408e-3 * attack**2) / MASS
        ahead = x.v * np.cos(x.path) / r
        return {
            "h": x.v * np.sin(x.path),
            "longitude": ahead * np.sin(x.azimuth) / np.cos(x.latitude),
            "latitude": ahead * np.cos(x.azimuth),
            "v": -drag - gravity * np.sin(x.path),
            "path": lift * np.cos(u.bank) / x.v + np.cos(x.path) * (x.v / r - gravity / x.v),
            "azimuth": lift * np.sin(u.bank) / (x.v * np.cos(x.path))
            + ahead * np.sin(x.azimuth) * np.tan(x.latitude),
        }

    steep = 89.0 * DEGREE
    return cc.Problem(
        cc.Dynamics(glide),
        cc.Window(
            end=2000.0,
            end_bounds=(100.0, 5000.0),
            controls={
                "attack": cc.Control(
                    -90.0 * DEGREE, 90.0 * DEGREE, start=17.0 * DEGREE, unit="rad"
                ),
                "bank": cc.Control(-90.0 * DEGREE, 1.0 * DEGREE, start=-60.0 * DEGREE, unit="rad"),
            },
            initial={
                "h": 260000.0,
                "longitude": 0.0,
                "latitude": 0.0,
                "v": 25600.0,
                "path": -1.0 * DEGREE,
                "azimuth": 90.0 * DEGREE,
            },
            final={"h": 80000.0, "v": 2500.0, "path": -5.0 * DEGREE},
            guess={
                "longitude": cc.Signal([0.0, 2000.0], [0.0, 1.0]),
                "latitude": cc.Signal([0.0, 2000.0], [0.0, 0.5]),
                "azimuth": cc.Signal([0.0, 2000.0], [90.0 * DEGREE, 0.0]),
            },
        ),
        states=("h", "longitude", "latitude", "v", "path", "azimuth"),
        bounds={
            "h": (0.0, np.inf),
            "latitude": (-steep, steep),
            "v": (1.0, np.inf),
            "path": (-steep, steep),
        },
        scaling={"h": 1e5, "v": 1e4, "path": 0.05},
        costs=-cc.Mayer(lambda t, x, u, p, nn: x.latitude / DEGREE, name="crossrange"),
        name="Space shuttle reentry",
        source="Betts (2010), section 6.1",
    )
