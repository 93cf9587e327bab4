"""Catalyst mixing: how should two catalysts be mixed along a tubular reactor?

    x1' = u (10 x2 - x1),   x2' = u (x1 - 10 x2) - (1 - u) x2

The first catalyst, of share u, turns A (x1) into B (x2) and back, the second B into the product.
Minimised is what is left of both at the end, x1 + x2 - 1, over the shares 0 ≤ u ≤ 1; the optimum has a
full, a singular and an empty arc.  All quantities are dimensionless.

Source: O. von Stryk, *User's guide for DIRCOL*, 1999; E. Dolan, J. Moré, T. Munson, COPS 3.0,
ANL/MCS-TM-273, 2004; problem 14, optimum -4.80556e-2 for 100 intervals.
"""

import collocode as cc

# along the singular arc the cost is flatter than the usual tolerance: with that the share rings
DEFAULTS = {"mesh": 100, "options": {"tol": 1e-11}}


def problem() -> cc.Problem:
    """The share of the first catalyst along the reactor."""

    def reactions(t, x, u, p, nn):
        forth = u.share * (10.0 * x.x2 - x.x1)
        return {"x1": forth, "x2": -forth - (1.0 - u.share) * x.x2}

    return cc.Problem(
        cc.Dynamics(reactions),
        cc.Window(
            end=1.0, controls={"share": cc.Control(0.0, 1.0)}, initial={"x1": 1.0, "x2": 0.0}
        ),
        states=("x1", "x2"),
        costs=cc.Mayer(lambda t, x, u, p, nn: x.x1 + x.x2 - 1.0, name="left over"),
        name="Catalyst mixing",
        source="COPS 3.0, problem 14",
    )
