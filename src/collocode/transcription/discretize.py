"""`discretize`: Problem x Mesh x Scheme -> NLP."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from numbers import Real

import numpy as np
from scipy import sparse

from ..checks import apart, check_named, counted, shown
from ..errors import InputError
from ..kinds import check_type
from ..model.algebraic import check_algebraics
from ..model.checks import check_controls, check_outputs, check_switches
from ..model.experiment import Experiment
from ..model.problem import Problem
from ..model.typical import with_sizes
from ..numerics import Array
from ..numerics.mesh import Mesh
from ..numerics.scheme import Scheme
from ..numerics.schemes import GLOBAL_SCHEMES
from ..numerics.schemes import scheme as scheme_called
from .assembly import assemble
from .bounds import column_bounds, row_bounds
from .guesses import first_guess
from .initial import put_initial
from .lags import put_lags
from .layout import Layout
from .nlp import NLP
from .parameter_blocks import parameter_blocks
from .scales import objective_scale, places, scale_rows, scales_of
from .term import MappedTerm
from .terms import build_terms, linear_part

WINDOW_ELEMENTS = 30  # of a window without data, if nobody says how many
MeshLike = Mesh | int | Sequence[Mesh] | Mapping[str, Mesh] | None


def discretize(
    problem: Problem,
    scheme: Scheme | str = "radau",
    degree: int | None = None,
    mesh: MeshLike = None,
    like: NLP | None = None,
) -> NLP:
    """Write a problem as one nonlinear program on a mesh.

    Parameters
    ----------
    problem : what to identify, or to decide; the λ of `Evidence` is the one that it starts from, see
        there.
    scheme : a `Scheme` or its name; ``degree`` counts its stages.
    mesh : number of elements of every experiment, a `Mesh`, one per experiment (sequence, or mapping
        from the experiment's name), or None for about one stage a measurement (30 elements for a
        window without any).  Jumps of the
        inputs and the points of bases in time become mesh points unless the mesh was given point by
        point.
    like : an NLP that differs in nothing but parameters, bounds and starts, as of equal batches of
        data; its functions, and with them its solvers, are used again.

    Returns
    -------
    The `NLP`, started from the interpolated data and Glorot weights.

    Raises
    ------
    InputError
        A mesh that does not cover the data, an unknown scheme or degree, a right-hand side that
        fails, or a parameter of it without a derivative.
    """
    check_type("discretize", problem, Problem)
    began = time.perf_counter()
    problem = with_sizes(problem)
    chosen = scheme if isinstance(scheme, Scheme) else scheme_called(scheme, degree)
    meshes = meshes_of(problem, chosen, mesh)
    if like is None:
        check_algebraics(problem, chosen)
        check_switches(problem)
        check_controls(problem, chosen)
        check_outputs(problem)
    layout = Layout.of(problem, meshes, chosen)
    blocks = parameter_blocks(problem, layout, chosen)
    linear = linear_part(layout, chosen)
    terms = build_terms(problem, layout, chosen, blocks)
    if like is None:
        functions = assemble(terms, linear, sum(np.size(v) for v in blocks.values()))
    else:
        _check_alike(like, terms, linear, blocks)
        terms, functions = like.terms, like.functions
    p = np.concatenate([np.ravel(block) for block in blocks.values()])
    lower, upper = column_bounds(problem, layout)
    row_lower, row_upper = row_bounds(problem, layout, chosen)
    start = put_initial(problem, terms, layout, first_guess(problem, layout, lower, upper), p)
    put_lags(terms, start, p)
    column_scale, row_scale = scales_of(problem, layout)
    looked_at = places(start, lower, upper, column_scale)
    scale_rows(terms, blocks, looked_at, column_scale, row_scale, (row_lower, row_upper))
    weighs = problem.costs and not problem.n_measurements  # a misfit is dimensionless
    return NLP(
        name=problem.name,
        problem=problem,
        scheme=chosen,
        layout=layout,
        functions=functions,
        terms=terms,
        linear=linear,
        lower=lower,
        upper=upper,
        row_lower=row_lower,
        row_upper=row_upper,
        start=start,
        parameters=blocks,
        column_scale=column_scale,
        row_scale=row_scale,
        objective_scale=(
            objective_scale(terms, blocks, looked_at, column_scale, lower < upper)
            if weighs
            else 1.0
        ),
        column_size=column_scale,
        row_size=1.0 / row_scale,
        column_blocks=layout.column_blocks(),
        row_blocks=layout.row_blocks(),
        kinks=_kinks(problem),
        make_structure=None if problem.lags else layout.structure,  # they look across elements
        build_seconds=time.perf_counter() - began,
    )


def _check_alike(
    like: NLP, terms: Sequence[MappedTerm], linear: sparse.csr_matrix, blocks: Mapping[str, Array]
) -> None:
    """Refuse functions of another problem: shapes, equations, times and steps have to agree."""
    there = {name: np.shape(block) for name, block in like.parameters.items()}
    here = {name: np.shape(block) for name, block in blocks.items()}
    alike = there == here and len(terms) == len(like.terms)
    alike = alike and abs(linear - like.linear).max() == 0.0 if alike else False
    p = np.concatenate([np.ravel(block) for block in blocks.values()])
    if not (alike and all(a.equals(b, p) for a, b in zip(terms, like.terms, strict=True))):
        raise InputError(
            f"{like} has another structure than the problem to be discretized; leave out like=."
        )


def _kinks(problem: Problem) -> tuple[str, ...]:
    """Networks that second-order steps cannot cross, each in a phrase."""
    return tuple(
        f"network {name!r} uses {network.mlp.activation}"
        for name, network in problem.dynamics.networks.items()
        if network.mlp.smoothness < 1
    )


def meshes_of(problem: Problem, scheme: Scheme, mesh: MeshLike) -> list[Mesh]:
    """Return one mesh per experiment; see `discretize`."""
    if isinstance(mesh, str):
        raise InputError(
            f"mesh={mesh!r} is no mesh; only fit, multistart and sweep choose one. Give a number of "
            "elements, or a Mesh."
        )
    given: list[Mesh | int | None]
    if isinstance(mesh, Mapping):
        check_named("mesh=", mesh, "experiment", [e.name for e in problem.experiments])
        absent = [e.name for e in problem.experiments if e.name not in mesh]
        if absent:
            raise InputError(f"no mesh is given for experiment {absent[0]!r}; add it.")
        given = [mesh[e.name] for e in problem.experiments]
    elif isinstance(mesh, Sequence | np.ndarray):
        given = list(mesh)
        if len(given) != len(problem.experiments):
            points = all(isinstance(one, Real) for one in given)
            raise InputError(
                f"{counted(len(given), 'mesh was', 'meshes were')} given for "
                f"{counted(len(problem.experiments), 'experiment')}; "
                + (
                    f"give one each, or, if these are the points of a mesh, cc.Mesh({shown(np.asarray(mesh).tolist())})."
                    if points
                    else "give one each."
                )
            )
    else:
        given = [mesh] * len(problem.experiments)
    pairs = zip(problem.experiments, given, strict=True)
    meshes = [_mesh(e, scheme, g, problem.breaks) for e, g in pairs]
    for e, mesh in zip(problem.experiments, meshes, strict=True):
        for b in problem.boundaries(e):
            needed = np.array([b.first, b.at, b.at + b.width, b.last])
            off = np.abs(mesh.points[:, None] - needed[None, :]).min(axis=0)
            if off.max() > 1e-9 * (mesh.end - mesh.start):
                raise InputError(
                    f"the mesh of experiment {e.name!r} has no point at {needed[int(off.argmax())]:.12g}, which the "
                    f"estimated time {b.parameter!r} of an event needs; give a number of elements, or a "
                    f"Mesh with_points({needed.tolist()})."
                )
    return meshes


def _mesh(experiment: Experiment, scheme: Scheme, given: Mesh | int | None, breaks: Array) -> Mesh:
    start, end = experiment.start, experiment.end
    assert start is not None and end is not None
    if isinstance(given, Mesh):
        slack = 1e-9 * (end - start)
        if given.start > start + slack or given.end < end - slack:
            told = apart(given.start, given.end, start, end, digits=12)
            raise InputError(
                f"the mesh [{told[0]}, {told[1]}] does not cover the data of experiment "
                f"{experiment.name!r}, [{told[2]}, {told[3]}]; extend the mesh or cut the data."
            )
        return given.with_points(experiment.event_points)
    if given is None:
        # about one stage a sample, so that a fit neither misses nor invents detail
        wanted = max(10, round((experiment.samples - 1) / max(1, scheme.intervals)))
        wanted = wanted if experiment.measures else WINDOW_ELEMENTS
        given = 1 if scheme.name in GLOBAL_SCHEMES else wanted
    return Mesh.uniform(start, end, given).with_points(np.append(experiment.jumps, breaks))
