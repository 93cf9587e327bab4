"""IPOPT through CasADi's ``nlpsol``: the default, in wheels alone."""

from __future__ import annotations

import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cached_property, partial
from typing import Any

import casadi as ca
import numpy as np

from .. import kernels
from ..checks import counted
from ..errors import InputError
from ..numerics import Array
from ..numerics.parallel import most_threads, threads
from ..results.status import SolverResult, Termination
from ..transcription.functions import Functions
from ..transcription.program import Program
from .attempts import Ipopt
from .chains import hook, session_for
from .chains.session import Session
from .interrupt import Interrupt
from .ipopt_log import empty, log_file, read_linear_solver, read_log, read_timings, read_version
from .options import (
    GAUSS_NEWTON,
    ipopt_options,
    threads_of,
    typed,
    unavailable_solver,
    without_ours,
)
from .outcome import history_of, result, with_hessian
from .protocol import OnIteration, WarmStart, Watch
from .threads import one_blas_thread

_MOST_SOLVERS = 16  # of one structure in different scales
_FOUND = "x", "lam_g", "lam_x", "f", "g"


class CasadiIpopt(Ipopt):
    """IPOPT from the CasADi wheel, built once for an NLP's functions.

    Parameters
    ----------
    program : any NLP of the structure to be solved.
    options : IPOPT options by their own names, and ``threads``.

    Raises
    ------
    InputError
        An option that IPOPT does not know, or a value that it refuses.
    MissingDependency
        By `solve`: a linear solver whose library is not installed.
    """

    name = "casadi"

    def __init__(self, program: Program, options: Mapping[str, Any]) -> None:
        super().__init__(program, options)
        self._gauss_newton = options.get("hessian_approximation") == GAUSS_NEWTON
        view = self._with_hessian(program).scaled()
        self._threads = threads_of(options)
        self._session = session_for(view, options)
        self._options = self._inner = typed(without_ours(options))
        if self._session is not None:
            # IPOPT's own clock asks the system for the time at every step, up to a tenth of a short solve
            timed = {"print_timing_statistics": "no"}
            self._inner = {**timed, **self._options, **hook.options(hook.register(self._session))}
        self._solvers: OrderedDict[tuple[Functions, float | None], _Compiled] = OrderedDict()
        self._size = view.columns, view.rows
        log = log_file()
        self._log_path = log.__enter__()
        weakref.finalize(self, log.__exit__, None, None, None)
        self._build(view, None)

    def _with_hessian(self, program: Program) -> Program:
        return program.gauss_newton() if self._gauss_newton else program

    def _build(self, view: Program, mu: float | None) -> _Compiled:
        """Return the solver of these very (scaled) functions, built when they first come."""
        functions, key = view.functions, (view.functions, mu)
        if (view.columns, view.rows) != self._size:
            raise InputError(
                f"the solver was built for {counted(self._size[0], 'variable')} and {counted(self._size[1], 'constraint')}; "
                f"build another for {view}."
            )
        if key in self._solvers:
            self._solvers.move_to_end(key)
            return self._solvers[key]
        known = functions.expressions
        x, p, _, _ = known.symbols
        given = {"x": x, "p": p, "f": known.f, "g": known.g}
        gradient, jacobian, hessian = functions.for_solver
        callback = _Callback(*self._size, functions.parameters)
        options = {
            "grad_f": gradient,
            "jac_g": jacobian,
            "hess_lag": hessian,
            "calc_lam_p": False,
            "no_nlp_grad": True,
            "print_time": False,
            "error_on_fail": False,
            "show_eval_warnings": False,
            "iteration_callback": callback,
            # both solvers write to one log, which `solve` empties: it would grow without end
            "ipopt": {
                "file_append": "yes",
                **ipopt_options(self._inner, self._log_path, view, mu),
            },
        }
        made = self._solvers[key] = _Compiled(
            ca.nlpsol("solver", "ipopt", given, options), callback
        )
        if len(self._solvers) > _MOST_SOLVERS:
            self._solvers.popitem(last=False)
        return made

    def _attempt(
        self, program: Program, warm: WarmStart | None, on_iteration: OnIteration | None
    ) -> SolverResult:
        program = self._with_hessian(program)
        view = program.scaled()
        solver = self._build(view, None if warm is None else warm.mu)
        arguments = {
            "x0": view.start,
            "p": view.p,
            "lbx": view.lower,
            "ubx": view.upper,
            "lbg": view.row_lower,
            "ubg": view.row_upper,
        }
        if warm is not None:
            arguments["lam_g0"], arguments["lam_x0"] = warm.scaled(program)
        empty(self._log_path)
        if self._session is not None:
            self._session.begin(view)
        began = time.perf_counter()
        chained = nullcontext() if self._session is None else hook.connected(self._session)
        with self._cores() as used, chained, Interrupt() as interrupt:
            watch = solver.callback.watch = Watch(
                view, interrupt, on_iteration, program.objective_scale
            )
            solver.callback.session = self._session
            *point, f, g = solver(arguments)
        seconds = time.perf_counter() - began
        if watch.error is not None:
            raise watch.error
        stats = solver.stats()
        if self._session is not None and self._session.gave_up:
            again = self._without_chains(program)._attempt(program, warm, on_iteration)
            if again.termination is not Termination.INFEASIBLE:
                self._session.tell()
            return again
        if self._session is not None and stats["return_status"] != "Infeasible_Problem_Detected":
            self._session.tell()
        if stats["return_status"] == "Invalid_Option":
            raise unavailable_solver(self._options, read_log(self._log_path))
        spent = {k: v for k, v in stats.items() if k.startswith("t_wall_nlp")}
        timings = {"solve": seconds, "derivatives": float(sum(spent.values()))}
        log, chains = read_log(self._log_path), self._session is not None
        timings.update(read_timings(log))
        if self._session is not None:
            timings["linear solver"] = self._session.seconds
        return result(
            program,
            point,
            None if stats["success"] else watch.best.x,
            stats["return_status"],
            history=history_of(stats.get("iterations", {}), program),
            timings=timings,
            interface=self.name,
            solver=read_version(log),
            linear_solver=self._linear_solver(log, used),
            kernels=view.functions.kernels or (kernels.library() is not None and chains),
            options=with_hessian(self._options, program),
            values=(float(f[0]) / program.objective_scale, g / program.row_scale),
        )

    def _without_chains(self, program: Program) -> CasadiIpopt:
        """A solver with MUMPS alone, for where chains ended IPOPT."""
        return CasadiIpopt(program, {**self._given, "linear_solver": "mumps"})

    @contextmanager
    def _cores(self) -> Iterator[int]:
        """Threads for the parts of the program, one for what BLAS does in each of them."""
        if self._session is None and self._threads is None:
            yield 1
            return
        most = self._threads or most_threads()
        with one_blas_thread(), threads(most):
            yield most

    def _linear_solver(self, log: str, used: int) -> str:
        if self._session is None:
            return read_linear_solver(log) or str(self._options.get("linear_solver", "mumps"))
        many = min(used, self._session.parts)
        return f"{self._session.count}, {many} threads" if many > 1 else str(self._session.count)


