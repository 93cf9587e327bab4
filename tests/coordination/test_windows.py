"""Windows of one record, however poor the start: the optimum is one of the whole problem."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import collocode as cc
from collocode.coordination.newton import Newton


def record(field, start, end, n, seed=0):
    """A record with a twentieth of each state's spread as noise, and the noise of both."""
    t, rng = np.linspace(0.0, end, n), np.random.default_rng(seed)
    y = solve_ivp(field, (0.0, end), start, "DOP853", t, rtol=1e-10, atol=1e-10).y.T
    noisy = y + 0.05 * y.std(axis=0) * rng.standard_normal(y.shape)
    return cc.Experiment(t, noisy, ("x", "v"), name="run"), 0.05 * float(y.std())


def van_der_pol(t, y):
    return [y[1], (1.0 - y[0] ** 2) * y[1] - y[0]]


def predators(t, y):
    return [y[0] * (1.0 - y[1]), y[1] * (y[0] - 1.0)]


def known(seed, loss=None):
    """Van der Pol's equation with three constants, begun where half of each is a bad guess."""
    run, sigma = record(van_der_pol, [0.0, 1.0], 10.0, 81, seed)
    constants = [cc.Parameter(name, 0.5, 0.01, 10.0) for name in ("m", "q", "w")]

    def field(t, x, u, p, nn):
        return [x.v, p.m * (1.0 - p.q * x.x**2) * x.v - p.w * x.x]

    dynamics = cc.Dynamics(field, parameters=constants)
    loss = cc.Normal() if loss is None else loss(sigma)
    return cc.Problem(dynamics, run, states=("x", "v"), loss=loss)


def learnt(field, start, end, n, width=8):
    run, sigma = record(field, start, end, n)
    dynamics = cc.NeuralODE(cc.MLP((2, width, 2)))
    return cc.Problem(dynamics, run, regularisation=cc.L2(1e-4), loss=cc.LeastSquares(sigma))


@pytest.mark.parametrize(
    ("loss", "windows", "seed"),
    [
        (None, 2, 0),
        (None, 4, 0),
        (None, 4, 1),
        (cc.Laplace, 4, 0),
        (lambda s: cc.Huber(1.345, s), 3, 1),
    ],
)
def test_states_where_windows_meet_are_damped_where_their_steps_are_too_long(loss, windows, seed):
    problem = known(seed, loss)
    found, whole = cc.admm(problem, windows), cc.solve(cc.FitSettings().begun(problem))
    assert found.success
    assert len(found.history) <= 90
    assert found.solution.objective == pytest.approx(whole.objective, abs=1e-7)


def test_a_point_that_the_filter_does_not_let_go_is_left_towards_feasibility(monkeypatch):
    problem = learnt(van_der_pol, [0.0, 1.0], 14.0, 141)
    restored, left = Newton.restored, []

    def watched(self, state, here, ask):
        after = restored(self, state, here, ask)
        there = sum(r.violation for r in after.linear)
        left.append((here.violation, there))
        return after

    monkeypatch.setattr(Newton, "restored", watched)
    found = cc.admm(problem, 2)
    result = found.solution.result
    assert left
    assert all(after < 0.9 * before for before, after in left)
    assert found.success
    assert found.solution.nlp.kkt_residual(result.x, result.lam_g, result.lam_x) < 1e-7


def test_flat_weights_are_not_bent_by_what_states_are_curved():
    """The last iterations of Newton's method square the error, whatever the noise is."""
    found = cc.admm(learnt(predators, [1.8, 0.7], 14.0, 101), 4)
    assert found.success
    last = found.history["dual"].to_numpy()[-3:]
    assert last[1] < 0.1 * last[0]
    assert last[2] < 1e-3 * last[1]
    assert found.history["rho"].iloc[-1] == 0.0


@pytest.mark.filterwarnings("always::collocode.errors.CollocodeWarning")
@pytest.mark.parametrize("rules", [cc.NewtonRules(iterations=2), cc.ADMMRules(iterations=2)])
def test_batches_that_do_not_agree_are_warned_of_once(rules):
    with pytest.warns(cc.CollocodeWarning, match="do not agree .iteration limit: 2 it") as caught:
        found = cc.admm(known(0), 2, rules=rules)
    assert [w.category for w in caught] == [cc.CollocodeWarning]
    assert caught[0].filename == __file__
    assert any(finding.code == "no-agreement" for finding in cc.findings(found))


@pytest.mark.filterwarnings("error::collocode.errors.CollocodeWarning")
def test_batches_that_agree_or_are_polished_are_not_warned_of():
    assert cc.admm(known(0), 2).success
    short = cc.admm(known(0), 2, rules=cc.NewtonRules(iterations=2), polish=True)
    assert short.success


def test_a_damped_run_goes_on_from_its_checkpoint(tmp_path):
    problem, file = known(0), tmp_path / "run.npz"
    rules = cc.NewtonRules(iterations=8)
    undisturbed = cc.admm(problem, 2, rules=rules)
    cc.admm(problem, 2, rules=replace(rules, iterations=5), checkpoint=file)
    resumed = cc.admm(problem, 2, rules=rules, checkpoint=cc.Checkpoint(file, resume=True))
    assert resumed.consensus == undisturbed.consensus
