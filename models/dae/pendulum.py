"""A pendulum in Cartesian coordinates: equations of index 3, as mechanics writes them.

    x' = v,   y' = w,   v' = -λ x,   w' = -λ y - g,   0 = x² + y² - ℓ²

A unit mass on a rod of ℓ = 1 m under g = 9.81 m/s², let go at rest from the horizontal; λ (1/s²) is the
tension of the rod by mass and length, the algebraic variable.  The equation of the rod does not contain
λ; only its second derivative does, x'² + y'² - λ ℓ² - g y = 0, which is why the index is 3.  Nothing is
decided and nothing is minimised.

By symmetry the pendulum is at rest on the other side after half a period, K(1/2) ℓ^½ g^-½ 2 s with the
complete elliptic integral K of parameter 1/2, and at its lowest after a quarter, with the speed
(2 g ℓ)^½ and λ = 3 g/ℓ.

Source: E. Hairer, C. Lubich, M. Roche, *The Numerical Solution of Differential-Algebraic Systems by
Runge-Kutta Methods*, Lecture Notes in Mathematics 1409, 1989; G. L. Baker, J. A. Blackburn, *The
Pendulum*, 2005, for the period.
"""

import numpy as np
from scipy.special import ellipk

import collocode as cc

LENGTH, GRAVITY = 1.0, 9.81
QUARTER = float(ellipk(0.5)) * np.sqrt(LENGTH / GRAVITY)
DEFAULTS = {"mesh": 40, "start": "simulate"}


def problem(end: float = QUARTER) -> cc.Problem:
    """
    end: time, s; a quarter of the period
    """

    def motion(t, x, u, p, nn):
        return {
            "x": x.v,
            "y": x.w,
            "v": -x.tension * x.x,
            "w": -x.tension * x.y - GRAVITY,
        }

    return cc.Problem(
        cc.Dynamics(
            motion,
            algebraics={"tension": GRAVITY / LENGTH},
            residuals=lambda t, x, u, p, nn: {"rod": x.x**2 + x.y**2 - LENGTH**2},
            index=3,
        ),
        cc.Window(end=end, initial={"x": LENGTH, "y": 0.0, "v": 0.0, "w": 0.0}),
        states=("x", "y", "v", "w"),
        scaling={"v": 4.0, "w": 4.0, "tension": 16.0},
        name="Pendulum",
        source="Hairer, Lubich and Roche, 1989",
    )