class _Compiled:
    """A solver of CasADi's with arrays of its own: what is handed over is copied, not converted."""

    def __init__(self, function: ca.Function, callback: _Callback) -> None:
        self.callback, self._function = callback, function
        self._given = {name: np.zeros(function.numel_in(name)) for name in function.name_in()}
        self._found = {name: np.zeros(function.numel_out(name)) for name in _FOUND}

    @cached_property
    def _bound(self) -> tuple[ca.FunctionBuffer, Callable[[], None]]:
        """IPOPT's memory, which is made by the first solve, and how to run it on the arrays."""
        function = self._function
        buffer, run = function.buffer()
        for array, place in (
            *((v, partial(buffer.set_arg, function.index_in(k))) for k, v in self._given.items()),
            *((v, partial(buffer.set_res, function.index_out(k))) for k, v in self._found.items()),
        ):
            if array.size:
                place(array.data)
        return buffer, run

    def stats(self) -> dict[str, Any]:
        """What CasADi says of the last solve."""
        found: dict[str, Any] = self._bound[0].stats()
        return found

    def __call__(self, arguments: Mapping[str, Array]) -> tuple[Array, ...]:
        """Return x, lam_g, lam_x, f and g."""
        run = self._bound[1]
        for name, values in arguments.items():
            self._given[name][:] = values
        run()
        return tuple(v.copy() for v in self._found.values())


class _Callback(ca.Callback):
    """Shows every iterate to a `Watch`."""

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
        self.watch: Watch | None = None
        self.session: Session | None = None
        self.construct("watch", {})

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

    def has_eval_buffer(self) -> bool:
        return True

    def eval_buffer(self, arguments: list[memoryview], results: list[memoryview]) -> int:
        """Look at one iterate; a result of 1 asks IPOPT to stop."""
        assert self.watch is not None
        x, f, g = (np.frombuffer(v) for v in arguments[:3])
        if self.session is not None:
            self.session.look(x)
        going = self.watch.look(x, float(f[0]), g)
        # Ipopt does not ask whether a system was solved
        lost = self.session is not None and self.session.error is not None
        np.frombuffer(results[0])[0] = lost or not going
        return 0
