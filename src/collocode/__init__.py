"""Collocode: simultaneous identification and optimisation of models with unknown dynamics.

>>> import collocode as cc
>>> problem = cc.Problem(cc.NeuralODE(cc.MLP((2, 32, 2))), cc.read_csv("van_der_pol.csv"))
... # doctest: +SKIP
>>> solution = cc.fit(problem)  # doctest: +SKIP

A `Problem` says what is known and measured; `discretize` writes it as one NLP on a mesh by a
collocation scheme; `solve` gives it to IPOPT; the `Solution` simulates, predicts, scores and saves.
`fit` does all of it.
"""

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import Any as _Any

from .adapt.costates import Costates, costates
from .adapt.estimate import ErrorEstimate, estimate_error
from .adapt.goals import Integral, Objective, ParameterValue, SimulatedMisfit, StateAt
from .adapt.refine import refine
from .adapt.refinement import Cycle, Refinement, RefinementStatus
from .admm.admm import Agreement, admm
from .admm.consensus import ADMMRules
from .errors import CollocodeError, FileError, InputError, MissingDependency
from .export.casadi_files import load_functions, nlp_functions, save_functions, write_c
from .export.jax_function import jax_network, jax_rhs
from .export.modelica import modelica_text, write_modelica
from .export.nl import NlFile, load_sol, write_nl
from .export.nl_read import NlModel, read_nl
from .export.onnx import OnnxFile, write_onnx
from .export.onnx_read import read_onnx
from .export.pyomo_files import write_pyomo
from .export.pyomo_model import PyomoExport, to_pyomo
from .export.pyomo_values import load_from_pyomo
from .export.weights import load_weights, save_weights
from .identify.bootstrap import Bootstrap, bootstrap
from .identify.fit import fit
from .identify.multistart import Multistart, multistart
from .identify.split import split
from .identify.sweep import Sweep, sweep
from .identify.uncertainty import Uncertainty, uncertainty
from .model.constraints import PathConstraint, PointConstraint
from .model.dynamics import Dynamics, NeuralODE, Parameter
from .model.experiment import Experiment, Initial, fixed, free, weighted
from .model.loss import L1, L2, LeastSquares
from .model.network import MLP
from .model.problem import Problem, Truth
from .model.table import from_frame, read_csv
from .model.varying import TimeVarying
from .numerics.bases import (
    Basis,
    BSpline,
    Chebyshev,
    Constant,
    Fourier,
    Legendre,
    Monomial,
    PiecewiseConstant,
    basis,
    basis_names,
)
from .numerics.mesh import Mesh
from .numerics.scheme import Scheme
from .numerics.schemes import scheme, scheme_names
from .numerics.signals import Signal
from .numerics.smoothing import Smoother
from .results.diagnosis import Diagnosis, diagnose
from .results.model import TrainedModel, TrainedNetwork
from .results.residuals import residuals, whiteness
from .results.score import Score
from .results.simulate import Simulation, simulate
from .results.solution import Solution, Trajectory
from .results.status import SolutionStatus, SolverResult, Termination
from .results.store import load
from .solvers.nl_solve import solve_nl, write_solution
from .solvers.protocol import Progress
from .solvers.solve import make_solver, solve, solve_with
from .starts.strategies import start_from
from .transcription.discretize import discretize
from .transcription.nlp import NLP

__version__ = _version("collocode")


_LATER = {  # layered networks: loaded when they are asked for
    "Growth": "layered.growth.growth",
    "GrowthStatus": "layered.growth.growth",
    "LayerEstimate": "layered.refinement.estimate",
    "LayerRefinement": "layered.refinement.result",
    "TopologicalDerivative": "layered.growth.topological",
    "estimate_layers": "layered.refinement.estimate",
    "grow": "layered.growth.grow",
    "load_growth": "layered.growth.store",
    "refine_layers": "layered.refinement.refine_layers",
    "save_growth": "layered.growth.store",
    "topological_derivative": "layered.growth.topological",
}


def __getattr__(name: str) -> _Any:
    """Load ``collocode.layered``, ``collocode.relu`` and what belongs to them when asked for."""
    if name in ("layered", "relu"):
        return _import_module(f"{__name__}.{name}")
    if name in _LATER:
        return getattr(_import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "L1",
    "L2",
    "MLP",
    "NLP",
    "ADMMRules",
    "Agreement",
    "BSpline",
    "Basis",
    "Bootstrap",
    "Chebyshev",
    "CollocodeError",
    "Constant",
    "Costates",
    "Cycle",
    "Diagnosis",
    "Dynamics",
    "ErrorEstimate",
    "Experiment",
    "FileError",
    "Fourier",
    "Initial",
    "InputError",
    "Integral",
    "LeastSquares",
    "Legendre",
    "Mesh",
    "MissingDependency",
    "Monomial",
    "Multistart",
    "NeuralODE",
    "NlFile",
    "NlModel",
    "Objective",
    "OnnxFile",
    "Parameter",
    "ParameterValue",
    "PathConstraint",
    "PiecewiseConstant",
    "PointConstraint",
    "Problem",
    "Progress",
    "PyomoExport",
    "Refinement",
    "RefinementStatus",
    "Scheme",
    "Score",
    "Signal",
    "SimulatedMisfit",
    "Simulation",
    "Smoother",
    "Solution",
    "SolutionStatus",
    "SolverResult",
    "StateAt",
    "Sweep",
    "Termination",
    "TimeVarying",
    "TrainedModel",
    "TrainedNetwork",
    "Trajectory",
    "Truth",
    "Uncertainty",
    "admm",
    "basis",
    "basis_names",
    "bootstrap",
    "costates",
    "diagnose",
    "discretize",
    "estimate_error",
    "fit",
    "fixed",
    "free",
    "from_frame",
    "jax_network",
    "jax_rhs",
    "load",
    "load_from_pyomo",
    "load_functions",
    "load_sol",
    "load_weights",
    "make_solver",
    "modelica_text",
    "multistart",
    "nlp_functions",
    "read_csv",
    "read_nl",
    "read_onnx",
    "refine",
    "residuals",
    "save_functions",
    "save_weights",
    "scheme",
    "scheme_names",
    "simulate",
    "solve",
    "solve_nl",
    "solve_with",
    "split",
    "start_from",
    "sweep",
    "to_pyomo",
    "uncertainty",
    "weighted",
    "whiteness",
    "write_c",
    "write_modelica",
    "write_nl",
    "write_onnx",
    "write_pyomo",
    "write_solution",
]
