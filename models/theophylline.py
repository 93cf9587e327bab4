"""Theophylline in twelve subjects: how fast is a dose absorbed and eliminated, and in what volume?

    depot' = -ka depot,   central' = ka depot - CL/V central,   c = central/V

Each subject swallowed one dose, which is an event of the depot, and has an absorption rate ka, a
clearance CL and a volume V of its own, on logarithmic scales; the noise, sigma = a + b c, is that of the
assay and common to all.  Known typical values: ka 1.5 an hour, CL 0.040 l/(h kg), V 0.46 l/kg.

Source: see ``models/data/theophylline.md``; typical values from J. Pinheiro and D. Bates, *Mixed-Effects
Models in S and S-PLUS*, 2000, ch. 8.
"""

from pathlib import Path

import numpy as np
import pandas as pd

import collocode as cc

DATA = Path(__file__).parent / "data" / "theophylline.csv"


def problem(subjects: int = 12, data: str = str(DATA)) -> cc.Problem:
    """Estimate every subject's three constants and the assay's noise.

    subjects: how many of the twelve
    data: CSV with columns subject, time, dose (empty where none was given) and concentration
    """
    table = pd.read_csv(data)
    runs = []
    for number, rows in list(table.groupby("subject"))[:subjects]:
        times = rows["time"].to_numpy()
        runs.append(
            cc.Experiment(
                times,
                rows["concentration"].to_numpy(),
                ("c",),
                name=f"subject {number}",
                initial={"depot": 0.0, "central": 0.0},
                events=cc.doses(times, rows["dose"].to_numpy(), to="depot"),
            )
        )
    own = {"scale": "log", "per_experiment": True}
    oral = cc.Dynamics(
        lambda t, x, u, p, nn: {
            "depot": -p.ka * x.depot,
            "central": p.ka * x.depot - p.CL / p.V * x.central,
        },
        parameters=[
            cc.Parameter("ka", 1.0, 0.05, 20.0, unit="1/h", **own),
            cc.Parameter("CL", 0.05, 1e-3, 1.0, unit="l/(h kg)", **own),
            cc.Parameter("V", 0.5, 0.05, 5.0, unit="l/kg", **own),
        ],
    )
    size = float(np.nanmax(table["dose"]))
    return cc.Problem(
        oral,
        runs,
        states=("depot", "central"),
        observe=lambda x, u, p: [x.central / p.V],
        parameters=[
            cc.Parameter("a", 0.3, 1e-3, 10.0, unit="mg/l", scale="log"),
            cc.Parameter("b", 0.05, 1e-4, 1.0, scale="log"),
        ],
        loss=cc.Normal(("a", "b")),
        scaling={"depot": size, "central": size},
        name="theophylline",
        source="Boeckmann, Sheiner and Beal, NONMEM Users Guide: Part V, 1994",
    )
