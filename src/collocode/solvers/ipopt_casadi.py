"""IPOPT through CasADi's ``nlpsol``: the default, in wheels alone."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import casadi as ca
import numpy as np

from ..results.status import SolverResult
from ..transcription.nlp import NLP
from ..transcription.scaling import scaled
from .interrupt import Interrupt
from .ipopt_log import log_file, read_linear_solver, read_timings
from .options import WARM, refused_option, unknown_option
from .outcome import history_of, result
from .protocol import BestIterate, OnIteration, Progress, WarmStart


class CasadiIpopt:
    """IPOPT from the CasADi wheel, built once for an NLP's functions.

    Parameters
    ----------
    nlp : any NLP of the structure to be solved.
    options : IPOPT options by their own names.

    Raises
    ------
    InputError
        An option that IPOPT does not know, or a value that it refuses.
    """

    name = "casadi"

    def __init__(self, nlp: NLP, options: Mapping[str, Any]) -> None:
        self._options = dict(options)
        self._solvers: dict[bool, ca.Function] = {}
        self._watch = _Watch(nlp.columns, nlp.rows, len(nlp.p))
        self._log = log_file()
        self._log_path = self._log.__enter__()
        self._build(scaled(nlp), warm=False)

    def __del__(self) -> None:
        self._solvers.clear()
        self._log.__exit__(None, None, None)

    def _build(self, view: NLP, warm: bool) -> ca.Function:
        if warm in self._solvers:
            return self._solvers[warm]
        functions = view.functions
        x, p = ca.MX.sym("x", view.columns), ca.MX.sym("p", functions.objective.size1_in(1))
        program = {"x": x, "p": p, "f": functions.objective(x, p), "g": functions.constraints(x, p)}
        ipopt = {
            "print_level": 0,
            "sb": "yes",
            "output_file": str(self._log_path),
            "file_print_level": 5,
            "print_timing_statistics": "yes",
            **(WARM if warm else {}),
            **self._options,
        }
        options = {
            "grad_f": functions.gradient,
            "jac_g": functions.jacobian,
            "hess_lag": functions.hessian,
            "calc_lam_p": False,
            "no_nlp_grad": True,
            "print_time": False,
            "error_on_fail": False,
            "iteration_callback": self._watch,
            "ipopt": ipopt,
        }
        try:
            self._solvers[warm] = ca.nlpsol("solver", "ipopt", program, options)
        except (RuntimeError, NotImplementedError) as error:
            raise _option_error(str(error), self._options) from error
        return self._solvers[warm]

    def solve(
        self, nlp: NLP, warm: WarmStart | None = None, on_iteration: OnIteration | None = None
    ) -> SolverResult:
        """Solve; see `Solver`."""
        view = scaled(nlp)
        solver = self._build(view, warm is not None)
        arguments = {
            "x0": view.start,
            "p": view.p,
            "lbx": view.lower,
            "ubx": view.upper,
            "lbg": view.row_lower,
            "ubg": view.row_upper,
        }
        if warm is not None:
            arguments["lam_g0"] = warm.lam_g / nlp.row_scale
            arguments["lam_x0"] = warm.lam_x * nlp.column_scale
        began = time.perf_counter()
        with Interrupt() as interrupt:
            self._watch.begin(view, interrupt, on_iteration)
            try:
                answer = solver(**arguments)
            except RuntimeError as error:
                raise _option_error(str(error), self._options) from error
        seconds = time.perf_counter() - began
        stats = solver.stats()
        point = (answer["x"], answer["lam_g"], answer["lam_x"])
        spent = {k: v for k, v in stats.items() if k.startswith("t_wall_nlp")}
        timings = {"solve": seconds, "derivatives": float(sum(spent.values()))}
        timings.update(read_timings(self._log_path))
        return result(
            nlp,
            tuple(np.asarray(v) for v in point),
            self._watch.best.x,
            stats["return_status"],  # type: ignore[arg-type]
            history=history_of(stats.get("iterations", {})),
            timings=timings,
            interface=self.name,
            solver="IPOPT",
            linear_solver=read_linear_solver(self._log_path),
            options=self._options,
        )


class _Watch(ca.Callback):
    """Sees every iterate: keeps the best, shows progress, stops on Ctrl-C."""

    def __init__(self, columns: int, rows: int, parameters: int) -> None:
        ca.Callback.__init__(self)
        self._sizes = {
            "x": columns,
            "f": 1,
            "g": rows,
            "lam_x": columns,
            "lam_g": rows,
            "lam_p": parameters,
        }
        self.best = BestIterate()
        self.construct("watch", {})

    def begin(self, view: NLP, interrupt: Interrupt, on_iteration: OnIteration | None) -> None:
        """Forget the last solve."""
        self.best, self._count = BestIterate(), 0
        self._view, self._interrupt, self._show = view, interrupt, on_iteration

    def get_n_in(self) -> int:
        return int(ca.nlpsol_n_out())

    def get_n_out(self) -> int:
        return 1

    def get_name_in(self, i: int) -> str:
        return str(ca.nlpsol_out(i))

    def get_name_out(self, i: int) -> str:
        return "ret"

    def get_sparsity_in(self, i: int) -> ca.Sparsity:
        return ca.Sparsity.dense(self._sizes[ca.nlpsol_out(i)], 1)

    def eval(self, arguments: list[ca.DM]) -> list[int]:
        """Look at one iterate; a result of 1 asks IPOPT to stop."""
        x, f, g = (np.asarray(v, dtype=float).ravel() for v in arguments[:3])
        view = self._view
        violation = max(
            np.maximum(view.row_lower - g, g - view.row_upper).max(initial=0.0),
            np.maximum(view.lower - x, x - view.upper).max(initial=0.0),
        )
        self.best.offer(x, float(f[0]), float(violation))
        if self._show is not None:
            self._show(Progress(self._count, float(f[0]), float(violation)))
        self._count += 1
        return [int(self._interrupt.requested)]


def _option_error(message: str, options: Mapping[str, Any]) -> Exception:
    unknown = re.search(r"No such IPOPT option: (\S+)", message)
    if unknown:
        return unknown_option(unknown.group(1))
    for name, value in options.items():
        if re.search(rf"\b{re.escape(name)}\b", message):
            return refused_option(name, value)
    return RuntimeError(message)
