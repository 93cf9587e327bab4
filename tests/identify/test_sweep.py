"""Sweeps: what is held out, what is chosen, what a checkpoint saves."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import collocode as cc
from collocode.identify import sweep as sweep_module
from collocode.identify.validation import training_error, validation_error, whole_error
from tests.waiting import press_ctrl_c

VALUES = (1e-1, 1e-3, 1e-5)


def experiment(name, end=4.0, amplitude=1.0, n=31):
    rng = np.random.default_rng(len(name))
    t = np.linspace(0.0, end, n)
    y = amplitude * np.exp(-0.6 * t) + 0.01 * rng.standard_normal(n)
    return cc.Experiment(t, y, ("c",), name=name)


def problem(hidden=3, **options):
    runs = [experiment("a"), experiment("bb", 3.0, 2.0), experiment("ccc", 2.0, 1.5)]
    options = {"regularisation": cc.L2(), **options}
    runs = options.pop("experiments", runs)
    return cc.Problem(cc.NeuralODE(cc.MLP((1, hidden, 1))), runs, **options)


@pytest.fixture
def solves(monkeypatch):
    """Names of the experiments of every problem that is solved, in order."""
    seen = []
    for name in ("solve_begun", "fit"):
        original = getattr(sweep_module, name)

        def counted(first, *rest, original=original, **options):
            given = first if isinstance(first, cc.Problem) else rest[0].problem
            seen.append([(e.name, float(e.times[-1])) for e in given.experiments])
            return original(first, *rest, **options)

        monkeypatch.setattr(sweep_module, name, counted)
    return seen


def test_held_out_by_time(solves):
    found = cc.sweep(problem(), values=VALUES, holdout=0.25, mesh=None)
    for part in solves[:-2]:
        assert [name for name, _ in part] == ["a", "bb", "ccc"]
        for (_, last), whole in zip(part, (4.0, 3.0, 2.0), strict=True):
            assert 0.7 * whole <= last <= 0.75 * whole + 1e-9
    for part in solves[-2:]:  # the last fits, from the best one and anew, see everything
        assert [last for _, last in part] == [4.0, 3.0, 2.0]
    assert len(solves) == 2 * len(VALUES) - 1 + 2  # all but the first value have two starts
    assert found.refitted
    assert found.table["converged"].all()


def test_held_out_by_experiment(solves):
    found = cc.sweep(problem(), values=VALUES, holdout=["bb"], mesh=None)
    for part in solves[:-2]:
        assert [name for name, _ in part] == ["a", "ccc"]
    for part in solves[-2:]:
        assert [name for name, _ in part] == ["a", "bb", "ccc"]
    assert np.isfinite(found.table["validation"]).all()


def test_the_table_goes_from_strong_to_weak_and_the_best_is_its_minimum():
    found = cc.sweep(problem(), values=VALUES[::-1], mesh=None)
    assert list(found.table.index) == sorted(VALUES, reverse=True)
    assert found.best == found.table["validation"].idxmin()
    assert found.best != max(VALUES)  # 0.1 flattens the network
    assert found.solution.success
    assert found.solution.nlp.problem.regularisation.strength == found.best
    # the training error falls with λ
    assert found.table["training"].is_monotonic_decreasing


def test_validation_and_training_errors_by_hand():
    """Residuals of e^-kt over the spread of all data of their output, before and after the cut."""
    t = np.linspace(0.0, 4.0, 41)
    rates, sizes, cut = np.array([0.5, 1.5]), np.array([1.0, 300.0]), 3.0
    model = np.exp(-np.outer(t, rates)) * sizes
    y = model + np.outer(np.where(t > cut, 0.3, 0.1), sizes)
    y[3, 0] = y[35, 1] = np.nan
    data = cc.Experiment(t, y, ("a", "b"), initial=dict(zip("ab", sizes, strict=True)))
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [-p.r * x.a, -p.s * x.b],
        parameters=[cc.Parameter(name, k, k, k) for name, k in zip("rs", rates, strict=True)],
    )
    whole = cc.Problem(
        dynamics, data, loss=cc.LeastSquares(0.2)
    )  # which the units do not depend on
    training = cc.split(whole, 0.25)
    assert training.experiments[0].times[-1] == cut
    solution = cc.fit(training, mesh=None)
    squares = ((y - model) / np.nanstd(y, axis=0)) ** 2
    seen = t <= cut
    assert validation_error(solution, whole) == pytest.approx(np.nanmean(squares[~seen]), rel=1e-5)
    assert training_error(solution, whole) == pytest.approx(np.nanmean(squares[seen]), rel=1e-5)
    assert whole_error(solution, whole) == pytest.approx(np.nanmean(squares), rel=1e-5)


def test_any_setting_of_a_function_can_be_swept():
    found = cc.sweep(problem, "hidden", [1, 3], holdout=["a"], mesh=None)
    assert list(found.table.index) == [1, 3]
    assert found.solution.network().network.sizes == (1, found.best, 1)


def test_every_row_is_reported():
    rows = {}
    found = cc.sweep(
        problem(), values=VALUES, on_value=lambda value, row: rows.update({value: row})
    )
    assert list(rows) == list(found.table.index)
    assert rows[1e-3]["validation"] == found.table.loc[1e-3, "validation"]


def test_a_checkpoint_saves_the_fits(tmp_path, solves):
    path = tmp_path / "sweep.json"
    first = cc.sweep(problem(), values=VALUES, checkpoint=path, mesh=None)
    assert len(solves) == 7
    again = cc.sweep(problem(), values=VALUES, checkpoint=path, mesh=None)
    assert len(solves) == 7 + 1 + 2  # the best again from its point, and those to all data
    assert again.best == first.best
    np.testing.assert_array_equal(again.table["validation"], first.table["validation"])
    cc.sweep(problem(), values=(*VALUES, 1e-4), checkpoint=path, mesh=None)
    assert len(solves) == 10 + 1 + 2 + 2  # and one new value from two starts


class Stop(Exception):
    pass


def stop_at(wanted):
    def look(value, row):
        if value == wanted:
            raise Stop

    return look


def test_a_stopped_sweep_goes_on_as_it_would_have(tmp_path, solves):
    path = tmp_path / "sweep.json"
    with pytest.raises(Stop):
        cc.sweep(problem(), values=VALUES, checkpoint=path, on_value=stop_at(1e-3), mesh=None)
    assert len(json.loads(path.read_text())["content"]["rows"]) == 2
    before = len(solves)
    resumed = cc.sweep(problem(), values=VALUES, checkpoint=path, mesh=None)
    assert len(solves) == before + 1 + 2 + 2
    whole = cc.sweep(problem(), values=VALUES, mesh=None)
    columns = ["validation", "training", "start", "status"]
    for name in columns[:2]:
        np.testing.assert_allclose(resumed.table[name], whole.table[name], rtol=1e-4)
    assert (resumed.table["start"] == whole.table["start"]).all()


def with_starts(monkeypatch, results):
    """Hand what every fit ends in through ``results``."""
    for name in ("solve_begun", "fit"):
        solver = getattr(sweep_module, name)

        def solved(*given, solver=solver, **how):
            return results(solver(*given, **how))

        monkeypatch.setattr(sweep_module, name, solved)


def spoilt(solution):
    """The same, with weights that simulate nothing."""
    return replace(solution, model=replace(solution.model, theta=-3.0 * solution.model.theta))


def test_a_step_that_goes_astray_spoils_nothing(monkeypatch):
    """The second value's continuation ends in a bad optimum; the anew begun one counts."""
    sound = cc.sweep(problem(), values=VALUES, mesh=None).table
    calls = []

    def second_is_spoilt(solution):
        calls.append(solution)
        return spoilt(solution) if len(calls) == 2 else solution

    with_starts(monkeypatch, second_is_spoilt)
    found = cc.sweep(problem(), values=VALUES, mesh=None)
    assert found.table["start"].iloc[1] == "cold"
    assert found.table["converged"].all()
    np.testing.assert_allclose(found.table["validation"], sound["validation"], rtol=0.5)


