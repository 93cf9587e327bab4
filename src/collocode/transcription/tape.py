"""Tapes: a CasADi function as plain data.

An SX function is a list of scalar operations on registers.  Written down as arrays it can be saved
without code, checked before use, and replayed in any arithmetic: NumPy, CasADi again, or the
expressions of another modelling tool.  Exporters and saved fits both rest on this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import NDArray

from ..checks import installed
from ..errors import InputError
from ..numerics import Array

# operation -> number of operands; the names are CasADi's own, in lower case
ARITY: dict[str, int] = {
    "add": 2, "sub": 2, "mul": 2, "div": 2, "pow": 2, "constpow": 2, "atan2": 2, "fmin": 2,
    "fmax": 2, "hypot": 2, "copysign": 2, "fmod": 2, "lt": 2, "le": 2, "eq": 2, "ne": 2, "and": 2,
    "or": 2, "if_else_zero": 2,
    "assign": 1, "neg": 1, "exp": 1, "log": 1, "sqrt": 1, "sq": 1, "twice": 1, "sin": 1, "cos": 1,
    "tan": 1, "asin": 1, "acos": 1, "atan": 1, "floor": 1, "ceil": 1, "fabs": 1, "sign": 1,
    "erf": 1, "inv": 1, "sinh": 1, "cosh": 1, "tanh": 1, "asinh": 1, "acosh": 1, "atanh": 1,
    "log1p": 1, "expm1": 1, "not": 1,
    "const": 0, "input": 0, "output": 1,
}  # fmt: skip
NAMES = tuple(ARITY)
_CODES: dict[int, int] = {
    int(getattr(ca, f"OP_{name.upper()}")): NAMES.index(name) for name in NAMES if name != "const"
}
_CODES[int(ca.OP_CONST)] = NAMES.index("const")


@dataclass(frozen=True, eq=False)
class Tape:
    """A scalar program.

    Attributes
    ----------
    inputs, outputs : lengths of the argument and result vectors.
    registers : how many registers it works on.
    code : (n,) index into `NAMES`.
    target : (n,) register written (for ``output``: index of the result vector).
    operands : (n, 2) registers read; for ``input`` (argument, entry), for ``output`` (register, entry).
    constants : (n,) value of a ``const``.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    registers: int
    code: NDArray[np.int16]
    target: NDArray[np.int32]
    operands: NDArray[np.int32]
    constants: Array
    _built: dict[str, ca.Function] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        return f"Tape(inputs={self.inputs}, outputs={self.outputs}, operations={len(self.code)})"

    @classmethod
    def of(cls, function: ca.Function) -> Tape:
        """Record a CasADi function; an MX function is expanded first.

        Raises
        ------
        InputError
            If it uses something that has no scalar form.
        """
        if function.class_name() != "SXFunction":
            try:
                function = function.expand()
            except RuntimeError as error:
                raise InputError(
                    f"function {function.name()!r} cannot be written as scalars."
                ) from error
        count = function.n_instructions()
        code, target = np.zeros(count, np.int16), np.zeros(count, np.int32)
        operands, constants = np.zeros((count, 2), np.int32), np.zeros(count)
        output, constant = NAMES.index("output"), NAMES.index("const")
        for k in range(count):
            operation = function.instruction_id(k)
            if operation not in _CODES:
                raise InputError(f"function {function.name()!r} uses an unsupported operation.")
            code[k] = _CODES[operation]
            reads, writes = function.instruction_input(k), function.instruction_output(k)
            if code[k] == output:
                target[k], operands[k] = writes[0], (reads[0], writes[1])
                continue
            target[k] = writes[0]
            if code[k] == constant:
                constants[k] = function.instruction_constant(k)
            else:
                operands[k, : len(reads)] = reads[:2]
        return cls(
            tuple(function.numel_in(i) for i in range(function.n_in())),
            tuple(function.numel_out(i) for i in range(function.n_out())),
            int(function.sz_w()),
            code,
            target,
            operands,
            constants,
        )

    def replay(
        self,
        arguments: Sequence[Sequence[Any]],
        operations: Mapping[str, Callable[..., Any]],
    ) -> list[list[Any]]:
        """Run the tape in the arithmetic of ``operations`` (by name, as in `ARITY`).

        Parameters
        ----------
        arguments : one sequence of scalars an input.

        Returns
        -------
        One list of scalars an output.
        """
        register: list[Any] = [0.0] * self.registers
        results: list[list[Any]] = [[0.0] * length for length in self.outputs]
        for name, target, (a, b), constant in self._program():
            if name == "const":
                register[target] = constant
            elif name == "input":
                register[target] = arguments[a][b]
            elif name == "output":
                results[target][b] = register[a]
            elif ARITY[name] == 1:
                register[target] = operations[name](register[a])
            else:
                register[target] = operations[name](register[a], register[b])
        return results

    def _program(self) -> Any:
        names = [NAMES[c] for c in self.code.tolist()]
        return zip(
            names,
            self.target.tolist(),
            self.operands.tolist(),
            self.constants.tolist(),
            strict=True,
        )

    def function(self, name: str, arguments: Sequence[str], results: Sequence[str]) -> ca.Function:
        """Rebuild the CasADi function, once for every name."""
        if name in self._built:
            return self._built[name]
        symbols = [ca.SX.sym(label, n) for label, n in zip(arguments, self.inputs, strict=True)]
        columns = [ca.vertsplit(s) if s.numel() else [] for s in symbols]
        values = [
            ca.vertcat(*v) if v else ca.SX(0, 1) for v in self.replay(columns, CASADI_OPERATIONS)
        ]
        self._built[name] = ca.Function(name, symbols, values, list(arguments), list(results))
        return self._built[name]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the tape as named arrays, for a file."""
        header = np.array(
            [self.registers, len(self.inputs), *self.inputs, *self.outputs], dtype=np.int64
        )
        return {
            "header": header,
            "code": self.code,
            "target": self.target,
            "operands": self.operands,
            "constants": self.constants,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], what: str) -> Tape:
        """Read a tape back, refusing one that reads or writes outside its registers.

        Raises
        ------
        InputError
            If the arrays are missing or inconsistent.
        """
        try:
            header = [int(v) for v in arrays["header"]]
            n_in = header[1]
            tape = cls(
                tuple(header[2 : 2 + n_in]),
                tuple(header[2 + n_in :]),
                header[0],
                np.asarray(arrays["code"], np.int16),
                np.asarray(arrays["target"], np.int32),
                np.asarray(arrays["operands"], np.int32),
                np.asarray(arrays["constants"], np.float64),
            )
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise InputError(f"the saved function {what!r} is incomplete ({error}).") from error
        tape._check(what)
        return tape

    def _check(self, what: str) -> None:
        n = len(self.code)
        problem = InputError(f"the saved function {what!r} is corrupt; save the fit again.")
        sound = (
            self.target.shape == (n,)
            and self.operands.shape == (n, 2)
            and self.constants.shape == (n,)
            and 0 <= self.registers <= max(64, 4 * n)
            and ((self.code >= 0) & (self.code < len(NAMES))).all()
            and max([0, *self.inputs, *self.outputs]) <= 10_000_000
            and min([0, *self.inputs, *self.outputs]) >= 0
        )
        if not sound:
            raise problem
        limits = {"input": (self.inputs, "reads"), "output": (self.outputs, "writes")}
        for name, target, (a, b), _ in self._program():
            if name in limits:
                sizes = limits[name][0]
                vector = a if name == "input" else target
                register = target if name == "input" else a
                good = 0 <= vector < len(sizes) and 0 <= b < sizes[vector]
                good = good and 0 <= register < self.registers
            else:
                reads = (a, b)[: ARITY[name]]
                good = all(0 <= r < self.registers for r in (target, *reads))
            if not good:
                raise problem


#: what needs operators only, so that every scalar can do it
ALGEBRA: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b, "pow": lambda a, b: a**b, "constpow": lambda a, b: a**b,
    "assign": lambda a: a, "neg": lambda a: -a, "sq": lambda a: a * a, "twice": lambda a: 2.0 * a,
    "inv": lambda a: 1.0 / a,
}  # fmt: skip

CASADI_OPERATIONS: dict[str, Callable[..., Any]] = {
    **ALGEBRA, "lt": lambda a, b: a < b, "le": lambda a, b: a <= b,
    "eq": ca.eq, "ne": ca.ne, "and": ca.logic_and, "or": ca.logic_or, "not": ca.logic_not,
    "if_else_zero": lambda c, a: ca.if_else(c, a, 0),
    "hypot": ca.hypot,
    **{
        name: getattr(ca, name)
        for name in ("exp", "log", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "floor",
                     "ceil", "fabs", "sign", "erf", "sinh", "cosh", "tanh", "asinh", "acosh",
                     "atanh", "log1p", "expm1", "atan2", "fmin", "fmax", "copysign", "fmod")
    },
}  # fmt: skip


def jax_tape_operations() -> dict[str, Callable[..., Any]]:
    """Return what the operations of a tape mean for JAX.

    Raises
    ------
    MissingDependency
        JAX is not installed.
    """
    with installed("JAX", "learn"):
        import jax.numpy as jnp
        from jax.scipy.special import erf
    named: dict[str, Callable[..., Any]] = {
        "fabs": jnp.abs, "asin": jnp.arcsin, "acos": jnp.arccos, "atan": jnp.arctan,
        "atan2": jnp.arctan2, "asinh": jnp.arcsinh, "acosh": jnp.arccosh, "atanh": jnp.arctanh,
        "lt": jnp.less, "le": jnp.less_equal, "eq": jnp.equal, "ne": jnp.not_equal, "erf": erf,
        "not": jnp.logical_not, "and": jnp.logical_and, "or": jnp.logical_or,
    }  # fmt: skip
    same = ("exp", "log", "sqrt", "sin", "cos", "tan", "floor", "ceil", "sign", "sinh", "cosh",
            "tanh", "log1p", "expm1", "fmin", "fmax", "copysign", "fmod", "hypot")  # fmt: skip
    named |= {name: getattr(jnp, name) for name in same}
    return {**ALGEBRA, **named, "if_else_zero": lambda c, a: jnp.where(c, a, 0.0)}
