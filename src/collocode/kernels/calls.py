"""Calls of kernels that are made again and again with the same arrays: all in one, and side by side."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import address

_ARGUMENTS = 9
Argument = int | str | ctypes.c_void_p | NDArray[Any]


class Calls:
    """Lists of calls, in each one after the other, which do not depend on each other.

    Parameters
    ----------
    library : the compiled kernels.
    lists : calls as (name of the kernel, its arguments): numbers, addresses, arrays, which stay where they are, or
        names, whose addresses are told by `place`.
    """

    def __init__(self, library: ctypes.CDLL, lists: Sequence[Sequence[tuple[Any, ...]]]) -> None:
        calls = [call for calls in lists for call in calls]
        starts = np.cumsum([0, *map(len, lists)]).astype(np.int64)
        self._table = np.zeros((len(calls), 1 + _ARGUMENTS), dtype=np.int64)
        self._named: dict[str, tuple[list[int], list[int]]] = {}
        for k, (name, *arguments) in enumerate(calls):
            kernel = ctypes.cast(getattr(library, name), ctypes.c_void_p)
            self._table[k, 0] = _word(kernel)
            for j, argument in enumerate(arguments, start=1):
                if isinstance(argument, str):
                    for where, number in zip(
                        self._named.setdefault(argument, ([], [])), (k, j), strict=True
                    ):
                        where.append(number)
                else:
                    self._table[k, j] = _word(argument)
        self._results = np.zeros(len(calls), dtype=np.int64)
        self._kept, self._placed = lists, dict[str, int]()
        self._library = library
        self._arrays = starts, self._table, self._results
        self._count, self._addresses = ctypes.c_int64(len(lists)), [*map(address, self._arrays)]

    def place(self, name: str, array: NDArray[Any]) -> None:
        """Tell where an array is, which has to stay there for the next run."""
        where = address(array).value or 0
        if self._placed.get(name) != where:
            self._table[self._named[name]] = where
            self._placed[name] = where

    def run(self, threads: int) -> NDArray[np.int32]:
        """Make all calls; return what each of them does, by kernels that return nothing anything."""
        self._library.run_calls(ctypes.c_int64(threads), self._count, *self._addresses)
        return self.results

    @contextmanager
    def meanwhile(self, threads: int) -> Iterator[None]:
        """Let all threads but this one make the calls; this one does what is left at the end of the context."""
        start, finish, given = (
            self._library.start_calls,
            self._library.finish_calls,
            self._addresses,
        )
        begun = start(ctypes.c_int64(threads), self._count, *given)
        try:
            yield
        finally:
            finish(ctypes.c_int64(begun), self._count, *given)

    @property
    def results(self) -> NDArray[np.int32]:
        """What the calls returned last."""
        return self._results.astype(np.int32)


def _word(argument: Any) -> int:
    if isinstance(argument, np.ndarray):
        return address(argument).value or 0
    if isinstance(argument, ctypes.c_void_p):
        return argument.value or 0
    return int(argument)
