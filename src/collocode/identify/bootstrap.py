r"""Bootstrap: intervals by refitting resampled data, the check on the linearised ones.

Data of normal noise of one size tell that size only so well: refits of noise drawn by the estimate alone spread like
a normal law, where Student's t is due, and of six data their percentiles of 95 % hold the truth in 88 %.  So
every set of data draws the size of a noise that was estimated as well, :math:`\sigma_*^2=\hat\sigma^2\nu/\chi^2_\nu` by group of
data; of a straight line the percentiles are then those of t (Fisher, Annals of Eugenics 6, 1935, for two
groups).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..checks import check_level, listed
from ..errors import InputError
from ..kinds import check_type
from ..model.likelihoods import Normal
from ..model.misfit import likelihood_of
from ..numerics import Array
from ..numerics.random import generator
from ..results.solution import Solution
from ..results.status import Termination
from ..solvers.interrupt import Interrupt
from ..solvers.solve import make_solver, solve_with
from ..solvers.threads import single_threaded
from ..transcription.nlp import NLP
from .uncertainty import uncertainty


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Refits of resampled data.

    Attributes
    ----------
    samples : one row a converged refit, one column a physical parameter.
    failed : number of refits that did not converge.
    termination : ``INTERRUPTED`` after Ctrl-C, with the refits that were done by then.
    """

    samples: pd.DataFrame
    failed: int
    termination: Termination = Termination.CONVERGED

    def intervals(self, level: float = 0.95) -> pd.DataFrame:
        """Percentile intervals: ``estimate`` (median), ``std``, ``lower``, ``upper``.

        The limits are the refits of the ranks :math:`p(n+1)`, between which one refit more falls with the
        probability ``level`` (Hyndman and Fan, Am. Stat. 50, 1996, no. 6).  Fewer than
        2/(1 - level) - 1 refits, 39 for 95 %, have no such limits: nan.

        Raises
        ------
        InputError
            ``level`` does not lie between 0 and 1.
        """
        check_level(level)
        tail, count = 0.5 * (1.0 - level), len(self.samples)
        limits = np.full((2, self.samples.shape[1]), np.nan)
        if (count + 1) * tail > 1.0 - 1e-9:
            ends = [tail, 1.0 - tail]
            limits = np.quantile(self.samples.to_numpy(float), ends, axis=0, method="weibull")
        return pd.DataFrame(
            {
                "estimate": self.samples.median(),
                "std": self.samples.std(ddof=1),
                "lower": limits[0],
                "upper": limits[1],
            }
        )


@single_threaded
def bootstrap(solution: Solution, refits: int = 200, seed: int = 0) -> Bootstrap:
    """Parametric bootstrap: fit data made of the fitted outputs plus normal noise.

    Parameters
    ----------
    solution : an optimum; its noise is that of `uncertainty`, sample by sample.
    refits : number of resampled data sets; the NLP and its solver are built once.
    seed : of the noise, and of its size where that was estimated.

    Raises
    ------
    InputError
        As `uncertainty`, fewer than two refits, or a likelihood other than `Normal`.
    """
    check_type("bootstrap", solution, Solution)
    if refits < 2:
        raise InputError(f"a bootstrap needs at least 2 refits, not {refits}.")
    trust = uncertainty(solution)
    assert solution.nlp is not None
    problem = solution.nlp.problem
    laws = [likelihood_of(problem.loss, name) for name in problem.outputs]
    other = [law for law in laws if law is not None and not isinstance(law, Normal)]
    if other or any(e.censored is not None for e in problem.experiments):
        told = f"{other[0]!r}" if other else "censored data"
        raise InputError(
            f"the bootstrap draws normal noise, which does not fit {told}; use uncertainty's intervals."
        )
    if trust.saturated:
        raise InputError(
            f"nothing tells the noise of {listed(trust.saturated)}, of which there are no more data than "
            "unknowns; give sigma, or measure more."
        )
    noise, nlp = trust._variances.noise, solution.nlp.with_start(solution.result.x)
    fitted, _ = nlp.predictions(solution.result.x)
    solver, rng = make_solver(nlp), generator(seed)
    rows, failed, end = [], 0, Termination.CONVERGED
    with Interrupt():  # one that comes between two refits ends the next
        for _ in range(refits):
            spread = _spread(nlp, trust.deviations_of_data * noise.drawn(rng)[noise.group])
            data = fitted + spread * rng.standard_normal(fitted.shape)
            again = solve_with(solver, nlp.with_parameters(measurements=data))
            if again.result.termination is Termination.INTERRUPTED:
                end = Termination.INTERRUPTED
                break
            if again.success:
                rows.append(again.parameters)
            else:
                failed += 1
    return Bootstrap(pd.DataFrame(rows, columns=list(solution.parameters)), failed, end)


def _spread(nlp: NLP, of_data: Array) -> Array:
    """(samples, outputs) what every datum that counts has, 0 where nothing was measured."""
    table = np.zeros_like(nlp.parameters["measurements"])
    table[nlp.parameters["weights"] > 0.0] = of_data
    return table
