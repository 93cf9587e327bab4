"""Named vectors, parameters, experiments, losses and the problem's own checks."""

from dataclasses import replace

import casadi as ca
import numpy as np
import pytest

import collocode as cc
from collocode.model.dynamics import Named, Networks
from tests.problems import decay, van_der_pol_data

T = np.linspace(0.0, 1.0, 5)
NAN = float("nan")


def experiment(values=None, **options):
    values = np.column_stack([T, T**2]) if values is None else values
    return cc.Experiment(T, values, options.pop("outputs", ("a", "b")), **options)


def problem(data=None, **options):
    dynamics = options.pop("dynamics", cc.Dynamics(lambda t, x, u, p, nn: [x[1], -x[0]]))
    return cc.Problem(dynamics, experiment() if data is None else data, **options)


def test_named_vectors():
    x = Named("state", ("prey", "predator"), [3.0, 4.0])
    assert (x.prey, x["predator"], x[-1], [*x], len(x)) == (3.0, 4.0, 4.0, [3.0, 4.0], 2)
    for access in (lambda: x.pray, lambda: x["pray"]):
        with pytest.raises(cc.InputError, match="no state 'pray'; there are: prey, predator"):
            access()
    assert not hasattr(x, "_private")


def test_networks_are_called_by_name_or_alone():
    network = cc.MLP((2, 1), "linear")
    w = ca.SX([1.0, 2.0, 0.5])
    nn = Networks({"growth": network}, {"growth": w})
    for call in (nn.growth(1.0, 1.0), nn(1.0, 1.0), nn([1.0, 1.0]), nn(ca.SX([1.0, 1.0]))):
        assert float(call) == 3.5
    with pytest.raises(cc.InputError, match="no network 'death'; there are: growth"):
        nn.death(1.0)
    with pytest.raises(cc.InputError, match="network 'growth' has 2 inputs, but was called with 1"):
        nn.growth(1.0)
    two = Networks({"a": network, "b": network}, {"a": w, "b": w})
    with pytest.raises(cc.InputError, match="exactly one network"):
        two(1.0, 1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: cc.Parameter("k", 1.0, 2.0, 0.0),
            r"bounds of parameter 'k' cross \(2 > 0\); swap",
        ),
        (lambda: cc.Parameter("k", 1.0, NAN), "a bound of parameter 'k' is NaN; use -inf"),
        (lambda: cc.Parameter("k", NAN), "'k' starts at nan; give a finite guess"),
        (lambda: cc.Parameter("k", 3.0, 0.0, 2.0), r"starts at 3, outside its bounds \[0, 2\]"),
        (lambda: cc.PathConstraint("cap", len, 1.0, 0.0), "bounds of path constraint 'cap' cross"),
        (lambda: cc.fixed(NAN), "initial state must be finite, not nan; use free"),
        (lambda: cc.weighted(1.0, std=0.0), "std of a weighted initial state must be positive"),
        (lambda: cc.weighted(1.0, std=NAN), "must be positive"),
        (lambda: cc.weighted(np.inf, std=1.0), "must be finite"),
        (lambda: cc.LeastSquares(0.0), "sigma of all must be positive and finite, not 0"),
        (lambda: cc.LeastSquares({"a": -1.0}), "sigma of a must be positive"),
        (lambda: cc.L2(-1.0), "strength of L2 must be finite and not negative, not -1"),
        (lambda: cc.L2(NAN), "strength of L2"),
        (
            lambda: cc.Dynamics(len, parameters=[cc.Parameter("k", 1.0), cc.Parameter("k", 2.0)]),
            "parameter 'k' is defined twice; rename one",
        ),
    ],
)
def test_bad_pieces_are_refused(make, message):
    with pytest.raises(cc.InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cc.Experiment([], [], ("a",)), "there are no times; add data"),
        (lambda: cc.Experiment([1.0], [1.0]), "1 time .*; at least 2 .*, or start= and end=."),
        (lambda: cc.Experiment([1.0], [1.0], start=1.0), r"at least 2 are needed, or end= too\.$"),
        (lambda: cc.Experiment([1.0], [1.0], end=1.0), r"at least 2 are needed, or start= too\.$"),
        (
            lambda: cc.Experiment([1.0], [1.0], start=1.0, end=1.0),
            "it ends at 1, not after its start at 1; give another end= or start=",
        ),
        (lambda: cc.Experiment([0.0, NAN], [1.0, 2.0]), "time in row 2 is nan; drop or repair"),
        (lambda: cc.Experiment([0.0, np.inf], [1.0, 2.0]), "time in row 2 is inf"),
        (lambda: cc.Experiment([0.0, 2.0, 1.0], [1.0] * 3), r"not sorted: 1 \(row 3\) follows 2"),
        (
            lambda: cc.Experiment([0.0, 1.0, 1.0], [1.0] * 3),
            r"time 1 occurs twice \(row 2 and row 3\)",
        ),
        (lambda: cc.Experiment([[0.0, 1.0]], [1.0, 2.0]), "times must be a row of numbers"),
        (lambda: cc.Experiment([0.0, 1.0], [1.0, 2.0, 3.0]), r"2 times do not fit values of shape"),
        (lambda: cc.Experiment([0.0, 1.0], np.ones((2, 1, 1))), "give one row per time"),
        (lambda: cc.Experiment(["x", 1.0], [1.0, 2.0]), "times cannot be read as numbers"),
        (
            lambda: cc.Experiment([0.0, 1.0], [[1.0], [2.0, 3.0]]),
            "values cannot be read as numbers",
        ),
        (lambda: experiment(outputs=("a",)), "2 columns need as many different names"),
        (lambda: experiment(outputs=("a", "a")), "different names"),
        (lambda: experiment([[1.0, np.inf]] * 5), "'b' is infinite at t = 0; use NaN for missing"),
        (lambda: experiment(weights=-1.0), "weights must be finite and not negative"),
        (lambda: experiment(weights=np.ones(2)[:, None, None]), "weights of shape .* does not fit"),
        (lambda: experiment(weights=[[NAN, 1.0]] * 5), "weights must be finite"),
        (lambda: experiment(sigma=0.0), "sigma must be positive and finite, or NaN"),
        (lambda: experiment(sigma=np.inf), "sigma must be positive and finite, or NaN"),
        (
            lambda: experiment(sigma={"z": 1.0}),
            "sigma names 'z', which is no output; there are: a, b",
        ),
        (lambda: experiment(sigma=[1.0, 2.0, 3.0]), r"sigma of shape \(3,\) does not fit values"),
        *(
            (
                lambda what=what, given=given: experiment(**{what: given}),
                rf"{what}.* of shape \({shape}\) does not fit values of shape \(5, 2\); give one number",
            )
            for what in ("sigma", "weights", "censored")
            for given, shape in (
                ([1], "1,"),
                ([1.0, 1.0], "2,"),
                ([1.0] * 5, "5,"),
                ([[1.0, 1.0]], "1, 2"),
                ([[1.0]] * 5, "5, 1"),
                ({"b": [1]}, "1,"),
                ({"a": [[1]] * 5}, "5, 1"),
            )
        ),
        (lambda: experiment(start=0.5), r"window \[0.5, 1\] does not cover the measurements"),
        (lambda: experiment(end=0.5), "widen it or cut the data"),
        (lambda: experiment(initial={"a": NAN}), "initial state must be finite"),
    ],
)
def test_bad_experiments_are_refused_by_name_and_place(make, message):
    with pytest.raises(cc.InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: problem([]), "has no experiments; add data"),
        (lambda: problem(states=("a", "a")), "state names must differ"),
        (
            lambda: problem(states=("a", "c")),
            "measured column 'b' is no state .*; rename it, leave",
        ),
        (lambda: problem([experiment(), experiment()]), "two experiments are called 'experiment'"),
        (lambda: problem(bounds={"c": (0.0, 1.0)}), "bounds= names 'c', which is no state"),
        (lambda: problem(bounds={"a": (1.0, 0.0)}), r"bounds of state 'a' cross \(1 > 0\)"),
        (lambda: problem(bounds={"a": (NAN, 0.0)}), "a bound of state 'a' is NaN"),
        (lambda: problem(scaling={"c": 1.0}), "scaling= names 'c'"),
        (lambda: problem(scaling={"a": [1.0]}), r"scaling\['a'\] takes a finite number"),
        (
            lambda: problem(experiment(initial={"c": 1.0})),
            "initial= of experiment 'experiment' names 'c'",
        ),
        (
            lambda: problem(experiment(np.column_stack([T, T * NAN]))),
            r"output 'b' has no finite value in any experiment \(all NaN or of weight 0\); leave the column out",
        ),
        (
            lambda: problem(experiment([[1.0, 2.0], *[[NAN, NAN]] * 4])),
            "has 1 time with a finite value; at least 2",
        ),
        (
            lambda: problem([experiment(inputs={"u": cc.Signal(T, T)}), experiment(name="second")]),
            "experiment 'second' has no input 'u'; add it",
        ),
        (
            lambda: problem(
                experiment(inputs={"u": cc.Signal(T, T)}), test=[experiment(name="tomorrow")]
            ),
            "experiment 'tomorrow' has no input 'u'",
        ),
        (
            lambda: cc.discretize(problem(loss=cc.LeastSquares({"a": 1.0}))),
            "no sigma for output 'b'; add it",
        ),
    ],
)
def test_bad_problems_are_refused(make, message):
    with pytest.raises(cc.InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_networks_that_do_not_fit_are_refused_with_the_sizes_they_need():
    with pytest.raises(cc.InputError, match=r"2 states, time and 1 input need an MLP from 4 to 2"):
        cc.discretize(
            problem(
                experiment(inputs={"u": cc.Signal(T, T)}),
                dynamics=cc.NeuralODE(cc.MLP((2, 4, 2)), time=True, inputs=("u",)),
            )
        )


def test_experiments_are_frozen_copies():
    times = T.copy()
    e = cc.Experiment(times, times)
    times[0] = -5.0
    assert e.times[0] == 0.0
    assert e.outputs == ("y1",)
    with pytest.raises(ValueError, match="read-only"):
        e.values[0] = 1.0


def test_experiments_with_different_columns_share_one_table():
    one = experiment()
    other = cc.Experiment(T, T[:, None], ("b",), name="other")
    both = problem([one, other])
    assert both.outputs == ("a", "b")
    assert np.isnan(both.experiments[1].values[:, 0]).all()
    assert both.n_measurements == 15


def test_windows_cut_data_weights_and_initial_states():
    e = experiment(weights=2.0, sigma={"b": np.arange(1.0, 6.0)}, initial={"a": 0.0})
    late = e.window(0.5, 1.0, "late")
    assert (late.samples, late.start, late.name) == (3, 0.5, "late")
    assert late.initial == {}
    assert e.window(0.0, 0.5).initial == e.initial
    assert late.weights.shape == (3, 2)
    np.testing.assert_array_equal(late.sigma, [[NAN, 3.0], [NAN, 4.0], [NAN, 5.0]])
    np.testing.assert_array_equal(e.select(["c", "b"]).sigma[:, 1], e.sigma[:, 1])


def test_a_window_from_the_start_begins_where_the_experiment_does():
    """What is known at the start is not carried over to the first sample."""
    e = cc.Experiment(np.array([2.0, 3.0, 4.0]), np.ones(3), ("a",), start=0.0, initial={"a": 1.0})
    early, later = e.window(0.0, 3.0), e.window(1.0, 4.0)
    assert (early.start, early.end, early.initial) == (0.0, 3.0, e.initial)
    assert (later.start, later.end, later.initial) == (2.0, 4.0, {})


def test_the_noise_of_an_experiment_goes_before_that_of_the_loss():
    rough = cc.Experiment(T, np.column_stack([T, T**2]), ("a", "b"), name="rough", sigma={"a": 0.5})
    for loss, b in ((cc.LeastSquares(0.1), 0.1), (cc.LeastSquares({"a": 0.2, "b": 0.3}), 0.3)):
        p = problem([experiment(), rough], loss=loss)
        np.testing.assert_allclose(p.sigma_in(p.experiments[1])[0], [0.5, b])
        assert p.knows_noise_of(p.experiments[0]).all()
    p = problem([experiment(), rough])
    assert p.knows_noise_of(p.experiments[1])[0].tolist() == [True, False]
    assert not p.knows_noise_of(p.experiments[0]).any()


def test_unknown_noise_beside_known_noise_is_that_of_the_smoothed_data():
    t = np.linspace(0.0, 6.0, 200)
    noise = np.random.default_rng(0).standard_normal((200, 2)) * [0.05, 0.2]
    data = cc.Experiment(t, np.column_stack([np.sin(t), np.cos(t)]) + noise, ("a", "b"))
    assert problem([data]).sigma == problem([data]).spread
    p = problem([replace(data, sigma={"a": 0.05})])
    assert p.sigma_in(p.experiments[0])[0] == pytest.approx([0.05, 0.2], rel=0.15)


def test_the_network_is_scaled_to_the_data_but_not_a_users_own():
    data = van_der_pol_data(n=40)
    ode = cc.Problem(cc.NeuralODE(cc.MLP((2, 4, 2))), data).dynamics
    low, high = data.values.min(axis=0), data.values.max(axis=0)
    scaled_low = (low - ode.network.shift) / ode.network.scale
    scaled_high = (high - ode.network.shift) / ode.network.scale
    np.testing.assert_allclose(scaled_low, -1.0, atol=0.05)
    np.testing.assert_allclose(scaled_high, 1.0, atol=0.05)
    rms = np.sqrt(np.mean(np.gradient(data.values, data.times, axis=0) ** 2, axis=0))
    np.testing.assert_allclose(ode.network.output_scale, rms, rtol=0.1)
    own = cc.NeuralODE(cc.MLP((2, 4, 2), output_scale=(1.0, 1.0)))
    assert cc.Problem(own, data).dynamics == own
    plain = cc.NeuralODE(cc.MLP((2, 4, 2)))
    assert cc.Problem(plain, data, normalise=False).dynamics == plain


def test_the_loss_does_not_grow_with_the_number_of_data():
    small, large = decay(n=11), decay(n=101)
    values = []
    for each in (small, large):
        nlp = cc.discretize(each, mesh=4)
        values.append(nlp.objective(np.zeros(nlp.columns)))
    assert values[0] == pytest.approx(values[1], rel=0.2)


def test_data_of_one_constant_value_do_not_divide_by_zero():
    data = cc.Experiment(T, np.ones(5), ("a",))
    still = cc.Problem(cc.NeuralODE(cc.MLP((1, 2, 1))), data)
    solution = cc.fit(still, mesh=None)
    assert solution.success
    np.testing.assert_allclose(solution.states(T)[:, 0], 1.0, atol=1e-3)


def test_a_neural_ode_with_an_input_that_no_experiment_has():
    run = experiment(inputs={"u": cc.Signal(T, T)})
    wrong = problem([run], dynamics=cc.NeuralODE(cc.MLP((3, 4, 2)), inputs=("v",)))
    with pytest.raises(cc.InputError, match="no input 'v'; there are: u"):
        cc.discretize(wrong)


def test_one_sample_is_enough_after_a_known_start():
    """As in sparse sampling: a dose, or a start, and a single sample later."""
    assert cc.Experiment([2.0], [0.3], ("c",), start=0.0).end == 2.0
    dose = cc.Dose(0.5, 1.0, to="c")
    assert cc.Experiment([2.0], [0.3], ("c",), events=[dose]).start == 0.5
    assert cc.Experiment([2.0], [0.3], ("c",), end=3.0).end == 3.0
