"""Problems for the tests of ADMM: linear in their unknowns, so that there is one optimum."""

from dataclasses import replace

import numpy as np

import collocode as cc

# ρ stays: one penalty that suits the curvature converges fastest, and to rounding
TIGHT = cc.ADMMRules(absolute=1e-9, relative=0.0, adapt=0, growth=np.inf)
EXACT = {"tol": 1e-11, "acceptable_tol": 1e-11}


def admm(problem, batches=2, rules=cc.ADMMRules(), **given):  # noqa: B008
    """`cc.admm` with the fields of its values as keywords."""

    def fields(kind):
        return {name: given.pop(name) for name in kind.__dataclass_fields__ if name in given}

    return cc.admm(
        problem,
        cc.Partition(batches, **fields(cc.Partition)),
        rules=replace(rules, **fields(cc.ADMMRules)),
        settings=cc.FitSettings(**fields(cc.FitSettings)),
        callbacks=cc.Callbacks(**fields(cc.Callbacks)),
        **given,
    )


def waves(n=41, end=6.0, seed=0, **options):
    """x' = w₁ sin t + w₂ cos 2t + b: a network without hidden units, linear in its weights."""
    t, rng = np.linspace(0.0, end, n), np.random.default_rng(seed)
    x = 0.5 + 0.8 * (1.0 - np.cos(t)) + 0.1 * t + 0.05 * rng.standard_normal(n)
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [nn(np.sin(t), np.cos(2.0 * t))], networks={"f": cc.MLP((2, 1))}
    )
    options = {"regularisation": cc.L2(1e-2), "loss": cc.LeastSquares(1.0), **options}
    return cc.Problem(dynamics, cc.Experiment(t, x, ("x",), name="run"), **options)


def pushed(n=31, kind="zoh", **options):
    """x' = a u(t) + b − x with u a signal with a jump inside a window; a, b physical."""
    t, rng = np.linspace(0.0, 6.0, n), np.random.default_rng(1)
    u = cc.Signal([0.0, 1.3, 2.9, 4.1, 6.0], [1.0, -1.0, 0.5, 2.0, 0.0], kind)
    run = cc.simulate(_solved_push(u), [0.3], t, {"u": u})
    x = run.states[:, 0] + 0.05 * rng.standard_normal(n)
    return _push(cc.Experiment(t, x, ("x",), inputs={"u": u}, name="run"), **options)


def _push(data, **options):
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [p.a * u.u + p.b - x.x],
        parameters=[cc.Parameter("a", 1.0, -5.0, 5.0), cc.Parameter("b", 0.5)],
    )
    return cc.Problem(dynamics, data, loss=cc.LeastSquares(1.0), **options)


def _solved_push(u):
    t = np.linspace(0.0, 6.0, 7)
    nlp = cc.discretize(_push(cc.Experiment(t, t, ("x",), inputs={"u": u})), mesh=6)
    return cc.TrainedModel.of(nlp, nlp.start).with_parameters([0.7, 0.2])


def offsets(runs=3, n=25, **options):
    """x' = k, one slope for all; y = x + c with an offset c of each experiment, and x(0) near 0."""
    rng, data = np.random.default_rng(2), []
    for number in range(runs):
        t = np.linspace(0.0, 2.0 + number, n)
        y = 0.7 * t + 0.3 * number + 0.05 * rng.standard_normal(n)
        initial = {"x": cc.weighted(0.0, 0.1)}
        data.append(cc.Experiment(t, y, ("y",), initial=initial, name=f"run {number + 1}"))
    dynamics = cc.Dynamics(
        lambda t, x, u, p, nn: [p.k],
        parameters=[cc.Parameter("k", 1.0), cc.Parameter("c", 0.1, per_experiment=True)],
    )
    return cc.Problem(
        dynamics,
        data,
        states=("x",),
        observe=lambda x, u, p: [x.x + p.c],
        loss=cc.LeastSquares(1.0),
        **options,
    )


def restricted(nlp, x, batch, sub):
    """The part of the whole problem's variables that belong to a batch."""
    found, m = np.full(sub.nlp.columns, np.nan), nlp.scheme.intervals
    for part, (origin, first) in zip(sub.nlp.layout.experiments, batch.origins, strict=True):
        there = nlp.layout.experiments[origin]
        nodes = first * m + np.arange(len(part.times))
        found[part.states] = x[there.states[nodes]]
        found[part.parameters] = x[there.parameters]
    found[sub.nlp.layout.shared] = x[nlp.layout.shared]
    found[sub.nlp.layout.weights] = x[nlp.layout.weights]
    assert np.isfinite(found).all()
    return found
