"""Factorisation of Ipopt's augmented matrix by chains: condense, eliminate, project, solve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...transcription.program import Program
from .blocks import Blocks, Order, Places, Unsuited
from .elimination import Elimination
from .top import Top

Array = NDArray[np.float64]
Index = NDArray[np.intp]
# with fewer columns in the border a shift of these alone has to be large: Ipopt's own does better
MANY = 40
_TILE = 256
_GROWTH = (1e3, 1e5, 1e7, 1e9)  # of an eliminated link in terms of its neighbours


class ChainFactor:
    """The matrices of one program, one after the other.

    Parameters
    ----------
    program : with a `structure`.
    start, columns : compressed rows of the upper triangle, from 0.

    Attributes
    ----------
    shifts : whether the Hessian is made positive definite here, and not by Ipopt.
    shift : what was added to the diagonal of `top_columns`.

    Raises
    ------
    Unsuited
        A matrix that is not chains and a border, in words.
    """

    def __init__(self, program: Program, start: Index, columns: Index) -> None:
        if program.structure is None:
            raise Unsuited("it has no chains")
        self.order = order = Order.of(program)
        if order.size != len(start) - 1:
            raise Unsuited("Ipopt treats its fixed variables otherwise")
        self.places = p = Places(program.structure, order, program.columns, program.rows)
        self.blocks = b = Blocks(p, order, start, columns)
        self._Z = np.zeros((p.elements + 1, p.own, 2 * p.states + p.border))
        self._X = np.zeros((p.elements, p.own, 2 * p.states + p.border))
        kinds, flat = b.kind, b.slot * p.own + b.position
        self._at = [np.flatnonzero(kinds == k) for k in range(7)]
        self._own = flat[self._at[0]]
        row = b.slot * p.equal + b.position
        self._equal = row[self._at[3]]
        self._unequal = (b.slot * p.unequal + b.position)[self._at[4]]
        slack = self._at[2]
        inside = b.slot[slack] >= 0
        self._slacks, self._border_slacks = slack[inside], slack[~inside]
        self.shifts, self.shift = p.border >= MANY, 0.0

    @property
    def top_columns(self) -> Index:
        """Rows of Ipopt's matrix whose diagonal `shift` was added to."""
        p, b = self.places, self.blocks
        stayed = np.zeros(p.elements + p.chains, dtype=bool)
        stayed[self._links] = True
        x = self._at[0]
        links = x[stayed[b.slot[x]] & (b.position[x] >= p.inner)]
        return np.append(links, self._at[1])

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
        b, p = self.blocks, self.places
        b.load(values)
        if b.C.any():
            raise Unsuited("its equations are relaxed")
        self._condense()
        most = len(b.H_shared) + 150
        for growth in _GROWTH:
            self._el = el = Elimination(b, growth, self._Z)
            if (len(el.left) - p.chains) * p.states <= most:
                break
        if el.singular:
            return 0, True
        F = self._reduced_hessian()
        self._top = top = Top(p, el, F, self._links, b.G, self.shifts)
        if not top.finite:
            raise Unsuited("a number in it is not finite")
        self.shift = top.shift
        if top.singular or self.shifts:
            return self.order.negative, top.singular
        # indefinite without a negative eigenvalue is singular to working precision
        return self.negative(), not top.positive and not top.negative()

    def negative(self) -> int:
        """Number of negative eigenvalues before the shift."""
        return self.order.negative + self._top.negative()

    def _condense(self) -> None:
        """Take out slacks and multipliers of the inequality rows."""
        b, p = self.blocks, self.places
        weight = b.D / (1.0 - b.D * b.delta)
        if p.unequal:
            W = weight[:, :, None]
            J, left = b.J, b.J_left
            b.H[: p.elements] += J.swapaxes(1, 2) @ (W * J)
            if b.has("J_left"):
                across = left.swapaxes(1, 2) @ (W * J)
                b.across[:] += across
                b.H[p.before, p.inner :, p.inner :] += left.swapaxes(1, 2) @ (W * left)
            if b.has("J_border"):
                V = W * b.J_border
                b.H_border[: p.elements] += J.swapaxes(1, 2) @ V
                b.H_border[p.before, p.inner :] += left.swapaxes(1, 2) @ V
                n = p.border
                b.H_shared[:] += b.J_border.reshape(-1, n).T @ V.reshape(-1, n)
        if p.border_unequal:
            shared = b.D_shared / (1.0 - b.D_shared * b.delta_shared)
            b.H_shared[:] += b.K.T @ (shared[:, None] * b.K)
        self._couples = b.has("across") or b.has("J_left")

    def _reduced_hessian(self) -> Array:
        """ZᵀHZ over the links that stayed and the border."""
        b, p, el, Z, X = self.blocks, self.places, self._el, self._Z, self._X
        d, n, c = p.states, p.border, 2 * p.states
        np.matmul(0.5 * b.H[: p.elements], Z[:-1], out=X)
        if self._couples:
            X += b.across.swapaxes(1, 2) @ Z[el.start, p.inner :]
        X[:, :, c:] += b.H_border[: p.elements]
        self._links = np.unique(np.append(el.left, el.right))
        at = np.full(p.elements + p.chains, -1)
        at[self._links] = np.arange(len(self._links))
        t = len(self._links) * d
        F = np.zeros((t + n, t + n))
        w = c + n
        half = Z[:-1].reshape(-1, w)[:, c:].T @ X.reshape(-1, w)[:, c:]
        _put_sum(F[t:, t:], half, b.H_shared)
        first = 0
        for left, right in zip(el.left.tolist(), el.right.tolist(), strict=True):
            Zs, Xs = Z[first : right + 1].reshape(-1, w), X[first : right + 1].reshape(-1, w)
            first = right + 1
            where = np.append(at[left] * d + np.arange(d), at[right] * d + np.arange(d))
            own = Zs[:, :c].T @ Xs
            F[np.ix_(where, where)] += own[:, :c] + own[:, :c].T
            F[where, t:] += own[:, c:] + Xs[:, :c].T @ Zs[:, c:]
        firsts = p.elements + np.arange(p.chains)
        where = at[firsts][:, None] * d + np.arange(d)
        F[where[:, :, None], where[:, None, :]] += b.H[firsts, p.inner :, p.inner :]
        F[where, t:] += b.H_border[firsts, p.inner :]
        F[t:, :t] = F[:t, t:].T
        held = np.flatnonzero(p.fixed[self._links, p.inner :].ravel())
        F[held, held] += 1.0
        return F

    # ---- solving -------------------------------------------------------------------------------

    def solve(self, rhs: Array) -> Array:
        """Solve with the shifted matrix."""
        b, p, el, Z = self.blocks, self.places, self._el, self._Z
        d, n, c = p.states, p.border, 2 * p.states
        own, theta, rows, shared = self._split(rhs)
        seg, rho = el.up(rows)
        y = el.particular(rho)
        h = own - self._times(y)
        t = len(self._links) * d
        at = np.full(p.elements + p.chains, -1)
        at[self._links] = np.arange(len(self._links))
        right = np.zeros(t + n)
        flat = h[: p.elements].reshape(-1)
        right[t:] = theta + flat @ Z[:-1].reshape(-1, c + n)[:, c:]
        right[t:] -= np.tensordot(y, b.H_border, 2)
        ends = (Z[:-1, :, :c].swapaxes(1, 2) @ h[: p.elements, :, None])[:, :, 0]
        begins = np.append(0, el.right[:-1] + 1)
        ends = np.add.reduceat(ends, begins, axis=0)
        links = right[:t].reshape(-1, d)
        links[at[el.left]] += ends[:, :d]
        links[at[el.right]] += ends[:, d:]
        firsts = p.elements + np.arange(p.chains)
        links[at[firsts]] += h[firsts, p.inner :]
        solution, nu, nu_border = self._top.solve(right, seg, shared)
        links, found = solution[:t].reshape(-1, d), solution[t:]
        ends = np.concatenate([links[at[el.left]], links[at[el.right]]], axis=1)[el.segment]
        y[: p.elements] += (Z[:-1, :, :c] @ ends[:, :, None])[:, :, 0]
        y[: p.elements] += (Z[:-1].reshape(-1, c + n)[:, c:] @ found).reshape(p.elements, p.own)
        y[firsts, p.inner :] = links[at[firsts]]
        g = own - self._times(y) - b.H_border @ found
        mu = el.multipliers(g, nu)
        return self._joined(rhs, y, found, mu, nu_border)

    def _times(self, y: Array) -> Array:
        """H y over the owned columns."""
        b, p = self.blocks, self.places
        out: Array = (b.H @ y[:, :, None])[:, :, 0]
        if self._couples:
            before = y[p.before, p.inner :, None]
            out[: p.elements] += (b.across.swapaxes(1, 2) @ before)[:, :, 0]
            out[p.before, p.inner :] += (b.across @ y[: p.elements, :, None])[:, :, 0]
        return out

    def _split(self, rhs: Array) -> tuple[Array, Array, Array, Array]:
        """Right-hand sides of owned columns, border, rows of elements, rows of the border."""
        b, p, at = self.blocks, self.places, self._at
        own = np.zeros((p.elements + p.chains, p.own))
        own.ravel()[self._own] = rhs[at[0]]
        theta = np.zeros(p.border)
        theta[b.position[at[1]]] = rhs[at[1]]
        rows = np.zeros((p.elements, p.equal))
        rows.ravel()[self._equal] = rhs[at[3]]
        shared = np.zeros(p.border_equal)
        shared[b.position[at[5]]] = rhs[at[5]]
        if p.unequal:
            pull = self._pull(rhs, self._slacks, at[4], b.D, b.delta)
            own[: p.elements] += (b.J.swapaxes(1, 2) @ pull[:, :, None])[:, :, 0]
            if b.has("J_left"):
                own[p.before, p.inner :] += (b.J_left.swapaxes(1, 2) @ pull[:, :, None])[:, :, 0]
            if b.has("J_border"):
                theta += np.tensordot(pull, b.J_border, 2)
        if p.border_unequal:
            theta += b.K.T @ self._pull(rhs, self._border_slacks, at[6], b.D_shared, b.delta_shared)
        return own, theta, rows, shared

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

    def _joined(self, rhs: Array, y: Array, theta: Array, mu: Array, nu: Array) -> Array:
        b, p, at = self.blocks, self.places, self._at
        x = np.empty(len(rhs))
        x[at[0]] = y.ravel()[self._own]
        x[at[1]] = theta[b.position[at[1]]]
        x[at[3]] = mu.ravel()[self._equal]
        x[at[5]] = nu[b.position[at[5]]]
        if p.unequal:
            value = (b.J @ y[: p.elements, :, None])[:, :, 0]
            if b.has("J_left"):
                value += (b.J_left @ y[p.before, p.inner :, None])[:, :, 0]
            if b.has("J_border"):
                value += b.J_border @ theta
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


def _put_sum(out: Array, half: Array, more: Array) -> None:
    """Write half + halfᵀ + more, all symmetric in the end, by tiles that stay in the cache."""
    for i in range(0, len(out), _TILE):
        for j in range(0, i + 1, _TILE):
            here, there = slice(i, i + _TILE), slice(j, j + _TILE)
            tile = half[here, there] + half[there, here].T
            tile += more[here, there]
            out[here, there] = tile
            out[there, here] = tile.T
