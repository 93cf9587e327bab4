"""Factorisation of Ipopt's augmented matrix by chains: parts side by side, then what is left of all."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ... import kernels
from ...numerics import Array, Index
from ...numerics.parallel import for_each
from ...transcription.program import Program
from .arrow import Arrow
from .blocks import Blocks
from .lowest import Last
from .pace import Pace
from .part import Part
from .places import Order, Places, Unsuited
from .refined import Symmetric
from .together import Together
from .top import Top

# with fewer columns in the border a shift of these alone has to be large: Ipopt's own does better
MANY = 40


class ChainFactor:
    """The matrices of one program, one after the other.

    Parameters
    ----------
    program : with a `structure`.
    matrix : of which the pattern is taken.

    Attributes
    ----------
    shifts : whether the Hessian is made positive definite here, and not by Ipopt.
    shift : what was added to the diagonal of `top_columns`.

    Raises
    ------
    Unsuited
        A matrix that is not chains and a border, in words.
    """

    def __init__(self, program: Program, matrix: Symmetric) -> None:
        if program.structure is None:
            raise Unsuited("it has no chains")
        self.matrix, self.order = matrix, (order := Order.of(program))
        if order.size != matrix.size:
            raise Unsuited("Ipopt treats its fixed variables otherwise")
        self.places = p = Places(program.structure, order, program.columns, program.rows)
        self.blocks = b = Blocks(p, order, matrix)
        self.parts = [Part(b, *where) for where in p.parts]
        ends = np.cumsum([0, *(part.chains for part in self.parts)]).tolist()
        library = kernels.library()
        self._together = None if library is None else Together(library, b, self.parts)
        self._of_parts = [slice(*pair) for pair in pairwise(ends)]
        kinds = b.kind
        self._at = [np.flatnonzero(kinds == k) for k in range(7)]
        self._own = (b.slot * p.own + b.position)[self._at[0]]
        self._equal = (b.slot * p.equal + b.position)[self._at[3]]
        self._shared, self._held = (b.position[self._at[k]] for k in (1, 5))
        slack = self._at[2]
        inside = b.slot[slack] >= 0
        self._slacks, self._border_slacks = slack[inside], slack[~inside]
        self.shifts, self.shift = p.border >= MANY, 0.0
        # a new one for every matrix costs as much as filling it
        self._scratch = np.empty((p.border, p.border))
        self._stayed, self._top_columns = np.zeros(0, dtype=bool), np.zeros(0, dtype=int)
        self.begin()

    def begin(self) -> None:
        """Forget the matrices of another solve."""
        self._last, self._pace = Last(), Pace()

    @property
    def top_columns(self) -> Index:
        """Rows of Ipopt's matrix whose diagonal `shift` was added to."""
        p, b = self.places, self.blocks
        stayed = np.zeros(p.elements + p.chains, dtype=bool)
        for part in self.parts:
            stayed[part.slots.start + part.stayed] = True
        if np.array_equal(stayed, self._stayed):
            return self._top_columns
        x = self._at[0]
        links = x[stayed[b.slot[x]] & (b.position[x] >= p.inner)]
        self._stayed, self._top_columns = stayed, np.append(links, self._at[1])
        return self._top_columns

    def factor(self, values: Array) -> tuple[int, bool]:
        """Factorise; the reduced Hessian is made positive definite by ``shift`` if it is not.

        Returns
        -------
        number of negative eigenvalues of the (shifted) matrix, and whether it is singular.

        Raises
        ------
        Unsuited
            Rows with a diagonal of their own, as in IPOPT's restoration; numbers that are not finite.
        """
        b = self.blocks
        if not b.load(values):
            raise Unsuited("its equations are relaxed")
        if self._together is None:
            for_each(Part.eliminate, self.parts)
        else:
            self._together.eliminate(values)
        if any(part.singular for part in self.parts):
            return 0, True
        self._top = top = self._sum()
        if not top.finite:
            raise Unsuited("a number in it is not finite")
        self.shift = top.shift
        if self.shift:
            for part in self.parts:
                part.raise_diagonal(self.shift)
        if top.singular or self.shifts:
            return self.order.negative, top.singular
        # indefinite without a negative eigenvalue is singular to working precision
        return self.negative(), not top.positive and not top.negative()

    def negative(self) -> int:
        """Number of negative eigenvalues before the shift."""
        return self.order.negative + self._top.negative()

    def _sum(self) -> Top:
        """What is left of all parts, added up in their order."""
        b, parts = self.blocks, self.parts
        S = parts[0].shared
        for part in parts:
            if part is not parts[0]:
                S += part.shared
            if part.condensed is not None:
                S += part.condensed
        b.add_shared(S)
        if self.places.border_unequal:
            weight = b.D_shared / (1.0 - b.D_shared * b.delta_shared)
            S += b.K.T @ (weight[:, None] * b.K)
        D, W = (np.concatenate([getattr(part, name) for part in parts]) for name in ("D", "W"))
        return Top(
            Arrow(D, W, S),
            lambda: np.concatenate([part.units for part in parts]),
            b.G,
            self.shifts,
            self._scratch,
            self._last,
            self._pace.over,
        )

    def look(self, x: Array) -> None:
        """Take note of an iterate of the program."""
        self._pace.look(x[self.order.columns[self._at[1]]])

    def stepped(self, rhs: Array, x: Array) -> None:
        """Take note of a right-hand side that gives a step, and of its solution."""
        self._pace.step(rhs[self._at[1]], x[self._at[1]], self.shift)

    # ---- solving -------------------------------------------------------------------------------

    def solve(self, rhs: Array) -> Array:
        """Solve with the shifted matrix."""
        b, p, at = self.blocks, self.places, self._at
        together = self._together if self._together is not None and self._together.usable else None
        own = np.empty((p.elements + p.chains, p.own)) if together is None else together.own
        rows = np.empty((p.elements, p.equal)) if together is None else together.rows
        own[:] = rows[:] = 0.0
        own.reshape(-1)[self._own] = rhs[at[0]]
        theta = np.zeros(p.border)
        theta[self._shared] = rhs[at[1]]
        rows.reshape(-1)[self._equal] = rhs[at[3]]
        shared = np.zeros(p.border_equal)
        shared[self._held] = rhs[at[5]]
        pull = np.zeros((p.elements, p.unequal))
        if p.unequal:
            pull = self._pull(rhs, self._slacks, at[4], b.D, b.delta)
        if p.border_unequal:
            theta += b.K.T @ self._pull(rhs, self._border_slacks, at[6], b.D_shared, b.delta_shared)

        if together is not None:
            v, more = together.down(pull)
            v, theta, nu = self._top.solve(v, theta + more, shared)
            y, mu, value = together.up(v, theta)
            return self._joined(rhs, (y, theta, mu, nu), value)
        down = for_each(
            lambda part: part.down(own[part.slots], rows[part.range], pull[part.range]), self.parts
        )
        for _, more in down:
            theta += more
        v, theta, nu = self._top.solve(np.concatenate([part[0] for part in down]), theta, shared)
        pairs = list(zip(self.parts, self._of_parts, strict=True))
        up = for_each(lambda pair: pair[0].up(v[pair[1]], theta), pairs)
        y, mu, value = (np.concatenate([part[i] for part in up]) for i in range(3))
        return self._joined(rhs, (y, theta, mu, nu), value)

    def _pull(self, rhs: Array, slacks: Index, rows: Index, D: Array, delta: Array) -> Array:
        s, r = self._of_rows(rhs, slacks, rows, D.shape)
        pulled: Array = (D * r + s) / (1.0 - D * delta)
        return pulled

    def _of_rows(
        self, rhs: Array, slacks: Index, rows: Index, shape: tuple[int, ...]
    ) -> tuple[Array, Array]:
        """Entries of slacks and of inequality rows, in the shape of the blocks."""
        b = self.blocks
        s, r = np.zeros(shape), np.zeros(shape)
        for table, index in ((s, slacks), (r, rows)):
            where = (b.slot[index], b.position[index]) if s.ndim == 2 else (b.position[index],)
            table[where] = rhs[index]
        return s, r

    def _joined(self, rhs: Array, found: tuple[Array, Array, Array, Array], value: Array) -> Array:
        """Put the solution together; ``value`` is the left-hand side of the inequality rows."""
        b, p, at = self.blocks, self.places, self._at
        y, theta, mu, nu = found
        x = np.empty(len(rhs))
        x[at[0]] = y.ravel()[self._own]
        x[at[1]] = theta[self._shared]
        x[at[3]] = mu.ravel()[self._equal]
        x[at[5]] = nu[self._held]
        if p.unequal:
            self._slack(x, rhs, (self._slacks, at[4]), value, b.D, b.delta)
        if p.border_unequal:
            where = self._border_slacks, at[6]
            self._slack(x, rhs, where, b.K @ theta, b.D_shared, b.delta_shared)
        return x

    def _slack(
        self,
        x: Array,
        rhs: Array,
        where: tuple[Index, Index],
        value: Array,
        D: Array,
        delta: Array,
    ) -> None:
        """Recover slacks and multipliers of inequality rows whose left-hand side is ``value``."""
        b = self.blocks
        s, r = self._of_rows(rhs, *where, D.shape)
        multiplier = (D * (value - r) - s) / (1.0 - D * delta)
        # by whichever of the two equations loses no digits
        slack = np.where(
            D > 1.0, (s + multiplier) / np.where(D > 1.0, D, 1.0), value + delta * multiplier - r
        )
        for index, table in zip(where, (slack, multiplier), strict=True):
            place = (b.slot[index], b.position[index]) if D.ndim == 2 else (b.position[index],)
            x[index] = table[place]
