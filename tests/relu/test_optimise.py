import builtins
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint

from collocode import InputError, MissingDependency, SolutionStatus, Termination
from collocode.relu import (
    ENCODINGS,
    OptimizationSettings,
    ReluNetwork,
    maximize,
    minimize,
    scaled,
)
from collocode.relu.bounds import core_box, interval_bounds
from collocode.relu.constraints import as_linear
from collocode.relu.encodings import encode
from collocode.relu.highs import load, solve_mip
from collocode.relu.local_search import local_search, region_optimum
from collocode.relu.problem import OptimizationProblem
from collocode.relu.pyomo_solvers import solver_named
from collocode.relu.splitting import split_box
from tests.waiting import HANGS

from .nets import enumerated_maximum, random_network

BOX = [(-1.0, 2.0), (-1.5, 1.0)]
MIP = ENCODINGS[:3]


@hypothesis_settings(max_examples=8)
@given(st.integers(0, 10_000), st.booleans(), st.booleans(), st.data())
def test_the_optimum_is_that_of_enumeration(seed, clipped, held, data):
    sizes, clip = ((2, 3, 2, 1), 0.6) if clipped else ((2, 4, 3, 1), None)
    network = random_network(seed, sizes, clip, affine=True)
    A, low, up = np.array([[1.0, 2.0]]), -0.5, 0.5
    best = enumerated_maximum(network, BOX, *((A, low, up) if held else ()))
    encoding, bounds = (
        data.draw(st.sampled_from(MIP)),
        data.draw(st.sampled_from(["interval", "lp", "split"])),
    )
    found = maximize(
        network,
        BOX,
        LinearConstraint(A, low, up) if held else None,
        encoding=encoding,
        bounds=bounds,
    )
    assert found.success
    assert found.value == pytest.approx(best, abs=1e-6)
    assert found.bound == pytest.approx(best, abs=1e-5)
    assert found.root_bound >= best - 1e-6 or bounds == "split"
    np.testing.assert_allclose(network(found.x), found.y)


@hypothesis_settings(max_examples=5)
@given(st.integers(0, 10_000), st.sampled_from([None, 0.8]))
def test_every_encoding_bound_and_scaling_gives_one_optimum(seed, clip):
    network = random_network(seed, (2, 7, 6, 1), clip, affine=True)
    ia = interval_bounds(network, BOX)
    found = [
        minimize(network, BOX, encoding=encoding, bounds=bounds, warm=warm)
        for encoding, bounds, warm in (
            ("bigm", "interval", False),
            ("bigm", "lp", True),
            ("bigm", 50.0, True),
            ("clipped", ia, False),
            ("clipped", "split", True),
            ("partition", "interval", True),
            ("partition", "lp", False),
        )
    ]
    found += [minimize(scaled(network, ia, per), BOX, bounds="lp") for per in ("neuron", "layer")]
    grid = np.stack(np.meshgrid(*(np.linspace(*side, 201) for side in BOX)), axis=-1).reshape(-1, 2)
    for result in found:
        assert result.status is SolutionStatus.OPTIMAL
        assert result.gap < 1e-5
        assert result.value == pytest.approx(found[0].value, abs=1e-5)
        assert result.value <= network(grid).min() + 1e-6
        assert result.embedded_error < 1e-6


def test_a_local_optimum_by_complementarities_claims_no_more():
    network = random_network(3, (2, 6, 5, 1), affine=True)
    best = maximize(network, BOX)
    local = maximize(network, BOX, encoding="complementarity", bounds="lp")
    assert local.status is SolutionStatus.FEASIBLE
    assert local.termination is Termination.CONVERGED
    assert local.value == pytest.approx(best.value, abs=1e-4)  # from a good start
    assert local.bound >= best.value
    assert "local" in local.message
    assert local.summary.binaries == 0
    np.testing.assert_allclose(network(local.x), local.y)


def test_weights_of_inputs_and_outputs_make_other_objectives():
    network = random_network(1, (2, 5, 2), affine=True)
    w = np.array([0.3, -0.2, 1.0, -2.0])
    found = maximize(network, BOX, objective=w)
    grid = np.stack(np.meshgrid(*(np.linspace(*side, 301) for side in BOX)), axis=-1).reshape(-1, 2)
    values = np.hstack([grid, network(grid)]) @ w
    assert found.value == pytest.approx(w @ np.concatenate([found.x, found.y]))
    assert values.max() <= found.value + 1e-7
    assert values.max() == pytest.approx(found.value, abs=0.1)
    second = maximize(network, BOX, objective=1)
    assert second.value == pytest.approx(maximize(network, BOX, objective=[0.0, 1.0]).value)


