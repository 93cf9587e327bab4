"""A surrogate of a simulation whose weights are polynomials in depth, order by order."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from collocode import layered
from models import convection_diffusion_reaction as model

for basis, order in [("constant", 0), ("legendre", 1), ("legendre", 3), ("layers", 0)]:
    problem = model.problem(basis=basis, order=order)
    done = layered.train(
        problem.objective, "gauss-newton", validation=problem.validation, iterations=25, seed=0
    )
    error = problem.objective.score(done.best, problem.test)
    label = f"{basis} {order}" if basis == "legendre" else basis
    print(f"{label:10} {problem.network.n_weights:4} weights, test error {error:.3f}")
