"""IPOPT through cyipopt: the same functions, the same iterates as CasADi's interface.

cyipopt hands Python a fresh array a callback; everything after that is without copies, see
`Evaluations`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import MissingDependency
from ..numerics import Array, Index
from ..results.status import SolverResult
from ..transcription.program import Program
from .attempts import Ipopt
from .evaluations import Evaluations
from .interrupt import Interrupt
from .ipopt_log import log_file, read_linear_solver, read_log, read_timings, read_version
from .options import ipopt_options, typed, unavailable_solver
from .outcome import STATUS_BY_NUMBER, result, with_hessian
from .protocol import OnIteration, WarmStart, Watch


class CyIpopt(Ipopt):
    """IPOPT through cyipopt, its buffers built once for an NLP's functions.

    Parameters
    ----------
    program : any NLP of the structure to be solved.
    options : IPOPT options by their own names.

    Raises
    ------
    InputError
        An option that IPOPT does not know, or a value that it refuses.
    MissingDependency
        cyipopt is not installed, or (by `solve`) a linear solver's library is not.
    """

    name = "cyipopt"

    def __init__(self, program: Program, options: Mapping[str, Any]) -> None:
        super().__init__(program, options)
        self._cyipopt = _cyipopt()
        self._options = typed(options)
        self._evaluations(program.scaled())

    @staticmethod
    def _evaluations(view: Program) -> Evaluations:
        """Return the buffers of these very (scaled) functions, kept with them."""
        return view.functions.cache("buffers", lambda: Evaluations(view.functions))

    def _attempt(
        self, program: Program, warm: WarmStart | None, on_iteration: OnIteration | None
    ) -> SolverResult:
        view = program.scaled()
        multipliers: dict[str, Array] = {}
        if warm is not None:
            lam_g, lam_x = warm.scaled(program)
            multipliers = {
                "lagrange": lam_g,
                "zl": np.maximum(0.0, -lam_x),
                "zu": np.maximum(0.0, lam_x),
            }
        with log_file() as log, Interrupt() as interrupt:
            watch = Watch(view, interrupt, on_iteration, program.objective_scale)
            callbacks = _Callbacks(self._evaluations(view), view, watch, self._cyipopt)
            problem = self._cyipopt.Problem(
                n=view.columns,
                m=view.rows,
                problem_obj=callbacks,
                lb=view.lower,
                ub=view.upper,
                cl=view.row_lower,
                cu=view.row_upper,
            )
            mu = None if warm is None else warm.mu
            for name, value in ipopt_options(self._options, log, program, mu).items():
                problem.add_option(name, value)
            callbacks.problem = problem
            began = time.perf_counter()
            try:
                x, info = problem.solve(view.start, **multipliers)
            finally:
                callbacks.problem = None  # the two hold each other
                problem.close()
            seconds = time.perf_counter() - began
            if watch.error is not None:
                raise watch.error
            status = STATUS_BY_NUMBER.get(info["status"], "Internal_Error")
            if status == "Invalid_Option":
                raise unavailable_solver(self._options, read_log(log))
            text = read_log(log)
            timings = {"solve": seconds, "derivatives": callbacks.seconds, **read_timings(text)}
            name, linear_solver = read_version(text), read_linear_solver(text)
        return result(
            program,
            (x, info["mult_g"], info["mult_x_U"] - info["mult_x_L"]),
            watch.best.x,
            status,
            history={k: np.array(v, dtype=float) for k, v in callbacks.history.items()},
            timings=timings,
            interface=self.name,
            solver=name,
            linear_solver=linear_solver,
            kernels=view.functions.kernels,
            options=with_hessian(self._options, program),
        )


class _Callbacks:
    """What cyipopt calls during one solve."""

    def __init__(self, functions: Evaluations, view: Program, watch: Watch, cyipopt: Any) -> None:
        self._functions, self._watch = functions, watch
        self._failure = cyipopt.CyIpoptEvaluationError
        functions.p[:] = view.p
        self.problem: Any = None
        self.seconds = 0.0
        names = ("objective", "primal", "dual", "mu", "step", "regularisation")
        self.history: dict[str, list[float]] = {name: [] for name in names}

    def objective(self, x: Array) -> float:
        return float(self._evaluate(self._functions.f, x)[0])

    def gradient(self, x: Array) -> Array:
        return self._evaluate(self._functions.gradient, x)

    def constraints(self, x: Array) -> Array:
        return self._evaluate(self._functions.g, x)

    def jacobianstructure(self) -> tuple[Index, Index]:
        return self._functions.jacobian_pattern

    def jacobian(self, x: Array) -> Array:
        return self._evaluate(self._functions.jacobian, x)

    def hessianstructure(self) -> tuple[Index, Index]:
        return self._functions.hessian_pattern

    def hessian(self, x: Array, lagrange: Array, factor: float) -> Array:
        self._functions.lam[:] = lagrange
        self._functions.sigma[0] = factor
        return self._evaluate(self._functions.hessian, x)

    def _evaluate(self, call: Callable[[], Array], x: Array) -> Array:
        began = time.perf_counter()
        self._functions.x[:] = x
        value = call()
        sound = np.isfinite(value).all()
        self.seconds += time.perf_counter() - began
        if not sound:  # IPOPT then shortens its step, as it does when CasADi reports NaN
            raise self._failure()
        return value

    def intermediate(
        self,
        alg_mod: int,
        iter_count: int,
        obj_value: float,
        inf_pr: float,
        inf_du: float,
        mu: float,
        d_norm: float,
        regularization_size: float,
        alpha_du: float,
        alpha_pr: float,
        ls_trials: int,
    ) -> bool:
        """Look at one iterate; False asks IPOPT to stop."""
        values = (obj_value, inf_pr, inf_du, mu, alpha_pr, regularization_size)
        for column, value in zip(self.history.values(), values, strict=True):
            column.append(value)
        iterate = self.problem.get_current_iterate()
        if iterate is None:  # IPOPT has none to show in some phases
            return True
        x = iterate["x"]
        self._functions.x[:] = x
        # obj_value is another function's in the restoration phase (alg_mod 1)
        f = obj_value if alg_mod == 0 else float(self._functions.f()[0])
        return self._watch.look(x, f, iterate["g"], inf_du)


def _cyipopt() -> Any:
    try:
        import cyipopt
    except ImportError as error:
        raise MissingDependency(
            "cyipopt is not installed, and has no wheels; build it with: make cyipopt."
        ) from error
    return cyipopt