@pytest.mark.parametrize("bounds", ["interval", "lp", "split"])
def test_where_nothing_is_allowed_the_bound_says_so(bounds):
    """|x| is never 5 on [-2, 1]; the maximum of nothing is -inf, its minimum inf."""
    absolute = ReluNetwork(([[1.0], [-1.0]], [[1.0, 1.0]]), ([0.0, 0.0], [0.0]))
    most = maximize(absolute, [(-2.0, 1.0)], ([[0.0, 1.0]], 5.0, 9.0), bounds=bounds)
    least = minimize(absolute, [(-2.0, 1.0)], ([[0.0, 1.0]], 5.0, 9.0), bounds=bounds)
    assert (most.bound, least.bound) == (-np.inf, np.inf)
    assert np.isnan(most.value)
    assert most.gap == np.inf
    assert most.status.value == "infeasible"


def test_constraints_on_outputs_hold():
    network = random_network(8, (2, 6, 2))
    A = [[0.0, 0.0, 0.0, 1.0]]
    free = maximize(network, BOX)
    limit = float(free.y[1]) - 0.1
    for bounds in ("lp", "split"):
        found = maximize(network, BOX, (A, -np.inf, limit), bounds=bounds)
        assert found.success
        assert found.y[1] <= limit + 1e-6
        assert found.value <= free.value + 1e-6
    by_function = maximize(
        network, BOX, lambda m, x, y: m.add_component("cap", pyo.Constraint(expr=y[1] <= limit))
    )
    assert by_function.value == pytest.approx(found.value, abs=1e-5)


def test_constraints_that_a_function_returns_are_added():
    """They are not lost: a grid tells the optimum within them."""
    network = random_network(1)
    grid = np.stack(np.meshgrid(*[np.linspace(*side, 801) for side in BOX]), -1).reshape(-1, 2)
    allowed = grid[grid.sum(axis=1) <= -0.05]
    for written in (
        lambda m, x, y: x[0] + x[1] <= -0.05,
        lambda m, x, y: [x[0] + x[1] <= -0.05, x[0] >= -5.0],
    ):
        found = maximize(network, BOX, written)
        assert found.x.sum() <= -0.05 + 1e-6
        assert found.value == pytest.approx(network(allowed).max(), abs=2e-3)
    with pytest.raises(InputError, match=r"function of constraints failed .*; it adds constraints"):
        maximize(network, BOX, lambda m, x, y: 3)
    with pytest.raises(InputError, match=r"function of constraints failed .*; it adds constraints"):
        maximize(network, BOX, lambda m, x, y: [True])


def test_what_a_solver_cannot_solve_is_refused_in_a_sentence():
    network = random_network(1)

    def disc(m, x, y):
        return x[0] ** 2 + x[1] ** 2 <= 0.05

    with pytest.raises(InputError, match=r"highs cannot solve a model .*; write linear ones, or"):
        maximize(network, BOX, disc)
    pytest.importorskip("pyscipopt")
    found = maximize(network, BOX, disc, solver="scip")
    turn = np.linspace(0.0, 2.0 * np.pi, 2001)
    disc_of = np.sqrt(0.05) * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    inside = np.concatenate([share * disc_of for share in np.linspace(0.0, 1.0, 41)])
    assert found.value == pytest.approx(network(inside).max(), abs=1e-4)


def test_constraints_that_cannot_hold_are_named():
    network = random_network(8, (2, 6, 1))
    with pytest.raises(InputError, match=r"constraint 1 cannot hold"):
        maximize(network, BOX, [([1, 0], 0, 1), ([0, 1], 5, 6)])
    found = maximize(network, BOX, ([0, 0, 1], 1e4, np.inf))
    assert found.status is SolutionStatus.INFEASIBLE
    assert np.isnan(found.value)
    assert "no input in the box satisfies the constraint" in found.message
    assert found.termination is Termination.INFEASIBLE
    assert found.gap == np.inf


