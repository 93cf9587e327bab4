"""Chains of elements with a shared border: the structure behind nearly every program here.

An element touches its own columns, the two links to its neighbours, and the border; so J and the
Hessian are block-tridiagonal in the order of the elements, with a dense border.  An experiment, a
phase or a sample's way through the layers is a chain; weights, shared parameters and free times are
the border.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import casadi as ca
import numpy as np

from ..numerics import Index
from .functions import Functions


@dataclass(frozen=True, eq=False)
class Chain:
    """One chain of elements.

    Attributes
    ----------
    links : (elements + 1, states) columns that neighbouring elements share, ends included.
    inner : (elements, inner) columns that one element alone touches.
    rows : (elements, rows) rows that touch one element's inner columns and its two links; -1 where
        an element has fewer than the others.
    """

    links: Index
    inner: Index
    rows: Index

    @property
    def elements(self) -> int:
        """Number of elements."""
        return len(self.inner)


@dataclass(frozen=True, eq=False)
class ChainStructure:
    """Chains side by side, and what all of them share.

    Attributes
    ----------
    chains : in the order of their columns.
    border : (columns,) columns that any element may touch.
    border_rows : (rows,) rows that touch the border only.
    """

    chains: tuple[Chain, ...]
    border: Index
    border_rows: Index

    def exceptions(self, functions: Functions) -> list[tuple[str, int, int]]:
        """Return the nonzeros of J and H that the structure does not have room for.

        Returns
        -------
        ("jacobian", row, column) and ("hessian", column, column); empty if the structure holds.
        """
        columns, rows = functions.columns, functions.rows
        first, last = self._elements_of_columns(columns)
        at = self._elements_of_rows(rows)
        found = []
        i, j = _triplet(functions.jacobian.sparsity_out(1))
        # a border column is at home in every element; a border row in none
        fits = (first[j] < 0) | ((at[i] >= first[j]) & (at[i] <= last[j]))
        found += [("jacobian", int(a), int(b)) for a, b in zip(i[~fits], j[~fits], strict=True)]
        i, j = _triplet(functions.hessian.sparsity_out(0))
        shared = (first[i] < 0) | (first[j] < 0)
        fits = shared | ((first[i] <= last[j]) & (first[j] <= last[i]))
        found += [("hessian", int(a), int(b)) for a, b in zip(i[~fits], j[~fits], strict=True)]
        return found

    def groups(self, columns: int, rows: int) -> tuple[Index, Index, Index]:
        """Number the elements through all chains, and the border after them.

        A link belongs to the element on its right.

        Returns
        -------
        (columns,) and (rows,) groups, and (elements,) whether an element is the last one of its chain.
        """
        ends = np.cumsum([chain.elements for chain in self.chains])
        of_columns, of_rows = (np.full(count, ends[-1]) for count in (columns, rows))
        is_last = np.zeros(ends[-1], dtype=bool)
        is_last[ends - 1] = True
        for end, chain in zip(ends, self.chains, strict=True):
            number = np.arange(end - chain.elements, end)[:, None]
            of_columns[chain.inner] = of_columns[chain.links[:-1]] = number
            of_columns[chain.links[-1]] = end - 1
            inside = chain.rows >= 0
            of_rows[chain.rows[inside]] = np.broadcast_to(number, chain.rows.shape)[inside]
        return of_columns, of_rows, is_last

    def _elements_of_columns(self, count: int) -> tuple[Index, Index]:
        """First and last element, numbered through all chains, that a column belongs to; -1 border."""
        first, last = np.full(count, -1), np.full(count, -1)
        offset = 0
        for chain in self.chains:
            number = offset + np.arange(chain.elements)
            first[chain.inner] = last[chain.inner] = number[:, None]
            link = offset + np.arange(chain.elements + 1)
            first[chain.links] = np.maximum(link - 1, offset)[:, None]
            last[chain.links] = np.minimum(link, offset + chain.elements - 1)[:, None]
            offset += chain.elements
        return first, last

    def _elements_of_rows(self, count: int) -> Index:
        at = np.full(count, -1)
        offset = 0
        for chain in self.chains:
            for number, rows in enumerate(chain.rows):
                at[rows[rows >= 0]] = offset + number
            offset += chain.elements
        return at


def stacked(groups: int, parts: Sequence[tuple[Index, Index]]) -> Index:
    """Return a table of groups, filled up with -1: each part tells the groups of its first axis."""
    sizes = [table[0].size if len(table) else 0 for _, table in parts]
    group = np.concatenate([np.repeat(g, n) for (g, _), n in zip(parts, sizes, strict=True)])
    order = np.argsort(group, kind="stable")
    group, counts = group[order], np.bincount(group, minlength=groups)
    place = np.arange(len(group)) - (np.cumsum(counts) - counts)[group]
    found = np.full((groups, counts.max(initial=0)), -1)
    found[group, place] = np.concatenate([table.ravel() for _, table in parts])[order]
    return found


def _triplet(pattern: ca.Sparsity) -> tuple[Index, Index]:
    rows, columns = pattern.get_triplet()
    return np.array(rows, dtype=int), np.array(columns, dtype=int)
