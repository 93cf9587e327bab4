"""Models of differential-algebraic equations, against published references and what made their data."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

import collocode as cc


def solved(name, **changes):
    module = import_module(f"models.dae.{name}")
    assert "Source:" in module.__doc__
    return module, cc.fit(module.problem(**changes), **module.DEFAULTS)


def relative(found, true):
    return float(np.sqrt(np.mean((found - true) ** 2) / np.mean(true**2)))


@pytest.mark.parametrize("name", ["akzo_nobel", "robertson"])
def test_the_reference_of_the_test_set_to_six_digits(name):
    module, solution = solved(name)
    assert solution.success
    end = [solution.trajectories[0].mesh.end]
    model = solution.model
    found = dict(zip(model.states, solution.states(end)[0], strict=True))
    found |= dict(zip(model.algebraics, solution.algebraics(end)[0], strict=True))
    assert found == pytest.approx(module.REFERENCE, rel=5e-7)
    assert solution.gap() < 1e-3
    run = solution.simulate(times=[0.0, *end], rtol=1e-9, atol=1e-14)
    simulated = dict(zip(model.states, run.states[-1], strict=True))
    assert simulated == pytest.approx({n: module.REFERENCE[n] for n in model.states}, rel=1e-5)


def test_the_column_is_at_the_published_steady_state_and_its_volatility_is_found():
    module = import_module("models.dae.distillation")
    assert module.steady_state()[0] == pytest.approx(0.935, abs=1e-3)
    _, solution = solved("distillation")
    assert solution.success
    assert len(solution.model.algebraics) == 32
    assert solution.parameters["alpha"] == pytest.approx(1.6, abs=4e-3)
    assert solution.gap() < 1e-3


def law_error(module, solution):
    levels = module.true_levels(np.linspace(0.0, module.END, 101))
    head = np.array([module.manifold(h) for h in levels])
    d = np.concatenate([(levels - head[:, None]).ravel(), head])
    learnt = solution.network("law")
    found = module.law(d, lambda d: learnt(d[:, None])[:, 0])
    return relative(found, module.true_law(d))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_the_head_law_is_found_within_a_hundredth(seed):
    module = import_module("models.dae.tank_manifold")
    solution = cc.fit(module.problem(seed=seed), **module.DEFAULTS, seed=seed)
    assert solution.success
    assert law_error(module, solution) < 1e-2


@pytest.mark.slow
def test_spring_and_damper_are_found():
    module, solution = solved("quarter_vehicle")
    assert solution.success
    x = module.true_run(np.linspace(0.0, module.END, 201))
    for name, at, true in (
        ("spring", x[:, 0] - x[:, 2], module.true_spring),
        ("damper", x[:, 1] - x[:, 3], module.true_damper),
    ):
        learnt = solution.network(name)(at[:, None])[:, 0]
        assert relative(learnt, true(at)) < 0.03


# ---- estimates above index 1 -------------------------------------------------------------------------


def swing():
    """The pendulum, and a cost that its closed form knows: the velocity at its lowest, -√(2gℓ)."""
    speed = cc.Mayer(lambda t, x, u, p, nn: x.v, name="speed")
    return replace(import_module("models.dae.pendulum").problem(), costs=speed)


def test_above_index_one_a_cost_is_estimated_by_a_finer_solution():
    exact = -np.sqrt(2.0 * 9.81)
    coarse = cc.fit(swing(), mesh=5, start="simulate")
    assert cc.estimate_error(coarse).effectivity(exact) == pytest.approx(1.0, abs=0.02)
    found = cc.refine(swing(), 2e-5, mesh=5, start="simulate")
    assert found.status == "tolerance reached"
    assert abs(found.solution.result.objective - exact) <= 2e-5
    assert len(found.cycles) == 2


def test_above_index_one_residuals_are_not_weighed():
    """No equation in the states alone: the rod's does not contain the tension at all."""
    solution = cc.fit(swing(), mesh=5, start="simulate")
    jacobian = (
        solution.nlp.functions.jacobian(solution.result.x, solution.nlp.p)[1].sparse().tocsr()
    )
    part = solution.nlp.layout.experiments[0]
    rows, columns = part.algebraic_rows.ravel(), part.decided["tension"].columns.ravel()
    assert abs(jacobian[rows][:, columns]).max() == 0.0
    with pytest.raises(cc.InputError, match="do not determine the algebraic variables at a time"):
        cc.costates(solution)
    with pytest.raises(cc.InputError, match="only the objective's error is estimated"):
        cc.estimate_error(solution, "state:x@0.1")
