r"""Weights and parameters that vary in time, :math:`\theta(t)=\sum_j c_j\,\varphi_j(t)`.

The unknowns of a problem are coefficients; a right-hand side sees values at a time.  A `Block` says
how the ones make the others: some values, and the basis that spreads each of them over time (None
for values that do not vary, whose one coefficient is the value).

`basis_symbols` are the functions of a basis as CasADi expressions of time, for models that are simulated
or exported; an NLP has no need of them, as the basis at the collocation points is data there.  Beyond its
interval an expression goes on as it may; whoever evaluates it has to mind the interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import singledispatch
from itertools import pairwise
from typing import Any

import casadi as ca
import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from ..errors import InputError
from ..forms import Form, form_of
from ..numerics import Array, bases
from ..numerics.bases import BASIS, Basis, basis_from_dict, basis_to_dict
from .network import MLP


@dataclass(frozen=True)
class TimeVarying:
    r"""A network whose weights are functions of time, :math:`\theta(t)=\sum_j c_j\,\varphi_j(t)`.

    It stands wherever an `MLP` may.  The vector of its weights holds the coefficients function by
    function: all of :math:`c_0`, then all of :math:`c_1`, ...

    Parameters
    ----------
    network : the network at one time.
    basis : the functions of time; its interval has to cover every experiment.

    Raises
    ------
    InputError
        If ``basis`` is no basis.

    Examples
    --------
    >>> from collocode.numerics.bases import Legendre
    >>> network = TimeVarying(MLP((2, 8, 1)), Legendre(2, (0.0, 30.0)))
    >>> network.n_weights, network.weight_names()[33]
    (99, 'W1[0,0].P1')
    """

    network: MLP
    basis: Basis

    def __post_init__(self) -> None:
        if not isinstance(self.network, MLP):
            raise InputError(f"TimeVarying needs an MLP, not {type(self.network).__name__}.")
        check_basis(self.basis, "TimeVarying")

    @property
    def mlp(self) -> MLP:
        """The network at one time."""
        return self.network

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths from input to output."""
        return self.network.sizes

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return self.network.inputs

    @property
    def outputs(self) -> int:
        """Number of outputs."""
        return self.network.outputs

    @property
    def n_weights(self) -> int:
        """Number of coefficients: weights of the network times functions of the basis."""
        return self.network.n_weights * self.basis.size

    def initial_weights(self, seed: int | np.random.Generator = 0) -> Array:
        """Coefficients of the network's own initial weights, constant in time."""
        weights = self.network.initial_weights(seed)
        return np.asarray(np.kron(self.basis.constant(), weights), dtype=float)

    def weight_names(self) -> list[str]:
        """Names such as ``W1[0,1].P2``, in the order of the vector."""
        names = self.network.weight_names()
        return [f"{name}.{function}" for function in self.basis.names() for name in names]

    def at(self, t: float, coefficients: ArrayLike) -> Array:
        """(weights,) weights of the network at time ``t``."""
        values = self.basis.values(t)[0] @ np.reshape(coefficients, (self.basis.size, -1))
        return np.asarray(values, dtype=float)

    def normalised(
        self, shift: ArrayLike, scale: ArrayLike, output_scale: ArrayLike
    ) -> TimeVarying:
        """Return the same with fixed input shift and scale and output scale."""
        return replace(self, network=self.network.normalised(shift, scale, output_scale))


Network = MLP | TimeVarying


NETWORK: Form = {**form_of(MLP), "basis?": BASIS}
"""What a file holds of a network."""


def describe_network(network: Network) -> dict[str, Any]:
    """Return a network as plain data, for a file; `described_network` reads it."""
    header = asdict(network.mlp)
    return header if network.basis is None else {**header, "basis": basis_to_dict(network.basis)}


def described_network(entry: Mapping[str, Any]) -> Network:
    """Return the network that `describe_network` wrote down."""
    fields = dict(entry)
    basis = fields.pop("basis", None)
    return MLP(**fields) if basis is None else TimeVarying(MLP(**fields), basis_from_dict(basis))


@dataclass(frozen=True)
class Block:
    """Neighbouring coefficients: those of ``count`` values in a basis, function by function."""

    count: int
    basis: Basis | None

    @property
    def size(self) -> int:
        """Number of coefficients."""
        return self.count * (1 if self.basis is None else self.basis.size)


def weight_blocks(networks: Mapping[str, Network]) -> tuple[Block, ...]:
    """Return the blocks of the weight vector, one per network."""
    return tuple(Block(n.mlp.n_weights, n.basis) for n in networks.values())


def bases_of(blocks: Iterable[Block]) -> list[Basis]:
    """Return the different bases of blocks, in order."""
    return list(dict.fromkeys(b.basis for b in blocks if b.basis is not None))


def total(blocks: Iterable[Block]) -> int:
    """Number of coefficients of all blocks."""
    return sum(block.size for block in blocks)


def values_at(blocks: Sequence[Block], coefficients: ca.SX, phi: Callable[[Basis], ca.SX]) -> ca.SX:
    """Return the values that coefficients stand for, given the functions' values as columns."""
    parts, start = [], 0
    for block in blocks:
        part = coefficients[start : start + block.size]
        start += block.size
        if block.basis is not None:
            part = ca.mtimes(ca.reshape(part, block.count, block.basis.size), phi(block.basis))
        parts.append(part)
    return ca.vertcat(ca.SX(0, 1), *parts)


def penalty_matrix(blocks: Sequence[Block]) -> sparse.csr_matrix:
    r"""Return M with :math:`\theta^TM\theta=\frac1T\int\lVert\theta(t)\rVert^2dt`, the identity for plain weights."""
    return _block_diagonal(blocks, lambda basis: basis.mean_square())