def test_a_time_limit_returns_the_best_point_and_a_bound():
    """A search of hours, which starts with a point: the time left to it does not matter."""
    network = random_network(0, (6, 60, 60, 1))
    box = [(-1.0, 1.0)] * 6
    found = maximize(network, box, bounds="interval", time_limit=0.3)
    assert found.termination is Termination.TIME_LIMIT
    assert found.status is SolutionStatus.FEASIBLE
    assert network(found.x)[0] == found.value <= found.bound < np.inf
    assert found.bound <= interval_bounds(network, box).outputs(network)[1][0]
    nothing = maximize(network, box, bounds="interval", warm=False, time_limit=0.0)
    assert nothing.status is SolutionStatus.NONE
    assert nothing.bound < np.inf
    assert nothing.gap == np.inf


def test_progress_is_reported():
    lines = []
    network = random_network(0, (3, 14, 14, 1))
    box = [(-1.0, 1.0)] * 3
    found = maximize(network, box, bounds="lp", on_progress=lines.append)
    assert found.success
    assert lines
    assert lines[-1].nodes <= max(found.nodes, 1)
    for line in lines:
        assert line.bound >= line.incumbent - 1e-6 or np.isinf(line.incumbent)
    assert lines[-1].bound == pytest.approx(found.bound, abs=1e-3)


def test_ctrl_c_returns_the_best_point():
    network = random_network(0, (6, 40, 40, 1))
    signals = []

    def interrupt(line):
        if not signals:
            signals.append(line)
            signal.raise_signal(signal.SIGINT)

    found = maximize(
        network, [(-1.0, 1.0)] * 6, bounds="lp", time_limit=HANGS, on_progress=interrupt
    )
    assert found.termination is Termination.INTERRUPTED
    assert network(found.x)[0] == found.value <= found.bound


def test_nothing_is_printed():
    """In a process of its own, as HiGHS shows its banner once: for the first callback."""
    program = (
        "from collocode.relu import maximize\n"
        "from tests.relu.nets import random_network\n"
        "box = [(-1.0, 1.0)] * 2\n"
        "maximize(random_network(0, (2, 3, 1)), box, bounds='lp', on_progress=lambda line: None)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert run.stdout == run.stderr == b""


def test_splitting_leaves_little_to_search():
    network = random_network(0, (2, 25, 25, 1))
    plain, split = (maximize(network, BOX, bounds=b) for b in ("lp", "split"))
    assert split.value == pytest.approx(plain.value, abs=1e-6)
    assert split.summary.binaries < plain.summary.binaries / 2


@pytest.mark.parametrize("clip", [None, 0.7])
def test_polishing_finds_the_optimum_of_the_region(clip):
    network = random_network(5, (2, 6, 5, 1), clip)
    problem = OptimizationProblem(
        network=network,
        box=core_box(network, BOX),
        linear=as_linear(network, None),
        cost=np.array([0.0, 0.0, 1.0]),
        sense=-1,
    )
    x = np.array([0.1, 0.2])
    moved = region_optimum(problem, x)
    assert problem.value(moved) <= problem.value(x)
    for t in (0.25, 0.5, 0.75):  # linear in between: both are of one region
        value = problem.value(x + t * (moved - x))
        ends = problem.value(x), problem.value(moved)
        assert value == pytest.approx((1.0 - t) * ends[0] + t * ends[1], abs=1e-9)
    walked = local_search(problem)
    assert problem.value(walked) <= problem.value(moved) + 1e-9


def test_scip_agrees():
    network = random_network(4, (2, 5, 4, 1), affine=True)
    for constraints in (None, ([1.0, 1.0], 0.2, 0.2)):
        ours = maximize(network, BOX, constraints)
        scip = maximize(network, BOX, constraints, solver="scip", bounds="lp")
        assert scip.solver == "scip"
        assert scip.success
        assert scip.value == pytest.approx(ours.value, abs=1e-5)
        assert scip.embedded_error < 1e-5


def test_missing_and_unknown_solvers_are_named(monkeypatch):
    with pytest.raises(InputError, match="'simplex'"):
        solver_named("simplex")
    network = random_network(0)
    with pytest.raises(MissingDependency, match="'gurobi' is not installed; pip install gurobipy"):
        maximize(network, BOX, solver="gurobi")
    real = builtins.__import__

    def without(name, *rest):
        if name == "highspy":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependency, match=r"HiGHS .* 'collocode\[relu\]'"):
        maximize(network, BOX)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": 1}, "output 1, but there are 1"),
        ({"objective": [1.0, 2.0]}, "weights of the outputs"),
        ({"encoding": "sos"}, "'sos'"),
        ({"bounds": 0.1}, "would cut the graph"),
        ({"time_limit": -1.0}, "time_limit"),
        ({"options": {"speed": 11}}, "refuses the option speed=11"),
        ({"box": [(-1.0, np.inf), (0.0, 1.0)]}, "input 0 is unbounded"),
    ],
)
def test_bad_settings_are_named(settings, message):
    given_box = settings.pop("box", BOX)
    with pytest.raises(InputError, match=message):
        maximize(random_network(0), given_box, **settings)
    with pytest.raises(InputError, match="no setting 'speed'"):
        minimize(random_network(0), BOX, speed=1)
    for solve in (maximize, minimize):
        with pytest.raises(InputError, match=r"no setting 'weights'; .* by objective="):
            solve(random_network(0), BOX, weights=[1.0])


