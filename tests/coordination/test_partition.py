"""Cutting: what the batches hold adds up to the whole problem, and what cannot be cut is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import collocode as cc
from collocode.coordination.partition import FIRST, LAST, measurements
from collocode.coordination.subproblem import FitSettings, Subproblem, from_zero, structure
from tests.coordination.problems import offsets, pushed, restricted, waves


def meshes_of(nlp):
    return [part.mesh for part in nlp.layout.experiments]


def parts_of(nlp, batches, *how):
    return cc.Partition(batches, *how).cut(nlp.problem, meshes_of(nlp))


def somewhere(nlp, seed=0):
    return nlp.start + 0.3 * np.random.default_rng(seed).standard_normal(nlp.columns)


CASES = {
    "windows": (lambda: waves(), 3, ()),
    "free windows": (lambda: waves(), 3, (0.0, "free")),
    "overlapping windows": (lambda: waves(), 4, (0.5, "free")),
    "inputs": (lambda: pushed(), 4, ()),
    "experiments": (lambda: offsets(), 2, ()),
    "windows of experiments": (lambda: offsets(), 7, ()),
    "named groups": (lambda: offsets(), [["run 2"], ["run 3", "run 1"]], ()),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("scheme", ["radau", "gauss"])
def test_batches_add_up_to_the_whole(case, scheme):
    """At any point: the sum of the parts' losses and the penalty is the objective, rows are rows."""
    make, batches, how = CASES[case]
    problem = make()
    nlp = cc.discretize(problem, scheme, 2, mesh=8)
    parts, x = parts_of(nlp, batches, *how), somewhere(nlp)
    settings = FitSettings(scheme=nlp.scheme)
    weights = x[nlp.layout.weights]
    total, rows = problem.penalty.value(weights), []
    for batch in parts:
        sub = Subproblem(batch, settings)
        inside = restricted(nlp, x, batch, sub)
        total += sub.nlp.objective(inside)
        rows.append(sub.nlp.constraints(inside))
    assert total == pytest.approx(nlp.objective(x), rel=1e-12)
    if "overlapping" not in case:
        np.testing.assert_allclose(
            np.sort(np.concatenate(rows)), np.sort(nlp.constraints(x)), atol=1e-12
        )