def test_what_is_handed_back_is_never_worse_than_what_was_validated(monkeypatch):
    """Both fits to all data end in bad optima: the validated one is handed back, and it says so."""

    def whole_ones_are_spoilt(solution):
        return spoilt(solution) if solution.trajectories[0].mesh.end == 4.0 else solution

    with_starts(monkeypatch, whole_ones_are_spoilt)
    found = cc.sweep(problem(), values=VALUES, mesh=None)
    assert not found.refitted
    assert found.solution.trajectories[0].mesh.end < 4.0
    assert found.solution.nlp.problem.regularisation.strength == found.best
    assert [e.name for e in found.solution.test] == [f"{n}, held out" for n in ("a", "bb", "ccc")]
    row = found.table.loc[found.best]
    whole = whole_error(found.solution, problem())
    assert min(row["training"], row["validation"]) <= whole
    assert whole <= max(row["training"], row["validation"])


def test_the_free_run_of_the_answer_is_as_good_as_validated():
    """Lotka-Volterra with one state unseen, where a refit from scratch ran away (1e15)."""

    def field(t, y):
        return [y[0] * (1 - 0.5 * y[1]), -y[1] * (0.8 - 0.4 * y[0])]

    t = np.linspace(0.0, 25.0, 150)
    clean = solve_ivp(field, (0, 25), [3.0, 1.0], t_eval=t, rtol=1e-10, atol=1e-12).y[0]
    sigma = 0.05 * clean.std()
    y = clean + sigma * np.random.default_rng(1).standard_normal(150)
    model = cc.Dynamics(
        lambda t, x, u, p, nn: {
            "prey": x.prey - nn.eaten(x.prey, x.predator),
            "predator": 0.8 * nn.eaten(x.prey, x.predator) - p.death * x.predator,
        },
        networks={"eaten": cc.MLP((2, 8, 1)).normalised([2.0, 2.0], [2.0, 2.0], [2.0])},
        parameters=[cc.Parameter("death", 0.5, 0.0, 5.0)],
    )
    whole = cc.Problem(
        model, cc.Experiment(t, y, ("prey",)), states=("prey", "predator"), regularisation=cc.L2()
    )
    done = cc.sweep(whole, values=(1e-3, 1e-4), mesh=None)
    validated = done.table.loc[done.best, "training"] * y.var() / sigma**2
    returned = (((done.solution.predict(t)[:, 0] - y) / sigma) ** 2).mean()
    assert returned <= 2.0 * max(validated, 1.0)


