"""Your own table, as a black box: a model of the measured columns, with nothing known of the equation.

    x' = network(x, u),   x the measured columns, u the inputs

Any CSV file with a header and a column of times will do.  What is not named is guessed: the first column
is time, every other one a measured state.  Empty cells are missing values.  The last part of every run
is kept aside: the report tells how well the model predicts it.

    collocode solve models/my_csv.py --set data=my.csv --out results/my

Units are those of the table.  The file that is read without ``data=`` is the Van der Pol oscillator of
``models/van_der_pol.py``, whose source it names.
"""

from pathlib import Path

import collocode as cc

DATA = Path(__file__).parent / "data"


def problem(
    data: str = str(DATA / "van_der_pol.csv"),
    time: str = "",
    outputs: str = "",
    inputs: str = "",
    run: str = "",
    hold: str = "zoh",
    hidden: int = 16,
    regularisation: float = 1e-4,
    holdout: float = 0.25,
    replicates: bool = False,
) -> cc.Problem:
    """Learn the whole right-hand side from a table.

    data: CSV with a header
    time: column of times; empty for the first
    outputs: measured columns, as y1,y2; empty for all that have no other role
    inputs: columns that were set, not measured, as u1,u2
    run: column that tells the runs apart; empty if there is one
    hold: inputs between their rows: zoh (held), linear or spline
    hidden: units in the hidden layer
    regularisation: strength of the L2 penalty on the weights
    holdout: last share of every run that is predicted, not fitted; 0 for none
    replicates: whether rows at the same time are repeated measurements of one run
    """
    given = _names(inputs)
    experiments = cc.read_csv(
        data,
        time=time or None,
        outputs=_names(outputs) or None,
        inputs=dict.fromkeys(given, hold),
        experiment=run or None,
        replicates=replicates,
    )
    states = experiments[0].outputs
    network = cc.MLP((len(states) + len(given), hidden, len(states)))
    whole = cc.Problem(
        cc.NeuralODE(network, inputs=given),
        experiments,
        regularisation=cc.L2(regularisation),
        name=Path(data).stem,
        source=f"{Path(data).name}, all columns as a black box",
    )
    return cc.split(whole, holdout) if holdout else whole


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
