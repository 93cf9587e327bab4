"""What a fit tries where it ends nowhere: problems that decide."""

import casadi as ca
import numpy as np
import pytest

import collocode as cc


@pytest.mark.parametrize(
    ("turns", "guess"), [(2, 3.0), (5, 6.0), (5, 14.0), (5, 2.0), (5, 1.0), (3, 0.8)]
)
def test_a_guess_of_the_time_in_which_no_control_arrives_is_made_longer(turns, guess):
    """From rest at 2n an oscillator with |u| at most 1 comes to rest at 0 after n half turns, in nπ."""
    problem = cc.Problem(
        cc.Dynamics(lambda t, x, u, p, nn: [x.v, -x.x + u.f]),
        cc.Window(
            end=guess,
            end_bounds=(0.1, 60.0),
            controls={"f": cc.Control(-1.0, 1.0, kind="constant")},
            initial={"x": 2.0 * turns, "v": 0.0},
            final={"x": 0.0, "v": 0.0},
        ),
        states=("x", "v"),
        costs=cc.Lagrange(lambda t, x, u, p, nn: 1.0),
    )
    found = cc.fit(problem)
    assert found.success
    assert found.objective == pytest.approx(turns * np.pi, rel=1e-3)


def test_of_what_is_infeasible_nothing_is_said_but_that():
    """Near a least violation every matrix is singular: chains have no fault of their own to tell."""
    n, A = 8, np.random.default_rng(0).normal(size=84)[20:].reshape(8, 8)
    states = tuple(f"x{i}" for i in range(n))

    def rhs(t, x, u, p, nn):
        flow = ca.mtimes(ca.DM(A), ca.vertcat(*(ca.tanh(x[j]) for j in range(n))))
        return [flow[i] + (u.f if i == 0 else 0.0) for i in range(n)]

    window = cc.Window(
        end=1.0,
        controls={"f": cc.Control(-1.0, 1.0)},
        initial=dict.fromkeys(states, 0.0),
        final=dict.fromkeys(states, 1.9),
    )
    problem = cc.Problem(
        cc.Dynamics(rhs),
        window,
        states=states,
        bounds={"x0": (-2.0, 2.0)},
        costs=cc.Lagrange(lambda t, x, u, p, nn: u.f**2),
    )
    with pytest.warns(cc.CollocodeWarning) as told:
        found = cc.fit(problem, mesh=20)
    assert found.result.termination.value == "locally infeasible"
    assert [str(w.message) for w in told if "chains" in str(w.message)] == []
