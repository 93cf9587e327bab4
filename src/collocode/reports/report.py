"""`report`: any result of the package as a `Report`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..errors import InputError, listed
from .record import Asked, Report

# what describes a class, by the class's name: the modules of those that are not used stay unloaded
_HOMES = {
    "Solution": "solution.report_solution",
    "Sweep": "searches.report_sweep",
    "Multistart": "searches.report_multistart",
    "MeshRefinement": "searches.report_refinement",
    "ADMMResult": "admm.report_admm",
    "Training": "training.report_training",
    "LayerRefinement": "layers.report_layers",
    "Growth": "layers.report_growth",
    "OptimumResult": "relu.report_optimum",
    "ProgramSolution": "programs.report_program_solution",
    "SolverResult": "programs.report_program",
    "Simulation": "programs.report_simulation",
}


def report(result: Any, problem: Any = None, *, asked: Asked | None = None) -> Report:
    """Return what came out, as a value that prints itself, and as JSON, Markdown or HTML.

    Parameters
    ----------
    result : a `Solution`, `Sweep`, `Multistart`, `MeshRefinement`, `ADMMResult`, `LayerRefinement`,
        `Growth`, `Training` of a layered network, `OptimumResult` over a ReLU network,
        `ProgramSolution`, or `SolverResult` of an ``.nl`` file.
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
    how = asked or Asked(problem=problem)
    for kind in type(result).__mro__:
        if kind.__name__ in _HOMES and kind.__module__.startswith("collocode."):
            module, _, function = _HOMES[kind.__name__].partition(".")
            found: Report = getattr(import_module(f"{__package__}.{module}"), function)(result, how)
            return found
    raise InputError(
        f"report takes a result of collocode ({listed(_HOMES, 12)}), not an object of type "
        f"{type(result).__name__!r}."
    )
