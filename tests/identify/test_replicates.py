"""Repeated measurements of one run, at the same times, against SciPy and against their means."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import collocode as cc

T = np.repeat(np.linspace(0.0, 5.0, 11), 3)
Y = 3.0 * np.exp(-0.7 * T) + 0.05 * np.random.default_rng(0).standard_normal(33)
FRAME = pd.DataFrame({"t": T, "c": Y})


def decay(runs, **given):
    rate = cc.Dynamics(lambda t, x, u, p, nn: [-p.k * x.c], parameters=[cc.Parameter("k", 0.3)])
    return cc.Problem(rate, runs, **given)


@pytest.mark.parametrize("loss", [cc.LeastSquares(), cc.Normal()])
def test_every_replicate_counts_as_a_datum_as_scipy_has_it(loss):
    solution = cc.fit(decay(cc.from_frame(FRAME, replicates=True), loss=loss))
    best = optimize.least_squares(lambda v: v[0] * np.exp(-v[1] * T) - Y, [2.0, 0.5])
    variance = np.linalg.inv(best.jac.T @ best.jac)[1, 1] * 2.0 * best.cost / 31.0
    row = cc.uncertainty(solution).intervals().loc["k"]
    assert row["estimate"] == pytest.approx(best.x[1], rel=1e-4)
    assert row["std"] == pytest.approx(np.sqrt(variance), rel=1e-3)


def test_a_network_learns_from_replicates_what_it_learns_from_their_means():
    # but for the sizes of states, which scale the network and with it the ridge
    means = FRAME.groupby("t", as_index=False).mean()
    field = cc.NeuralODE(cc.MLP((1, 4, 1)))
    mesh, ridge = 5, cc.L2(1e-3)
    fits = [
        cc.fit(cc.Problem(field, runs, loss=cc.LeastSquares(0.05), regularisation=ridge), mesh=mesh)
        for runs in (cc.from_frame(FRAME, replicates=True), cc.from_frame(means))
    ]
    scatter = np.mean((Y - np.repeat(means["c"], 3)) ** 2) / 0.05**2
    assert fits[0].objective == pytest.approx(fits[1].objective + scatter, rel=1e-3)
    np.testing.assert_allclose(fits[0].predict([2.5]), fits[1].predict([2.5]), rtol=1e-3)


def test_replicates_are_kept_in_files_and_judged_where_they_are_held_out(tmp_path):
    solution = cc.fit(cc.split(decay(cc.from_frame(FRAME, replicates=True)), 0.3))
    solution.save(tmp_path / "fit.npz")
    again = cc.load(tmp_path / "fit.npz")
    assert again.trajectories[0].experiment.replicates
    t, y = T[T > 3.5], Y[T > 3.5]
    held = solution.test[0]
    np.testing.assert_array_equal(held.times, t)
    k, start = solution.parameters["k"], solution.states([3.5])[0, 0]
    expected = np.mean((start * np.exp(-k * (t - 3.5)) - y) ** 2)
    assert solution.score()[1].simulated == pytest.approx(expected, rel=1e-4)


def test_long_tables_and_inputs_have_replicates_too():
    long = FRAME.assign(u=1.0 * (T > 2.0)).melt(id_vars="t")
    wide = cc.from_frame(long, variable="variable", outputs=["c"], inputs=["u"], replicates=True)[0]
    np.testing.assert_array_equal(wide.times, T)
    np.testing.assert_array_equal(wide.values[:, 0], Y)
    assert wide.inputs["u"]([1.0, 3.0]).tolist() == [0.0, 1.0]


def test_rows_of_one_time_are_refused_unless_they_are_meant():
    with pytest.raises(cc.InputError, match=r"time 0 occurs twice .* replicates=True"):
        cc.from_frame(FRAME)
    with pytest.raises(cc.InputError, match="1 time is too few"):
        cc.Experiment([1.0, 1.0], [2.0, 3.0], replicates=True)
