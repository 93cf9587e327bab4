"""Trainers: one optimum, honest statuses, limits, resuming, files."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from collocode import FileError, InputError, Mesh, MissingDependency, Termination
from collocode.layered import (
    LBFGS,
    Adam,
    GaussNewton,
    LayeredNetwork,
    LogisticLoss,
    Objective,
    Regularisation,
    Samples,
    SteepestDescent,
    Step,
    Training,
    donut2d,
    load_training,
    train,
)
from tests.layered.cases import small

TRAINERS = ["armijo", "barzilai-borwein", "lbfgs", "adam", "gauss-newton", "ipopt"]


def convex(loss: str = "logistic") -> Objective:
    """Strongly regularised, so that there is one optimum near zero."""
    objective, _ = small("residual", "layers", loss, "pad", samples=30, outputs=2)
    return Objective(
        objective.network, objective.samples, objective.loss, Regularisation(3.0, 3.0, 3.0)
    )


@pytest.mark.parametrize("loss", ["logistic", "softmax", "squared"])
def test_all_trainers_find_the_same_optimum(loss: str) -> None:
    objective = convex(loss)
    found = {}
    for name in TRAINERS:
        trainer = Adam(rate=0.05) if name == "adam" else name
        done = train(objective, trainer, iterations=2000, tolerance=1e-7, seed=1)
        assert done.termination is Termination.CONVERGED, str(done)
        assert done.history["gradient_norm"].iloc[-1] <= 1e-7 or name == "ipopt"
        found[name] = done
    reference = found["lbfgs"]
    for name, done in found.items():
        assert done.objective == pytest.approx(reference.objective, abs=1e-10), name
        np.testing.assert_allclose(done.theta, reference.theta, atol=3e-6, err_msg=name)


@pytest.mark.parametrize("solver", ["direct", "cg"])
@pytest.mark.parametrize("eliminate", [True, False])
def test_gauss_newton_on_a_problem_it_can_fit(eliminate: bool, solver: str) -> None:
    """Zero residual: quadratic convergence in a few steps, where descent takes hundreds."""
    teacher, theta = small("residual", "legendre", "squared", "none", samples=40)
    X = teacher.samples.X
    outputs = teacher.evaluate(theta).outputs
    objective = Objective(
        teacher.network, Samples(X, outputs), teacher.loss, Regularisation(0.0, 1e-12, 0.0)
    )
    rng = np.random.default_rng(0)
    start = theta + 0.05 * rng.standard_normal(len(theta))
    settings = GaussNewton(eliminate=eliminate, solver=solver, accuracy=1e-3)
    done = train(objective, settings, start, iterations=40, tolerance=1e-8)
    assert done.objective < 1e-9
    descent = train(objective, "barzilai-borwein", start, iterations=40, tolerance=1e-8)
    assert done.objective < 1e-3 * descent.objective


def test_every_step_goes_down_where_it_is_promised() -> None:
    objective, theta = small("hamiltonian", "bspline", "softmax", "opening", samples=20)
    for name in ("armijo", "lbfgs", "gauss-newton"):
        history = train(objective, name, theta, iterations=30).history
        assert (np.diff(history["objective"]) <= 1e-15).all(), name
        assert list(history["iteration"]) == list(range(len(history)))
        assert (np.diff(history["seconds"]) >= 0.0).all()
        assert (np.diff(history["evaluations"]) >= 1.0).all()


def test_a_real_task() -> None:
    """The donut cannot be separated in the plane by a flow; one more dimension does it."""
    samples, validation = donut2d(n=300)
    network = LayeredNetwork(2, 1, 3, Mesh.uniform(0, 6, 6), lift="pad")
    objective = Objective(network, samples, LogisticLoss(), Regularisation(1e-3, 1e-3, 1e-3))
    done = train(objective, "lbfgs", validation=validation, iterations=150)
    assert objective.score(done.best, validation) > 0.9
    assert done.metric == "accuracy"
    best = done.history.set_index("iteration")["validation_loss"]
    assert best.idxmin() == done.best_iteration
    assert best.min() == pytest.approx(objective.data_loss(done.best, validation))


def test_early_stopping_takes_the_best_on_validation() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((15, 3))
    noise = Samples(X, rng.standard_normal((15, 2)))  # nothing to learn: overfitting at once
    network = LayeredNetwork(3, 2, 3, Mesh.uniform(0, 4, 4))
    objective = Objective(network, noise, regularisation=Regularisation(0.0, 0.0, 0.0))
    other = Samples(rng.standard_normal((50, 3)), rng.standard_normal((50, 2)))
    done = train(objective, "lbfgs", validation=other, patience=8, iterations=500)
    assert done.termination is Termination.EARLY_STOPPED
    assert done.iterations == done.best_iteration + 8
    assert objective.data_loss(done.best, other) < objective.data_loss(done.theta, other)
    assert done.success


@pytest.mark.parametrize("name", TRAINERS)
def test_limits(name: str) -> None:
    objective, theta = small("residual", "layers", "softmax", "opening")
    done = train(objective, name, theta, iterations=3, tolerance=0.0)
    assert done.termination is Termination.ITERATION_LIMIT
    assert done.iterations == 3
    assert name in str(done)
    assert "\n" not in str(done)
    done = train(objective, name, theta, seconds=0.0, tolerance=0.0)
    assert done.termination is Termination.TIME_LIMIT
    np.testing.assert_array_equal(done.best.shape, theta.shape)


@pytest.mark.parametrize(
    "trainer",
    [
        SteepestDescent("armijo"),
        SteepestDescent(),
        Adam(0.01),
        Adam(0.01, batch=3),
        GaussNewton(),
        GaussNewton(solver="cg"),
    ],
    ids=["armijo", "bb", "adam", "minibatch", "direct", "cg"],
)
def test_resumed_training_goes_on_as_if_nothing_had_been(
    trainer: SteepestDescent, tmp_path: Path
) -> None:
    objective, theta = small("residual", "legendre", "squared", "pad")
    whole = train(objective, trainer, theta, iterations=12)
    file = tmp_path / "half.npz"
    half = train(objective, trainer, theta, iterations=6, checkpoint=file)
    assert half.iterations == 6
    rest = train(objective, trainer, resume=file, iterations=12)
    np.testing.assert_allclose(rest.theta, whole.theta, rtol=1e-9, atol=1e-12)
    assert list(rest.history["iteration"]) == list(range(13))
    np.testing.assert_allclose(rest.history["objective"], whole.history["objective"], rtol=1e-9)


def test_lbfgs_and_ipopt_resume_from_the_weights() -> None:
    objective = convex()
    for name in ("lbfgs", "ipopt"):
        half = train(objective, name, iterations=3)
        rest = train(objective, name, resume=half, iterations=200, tolerance=1e-6)
        assert rest.success
        assert rest.iterations > half.iterations
        assert rest.evaluations > half.evaluations


def test_ctrl_c_keeps_what_there_is() -> None:
    objective, theta = small("residual", "layers", "softmax")

    def interrupt(step: Step) -> None:
        if step.iteration == 4 and not pressed:  # ipopt tells of its last iterate twice
            pressed.append(step)
            signal.raise_signal(signal.SIGINT)

    for name in ("armijo", "lbfgs", "gauss-newton", "ipopt"):
        pressed: list[Step] = []
        done = train(objective, name, theta, tolerance=0.0, callback=interrupt)
        assert done.termination is Termination.INTERRUPTED, name
        assert 4 <= done.iterations <= 6
        assert objective.value(done.best) <= objective.value(theta)


def test_statuses_of_trouble() -> None:
    objective, theta = small(activation="swish")
    with pytest.raises(InputError, match="start from smaller weights"):
        train(objective, "lbfgs", 1e150 * theta)
    rounding = train(objective, "lbfgs", theta, tolerance=0.0, iterations=5000)
    assert rounding.termination is Termination.STALLED
    wild = train(objective, Adam(rate=1e150), theta, iterations=200)
    assert wild.termination is Termination.EVALUATION_ERROR
    assert np.isfinite(objective.value(wild.best))


def test_a_line_search_survives_an_overflow() -> None:
    """From a steep start the first step of L-BFGS goes where nothing is finite."""
    objective, theta = small("rk4", "monomial", "squared", "none", "swish")
    steep = Objective(objective.network, objective.samples, regularisation=Regularisation(1e-9))
    for name in ("armijo", "barzilai-borwein", "lbfgs", "gauss-newton"):
        done = train(steep, name, 3.0 * theta, iterations=50)
        assert done.objective < steep.value(3.0 * theta), str(done)


def test_errors() -> None:
    objective, theta = small()
    with pytest.raises(InputError, match="did you mean 'lbfgs'"):
        train(objective, "lbgfs")
    with pytest.raises(InputError, match="either start or resume"):
        train(objective, start=theta, resume=train(objective, iterations=1))
    other, _ = small(basis="legendre")
    with pytest.raises(InputError, match="training to resume is of"):
        train(objective, resume=train(other, iterations=1))
    for wrong in ({"iterations": -1}, {"every": 0}, {"patience": 0}, {"tolerance": -1.0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            train(objective, **wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="unknown step rule"):
        SteepestDescent("wolfe")
    with pytest.raises(InputError, match="must be positive"):
        Adam(rate=0.0)
    with pytest.raises(InputError, match="unknown solver"):
        GaussNewton(solver="lu")


def test_adam_without_optax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optax", None)
    with pytest.raises(MissingDependency, match=r"pip install 'collocode\[learn\]'"):
        train(small()[0], "adam")


def test_files(tmp_path: Path) -> None:
    objective, theta = small("rk4", "bspline", "softmax", "opening")
    done = train(objective, "ipopt", theta, validation=objective.samples, iterations=20)
    path = done.save(tmp_path / "net")
    again = load_training(path)
    assert again.network.description() == done.network.description()
    assert str(again) == str(done)
    for name in ("theta", "best", "adjoint"):
        np.testing.assert_array_equal(getattr(again, name), getattr(done, name))
    np.testing.assert_array_equal(again.history.to_numpy(), done.history.to_numpy())
    X = objective.samples.X
    np.testing.assert_array_equal(again.predict(X), done.predict(X))
    assert isinstance(again, Training)


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no file"):
        load_training(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(FileError, match="not a training, or it is damaged"):
        load_training(tmp_path / "text.npz")
    np.savez(tmp_path / "pickle.npz", header=np.array([{"a": 1}], dtype=object))
    with pytest.raises(FileError, match="not a training, or it is damaged"):
        load_training(tmp_path / "pickle.npz")
    done = train(small()[0], iterations=1)
    with pytest.raises(FileError, match="check the folder"):
        done.save(tmp_path / "missing" / "net.npz")


def test_history_can_be_sparse_and_progress_is_shown() -> None:
    objective, theta = small()
    seen: list[Step] = []
    done = train(
        objective,
        LBFGS(memory=5),
        theta,
        iterations=25,
        tolerance=0.0,
        every=10,
        callback=seen.append,
    )
    assert list(done.history["iteration"]) == [0, 10, 20, 25]
    assert [step.iteration for step in seen] == [0, 10, 20, 25]
