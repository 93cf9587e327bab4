"""Multistarts over parameters: in processes as in this one, resumed, with shares of the records, drawn and refused."""

import numpy as np
import pytest

import collocode as cc
from collocode import Dynamics, Experiment, Parameter, Prior, Problem
from collocode.identify.climbs import CHECKPOINT, LAG, Climber, Climbs
from collocode.identify.multistart import over_parameters
from collocode.identify.starting_points import starting_points
from collocode.numerics.schemes import scheme
from collocode.plots import waterfall

TIMES = np.linspace(0.0, 3.0, 7)


def decay(order=slice(None), **more):
    data = (2.0 * np.exp(-0.7 * TIMES) + 0.05 * np.cos(9.0 * TIMES))[order]
    rates = [
        Parameter("k", 0.5, 1e-3, 1e3, scale="log10", **more),
        Parameter("A", 1.0, 1e-2, 1e2, scale="log10"),
        Parameter("s", 0.1, 1e-3, 10.0, scale="log10"),
    ]
    return Problem(
        Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=rates),
        Experiment(TIMES, data, ("y",), initial={"c": 1.0}),
        states=("c",),
        observe=lambda x, u, p: [p.A * x.c],
        loss=cc.Normal("s"),
    )


@pytest.fixture(scope="module")
def serial():
    return cc.multistart(decay(), 4)


def test_processes_give_the_same_results(serial):
    found = cc.multistart(decay(), 4, workers=2)
    assert found.seeds == serial.seeds
    for a, b in zip(found.solutions, serial.solutions, strict=True):
        np.testing.assert_array_equal(a.result.x, b.result.x)
        assert a.status == b.status
    assert found.best_seed == serial.best_seed


def test_what_a_checkpoint_holds_is_not_climbed_again(serial, tmp_path, monkeypatch):
    path = tmp_path / "climbs.npz"
    few = cc.multistart(decay(), [0, 1, 2, 3], checkpoint=path)
    tree = CHECKPOINT.read(path, dict)
    assert sorted(tree["climbs"]) == ["0", "1", "2", "3"]
    assert tree["finished"]
    asked = []
    monkeypatch.setattr(Climber, "climb", lambda *a, **k: asked.append(a))
    again = cc.multistart(decay(), [0, 1, 2, 3], checkpoint=path)
    assert not asked
    for a, b, c in zip(again.solutions, few.solutions, serial.solutions, strict=True):
        np.testing.assert_array_equal(a.result.x, b.result.x)
        np.testing.assert_array_equal(a.result.x, c.result.x)
    with pytest.raises(cc.FileError, match="other starts"):
        cc.multistart(decay(), [0, 1], checkpoint=path)
    with pytest.raises(cc.FileError, match="other problem"):  # data of the same sum
        cc.multistart(decay([1, 0, 2, 3, 4, 5, 6]), [0, 1, 2, 3], checkpoint=path)


def test_a_run_that_was_stopped_goes_on(tmp_path):
    path = tmp_path / "climbs.npz"

    def stop(seed, solution):
        if seed == 1:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        cc.multistart(decay(), 4, on_run=stop, checkpoint=path)
    assert sorted(CHECKPOINT.read(path, dict)["climbs"]) == ["0"]
    found = cc.multistart(decay(), 4, checkpoint=path)
    assert found.seeds == (0, 1, 2, 3)


def test_climbs_are_compared_with_those_far_before_them():
    climbs = Climbs(Climber(decay(), scheme("radau")), [{}] * 12)

    class Done:
        def __init__(self, value):
            self.value = value

    for place, value in enumerate((5.0, 3.0, 4.0)):
        climbs.done[place] = Done(value)
    assert climbs.best_before(LAG - 1) == np.inf
    assert climbs.best_before(LAG) == 5.0
    assert climbs.best_before(LAG + 1) == 3.0


def test_shares_of_the_records_lead_to_the_same_optimum(serial):
    found = cc.multistart(decay(), 2, shares=(0.3, 0.6))
    assert found.best.result.objective == pytest.approx(serial.best.result.objective, abs=1e-6)
    with pytest.raises(cc.InputError, match="rising numbers"):
        cc.multistart(decay(), 2, shares=(0.6, 0.3))


def test_workers_for_another_kind_of_problem_are_refused():
    with pytest.raises(cc.InputError, match="workers="):
        cc.multistart(decay(), 2, mesh=4, workers=2)
    assert not over_parameters(decay(), "auto", 4, "casadi", None)


@pytest.mark.parametrize(
    ("kind", "location", "width", "share", "wanted"),
    [
        ("uniform", 2.0, 4.0, 0.25, 2.5),
        ("normal", 1.0, 2.0, 0.8413447460685429, 3.0),
        ("lognormal", 0.0, 1.0, 0.5, 1.0),
        ("laplace", 1.0, 2.0, 0.75, 1.0 + 2.0 * np.log(2.0)),
        ("laplace", 1.0, 2.0, 0.25, 1.0 - 2.0 * np.log(2.0)),
        ("loglaplace", 1.0, 2.0, 0.5, np.e),
    ],
)
def test_quantiles_of_priors(kind, location, width, share, wanted):
    assert Prior(kind, location, width).quantile(share) == pytest.approx(wanted)


def test_starts_are_drawn_from_their_distribution_within_the_bounds():
    problem = decay(starts=Prior("normal", -1.0, 0.1, on="scale"))
    k = np.log10([p["k"] for c in starting_points(problem, range(1, 101)) for p in c])
    assert k.mean() == pytest.approx(-1.0, abs=0.01)
    assert k.std() == pytest.approx(0.1, rel=0.1)
    wide = decay(starts=Prior("normal", 0.0, 1e4))
    drawn = np.array([p["k"] for c in starting_points(wide, range(1, 21)) for p in c])
    assert drawn.min() >= 1e-3 * (1 - 1e-9)
    assert drawn.max() <= 1e3 * (1 + 1e-9)


def test_a_waterfall_has_a_mark_a_start(serial):
    figure = waterfall(serial)
    (ax,) = figure.axes
    marks = sum(len(line.get_xdata()) for line in ax.lines if line.get_linestyle() == "None")
    assert marks == 4
    assert "within" in "".join(t.get_text() for t in figure.texts)