@pytest.mark.parametrize(("solve", "rows"), [(1, 0), (3, 1), (7, 3)])
def test_ctrl_c_keeps_the_best_so_far(solve, rows, monkeypatch, tmp_path):
    """In the first fit, in that of the second value, and in one to all data."""
    press_ctrl_c(monkeypatch, 2, solve)
    path = tmp_path / "sweep.json"
    found = cc.sweep(problem(), values=VALUES, checkpoint=path, mesh=None)
    assert found.termination is cc.Termination.INTERRUPTED
    assert len(found.table) == rows
    assert np.isfinite(found.solution.predict([0.0, 1.0])).all()
    assert found.solution.success == (rows > 0)
    assert not found.refitted
    if rows:
        assert found.best == found.table["validation"].idxmin()
        assert len(json.loads(path.read_text())["content"]["rows"]) == rows


def test_a_failed_fit_is_not_chosen():
    with pytest.raises(cc.InputError, match="no value of 'regularisation'"):
        cc.sweep(problem(), values=VALUES, options={"max_iter": 1}, mesh=None)


@pytest.mark.parametrize(
    ("options", "phrase"),
    [
        ({"values": []}, "has no values"),
        ({"holdout": 0.0}, "between 0 and 1"),
        ({"holdout": 1.5}, "between 0 and 1"),
        ({"holdout": ["zzz"]}, "no experiment 'zzz'"),
        ({"holdout": ["a", "bb", "ccc"]}, "keep at least one"),
        ({"name": "hidden", "values": [1]}, "give the function"),
        ({"values": [-1.0]}, "not negative"),
        ({"scheme": "radao"}, "did you mean 'radau'"),
    ],
)
def test_bad_input(options, phrase):
    with pytest.raises(cc.InputError, match=phrase):
        cc.sweep(problem(), **{"values": VALUES, **options})


def test_bad_checkpoints(tmp_path):
    path = tmp_path / "sweep.json"
    path.write_text("not json")
    with pytest.raises(cc.FileError, match="not a checkpoint"):
        cc.sweep(problem(), values=VALUES, checkpoint=path, mesh=None)
    assert path.read_text() == "not json"  # nothing is lost
    path.unlink()
    cc.sweep(problem(), values=VALUES[:1], checkpoint=path, mesh=None)
    with pytest.raises(cc.FileError, match="holdout"):
        cc.sweep(problem(), values=VALUES[:1], holdout=0.5, checkpoint=path, mesh=None)
    with pytest.raises(cc.FileError, match="another"):
        cc.sweep(problem, "hidden", [1], checkpoint=path, mesh=None)


def test_rows_of_other_data_do_not_count(tmp_path):
    path = tmp_path / "sweep.json"
    cc.sweep(problem(), values=VALUES[:1], checkpoint=path, mesh=None)
    before = path.read_text()
    swapped = [replace(e, values=e.values[::-1].copy()) for e in problem().experiments]
    for other in (problem(experiments=swapped), problem(loss=cc.Huber(1.0)), problem(hidden=2)):
        with pytest.raises(cc.FileError, match="was made with other problem"):
            cc.sweep(other, values=VALUES[:1], checkpoint=path, mesh=None)
    assert path.read_text() == before


