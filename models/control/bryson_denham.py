"""Bryson-Denham: how does a mass turn around within a wall's reach with the least effort?

    x' = v,   v' = a,   minimise 1/2 ∫ a² dt,   x ≤ l

on t = 0 ... 1 from x = 0, v = 1 to x = 0, v = -1.  For l ≤ 1/6 the wall is touched over an interval and
the optimum is 4/(9 l); the acceleration is continuous and its slope jumps where the wall is reached and
left, at 3 l and 1 - 3 l.  All quantities are dimensionless.

Source: A. E. Bryson, Y. C. Ho, *Applied Optimal Control*, 1975, section 3.11; 4 for l = 1/9.
"""

import collocode as cc


def problem(wall: float = 1.0 / 9.0) -> cc.Problem:
    """
    wall: where it stands
    """
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: {"x": x.v, "v": u.a}),
        cc.Window(
            end=1.0,
            controls={"a": cc.Control()},
            initial={"x": 0.0, "v": 1.0},
            final={"x": 0.0, "v": -1.0},
        ),
        states=("x", "v"),
        bounds={"x": (-float("inf"), wall)},
        costs=cc.Lagrange(lambda t, x, u, p, nn: 0.5 * u.a**2, name="effort"),
        name="Bryson-Denham",
        source="Bryson and Ho (1975), 3.11",
    )
