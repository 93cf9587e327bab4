"""The search for a good point: no point of a fine grid is better, nor any that a random search finds."""

import numpy as np
import pytest

from collocode.relu import maximize
from collocode.relu.bounds import core_box
from collocode.relu.constraints import as_linear
from collocode.relu.local_search import _descended, _slopes, local_search, polished, walk
from collocode.relu.problem import OptimizationProblem

from .nets import random_network

BOX = np.array([[-3.0, 3.0], [-2.0, 2.0]])


def problem_of(network, box=BOX, constraints=None, sense=1):
    cost = np.zeros(network.inputs + network.outputs)
    cost[network.inputs] = -sense
    return OptimizationProblem(
        network=network,
        box=core_box(network, box),
        linear=as_linear(network, constraints),
        cost=cost,
        sense=sense,
    )


def best_of_grid(problem, points=501):
    low, up = problem.box.T
    axes = [np.linspace(a, b, points) for a, b in zip(low, up, strict=True)]
    grid = np.stack(np.meshgrid(*axes), -1).reshape(-1, 2)
    grid = grid[problem.linear.satisfied(problem.network, grid)]
    return problem.cost_at(grid).min()


@pytest.mark.parametrize(
    ("seed", "sizes", "constraints"),
    [
        (0, (2, 20, 20, 20, 1), None),
        (1, (2, 30, 1), ([1.0, 1.0], -np.inf, 1.0)),
        (2, (2, 16, 16, 16, 16, 1), ([1.0, -2.0], 0.3, 0.3)),
        (3, (2, 24, 24, 1), ([0.0, 0.0, 1.0], -np.inf, 0.4)),  # on the output
    ],
)
def test_a_fine_grid_is_never_better(seed, sizes, constraints):
    problem = problem_of(random_network(seed, sizes), constraints=constraints)
    found = local_search(problem)
    assert problem.linear.satisfied(problem.network, found[None])[0]
    if seed == 2:  # a line that no grid point meets
        x = np.linspace(*BOX[0], 100_001)
        line = np.column_stack([x, (x - 0.3) / 2.0])
        least = problem.cost_at(line[np.abs(line[:, 1]) <= 2.0]).min()
    else:
        least = best_of_grid(problem)
    assert problem.cost_at(found) <= least + 1e-12 * (1.0 + abs(least))


@pytest.mark.parametrize("solver", ["highs", "scip"])
def test_a_search_without_time_returns_what_the_local_search_found(solver):
    if solver == "scip":
        pytest.importorskip("pyscipopt")
    network = random_network(7, (2, 30, 30, 30, 1))
    found = maximize(network, BOX, time_limit=0.0, bounds="interval", solver=solver)
    assert not found.success
    least = best_of_grid(problem_of(network), 301)
    assert -found.value <= least + 1e-12 * (1.0 + abs(least))


def test_six_inputs_against_a_long_random_search():
    network = random_network(3, (6, 20, 20, 1))
    box = np.tile([-1.0, 1.0], (6, 1))
    problem = problem_of(network, box)
    random = np.random.default_rng(0).uniform(-1.0, 1.0, (200_000, 6))
    assert problem.cost_at(local_search(problem)) < problem.cost_at(random).min()


@pytest.mark.parametrize("clip", [None, 0.7])
def test_slopes_are_differences(clip):
    network = random_network(5, (3, 8, 7, 2), clip)
    x = np.random.default_rng(1).uniform(-0.9, 0.9, (50, 3))
    middle = np.median(network(x) @ [1.0, -1.0])
    constraint = ([0.0] * 3 + [1.0, -1.0], middle, np.inf)
    problem = problem_of(network, np.tile([-1.0, 1.0], (3, 1)), constraint)
    slope, value, missed = _slopes(problem, x)
    np.testing.assert_allclose(value, problem.cost_at(x), atol=1e-12)
    h = 1e-7
    for j in range(3):
        step = h * np.eye(3)[j]
        y = [network(x + s) for s in (step, -step)]
        change = np.where(
            missed > 0.0,
            (y[1] - y[0]) @ [1.0, -1.0],
            (problem.cost_at(x + step) - problem.cost_at(x - step)),
        ) / (2 * h)
        close = np.abs(change - slope[:, j]) < 1e-5
        assert close.mean() > 0.95  # a few differences cross a kink
    assert 0 < (missed > 0.0).sum() < 50


def test_descent_and_walk_never_lose():
    problem = problem_of(random_network(8, (2, 25, 25, 1)))
    x = np.random.default_rng(2).uniform(*BOX.T, (40, 2))
    down = _descended(problem, x)
    assert (problem.cost_at(down) <= problem.cost_at(x)).all()
    for before in down[:3]:
        assert problem.cost_at(walk(problem, before)) <= problem.cost_at(before)
    assert polished(problem, None) is None