def test_a_held_out_experiment_needs_a_known_start():
    """Where a state is never measured, its initial value must be given."""
    t = np.linspace(0.0, 3.0, 31)
    runs = [
        cc.Experiment(t, a * np.cos(t), ("x",), name=name) for a, name in ((1.0, "p"), (0.7, "q"))
    ]
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [x.v, nn(x.x)], networks={"force": cc.MLP((1, 2, 1))}
    )
    whole = cc.Problem(dynamics, runs, states=("x", "v"), regularisation=cc.L2())
    with pytest.raises(cc.InputError, match=r"'q' does not tell v\(0\)"):
        cc.sweep(whole, values=(1e-3,), holdout=["q"], mesh=None)
    known = replace(whole, experiments=(runs[0], replace(runs[1], initial={"v": cc.fixed(0.0)})))
    found = cc.sweep(known, values=(1e-3,), holdout=["q"], mesh=None)
    assert found.table["validation"].iloc[0] < 0.1


def test_the_mesh_of_a_sweep_is_that_of_a_fit_by_evidence(monkeypatch):
    seen, original = [], sweep_module.solve_begun

    def look(solver, nlp, *rest):
        seen.append([part.mesh for part in nlp.layout.experiments])
        return original(solver, nlp, *rest)

    monkeypatch.setattr(sweep_module, "solve_begun", look)
    found = cc.sweep(problem(), values=(1e-2, 1e-3), holdout=["bb"])
    part = replace(cc.split(problem(), ["bb"]), test=(), regularisation=cc.Evidence())
    wanted = [trajectory.mesh for trajectory in cc.fit(part).trajectories]
    assert len(seen) == 3  # the second value is begun twice
    for meshes in seen:
        for mesh, other in zip(meshes, wanted, strict=True):
            np.testing.assert_allclose(mesh.points, other.points)
    assert found.solution.meshing.success


def test_what_is_held_out_is_simulated_from_where_it_began_with_parameters_of_its_own():
    decay = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 0.2)])
    t = np.arange(1.0, 9.0)
    runs = [
        cc.Experiment(
            t,
            size * np.exp(-rate * t),
            ("c",),
            start=0.0,
            initial={"c": initial},
            events=events,
            parameters=own,
            name=name,
        )
        for name, size, rate, initial, events, own in (
            ("a", 5.0, 0.3, 5.0, (), {}),
            ("b", 9.0, 0.3, 0.0, [cc.Dose(0.0, 9.0, to="c")], {}),
            ("c", 7.0, 0.7, 7.0, (), {"k": 0.7}),
            ("d", 3.0, 0.3, 0.0, [cc.Dose(0.0, 3.0, to="c")], {}),
        )
    ]
    whole = cc.Problem(decay, runs)
    for holdout in (0.3, ["c", "d"]):
        solution = cc.fit(cc.split(whole, holdout))
        for error in (training_error, validation_error, whole_error):
            assert error(solution, whole) < 1e-9


def test_events_at_estimated_times_are_held_out_where_they_were_found():
    tank = cc.Dynamics(
        lambda t, x, u, p, nn: {"h": p.k * (1.0 - p.loss * u.leak - x.h)},
        parameters=[
            cc.Parameter("k", 0.5, 0.01, 5.0),
            cc.Parameter("loss", 0.2, 0.0, 1.0),
            cc.Parameter("T", 3.0, 1.0, 6.0),
        ],
    )
    t = np.linspace(0.0, 8.0, 33)
    runs = []
    for name, first in (("a", 1.0), ("b", 0.8)):
        before = 1.0 + (first - 1.0) * np.exp(-0.8 * np.minimum(t, 4.3))
        clean = 0.5 + (before - 0.5) * np.exp(-0.8 * np.maximum(t - 4.3, 0.0))
        known = {"initial": {"h": first}, "events": [cc.Switch("T", "leak")]}
        runs.append(cc.Experiment(t, clean, ("h",), name=name, **known))
    whole = cc.Problem(tank, runs)
    solution = cc.fit(cc.split(whole, ["b"]))
    assert solution.parameters["T"] == pytest.approx(4.3, abs=0.02)
    assert validation_error(solution, whole) < 1e-4
    assert solution.score()[1].simulated < 1e-6
