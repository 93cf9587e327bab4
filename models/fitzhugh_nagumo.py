"""FitzHugh-Nagumo neuron: can three parameters be told from the voltage alone?

    v' = c (v - v^3/3 + w),   w' = -(v - a + b w)/c,   a = 0.2, b = 0.2, c = 3

Only the voltage v is measured, 201 samples on t = 0 ... 20 (noise sigma = 0.1); the recovery
variable w is never seen, and its initial state is free.  All quantities are dimensionless.  The
window t = 20 ... 40 is predicted, from its true initial state.

With ``hybrid`` the cubic is unknown instead, v' = c (g(v) + w) with a network g of v, and a, b and c
are given: if w is not seen, its scale, its origin and the slope of g could be traded for them.  The
rms error of g for abs(v) < 2 is below 0.1.

Source: R. FitzHugh, *Impulses and physiological states*, Biophys. J. 1 (1961) 445; as a test of
parameter estimation J. O. Ramsay et al., J. R. Stat. Soc. B 69 (2007) 741.  The data are made by
``models/data/make_fitzhugh_nagumo.py``.
"""

from pathlib import Path

import collocode as cc

DATA = Path(__file__).parent / "data"
DEFAULTS = {
    "mesh": 100,
    "start": "horizon",
}  # the spikes are steep, and w has no data to start from
A, B, C, INITIAL = 0.2, 0.2, 3.0, (-1.0, 1.0)


def problem(
    data: str = str(DATA / "fitzhugh_nagumo.csv"),
    test: str = str(DATA / "fitzhugh_nagumo_test.csv"),
    hybrid: bool = False,
    hidden: int = 6,
    regularisation: float = 3e-5,
) -> cc.Problem:
    """Estimate a, b and c.

    data: CSV with columns t, v
    test: CSV of the window to be predicted; empty for none
    hybrid: learn the cubic as a network of v; a, b and c are then given
    hidden: units in the hidden layer of that network
    regularisation: strength of the L2 penalty on its weights
    """

    def neuron(t, x, u, p, nn):
        a, b, c = (A, B, C) if hybrid else (p.a, p.b, p.c)
        excitation = nn.cubic(x.v) if hybrid else x.v - x.v**3 / 3.0
        return {"v": c * (excitation + x.w), "w": -(x.v - a + b * x.w) / c}

    parameters = [
        cc.Parameter("a", 0.5, -2.0, 2.0),
        cc.Parameter("b", 0.5, 0.0, 2.0),
        cc.Parameter("c", 1.0, 0.1, 10.0),
    ]
    return cc.Problem(
        cc.Dynamics(
            neuron,
            networks={"cubic": cc.MLP((1, hidden, 1))} if hybrid else {},
            parameters=[] if hybrid else parameters,
        ),
        cc.read_csv(data, time="t", outputs=["v"]),
        states=("v", "w"),
        bounds={"v": (-4.0, 4.0), "w": (-4.0, 4.0)},
        regularisation=cc.L2(regularisation),
        test=cc.read_csv(test, time="t", outputs=["v"]) if test else (),
        truth=cc.Truth(
            lambda t, y, u: [C * (y[0] - y[0] ** 3 / 3.0 + y[1]), -(y[0] - A + B * y[1]) / C],
            INITIAL,
        ),
        name="FitzHugh-Nagumo, hybrid" if hybrid else "FitzHugh-Nagumo",
        source="FitzHugh, Biophys. J. 1 (1961) 445; simulated data",
    )
