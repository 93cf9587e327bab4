"""Sweeps: what is held out, what is chosen, what a checkpoint saves."""

import json
from dataclasses import replace

import numpy as np
import pytest

import collocode as cc
from collocode.identify import sweep as sweep_module

VALUES = (1e-1, 1e-3, 1e-5)


def experiment(name, end=4.0, amplitude=1.0, n=31):
    rng = np.random.default_rng(len(name))
    t = np.linspace(0.0, end, n)
    y = amplitude * np.exp(-0.6 * t) + 0.01 * rng.standard_normal(n)
    return cc.Experiment(t, y, ("c",), name=name)


def problem(hidden=3, **options):
    runs = [experiment("a"), experiment("bb", 3.0, 2.0), experiment("ccc", 2.0, 1.5)]
    return cc.Problem(cc.NeuralODE(cc.MLP((1, hidden, 1))), runs, **options)


@pytest.fixture
def solves(monkeypatch):
    """Names of the experiments of every problem that is solved, in order."""
    seen = []
    for name in ("solve_with", "fit"):
        original = getattr(sweep_module, name)

        def counted(first, *rest, original=original, **options):
            given = first if isinstance(first, cc.Problem) else rest[0].problem
            seen.append([(e.name, float(e.times[-1])) for e in given.experiments])
            return original(first, *rest, **options)

        monkeypatch.setattr(sweep_module, name, counted)
    return seen


def test_held_out_by_time(solves):
    found = cc.sweep(problem(), values=VALUES, holdout=0.25)
    for part in solves[:-1]:
        assert [name for name, _ in part] == ["a", "bb", "ccc"]
        for (_, last), whole in zip(part, (4.0, 3.0, 2.0), strict=True):
            assert 0.7 * whole <= last <= 0.75 * whole + 1e-9
    assert [last for _, last in solves[-1]] == [4.0, 3.0, 2.0]  # the last fit sees everything
    assert len(solves) == len(VALUES) + 1
    assert found.table["converged"].all()


def test_held_out_by_experiment(solves):
    found = cc.sweep(problem(), values=VALUES, holdout=["bb"])
    for part in solves[:-1]:
        assert [name for name, _ in part] == ["a", "ccc"]
    assert [name for name, _ in solves[-1]] == ["a", "bb", "ccc"]
    assert np.isfinite(found.table["validation"]).all()


def test_the_table_goes_from_strong_to_weak_and_the_best_is_its_minimum():
    found = cc.sweep(problem(), values=VALUES[::-1])
    assert list(found.table.index) == sorted(VALUES, reverse=True)
    assert found.best == found.table["validation"].idxmin()
    assert found.best != max(VALUES)  # 0.1 flattens the network
    assert found.solution.success
    assert found.solution.nlp.problem.regularisation.strength == found.best
    # the training error falls with λ
    assert found.table["training"].is_monotonic_decreasing


def test_any_setting_of_a_function_can_be_swept():
    found = cc.sweep(problem, "hidden", [1, 3], holdout=["a"])
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
    first = cc.sweep(problem(), values=VALUES, checkpoint=path)
    assert len(solves) == 4
    again = cc.sweep(problem(), values=VALUES, checkpoint=path)
    assert len(solves) == 5  # only the last fit, to all data
    assert again.best == first.best
    np.testing.assert_array_equal(again.table["validation"], first.table["validation"])
    cc.sweep(problem(), values=(*VALUES, 1e-4), checkpoint=path)
    assert len(solves) == 7  # one new value and the last fit


def test_a_stopped_sweep_goes_on(tmp_path, solves):
    path = tmp_path / "sweep.json"

    class Stop(Exception):
        pass

    def stop(value, row):
        if value == 1e-3:
            raise Stop

    with pytest.raises(Stop):
        cc.sweep(problem(), values=VALUES, checkpoint=path, on_value=stop)
    assert len(json.loads(path.read_text())["content"]["rows"]) == 2
    cc.sweep(problem(), values=VALUES, checkpoint=path)
    assert len(solves) == 2 + 1 + 1


def test_a_failed_fit_is_not_chosen():
    with pytest.raises(cc.InputError, match="no value of 'regularisation'"):
        cc.sweep(problem(), values=VALUES, options={"max_iter": 1})


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
        cc.sweep(problem(), values=VALUES, checkpoint=path)
    assert path.read_text() == "not json"  # nothing is lost
    path.unlink()
    cc.sweep(problem(), values=VALUES[:1], checkpoint=path)
    with pytest.raises(cc.FileError, match="holdout"):
        cc.sweep(problem(), values=VALUES[:1], holdout=0.5, checkpoint=path)
    with pytest.raises(cc.FileError, match="another"):
        cc.sweep(problem, "hidden", [1], checkpoint=path)


def test_a_held_out_experiment_needs_a_known_start():
    """Where a state is never measured, its initial value must be given."""
    t = np.linspace(0.0, 3.0, 31)
    runs = [
        cc.Experiment(t, a * np.cos(t), ("x",), name=name) for a, name in ((1.0, "p"), (0.7, "q"))
    ]
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [x.v, nn(x.x)], networks={"force": cc.MLP((1, 2, 1))}
    )
    whole = cc.Problem(dynamics, runs, states=("x", "v"))
    with pytest.raises(cc.InputError, match=r"'q' does not tell v\(0\)"):
        cc.sweep(whole, values=(1e-3,), holdout=["q"])
    known = replace(whole, experiments=(runs[0], replace(runs[1], initial={"v": cc.fixed(0.0)})))
    found = cc.sweep(known, values=(1e-3,), holdout=["q"])
    assert found.table["validation"].iloc[0] < 0.1
