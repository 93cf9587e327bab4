"""A problem as somebody writes it in other units."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import casadi as ca
import numpy as np

import collocode as cc
from collocode.model.dynamics import Named
from collocode.model.initial import Initial


@dataclass(frozen=True)
class Units:
    """Factors of states (and algebraic variables), inputs, time, costs and constraints."""

    x: Mapping[str, float] = field(default_factory=dict)
    u: Mapping[str, float] = field(default_factory=dict)
    time: float = 1.0
    costs: float = 1.0
    constraints: float = 1.0

    @classmethod
    def drawn(cls, problem, rng, most=9):
        """Powers of ten for everything."""

        def power():
            return 10.0 ** int(rng.integers(-most, most + 1))

        names = (*problem.states, *problem.algebraics)
        inputs = [n for n in problem.inputs if n != "phase"]
        return cls(
            {n: power() for n in names}, {n: power() for n in inputs}, *(power() for _ in range(3))
        )

    def of(self, problem):
        """Return the problem in these units, its networks and parameters as they are."""
        self = replace(self, x={**self.x, **{c.name: self.constraints for c in integrals(problem)}})
        own = tuple(n for n in problem.states if n not in {c.name for c in integrals(problem)})
        return cc.Problem(
            self._dynamics(problem),
            [self._experiment(problem, e) for e in problem.experiments],
            states=own,
            parameters=problem.parameters,
            bounds={n: self._pair(b, self.x.get(n, 1.0)) for n, b in problem.bounds.items()},
            scaling={n: v * self.x.get(n, 1.0) for n, v in problem.scaling.items() if n in own},
            constraints=[self._constraint(c) for c in problem.constraints],
            costs=[self._cost(c) for c in problem.costs],
            links=[
                self._link(link) for link in problem.links
            ],
            name=problem.name,
        )  # fmt: skip

    def _back(self, named, factors):
        return Named("", named.names, [named[n] / factors.get(n, 1.0) for n in named.names])

    def _seen(self, function):
        """The function, which sees everything in the old units."""
        return lambda t, x, u, p, nn: function(
            t / self.time, self._back(x, self.x), self._back(u, self.u), p, nn
        )

    def _function(self, function, factor):
        return lambda *arguments: factor * self._seen(function)(*arguments)

    @staticmethod
    def _pair(pair, factor):
        return None if pair is None else (pair[0] * factor, pair[1] * factor)

    def _dynamics(self, problem):
        dynamics = getattr(problem.dynamics, "inner", problem.dynamics)
        if isinstance(dynamics, cc.Phases):
            return cc.Phases({n: self._part(d) for n, d in dynamics.dynamics.items()})
        return self._part(dynamics)

    def _part(self, dynamics):
        def rhs(t, x, u, p, nn):
            value = self._seen(dynamics.rhs)(t, x, u, p, nn)
            if not isinstance(value, Mapping):
                columns = ca.vertsplit(ca.SX(value)) if hasattr(value, "shape") else value
                value = dict(zip(x.names, columns, strict=False))
            return {n: v * self.x.get(n, 1.0) / self.time for n, v in value.items()}

        return cc.Dynamics(
            rhs,
            networks=dynamics.networks,
            parameters=dynamics.parameters,
            algebraics={n: v * self.x.get(n, 1.0) for n, v in dynamics.algebraics.items()},
            residuals=self._seen(dynamics.residuals) if dynamics.residuals else None,
            index=dynamics.index,
        )

    def _signal(self, given, factor):
        if not isinstance(given, cc.Signal):
            return given * factor
        return replace(given, times=given.times * self.time, values=given.values * factor)

    def _ends(self, ends):
        def moved(value, factor):
            if not isinstance(value, Initial):
                return value * factor
            kinds = ("value", "std", "lower", "upper")
            return replace(value, **{k: getattr(value, k) * factor for k in kinds})

        return {n: moved(v, self.x.get(n, 1.0)) for n, v in ends.items()}

    def _control(self, control, factor):
        kind = control.kind
        if isinstance(kind, cc.PiecewiseConstant):
            kind = cc.PiecewiseConstant(np.asarray(kind.points) * self.time)
        return replace(
            control,
            lower=control.lower * factor,
            upper=control.upper * factor,
            start=None if control.start is None else self._signal(control.start, factor),
            rate=self._pair(control.rate, factor / self.time),
            moves=control.moves * self.costs / factor**2,
            kind=kind,
        )

    def _experiment(self, problem, e):
        given = {
            "initial": self._ends({n: v for n, v in e.initial.items() if n in problem.lasting}),
            "inputs": {n: self._signal(s, self.u.get(n, 1.0)) for n, s in e.inputs.items() if n != "phase"},
            "guess": {n: self._signal(g, self.x.get(n, 1.0)) for n, g in e.guess.items()},
            "controls": {n: self._control(c, self.u.get(n, 1.0)) for n, c in e.controls.items()},
            "parameters": e.parameters,
            "name": e.name,
        }  # fmt: skip
        if e.measures:
            factors = np.array([self.x.get(n, 1.0) for n in e.outputs])
            return cc.Experiment(e.times * self.time, e.values * factors, e.outputs, **given)
        return cc.Window(
            start=e.start * self.time,
            end=e.end * self.time,
            final=self._ends(e.final),
            start_bounds=self._pair(e.start_bounds, self.time),
            end_bounds=self._pair(e.end_bounds, self.time),
            duration_bounds=self._pair(e.duration_bounds, self.time),
            **given,
        )

    def _link(self, link):
        jump = {n: self._function(j, self.x.get(n, 1.0)) for n, j in link.jump.items()}
        return replace(link, jump=jump)

    def _constraint(self, c):
        along = self.time if isinstance(c, cc.IntegralConstraint) else 1.0
        function = self._function(c.function, self.constraints / along)
        return replace(
            c, function=function, lower=c.lower * self.constraints, upper=c.upper * self.constraints
        )

    def _cost(self, c):
        along = self.time if isinstance(c, cc.Lagrange) else 1.0
        return replace(c, function=self._function(c.function, self.costs / along))


def integrals(problem):
    """Constraints that have states of their own."""
    return [c for c in problem.constraints if isinstance(c, cc.IntegralConstraint)]
