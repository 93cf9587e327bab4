r"""Looking the interpolant up where an unknown says: the weights of the nodes of several elements.

Within a smooth solution the element that holds the time counts.  Where the solution has a kink, at an
event, a misfit has one in the event's time wherever that passes a sample, and an optimum may lie on it.  There the polynomials of both sides pass into each other over a width ε,

.. math:: x(t)=(1-b)\,x_-(t)+b\,x_+(t),\qquad
          b=\tfrac12+\tfrac14\,s(3-s^2),\quad s=\mathrm{clip}\bigl((t-T)/\varepsilon,-1,1\bigr),

which matters for a sample within ε of the event only.
"""

from __future__ import annotations

import casadi as ca

from ..numerics.scheme import Scheme


def node_weights(scheme: Scheme, t: ca.SX, P: ca.SX, count: int) -> ca.SX:
    """(count m + 1,) weights of the nodes of ``count`` neighbouring elements for the states at t.

    Parameters
    ----------
    P : (count + 1,) ends of the elements.  The element that holds t counts, the others weigh zero.
    """
    m, within = scheme.intervals, [t >= P[e] for e in range(1, count)]
    begun, ended = [ca.SX(1.0), *within], [*within, ca.SX(0.0)]
    here = [b - e for b, e in zip(begun, ended, strict=True)]
    left = sum((h * P[e] for e, h in enumerate(here)), ca.SX(0.0))
    width = sum((h * (P[e + 1] - P[e]) for e, h in enumerate(here)), ca.SX(0.0))
    sigma, nodes = (t - left) / width, scheme.nodes[list(scheme.dense)]
    weights = [ca.SX(0.0)] * (count * m + 1)
    for at, j in zip(nodes, scheme.dense, strict=True):
        factor = ca.SX(1.0)
        for other in nodes[nodes != at]:
            factor *= (sigma - other) / (at - other)
        for e, h in enumerate(here):
            weights[e * m + j] = weights[e * m + j] + h * factor
    return ca.vertcat(*weights)


def rounded_node_weights(scheme: Scheme, t: ca.SX, table: ca.SX, count: int) -> ca.SX:
    """The same with events among the elements' ends, see above.

    Parameters
    ----------
    table : (3 count,) of every element its start, its end, and ε at its start (0 for none).
    """
    m, nodes = scheme.intervals, scheme.nodes[list(scheme.dense)]
    starts, ends, widths = (table[k * count : (k + 1) * count] for k in range(3))
    begun = [ca.SX(1.0)]
    for e in range(1, count):
        late = t - starts[e]
        s = ca.fmin(ca.fmax(late / ca.fmax(widths[e], 1e-300), -1.0), 1.0)
        begun.append(ca.if_else(widths[e] > 0.0, 0.5 + 0.25 * s * (3.0 - s**2), late >= 0.0))
    weights = [ca.SX(0.0)] * (count * m + 1)
    for e, (b, a) in enumerate(zip(begun, [*begun[1:], ca.SX(0.0)], strict=True)):
        here, sigma = b - a, (t - starts[e]) / (ends[e] - starts[e])
        for at, j in zip(nodes, scheme.dense, strict=True):
            factor = ca.SX(1.0)
            for other in nodes[nodes != at]:
                factor *= (sigma - other) / (at - other)
            weights[e * m + j] = weights[e * m + j] + here * factor
    return ca.vertcat(*weights)
