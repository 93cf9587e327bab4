"""Lynx and hare of Hudson Bay, 1900-1920: how fast do they breed, die and eat?

    hare' = hare (alpha - beta lynx),   lynx' = lynx (delta hare - gamma)

Lotka and Volterra's four rates are estimated from the pelts that were traded each year, in
thousands; time is in years.  The states are the logarithms of the pelts, which keeps them positive,
and the loss is least squares in them: the error is log-normal, as in the literature, so a
factor counts the same in a poor year as in a rich one.  Known estimates: alpha 0.55 a year, beta
0.028 a year and thousand, gamma 0.80 a year, delta 0.024 a year and thousand.

With ``hybrid`` the hare's growth rate is a network of the lynx, hare' = hare g(lynx): is it the
falling line alpha - beta lynx that Lotka and Volterra assume?

Source: Hudson's Bay Company, see ``models/data/hudson_bay_lynx_hare.md``; estimates from
B. Carpenter, *Predator-prey population dynamics*, Stan case studies (2018).
"""

from pathlib import Path

import casadi as ca
import numpy as np
import pandas as pd

import collocode as cc

DATA = Path(__file__).parent / "data"
DEFAULTS = {"mesh": 40}  # a sample a year does not resolve the bends of a cycle of ten years
YEAR, THOUSAND = "1/year", "1/(year thousand)"


def problem(
    data: str = str(DATA / "hudson_bay_lynx_hare.csv"),
    hybrid: bool = False,
    hidden: int = 4,
    regularisation: float = 3e-3,
) -> cc.Problem:
    """Estimate the rates.

    data: CSV with columns year, hare, lynx (thousands of pelts)
    hybrid: learn the hare's growth rate as a network of the lynx
    hidden: units in the hidden layer of that network
    regularisation: strength of the L2 penalty on its weights
    """
    table = pd.read_csv(data)
    logarithms = pd.DataFrame(
        {
            "year": table["year"],
            "log_hare": np.log(table["hare"]),
            "log_lynx": np.log(table["lynx"]),
        }
    )
    physics = [
        cc.Parameter("gamma", 0.5, 0.0, 5.0, unit=YEAR),
        cc.Parameter("delta", 0.02, 0.0, 1.0, unit=THOUSAND),
    ]
    prey = [
        cc.Parameter("alpha", 0.5, 0.0, 5.0, unit=YEAR),
        cc.Parameter("beta", 0.02, 0.0, 1.0, unit=THOUSAND),
    ]

    def rhs(t, x, u, p, nn):
        hare, lynx = ca.exp(x.log_hare), ca.exp(x.log_lynx)
        growth = nn.growth(lynx) if hybrid else p.alpha - p.beta * lynx
        return {"log_hare": growth, "log_lynx": p.delta * hare - p.gamma}

    # pelts of lynx lie in 4 ... 60 thousand, growth rates within 1 a year
    network = cc.MLP((1, hidden, 1)).normalised([30.0], [30.0], [1.0])
    return cc.Problem(
        cc.Dynamics(
            rhs,
            networks={"growth": network} if hybrid else {},
            parameters=physics if hybrid else [*prey, *physics],
        ),
        cc.from_frame(logarithms, time="year", source=Path(data).name),
        loss=cc.LeastSquares(0.25),
        regularisation=cc.L2(regularisation),
        name="Hudson Bay, hybrid" if hybrid else "Hudson Bay",
        source="Hudson's Bay Company pelts, 1900-1920 (MacLulich 1937; Elton and Nicholson 1942)",
    )
