"""Growing: cycles, statuses, resuming, transfer, controls."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import numpy as np
import pytest

import collocode as cc
from collocode import FileError, InputError
from collocode.layered import (
    LayeredNetwork,
    LayeredProblem,
    LogisticLoss,
    Regularisation,
    Samples,
    SquaredLoss,
    block,
    spiral2d,
    train,
)
from collocode.layered.growth.grow import grow
from collocode.layered.growth.growth import load_growth, save_growth
from collocode.layered.growth.indicators import (
    DualWeightedResiduals,
    RandomPlace,
    Topological,
)

SAMPLES, VALIDATION = spiral2d(120)


def problem(activation="silu_tanh", layers=1, penalty=1e-4, validation=True, kind="residual"):
    network = LayeredNetwork(
        2, 1, 3, cc.Mesh.uniform(0, layers, layers), None, block(kind, activation), "pad"
    )
    ridge = Regularisation(penalty, penalty)
    held = VALIDATION if validation else None
    return LayeredProblem(network, SAMPLES, LogisticLoss(), ridge, held, name="Spiral")


INDICATORS = {
    "topological": "topological",
    "neuron": Topological("neuron"),
    "sensitivity": "sensitivity",
    "random": "random",
    "random directions": RandomPlace("direction"),
    "dwr": "dwr",
}


@pytest.mark.parametrize("name", INDICATORS)
@pytest.mark.parametrize("activation", ["silu_tanh", "tanh"])
def test_every_indicator_grows_to_the_limit(name, activation):
    growth = grow(problem(activation), INDICATORS[name], max_layers=4, iterations=25, stall=None)
    assert growth.termination is cc.Termination.SIZE_LIMIT
    assert growth.success
    assert [c.layers for c in growth.cycles] == [1, 2, 3, 4]
    for before, after in zip(growth.cycles, growth.cycles[1:], strict=False):
        # the next training begins where the extension ended
        assert after.training.history["objective"].iloc[0] == pytest.approx(before.extension.after)
        assert after.training.objective <= before.extension.after
    assert growth.cycles[-1].extension is None
    marks = [c.training.history["validation_loss"].min() for c in growth.cycles]
    assert growth.best_cycle == int(np.argmin(marks))
    assert growth.network.layers == growth.best_cycle + 1
    assert growth.last.objective < growth.cycles[0].training.objective


def test_topological_insertions_lower_the_objective_as_promised_in_order():
    growth = grow(problem(), "topological", max_layers=5, iterations=40, stall=None)
    for cycle in growth.cycles[:-1]:
        e = cycle.extension
        assert e.after < e.before
        assert e.predicted == pytest.approx(cycle.values.max() * e.epsilon**2)
        assert cycle.values.argmax() == e.position
        assert len(cycle.values) == cycle.layers + 1


def test_zero_layers_change_nothing_and_wake_only_where_the_slope_is_not_zero():
    waking = grow(problem("tanh"), "random", max_layers=2, iterations=15)
    e = waking.cycles[0].extension
    assert e.epsilon == 0.0
    assert e.after == pytest.approx(e.before, rel=1e-12)
    dead = grow(problem(), RandomPlace("zero"), max_layers=2, iterations=15)
    K, b = dead.network.layer_weights(dead.last.theta)
    position = dead.cycles[0].extension.position
    assert not K[position].any()
    assert not b[position].any()
    K, b = waking.last.network.layer_weights(waking.last.theta)
    assert K[waking.cycles[0].extension.position].any()


def test_bisection_copies_a_layer_and_keeps_the_interval():
    growth = grow(problem("tanh", layers=2), "dwr", max_layers=3, iterations=10)
    first, second = growth.cycles
    layer = first.extension.position
    assert second.training.network.mesh.steps[layer] == 0.5
    assert second.training.network.mesh.end == first.training.network.mesh.end


def test_tables_and_histories_run_on():
    growth = grow(problem(), max_layers=3, iterations=10, stall=None)
    table, history, scores = growth.table(), growth.history, growth.scores
    assert table["layers"].tolist() == [1, 2, 3]
    assert table["weights"].tolist() == [16, 28, 40]
    assert history["iteration"].is_monotonic_increasing
    assert history["iteration"].iloc[-1] == growth.iterations == table["iterations"].sum()
    assert history["seconds"].is_monotonic_increasing
    assert scores.groupby("cycle").size().tolist() == [2, 3]
    assert "depth limit; 1 to 3 layers" in str(growth)


# ---- when it ends ----------------------------------------------------------------------------------


def test_it_ends_where_no_layer_pays():
    """So large a penalty that every place scores below zero."""
    growth = grow(problem(penalty=3.0), max_layers=4, iterations=50)
    assert growth.termination is cc.Termination.CONVERGED
    assert growth.cycles[-1].values.max() < 0.0
    assert len(growth.cycles) == 1


def test_it_ends_where_validation_stalls():
    growth = grow(problem("tanh"), max_layers=9, iterations=20, stall=1, gain=0.9)
    assert growth.termination is cc.Termination.EARLY_STOPPED
    assert 1 < len(growth.cycles) < 9
    assert growth.cycles[-1].least_loss > 0.1 * growth.cycles[-2].least_loss


def test_it_ends_where_insertions_are_rejected():
    class Ascending(Topological):
        """Promises the opposite."""

        def score(self, *how):
            found = super().score(*how)
            wrong = replace(found.derivative, weights=-found.derivative.weights)
            return replace(found, derivative=wrong)

    growth = grow(problem("tanh"), Ascending(), max_layers=4, iterations=30, tries=2)
    assert growth.termination is cc.Termination.STALLED
    assert growth.cycles[-1].extension is None


def test_time_limit_and_patience():
    growth = grow(problem(), max_layers=9, iterations=10**6, seconds=0.3)
    assert growth.termination is cc.Termination.TIME_LIMIT
    assert not growth.success
    short = grow(problem(), max_layers=2, iterations=5000, patience=5)
    assert short.cycles[0].training.iterations < 5000


def test_without_validation_the_objective_decides():
    growth = grow(problem(validation=False), max_layers=3, iterations=15)
    assert growth.best_cycle == 2
    assert growth.table()["validation"].isna().all()


@pytest.mark.parametrize("trainer", ["adam", "gauss-newton", "ipopt", "barzilai-borwein"])
def test_every_trainer(trainer):
    samples = SAMPLES.take(range(0, 120, 4))
    network = LayeredNetwork(
        2, 1, 2, cc.Mesh.uniform(0, 1, 1), None, block("residual", "silu_tanh")
    )
    ridge = Regularisation(1e-2, 1e-2)
    made = LayeredProblem(network, samples, LogisticLoss(), ridge, VALIDATION)
    growth = grow(made, max_layers=2, trainer=trainer, iterations=60, stall=None)
    assert [c.layers for c in growth.cycles] == [1, 2]
    assert growth.trainer == trainer
    assert growth.last.objective < growth.cycles[0].training.objective


# ---- files -----------------------------------------------------------------------------------------


def same(first, second):
    assert [c.layers for c in first.cycles] == [c.layers for c in second.cycles]
    for a, b in zip(first.cycles, second.cycles, strict=True):
        np.testing.assert_array_equal(a.training.theta, b.training.theta)
        np.testing.assert_array_equal(a.values, b.values)


def test_a_file_keeps_everything(tmp_path):
    growth = grow(problem(), max_layers=3, iterations=8, freeze=("readout",))
    path = save_growth(growth, tmp_path / "run")
    assert path.name == "run.npz"
    back = load_growth(path)
    same(growth, back)
    assert back.termination is growth.termination
    left, right = (g.table().drop(columns="seconds") for g in (growth, back))
    assert left.equals(right)
    np.testing.assert_array_equal(back.cycles[2].frozen, growth.cycles[2].frozen)
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]


@pytest.mark.parametrize("indicator", ["topological", "random"])
def test_a_resumed_growth_is_the_growth_that_was_not_stopped(tmp_path, indicator):
    whole = grow(problem(), indicator, max_layers=4, iterations=12, stall=None)
    path = tmp_path / "run.npz"
    how = {"iterations": 12, "stall": None}
    grow(problem(), indicator, max_layers=2, checkpoint=path, **how)
    resumed = grow(problem(), indicator, max_layers=4, resume=path, checkpoint=path, **how)
    same(whole, resumed)
    same(whole, load_growth(path))


def test_ctrl_c_gives_what_there_is_and_can_be_resumed(tmp_path):
    def press(step, layers):
        if layers == 2 and step.iteration == 5:
            os.kill(os.getpid(), signal.SIGINT)

    path = tmp_path / "run.npz"
    stopped = grow(problem(), max_layers=3, iterations=12, checkpoint=path, on_step=press)
    assert stopped.termination is cc.Termination.INTERRUPTED
    assert stopped.last.iterations in (5, 6)
    resumed = grow(problem(), max_layers=3, iterations=12, resume=path)
    assert [c.layers for c in resumed.cycles] == [1, 2, 3]
    assert resumed.cycles[1].training.iterations == 12


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "foreign"])
def test_broken_files_are_refused(tmp_path, damage):
    path = save_growth(grow(problem(), max_layers=1, iterations=3), tmp_path / "run.npz")
    data = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"hello", "cut": data[:-200], "foreign": data}[damage])
    if damage == "foreign":
        import zipfile

        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("growth.json", '{"format": "something else"}')
    with pytest.raises(FileError, match="not a growth, or it is damaged"):
        load_growth(path)
    with pytest.raises(FileError, match="no file"):
        load_growth(tmp_path / "none.npz")


# ---- transfer --------------------------------------------------------------------------------------


def curve(shift, count=80):
    """y = sin(3 x₁) + shift x₁ x₂ on the square."""
    X = np.random.default_rng(5).uniform(-1.0, 1.0, (count, 2))
    return Samples(X, np.sin(3.0 * X[:, :1]) + shift * X[:, :1] * X[:, 1:])


def test_new_layers_alone_fit_a_pretrained_network_to_new_data():
    network = LayeredNetwork(
        2, 1, 4, cc.Mesh.uniform(0, 2, 2), None, block("residual", "silu_tanh"), "pad"
    )
    ridge = Regularisation(1e-6, 1e-6)
    old = LayeredProblem(network, curve(0.0), SquaredLoss(), ridge)
    trained = train(old.objective, iterations=300, seed=1)
    new = LayeredProblem(network, curve(0.7), SquaredLoss(), ridge)
    before = new.objective.data_loss(trained.best)
    growth = grow(
        new,
        max_layers=4,
        iterations=150,
        start=trained,
        freeze=("coefficients", "readout"),
        stall=None,
    )
    first = growth.cycles[0].training
    np.testing.assert_array_equal(first.theta, trained.best)  # nothing was free yet
    kept = growth.last.network
    frozen = growth.cycles[-1].frozen
    np.testing.assert_array_equal(growth.last.theta[frozen], trained.best)
    assert (~frozen).sum() == 2 * kept.row
    after = new.with_network(kept).objective.data_loss(growth.last.theta)
    assert after < 0.2 * before


def test_free_weights_fit_at_least_as_well():
    network = LayeredNetwork(
        2, 1, 4, cc.Mesh.uniform(0, 2, 2), None, block("residual", "silu_tanh"), "pad"
    )
    ridge = Regularisation(1e-6, 1e-6)
    trained = train(LayeredProblem(network, curve(0.0), SquaredLoss(), ridge).objective, seed=1)
    new = LayeredProblem(network, curve(0.7), SquaredLoss(), ridge)
    how = {"max_layers": 3, "iterations": 150, "start": trained, "stall": None}
    free = grow(new, **how)
    tied = grow(new, freeze=("coefficients", "readout"), **how)
    assert free.last.objective < tied.last.objective


# ---- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"indicator": "topologic"}, "did you mean 'topological'"),
        ({"max_layers": 0}, "max_layers must be a positive integer"),
        ({"gain": -1.0}, "gain must be 0 or more"),
        ({"stall": 0}, "stall must be"),
        ({"freeze": ("layers",)}, "no part 'layers'"),
        ({"trainer": "lbgs"}, "did you mean 'lbfgs'"),
        ({"start": np.zeros(3)}, "weight vector has shape"),
        ({"indicator": "dwr", "freeze": ("coefficients",)}, "all layers are frozen"),
    ],
)
def test_requests_that_make_no_sense(how, message):
    with pytest.raises(InputError, match=message):
        grow(problem(), **{"max_layers": 2, "iterations": 2, **how})


def test_networks_that_cannot_grow_are_refused_before_any_training():
    def never(step, layers):
        raise AssertionError("it trained")

    for activation, kind, reason in (
        ("relu", "residual", "kink"),
        ("sigmoid", "residual", "already changes"),
        ("silu_tanh", "hamiltonian", "in HamiltonianBlock K serves twice"),
        ("silu_tanh", "antisymmetric", "in AntisymmetricBlock K serves twice"),
        ("tanh", "leapfrog", "no first derivative"),
    ):
        with pytest.raises(InputError, match=reason):
            grow(problem(activation, kind=kind), on_step=never)
    with pytest.raises(InputError, match="not an MLP"):
        grow(cc.MLP((2, 4, 2)))
    with pytest.raises(InputError, match="3 layers, more than the budget of 2"):
        grow(problem(layers=3), max_layers=2)
    smooth = replace(problem(layers=3).network, basis=cc.Legendre(1, (0, 3)))
    for indicator in ("topological", "dwr"):
        with pytest.raises(InputError, match=r"weights of (their|its) own"):
            grow(problem().with_network(smooth), indicator)
    with pytest.raises(InputError, match="unknown start"):
        RandomPlace("zeros")
    with pytest.raises(InputError, match="unknown indicator"):
        DualWeightedResiduals("errors")


def test_a_growth_of_something_else_is_not_resumed(tmp_path):
    growth = grow(problem(), max_layers=1, iterations=2)
    with pytest.raises(InputError, match="growth to resume began with"):
        grow(problem("tanh"), resume=growth)
    with pytest.raises(InputError, match="either resume or start"):
        grow(problem(), resume=growth, freeze=("readout",))
