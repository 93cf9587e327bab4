"""Likelihoods without networks in batches: the optimum that `fit` finds, from the same start."""

import numpy as np
import pytest

import collocode as cc


def _dosed(ka, ke, volume):
    """One-compartment absorption, three runs with one dose or two; the starts are in another basin."""
    rng, data, t = np.random.default_rng(0), [], np.linspace(0.0, 12.0, 13)

    def after(t, size):
        return size / 2.0 * 1.2 / 0.95 * (np.exp(-0.25 * t) - np.exp(-1.2 * t)) * (t > 0.0)

    for number, size in enumerate((5.0, 8.0, 3.0)):
        times = [0.0, 5.0][: 1 + (number == 1)]
        c = sum(after(t - at, size) for at in times) + 0.05 * rng.standard_normal(len(t))
        data.append(
            cc.Experiment(
                t, c, ("c",), name=f"subject {number}", initial={"depot": 0.0, "central": 0.0},
                events=cc.doses(times, [size] * len(times), to="depot"),
            )
        )  # fmt: skip
    rates = [
        cc.Parameter("ka", ka, 0.01, 20.0, scale="log"),
        cc.Parameter("ke", ke, 1e-3, 5.0, scale="log"),
    ]
    return cc.Problem(
        cc.Dynamics(
            lambda t, x, u, p, nn: {
                "depot": -p.ka * x.depot,
                "central": p.ka * x.depot - p.ke * x.central,
            },
            parameters=rates,
        ),
        data,
        states=("depot", "central"),
        observe=lambda x, u, p: [x.central / p.V],
        parameters=[cc.Parameter("V", volume, 0.05, 20.0, scale="log")],
        loss=cc.Normal(),
    )


def _calibrated(k=0.1):
    rng, t = np.random.default_rng(1), np.linspace(0.0, 4.0, 12)
    data = [
        cc.Experiment(
            t,
            420.0 * start * np.exp(-0.7 * t) + 30.0 + 10.0 * rng.standard_normal(12),
            ("od",),
            initial={"od": start},
            name=f"run {start}",
        )
        for start in (2.0, 1.0)
    ]
    return cc.Problem(
        cc.Dynamics(
            lambda t, x, u, p, nn: [-p.k * x.od], parameters=[cc.Parameter("k", k, scale="log")]
        ),
        data,
        calibration={"od": cc.Calibration(offset=True)},
        loss=cc.Normal(),
    )


def _growing(given):
    """Logistic growth; every run has a rate, and with ``given`` an initial state, that is its own."""
    rng, t, data = np.random.default_rng(2), np.linspace(0.0, 5.0, 11), []
    for number in range(4):
        start, rate = 1.0 + 0.5 * number, 0.5 + 0.1 * number
        n = 1.0 / (1 / 8 + (1 / start - 1 / 8) * np.exp(-rate * t))
        n *= np.exp(0.05 * rng.standard_normal(11))
        initial = {"n": "n0"} if given else {}
        data.append(cc.Experiment(t, n, ("n",), name=f"run {number}", initial=initial))
    parameters = [
        cc.Parameter("r", 0.1, 1e-3, 10.0, scale="log", per_experiment=True),
        cc.Parameter("K", 20.0, 1.0, 100.0, scale="log"),
        cc.Parameter("n0", 1.0, 0.01, 10.0, scale="log", per_experiment=True),
    ]
    return cc.Problem(
        cc.Dynamics(
            lambda t, x, u, p, nn: [p.r * x.n * (1.0 - x.n / p.K)],
            parameters=parameters if given else parameters[:2],
        ),
        data,
        loss=cc.LogNormal(),
    )


@pytest.mark.parametrize(
    ("problem", "batches"),
    [
        (_dosed(0.3, 0.05, 1.0), 3),
        (_dosed(1.9, 0.35, 0.19), 2),  # gradient matching leads to twelve times the noise from here
        (_calibrated(), 2),
        (_calibrated(), 5),
        (_growing(given=False), 5),
        (_growing(given=True), 2),
        (_growing(given=True), 5),
    ],
    ids=["doses", "doses, far", "scale", "scale, windows", "own, windows", "given", "given, windows"],
)  # fmt: skip
def test_batches_end_where_a_fit_ends(problem, batches):
    fitted = cc.fit(problem)
    found = cc.admm(problem, batches)
    assert found.success
    assert fitted.success
    assert found.solution.result.interface == "batches"
    assert found.solution.result.objective == pytest.approx(fitted.result.objective, abs=1e-4)
    noise = next(name for name in fitted.parameters if name.startswith("sigma"))
    assert found.solution.parameters[noise] == pytest.approx(fitted.parameters[noise], rel=1e-3)
    assert len(found.history) <= 80


def test_a_start_that_is_named_is_taken():
    problem = _calibrated()
    assert cc.FitSettings().start_of(problem) == "simulate"
    assert cc.FitSettings(start="smoothing").start_of(problem) == "smoothing"
    network = cc.Problem(cc.NeuralODE(cc.MLP((1, 1))), problem.experiments)
    assert cc.FitSettings().start_of(network) == "gradient_matching"