@given(
    st.integers(2, 7),
    st.floats(0.0, 1.0),
    st.integers(0, 2**20),
    st.sampled_from(["free", "shared"]),
)
def test_every_measurement_counts_once(windows, overlap, seed, boundary):
    """Whatever is missing, weighted or seen twice."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.uniform(0.0, 5.0, 60))
    y = rng.standard_normal((60, 2))
    y[rng.random((60, 2)) < 0.2] = np.nan
    data = cc.Experiment(t, y, ("x", "v"), weights=rng.uniform(0.5, 2.0, (60, 2)), name="run")
    problem = cc.Problem(cc.Dynamics(lambda t, x, u, p, nn: [x.v, -x.x]), data)
    mesh = cc.Mesh.uniform(t[0], t[-1], 21)
    overlap = overlap if boundary == "free" else 0.0
    parts = cc.Partition(windows, overlap, boundary).cut(problem, [mesh])
    seen = np.zeros((60, 2))
    for batch in parts:
        (part,) = batch.problem.experiments
        at = np.searchsorted(t, part.times)
        np.testing.assert_array_equal(t[at], part.times)
        seen[at] += np.where(np.isfinite(part.values), part.weights, 0.0)
    np.testing.assert_allclose(seen, np.where(np.isfinite(y), data.weights, 0.0))
    if not overlap:
        assert sum(batch.weight for batch in parts) == pytest.approx(1.0)


def test_windows_hold_about_equally_many_measurements():
    t = np.concatenate([np.linspace(0.0, 1.0, 80), np.linspace(1.05, 8.0, 20)])
    data = cc.Experiment(t, np.sin(t), ("x",), name="run")
    problem = cc.Problem(cc.NeuralODE(cc.MLP((1, 2, 1))), data, regularisation=cc.L2())
    parts = cc.Partition(4).cut(problem, [cc.Mesh(np.linspace(0.0, 8.0, 161))])
    assert [b.problem.n_measurements for b in parts] == pytest.approx([25] * 4, abs=4)


def test_the_longest_experiments_are_cut_first():
    runs = [
        cc.Experiment(np.linspace(0.0, 1.0, 20), np.ones(20), ("x",), name="short"),
        cc.Experiment(np.linspace(0.0, 9.0, 90), np.ones(90), ("x",), name="long"),
    ]
    problem = cc.Problem(cc.Dynamics(lambda t, x, u, p, nn: [0.0 * x.x]), runs)
    parts = cc.Partition(4).cut(
        problem, [cc.Mesh.uniform(0.0, 1.0, 5), cc.Mesh.uniform(0.0, 9.0, 30)]
    )
    assert [b.name for b in parts] == ["short", *(f"long, window {k}" for k in (1, 2, 3))]


def test_experiments_are_dealt_out_by_size():
    t = {n: np.linspace(0.0, 1.0, n) for n in (10, 30, 40, 60)}
    runs = [cc.Experiment(v, np.ones(n), ("x",), name=f"of {n}") for n, v in t.items()]
    problem = cc.Problem(cc.Dynamics(lambda t, x, u, p, nn: [0.0 * x.x]), runs)
    parts = parts_of(cc.discretize(problem, mesh=4), 2)
    assert [b.name for b in parts] == ["of 10, of 60", "of 30, of 40"]
    assert [b.weight for b in parts] == [0.5, 0.5]
    assert not any(b.shared_states or b.shared_parameters for b in parts)


def test_neighbours_share_a_state_and_own_parameters():
    nlp = cc.discretize(offsets(runs=1), mesh=6)
    first, middle, last = parts_of(nlp, 3)
    assert [(shared.node, shared.key) for shared in first.shared_states] == [(LAST, "run 1;1")]
    assert [(shared.node, shared.key) for shared in middle.shared_states] == [
        (FIRST, "run 1;1"),
        (LAST, "run 1;2"),
    ]
    assert [(shared.node, shared.key) for shared in last.shared_states] == [(FIRST, "run 1;2")]
    assert (
        first.shared_parameters
        == middle.shared_parameters
        == last.shared_parameters
        == ((0, "run 1"),)
    )
    free = parts_of(nlp, 3, 0.0, "free")
    assert not any(batch.shared_states for batch in free)
    assert all(
        batch.shared_parameters for batch in free
    )  # offsets are the experiment's, whatever the boundary


def test_only_the_first_window_knows_the_initial_state():
    data = cc.Experiment(
        np.linspace(0.0, 3.0, 31), np.ones(31), ("x",), initial={"x": cc.fixed(1.0)}, name="run"
    )
    problem = cc.Problem(cc.Dynamics(lambda t, x, u, p, nn: [-x.x]), data)
    parts = parts_of(cc.discretize(problem, mesh=6), 2)
    assert [dict(b.problem.experiments[0].initial) != {} for b in parts] == [True, False]
    fixed = [Subproblem(b, FitSettings()).nlp for b in parts]
    assert [(n.lower == n.upper).sum() for n in fixed] == [1, 0]


def test_a_measurement_where_windows_meet_belongs_to_the_one_that_ends_there():
    data = cc.Experiment(np.linspace(0.0, 4.0, 9), np.arange(9.0), ("x",), name="run")
    problem = cc.Problem(cc.Dynamics(lambda t, x, u, p, nn: [1.0 + 0.0 * x.x]), data)
    first, second = cc.Partition(2).cut(problem, [cc.Mesh.uniform(0.0, 4.0, 4)])
    assert first.problem.experiments[0].times[-1] == 2.0
    assert second.problem.experiments[0].times[0] == 2.5
    assert (second.problem.experiments[0].start, second.meshes[0].start) == (2.0, 2.0)


def test_a_batch_without_a_measured_column_leaves_it_out():
    t = np.linspace(0.0, 2.0, 21)
    both = cc.Experiment(t, np.column_stack([np.cos(t), -np.sin(t)]), ("x", "v"), name="both")
    one = cc.Experiment(t, np.cos(t), ("x",), name="one")
    problem = cc.Problem(cc.Dynamics(lambda t, x, u, p, nn: [x.v, -x.x]), [both, one])
    parts = parts_of(cc.discretize(problem, mesh=4), [["both"], ["one"]])
    assert [b.problem.outputs for b in parts] == [("x", "v"), ("x",)]
    assert all(b.problem.states == ("x", "v") for b in parts)
    assert sum(b.weight for b in parts) == pytest.approx(1.0)


def test_equal_windows_have_equal_structure_where_time_does_not_matter():
    t = np.linspace(0.0, 12.0, 121)
    data = cc.Experiment(t, np.cos(t), ("x",), name="run")
    still = cc.Problem(cc.NeuralODE(cc.MLP((1, 2, 1))), data, regularisation=cc.L2())
    timed = cc.Problem(cc.NeuralODE(cc.MLP((2, 2, 1)), time=True), data, regularisation=cc.L2())
    for problem, kinds in ((still, 2), (timed, 4)):  # the first window holds t = 0 too
        nlp = cc.discretize(problem, mesh=24)
        settings = FitSettings(scheme=nlp.scheme)
        parts = parts_of(nlp, 4)
        assert len({structure(b, settings) for b in parts}) == kinds
        assert from_zero(parts[2])[1][0].start == (0.0 if problem is still else 6.0)


@pytest.mark.parametrize(
    ("batches", "how", "phrase"),
    [
        (0, (), "at least 1, not 0"),
        (13, (), "has 12 elements, too few for 13 windows; ask for fewer batches or a finer mesh"),
        (2, (0.1, "shared"), "add boundary='free'"),
        (2, (-0.1, "free"), "from 0 to 1, not -0.1"),
        (2, (0.0, "open"), "unknown boundary 'open'; choose from shared, free"),
        ([["nobody"]], (), "no experiment 'nobody'; there are: run"),
        ([["run"], ["run"]], (), "exactly one batch, but 'run' is in 2"),
        ([["run"], []], (), "exactly one batch, but one is empty"),
    ],
)
def test_refusals(batches, how, phrase):
    nlp = cc.discretize(waves(), mesh=12)
    with pytest.raises(cc.InputError, match=phrase.replace(";", ".").replace("(", ".")):
        parts_of(nlp, batches, *how)


def test_windows_without_data_are_refused():
    t = np.append(np.linspace(0.0, 1.0, 50), 10.0)
    data = cc.Experiment(t, np.ones(51), ("x",), name="run")
    problem = cc.Problem(cc.Dynamics(lambda t, x, u, p, nn: [0.0 * x.x]), data)
    with pytest.raises(cc.InputError, match="too unevenly spread for 6 windows"):
        cc.Partition(6).cut(problem, [cc.Mesh.uniform(0.0, 10.0, 40)])
    sparse = replace(data, times=np.array([0.0, 1.0, 2.0, 5.0, 10.0]), values=np.ones(5))
    with pytest.raises(cc.InputError, match="fewer than 2 times with a finite value"):
        cc.Partition(3).cut(replace(problem, experiments=sparse), [cc.Mesh.uniform(0.0, 10.0, 40)])


def test_an_output_that_no_window_can_do_without():
    t = np.linspace(0.0, 2.0, 21)
    values = np.column_stack([np.cos(t), np.where(t < 0.5, 1.0, np.nan)])
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [0.0 * x.x]),
        cc.Experiment(t, values, ("a", "b"), name="run"),
        states=("x",),
        observe=lambda x, u, p: [x.x, 2.0 * x.x],
    )
    with pytest.raises(cc.InputError, match="no finite value of output 'b'; group it with others"):
        parts_of(cc.discretize(problem, mesh=6), 2)


def test_measurements_that_count():
    values = np.array([[1.0, np.nan], [2.0, 3.0]])
    data = cc.Experiment([0.0, 1.0], values, ("a", "b"), weights=[[1.0, 1.0], [0.0, 1.0]])
    assert measurements(data) == 2
