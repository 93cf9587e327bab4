r"""A few whole chains: their elimination, what it leaves of the Hessian, and right-hand sides.

Of each chain there stay links, mostly its two ends, with rows :math:`E x + B\theta = r` between them.  The
QR factorisation of :math:`E^T` makes the links :math:`x = N v + \Theta\theta`, so that a chain is left with as
many columns :math:`v` as it has states.  Parts know nothing of each other: each is worked on by a thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ... import kernels
from ...numerics import Array, Index
from .blocks import Blocks
from .compiled import Compiled
from .ends import Ends
from .plain import Plain


class Part:
    """The chains of one part; see the attributes made by `eliminate`.

    Parameters
    ----------
    blocks : of the whole matrix.
    elements, slots : of the part.

    Attributes
    ----------
    singular : whether rows depend on each other.
    stayed : slots of the links that stayed, among those of the part.
    D, W : (chains, states, states) and (chains, states, border) Hessian of v, and of v and border.
    shared : (border, border) upper triangle of the Hessian of the border.
    units : (links, border) rows whose squares a unit diagonal of the links adds to that of the border.
    condensed : (border, border) what the inequality rows add to it, or None.
    """

    # of an eliminated link in terms of its neighbours
    GROWTH: tuple[float, ...] = (1e3, 1e5, 1e7, 1e9)

    def __init__(self, blocks: Blocks, elements: slice, slots: slice) -> None:
        p = blocks.places
        self.range, self.slots, self._blocks = elements, slots, blocks
        self.states, self.inner, self.own, self.border = p.states, p.inner, p.own, p.border
        self.elements = elements.stop - elements.start
        self.chains = slots.stop - slots.start - self.elements
        self.before = p.before[elements] - slots.start
        self.firsts = self.elements + np.arange(self.chains)
        self.unequal = p.unequal
        self.fixed = np.ascontiguousarray(p.fixed[slots, p.inner :])

        def of(*names: str) -> list[Array]:
            return [blocks.part(name, elements, slots) for name in names]

        self._H, self._H_border, self._across = of("H", "H_border", "across")
        self.A, self.A_left, self.A_border = of("A", "A_left", "A_border")
        self._J, self._J_left, self._J_border = of("J", "J_left", "J_border")
        self._D, self._delta = of("D", "delta")
        self.shared = np.zeros((p.border, p.border))
        self.condensed: Array | None = None
        couples = blocks.has("across") or blocks.has("J_left")
        given = self, (self._H, self._across, self._H_border), couples
        library = kernels.library()
        self.work: Plain = Plain(*given) if library is None else Compiled(library, *given)

    def eliminate(self) -> None:
        """Load, condense inequalities, eliminate, and project the Hessian."""
        self._blocks.load_part(self.range, self.slots)
        self.condense()
        self.work.eliminate(self.GROWTH[0])
        self.settle()
        if not self.singular:
            self.project()

    def settle(self) -> None:
        """Take note of the first elimination; let links grow more if too many of a chain stayed."""
        el = self.work
        for growth in (*self.GROWTH[1:], None):
            self._begins = np.flatnonzero(el.left >= self.elements)
            self._lengths = np.diff(np.append(self._begins, len(el.left)))
            few = (int(self._lengths.max()) - 1) * self.states <= self.border + 150
            if few or growth is None:
                break
            el.eliminate(growth)
        self.singular = el.singular
        stayed = np.zeros(self.elements + self.chains, dtype=bool)
        stayed[el.left] = stayed[el.right] = True
        self.stayed = np.flatnonzero(stayed)

    def chains_of(self) -> Iterator[tuple[int, Index, Index]]:
        """Of all chains with as many segments: how many these are, the chains, their first segments."""
        for k in sorted(set(self._lengths.tolist())):
            chains = np.flatnonzero(self._lengths == k)
            yield k, chains, self._begins[chains]

    def condense(self) -> None:
        """Take out slacks and multipliers of the inequality rows."""
        if not self.unequal:
            return
        has = self._blocks.has
        J, left = self._J, self._J_left
        W = (self._D / (1.0 - self._D * self._delta))[:, :, None]
        self._H[: self.elements] += J.swapaxes(1, 2) @ (W * J)
        if has("J_left"):
            self._across += left.swapaxes(1, 2) @ (W * J)
            self._H[self.before, self.inner :, self.inner :] += left.swapaxes(1, 2) @ (W * left)
        if has("J_border"):
            V = W * self._J_border
            self._H_border[: self.elements] += J.swapaxes(1, 2) @ V
            self._H_border[self.before, self.inner :] += left.swapaxes(1, 2) @ V
            n = self.border
            self.condensed = self._J_border.reshape(-1, n).T @ V.reshape(-1, n)

    def project(self) -> None:
        """ZᵀHZ over v and the border."""
        self.work.project(self.shared)
        groups = []
        for k, chains, firsts in self.chains_of():
            group = self.work.ends(chains, firsts, k, self.fixed, self.shared)
            if group is None:
                self.singular = True
                return
            groups.append(group)
        self.take(groups)

    def take(self, groups: Sequence[Ends]) -> None:
        """Take note of what is left of all chains."""
        d, self._groups = self.states, groups
        if len(groups) == 1:
            self.D, self.W = groups[0].D, groups[0].W
            return
        self.D = np.zeros((self.chains, d, d))
        self.W = np.zeros((self.chains, d, self.border))
        for group in groups:
            self.D[group.chains], self.W[group.chains] = group.D, group.W

    @property
    def units(self) -> Array:
        """See above."""
        return np.concatenate([group.theta.reshape(-1, self.border) for group in self._groups])

    def raise_diagonal(self, shift: float) -> None:
        """Add to the diagonal of the links that stayed."""
        for group in self._groups:
            diagonal = np.arange(group.A.shape[1])
            group.A[:, diagonal, diagonal] += shift

    # ---- right-hand sides ----------------------------------------------------------------------

    def down(self, own: Array, rows: Array, pull: Array) -> tuple[Array, Array]:
        """Eliminate a right-hand side: (slots, own), equality rows, (elements, rows) inequality rows.

        Returns
        -------
        (chains, states) of v, and (border,) what is added to that of the border.
        """
        theta = np.zeros(self.border)
        self.pull(own, pull, theta)
        y, seg, links = self.work.down(own, rows, theta)
        v, self._kept = np.zeros((self.chains, self.states)), (own, y, links)
        for group in self._groups:
            v[group.chains] = group.down(seg, links, theta)
        return v, theta

    def pull(self, own: Array, pull: Array, theta: Array) -> None:
        """Add to a right-hand side what the inequality rows are left with."""
        E = self.elements
        if self.unequal:
            own[:E] += (self._J.swapaxes(1, 2) @ pull[:, :, None])[:, :, 0]
            if self._blocks.has("J_left"):
                left = self._J_left.swapaxes(1, 2) @ pull[:, :, None]
                own[self.before, self.inner :] += left[:, :, 0]
            if self._blocks.has("J_border"):
                theta += np.tensordot(pull, self._J_border, 2)

    def up(self, v: Array, theta: Array) -> tuple[Array, Array, Array]:
        """Complete the solution of the last right-hand side.

        Returns
        -------
        (slots, own) columns, (elements, rows) multipliers, and (elements, rows) values of the
        inequality rows.
        """
        own, y, links = self._kept
        found, nu = np.zeros_like(links), np.zeros((len(self.work.left), self.states))
        for group in self._groups:
            group.up(v[group.chains], theta, links, found, nu)
        mu = self.work.up(own, found, nu, theta, y)
        return y, mu, self.values(y, theta)

    def values(self, y: Array, theta: Array) -> Array:
        """Left-hand sides of the inequality rows."""
        value: Array = (self._J @ y[: self.elements, :, None])[:, :, 0]
        if self._blocks.has("J_left"):
            value += (self._J_left @ y[self.before, self.inner :, None])[:, :, 0]
        if self._blocks.has("J_border"):
            value += self._J_border @ theta
        return value
