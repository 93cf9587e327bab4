"""Steady states of a problem's experiments: their equations, and their solution by integration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import casadi as ca
import numpy as np

from ..errors import InputError
from ..model.experiment import Experiment
from ..model.problem import Problem
from ..model.steady import laws_of
from ..model.symbolic import Symbols, at_rest
from ..numerics import Array

_LATEST = 1e9  # times the longest time constant seen at the start, until which rest has to come
_OPTIONS = {
    "reltol": 1e-8,
    "abstol": 1e-10,
    "max_num_steps": 20_000,
    "show_eval_warnings": False,
    "disable_internal_warnings": True,
}
_STILL = 1e-12  # of a state's size, what a Newton step may move it by at rest


@dataclass(frozen=True, eq=False, kw_only=True)
class Rest:
    """The steady state of an experiment as a function of parameters and weights.

    Attributes
    ----------
    problem, experiment : whose it is.
    laws, rows : conservation laws, and the equations that are independent; see `laws_of`.
    f, jacobian : (x, p, theta) -> right-hand side, its derivative by x.
    before : (p, theta) -> states that it came from; NaN where they are not known.
    """

    problem: Problem
    experiment: Experiment
    laws: Array
    rows: list[int]
    f: ca.Function
    jacobian: ca.Function
    before: ca.Function

    @classmethod
    def of(cls, problem: Problem, experiment: Experiment) -> Rest:
        """Derive the functions and find the conservation laws."""
        s = Symbols.of(problem)
        f, known = at_rest(problem, experiment, s)
        before = ca.vertcat(*[known.get(name, ca.SX(np.nan)) for name in problem.states])
        arguments = [s.x, s.p, s.theta]
        function = ca.Function("f", arguments, [ca.densify(f)])
        p = np.array([q.coefficients[0] for q in problem.all_parameters])
        theta = np.zeros(s.theta.numel())
        laws, rows = laws_of(function, np.asarray(problem.state_scale), p, theta)
        for law in laws:
            unknown = [n for n, c in zip(problem.states, law, strict=True) if c and n not in known]
            if unknown:
                total = " + ".join(n for n, c in zip(problem.states, law, strict=True) if c)
                raise InputError(
                    f"experiment {experiment.name!r} begins at rest, and a sum over {total} is conserved, "
                    f"but nobody tells its value; give initial= for {unknown[0]!r}."
                )
        return cls(
            problem=problem,
            experiment=experiment,
            laws=laws,
            rows=rows,
            f=function,
            jacobian=ca.Function("j", arguments, [ca.densify(ca.jacobian(f, s.x))]),
            before=ca.Function("before", [s.p, s.theta], [ca.densify(before)]),
        )

    def equations(self, s: Symbols) -> ca.SX:
        """Return the equations of rest as an SX column, one a state."""
        f, known = at_rest(self.problem, self.experiment, s)
        before = ca.vertcat(*[known.get(name, ca.SX(0.0)) for name in self.problem.states])
        totals = [ca.dot(ca.DM(law.tolist()), s.x - before) for law in self.laws]
        return ca.vertcat(f[self.rows], *totals)

    def state(self, p: Array, theta: Array) -> Array:
        """(states,) the rest that integration from the states before comes to, by Newton's last steps.

        NaN if it comes to none.
        """
        start = np.asarray(self.before(p, theta), dtype=float).ravel()
        x = self._integrated(np.where(np.isnan(start), 0.0, start), p, theta)
        for _ in range(20):
            if not np.isfinite(x).all():
                break
            left, slopes = self._system(x, start, p, theta)
            try:
                step = np.linalg.solve(slopes, left)
            except np.linalg.LinAlgError:
                return np.full(len(x), np.nan)
            x = x - step
            if (np.abs(step) <= _STILL * np.maximum(np.abs(x), self.problem.state_scale)).all():
                return x
        return np.full(len(x), np.nan)

    def _system(self, x: Array, start: Array, p: Array, theta: Array) -> tuple[Array, Array]:
        f = np.asarray(self.f(x, p, theta), dtype=float).ravel()[self.rows]
        slopes = np.asarray(self.jacobian(x, p, theta), dtype=float)[self.rows]
        totals = self.laws @ (x - np.where(np.isnan(start), x, start))
        return np.append(f, totals), np.vstack([slopes, self.laws])

    def _integrated(self, x: Array, p: Array, theta: Array) -> Array:
        def rates() -> Array:
            return np.asarray(self.f(x, p, theta), dtype=float).ravel()

        size = np.asarray(self.problem.state_scale)
        rate = float(np.max(np.abs(rates()) / size, initial=0.0))
        span = 1.0 / rate if np.isfinite(rate) and rate > 0.0 else 1.0
        end = 1e3 * span
        while end <= _LATEST * span:
            given = np.concatenate([[end], p, theta])
            try:
                x = size * np.asarray(self.integrator(x0=x / size, p=given)["xf"]).ravel()
            except RuntimeError:  # of CVODES
                return np.full(len(x), np.nan)
            if not np.isfinite(x).all():
                return np.full(len(x), np.nan)
            if (np.abs(rates()) * end <= 1e-6 * np.maximum(np.abs(x), size)).all():
                break
            end *= 10.0
        return x

    @cached_property
    def integrator(self) -> ca.Function:
        """CVODES over a time that is its first parameter, of states in their sizes."""
        size = ca.DM(np.asarray(self.problem.state_scale, dtype=float).tolist())
        x, end = ca.SX.sym("x", size.numel()), ca.SX.sym("end")
        p, theta = ca.SX.sym("p", self.f.size1_in(1)), ca.SX.sym("theta", self.f.size1_in(2))
        rates = end * self.f(size * x, p, theta) / size
        equations = {"x": x, "p": ca.vertcat(end, p, theta), "ode": rates}
        return ca.integrator("rest", "cvodes", equations, 0.0, 1.0, _OPTIONS)


_KNOWN: WeakKeyDictionary[Problem, dict[tuple[object, ...], Rest]] = WeakKeyDictionary()


def rest_key(problem: Problem, experiment: Experiment) -> tuple[object, ...]:
    """What experiments have in common whose steady states are the same function."""
    assert experiment.steady is not None and experiment.start is not None
    start = experiment.start
    u = [float(experiment.inputs[name](start)[0]) for name in problem.inputs]
    given = [(n, v.value, v.function) for n, v in experiment.initial.items()]  # type: ignore[union-attr]
    return experiment.steady.key(), tuple(u), start, tuple(given)


def rest_of(problem: Problem, experiment: Experiment) -> Rest:
    """Return the steady state of an experiment, derived once for all that are alike."""
    known = _KNOWN.setdefault(problem, {})
    key = rest_key(problem, experiment)
    if key not in known:
        known[key] = Rest.of(problem, experiment)
    return known[key]
