"""ReLU network in an optimal control problem: how little must a valve be opened to fill a tank in time?

    x' = q(u) - leak x,   0 ≤ u ≤ 1,   minimise ∫ u

from an empty tank to the target after two hours.  The inflow over the valve's position is a ReLU network, as it
may have been learnt: nothing below 0.2, then a slope of 1, above 0.6 of 3.  IPOPT needs slopes without jumps, so
the kinks are rounded by `relu.smoothed`, by at most half of ``width`` a unit.

Source: own example.  With eight steps of Euler's rule the mixed-integer program of `relu.embed`, solved by HiGHS,
proves 0.7255 (`examples/relu_inside_control.py`).
"""

import collocode as cc
from collocode import relu

DEFAULTS = {"scheme": "explicit_euler", "mesh": 8}
VALVE = relu.ReluNetwork(([[1.0], [1.0]], [[1.0, 2.0]]), ([-0.2, -0.6], [0.0]))


def problem(
    width: float = 0.01, target: float = 1.0, leak: float = 0.5, end: float = 2.0
) -> cc.Problem:
    """
    width: over which a kink is rounded
    target: level at the end
    leak: outflow per hour and unit of the level
    end: hours
    """

    def tank(t, x, u, p, nn):
        return {"x": relu.smoothed(VALVE, [u.u], width)[0] - leak * x.x}

    return cc.Problem(
        cc.Dynamics(tank),
        cc.Window(
            end=end,
            controls={"u": cc.Control(0.0, 1.0, start=0.5)},
            initial={"x": 0.0},
            final={"x": target},
        ),
        states=("x",),
        costs=cc.Lagrange(lambda t, x, u, p, nn: u.u, name="opening"),
        name="ReLU network of a valve",
        source="own example",
    )