def test_settings_are_a_value_that_names_change():
    network = random_network(3, (2, 5, 1))
    how = OptimizationSettings(bounds="interval", encoding="clipped", warm=False)
    found = minimize(network, BOX, settings=how, encoding="partition")
    assert (found.encoding, found.summary.bounds) == ("partition", "interval")
    assert how.encoding == "clipped"
    by_name = minimize(network, BOX, bounds="interval", encoding="partition", warm=False)
    assert found.value == pytest.approx(by_name.value, abs=1e-7)


def test_a_network_without_hidden_layers_is_a_linear_program():
    found = maximize(ReluNetwork(([[1.0, -2.0]],), ([0.5],)), BOX)
    assert found.value == pytest.approx(2.0 + 3.0 + 0.5)
    assert found.success


def two_peaks_around_a_pit():
    """3 - 4|x| + 6 (|x| - 0.5)+ - 10 (0.7 - |x|)+: the peaks, 2, are at both ends of [-1, 1].

    On the parts that can hold the optimum the last unit is off; between them, which is inside
    their hull, it is not, and without it the middle would be worth 3.
    """
    first = [[1.0], [-1.0], [1.0], [-1.0]]
    second = [*np.eye(4), [-1.0, -1.0, 0.0, 0.0]]
    return ReluNetwork(
        (first, second, [[-4.0, -4.0, 6.0, 6.0, -10.0]]),
        ([0.0, 0.0, -0.5, -0.5], [0.0, 0.0, 0.0, 0.0, 0.7], [3.0]),
    )


@pytest.mark.parametrize("encoding", MIP)
@pytest.mark.parametrize(
    ("x", "status"), [(-1.0, "Optimal"), (0.0, "Infeasible"), (1.0, "Optimal")]
)
def test_bounds_that_hold_on_parts_only_are_enforced(encoding, x, status):
    network, box = two_peaks_around_a_pit(), np.array([[-1.0, 1.0]])
    hull, bounds = split_box(network, box, as_linear(network, None), np.array([0.0, -1.0]), -2.0)
    np.testing.assert_allclose(hull, box)
    wide = [np.array([side]) for side in (-50.0, 50.0)]  # or the output's range would exclude 3
    bounds = replace(
        bounds, lower=(*bounds.lower[:-1], wide[0]), upper=(*bounds.upper[:-1], wide[1])
    )
    program, inputs, output = encode(network, bounds, hull, encoding)
    program.set_bounds(inputs, np.array([x]), np.array([x]))
    answer = solve_mip(load(program.arrays(), np.zeros(program.columns), True, {}))
    assert answer.status == status
    if status == "Optimal":
        assert answer.x[output[0]] == pytest.approx(2.0)


@pytest.mark.parametrize("encoding", MIP)
@pytest.mark.parametrize("scaling", [None, "neuron"])
def test_what_is_dropped_between_the_parts_stays_out(encoding, scaling):
    network, box = two_peaks_around_a_pit(), [(-1.0, 1.0)]
    found = maximize(network, box, bounds="split", encoding=encoding, scaling=scaling)
    assert found.bounds.conditional
    assert found.bounds.stable(network)[1][4] == -1
    assert found.value == pytest.approx(2.0, abs=1e-7)
    assert found.bound == pytest.approx(2.0, abs=1e-5)
    assert found.success
