"""Double integrator in minimum time: when does one have to brake?

    x' = v,   v' = a,   |a| ≤ limit,   minimise the time

from rest at x = 0 to rest at x = distance: full thrust for the first half of the time, full brake for
the second.  The optimum is 2 √(distance / limit).  All quantities are dimensionless.

Source: A. E. Bryson, Y. C. Ho, *Applied Optimal Control*, 1975, section 3.9; closed form.
"""

import collocode as cc


def problem(distance: float = 1.0, limit: float = 1.0) -> cc.Problem:
    """
    distance: from rest to rest
    limit: of the acceleration
    """
    return cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: {"x": x.v, "v": u.a}),
        cc.Window(
            end=1.0,
            end_bounds=(0.01, 1000.0),
            controls={"a": cc.Control(-limit, limit)},
            initial={"x": 0.0, "v": 0.0},
            final={"x": distance, "v": 0.0},
        ),
        states=("x", "v"),
        costs=cc.Mayer(lambda t, x, u, p, nn: t, name="time"),
        name="Double integrator",
        source="Bryson and Ho (1975), 3.9",
    )