def penalty_root(blocks: Sequence[Block]) -> sparse.csr_matrix:
    """Return the symmetric square root of `penalty_matrix`."""

    def root(basis: Basis) -> Array:
        values, vectors = np.linalg.eigh(basis.mean_square())
        return np.asarray((vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T)

    return _block_diagonal(blocks, root)


def _block_diagonal(
    blocks: Sequence[Block], of_basis: Callable[[Basis], Array]
) -> sparse.csr_matrix:
    if all(b.basis is None for b in blocks):  # SciPy takes milliseconds to find that out
        count = sum(b.count for b in blocks)
        ones = np.ones(count), np.arange(count), np.arange(count + 1)
        return sparse.csr_matrix(ones, shape=(count, count))
    parts = [
        sparse.kron(
            sparse.csr_matrix([[1.0]] if b.basis is None else of_basis(b.basis)),
            sparse.identity(b.count),
        )
        for b in blocks
    ]
    M = sparse.csr_matrix(sparse.block_diag([sparse.csr_matrix((0, 0)), *parts]))
    M.eliminate_zeros()  # kron stores those of its blocks
    return M


def prolongation(old: Basis | None, new: Basis | None, what: str) -> Array:
    """Return the matrix that takes coefficients in ``old`` to those of the same function in ``new``.

    None stands for values that do not vary.

    Raises
    ------
    InputError
        If ``new`` does not contain the functions of ``old``.
    """
    if old == new:
        return np.eye(1 if old is None else old.size)
    if old is None:
        assert new is not None
        return new.constant()[:, None]
    if new is None:
        raise InputError(
            f"{what} varies in time ({old!r}) where the solution comes from, but not in the problem; "
            "give it a basis there, or start from something else."
        )
    try:
        return old.prolong(new)
    except InputError as error:
        raise InputError(f"{what}: {error}") from error


def check_basis(basis: Any, what: str) -> None:
    """Refuse what is not a basis."""
    if not isinstance(basis, Basis):
        raise InputError(f"{what} needs a basis, such as Legendre(3, (0.0, 30.0)), not {basis!r}.")


@singledispatch
def basis_symbols(basis: Basis, t: ca.SX) -> ca.SX:
    """Return the values of a basis at ``t`` as an SX column of one entry a function.

    Raises
    ------
    InputError
        A basis of a kind of its own.
    """
    raise InputError(f"{basis!r} has no symbolic form; use one of the bases of collocode.")


def _unit(basis: Basis, t: ca.SX) -> ca.SX:
    start, end = basis.interval
    return (t - start) / (end - start)


@basis_symbols.register
def _constant(basis: bases.Constant, t: ca.SX) -> ca.SX:
    return ca.SX(1.0)


@basis_symbols.register
def _monomial(basis: bases.Monomial, t: ca.SX) -> ca.SX:
    s, powers = _unit(basis, t) if basis.unit else t - basis.interval[0], [ca.SX(1.0)]
    for _ in range(basis.order):
        powers.append(powers[-1] * s)
    return ca.vertcat(*powers)


@basis_symbols.register
def _legendre(basis: bases.Legendre, t: ca.SX) -> ca.SX:
    """Bonnet's recursion: (j+1) P_{j+1} = (2j+1) x P_j − j P_{j−1}."""
    x = 2.0 * _unit(basis, t) - 1.0
    values = [ca.SX(1.0), x]
    for j in range(1, basis.order):
        values.append(((2 * j + 1) * x * values[j] - j * values[j - 1]) / (j + 1))
    return ca.vertcat(*values[: basis.size])


@basis_symbols.register
def _chebyshev(basis: bases.Chebyshev, t: ca.SX) -> ca.SX:
    x = 2.0 * _unit(basis, t) - 1.0
    values = [ca.SX(1.0), x]
    for j in range(1, basis.order):
        values.append(2.0 * x * values[j] - values[j - 1])
    return ca.vertcat(*values[: basis.size])


@basis_symbols.register
def _fourier(basis: bases.Fourier, t: ca.SX) -> ca.SX:
    angle = 2.0 * np.pi * _unit(basis, t)
    waves = [f(j * angle) for j in range(1, basis.harmonics + 1) for f in (ca.cos, ca.sin)]
    return ca.vertcat(ca.SX(1.0), *waves)


@basis_symbols.register
def _piecewise_constant(basis: bases.PiecewiseConstant, t: ca.SX) -> ca.SX:
    return _pieces(basis.points, t)


@basis_symbols.register
def _bspline(basis: bases.BSpline, t: ca.SX) -> ca.SX:
    """Cox and de Boor's recursion from the indicators of the pieces."""
    d = basis.degree
    knots = [basis.points[0]] * d + list(basis.points) + [basis.points[-1]] * d
    empty = [ca.SX(0.0)] * d
    values = [*empty, *ca.vertsplit(_pieces(basis.points, t)), *empty]
    for k in range(1, d + 1):
        values = [
            _ramp(t, knots[i], knots[i + k]) * a + _ramp(t, knots[i + k + 1], knots[i + 1]) * b
            for i, (a, b) in enumerate(pairwise(values))
        ]
    return ca.vertcat(*values)


def _ramp(t: ca.SX, zero: float, one: float) -> ca.SX:
    """The line that is 0 at ``zero`` and 1 at ``one``; 0 where the two meet."""
    return (t - zero) / (one - zero) if one != zero else ca.SX(0.0)


def _pieces(points: tuple[float, ...], t: ca.SX) -> ca.SX:
    """Indicators of the pieces, the first and the last open to the outside."""
    after = [ca.SX(1.0), *(ca.if_else(t >= p, 1.0, 0.0) for p in points[1:-1]), ca.SX(0.0)]
    return ca.vertcat(*(a - b for a, b in pairwise(after)))
