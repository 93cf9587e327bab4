"""`report`: any result of the package as a `Report`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from ..checks import listed
from ..errors import InputError
from ..solvers.threads import single_threaded
from .parts import Finding, ranked
from .record import Asked, Report

# what describes a class, by the class's name: the modules of those that are not used stay unloaded
_HOMES = {
    "Solution": "solution.report_solution",
    "Sweep": "searches.report_sweep",
    "Multistart": "searches.report_multistart",
    "MeshRefinement": "searches.report_refinement",
    "ADMMResult": "admm.report_admm",
    "Training": "layers.report_training",
    "LayerRefinement": "layers.report_layers",
    "Growth": "layers.report_growth",
    "OptimumResult": "relu.report_optimum",
    "ProgramSolution": "programs.report_program_solution",
    "SolverResult": "programs.report_program",
    "Simulation": "programs.report_simulation",
    "ClosedLoop": "loops.report_loop",
}


@single_threaded
def report(result: Any, problem: Any = None, *, asked: Asked | None = None) -> Report:
    """Return what came out, as a value that prints itself, and as JSON, Markdown or HTML.

    Parameters
    ----------
    result : a `Solution`, `Sweep`, `Multistart`, `MeshRefinement`, `ADMMResult`, `LayerRefinement`,
        `Growth`, `Training` of a layered network, `OptimumResult` over a ReLU network,
        `ProgramSolution`, `ClosedLoop`, or `SolverResult` of an ``.nl`` file.
    problem : what the result does not keep: the `LayeredProblem` of a training or a growth, the
        `Surrogate` of an optimum, the `NlModel` of a solver's result.
    asked : what the command line was asked; nobody else needs it.

    Raises
    ------
    InputError
        Something else.

    Examples
    --------
    >>> import numpy as np
    >>> from collocode import Dynamics, Experiment, Parameter, Problem, fit
    >>> t = np.linspace(0.0, 2.0, 21)
    >>> decay = Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[Parameter("k", 1.0)])
    >>> found = report(fit(Problem(decay, Experiment(t, np.exp(-0.7 * t), outputs=("c",)))))
    >>> found.success, found.status, round(found.tables["parameters"].rows[0]["value"], 3)
    (True, 'converged (optimal)', 0.7)
    """
    found: Report = _described(result, _HOMES)(result, asked or Asked(problem=problem))
    return found


def findings(result: Any, problem: Any = None) -> tuple[Finding, ...]:
    """Return what must not be overlooked, the most serious first, each with the lever that acts.

    Where a fit is bad the remedy is computed: the mesh if the estimate of its error says so, the
    regularisation if the residuals do, a bound or σ if these are the cause, another start otherwise.
    No figure is drawn for it.

    Parameters
    ----------
    result, problem : as for `report`.

    Raises
    ------
    InputError
        Nothing that `report` takes.

    Examples
    --------
    >>> import numpy as np
    >>> from collocode import Dynamics, Experiment, Parameter, Problem, fit
    >>> t, rng = np.linspace(0.0, 2.0, 41), np.random.default_rng(0)
    >>> noisy = np.exp(-0.7 * t) + 0.01 * rng.standard_normal(41)
    >>> decay = Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[Parameter("k", 1, 0.71, 5)])
    >>> solution = fit(Problem(decay, Experiment(t, noisy, outputs=("c",))))
    >>> [(found.code, found.lever.value) for found in findings(solution)]
    [('at-bound', 'bounds')]
    """
    asked = Asked(problem=problem)
    told = _described(result, _HOMES | {"Solution": "evidence.findings_of"})(result, asked)
    return ranked(told.findings if isinstance(told, Report) else told)


def _described(result: Any, homes: Mapping[str, str]) -> Callable[[Any, Asked], Any]:
    """What describes a result; an `InputError` for what is none."""
    for kind in type(result).__mro__:
        if kind.__name__ in homes and kind.__module__.startswith("collocode."):
            module, _, function = homes[kind.__name__].partition(".")
            found: Callable[[Any, Asked], Any] = getattr(
                import_module(f"{__package__}.{module}"), function
            )
            return found
    raise InputError(
        f"report takes a result of collocode ({listed(_HOMES, 12)}), not an object of type "
        f"{type(result).__name__!r}; pass what fit, refine, sweep, admm, ... return."
    )
