"""Residuals, and whether they are white or the model misses something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy

from ..kinds import check_type
from ..model.misfit import likelihood_of
from ..numerics import Array
from .solution import Solution

if TYPE_CHECKING:
    import pandas as pd

_FEW = (
    20  # residuals; of fewer, a lag-one correlation of one half goes unnoticed more often than not
)
WHITE = 0.05  # the smallest p-value of white residuals
_PLAIN = 1e-3  # that of residuals which are not white, whatever the sign of their correlation


def residuals(solution: Solution, simulated: bool = True) -> pd.DataFrame:
    """Return data minus model as a long table; 0 where a model is beyond the limit of a censored datum.

    Parameters
    ----------
    simulated : compare with the simulated model; else with the collocated states.

    Returns
    -------
    Table with columns ``experiment``, ``output``, ``time``, ``measured``, ``model``, ``residual``.
    """
    check_type("residuals", solution, Solution)
    import pandas as pd

    frames = [pd.DataFrame(group) for group in _groups(solution, simulated)]
    if not frames:  # nothing was measured
        names = ("experiment", "output", "time", "measured", "model", "residual")
        return pd.DataFrame(columns=list(names))
    return pd.concat(frames, ignore_index=True)


def _groups(solution: Solution, simulated: bool = True) -> Iterator[dict[str, Any]]:
    """The columns of `residuals`, experiment by experiment and output by output."""
    for number, part in enumerate(solution.trajectories):
        if not part.experiment.measures:
            continue
        t, y = part.experiment.times, part.experiment.values
        model = (solution.predict if simulated else solution.fitted)(t, number)
        residual = y - part.experiment.met(model)
        for j, name in enumerate(solution.model.outputs):
            known = np.isfinite(y[:, j])
            yield {
                "experiment": part.experiment.name,
                "output": name,
                "time": t[known],
                "measured": y[known, j],
                "model": model[known, j],
                "residual": residual[known, j],
            }


def whiteness(solution: Solution, lags: int = 10) -> pd.DataFrame:
    r"""Test by output whether the residuals are white noise.

    The Ljung-Box statistic :math:`Q=n(n+2)\sum_{k\le m}\hat\rho_k^2/(n-k)` is compared with
    chi-squared of m degrees of freedom (Biometrika 65, 1978); a small ``p_value`` says that the
    model misses something that repeats in time.  After a robust loss the residuals go into
    :math:`\hat\rho` with the weights :math:`\rho'(r)/(2r)` that the fit gave them, so that a few
    outliers do not hide what the others say; after a likelihood they are deviance residuals; and each in units of its own noise where an experiment's
    ``sigma`` or ``weights`` tell it; ``rms`` and ``bias`` are those of all, as they are.

    Returns
    -------
    Table by experiment and output: ``samples``, ``rms``, ``bias``, ``lag_one`` autocorrelation,
    ``p_value``, ``white``: False for p up to 0.05 where neighbours have the same sign more often than
    not (``lag_one`` above 0), and for p up to 0.001; True else, missing (`pandas.NA`) where fewer than 20
    residuals cannot tell.  A fit with a few free numbers pushes the correlation of white noise below
    zero, by about their share of the samples: p alone is below 0.05 in 14 % of fits of four numbers to 30 data,
    in 27 % to 8.
    """
    check_type("whiteness", solution, Solution)
    import pandas as pd

    columns = ["experiment", "output", "samples", "rms", "bias", "lag_one", "p_value", "white"]
    found = pd.DataFrame(whiteness_rows(solution, lags), columns=columns)
    return found.set_index(["experiment", "output"]).astype({"white": "boolean"})


def whiteness_rows(solution: Solution, lags: int = 10) -> list[dict[str, Any]]:
    """The rows of `whiteness`; ``white`` is None where too few residuals cannot tell."""
    rows = []
    for group in _groups(solution):
        r = group["residual"]
        n = len(r)
        if not n:
            continue
        used = max(1, min(lags, n // 4))
        rho = _autocorrelation(_pulls(solution, group), used)
        Q = n * (n + 2) * float(np.sum(rho**2 / (n - np.arange(1, used + 1))))
        p = float(scipy.special.chdtrc(used, Q)) if np.isfinite(Q) else float("nan")
        rows.append(
            {
                "experiment": group["experiment"],
                "output": group["output"],
                "samples": n,
                "rms": float(np.sqrt(np.mean(r**2))),
                "bias": float(r.mean()),
                "lag_one": float(rho[0]),
                "p_value": p,
                "white": _verdict(p, float(rho[0]), n),
            }
        )
    return rows


def weighed_p(p_value: float, lag_one: float) -> float:
    """A p-value that counts for less where neighbouring residuals have opposite signs; see `whiteness`."""
    return p_value if lag_one > 0.0 else p_value * (WHITE / _PLAIN)


def is_white(p_value: float, lag_one: float) -> bool:
    """Whether a p-value, and the sign of the first correlation, leave residuals for noise; see `whiteness`.

    Examples
    --------
    >>> is_white(0.02, 0.3), is_white(0.02, -0.3), is_white(1e-4, -0.3)
    (False, True, False)
    """
    return weighed_p(p_value, lag_one) > WHITE


def _verdict(p_value: float, lag_one: float, count: int) -> bool | None:
    few = count < _FEW and not weighed_p(p_value, lag_one) <= WHITE
    return None if few else is_white(p_value, lag_one)


def _pulls(solution: Solution, group: Mapping[str, Any]) -> Array:
    """Residuals as the loss felt them, in units of their noise: r √w / σ for least squares."""
    measured, output = group["measured"], group["output"]
    model = measured - group["residual"]
    data = solution.trajectories[solution.index(group["experiment"])].experiment
    column = data.outputs.index(output)
    known = np.isfinite(data.values[:, column])
    sigma = solution.sigma(group["experiment"])[known, column]
    sigma = np.where(np.isnan(sigma), 1.0, sigma)
    weight = 1.0 if data.weights is None else data.weights[known, column]
    loss = likelihood_of(solution.loss, output)
    if loss is None:
        pulls = -0.5 * sigma * solution.loss.slope(model, measured, sigma)
    else:
        pulls = loss.deviance(model, measured, sigma)
    return np.asarray(np.sqrt(weight) * pulls)


def _autocorrelation(r: Array, lags: int) -> Array:
    centred = r - r.mean()
    power = float(centred @ centred) or 1.0
    return np.array([centred[k:] @ centred[:-k] / power for k in range(1, lags + 1)])
