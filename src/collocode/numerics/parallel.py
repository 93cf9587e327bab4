"""Threads for parts that do not depend on each other: the same numbers on one core and on several."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import lru_cache
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")
_threads: ContextVar[int | None] = ContextVar("threads", default=None)


def most_threads() -> int:
    """How many threads may be used here: what `threads` says, else one."""
    return _threads.get() or 1


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Let `for_each` use so many threads, for the time of the context; None leaves it open."""
    token = _threads.set(count)
    try:
        yield
    finally:
        _threads.reset(token)


def for_each(function: Callable[[_T], _R], parts: Sequence[_T]) -> list[_R]:
    """Return the function of every part, in their order.

    Parts are worked on by as many threads as `threads` says, by one if nothing does.  What is gained depends on how much of
    the function runs without Python's lock: NumPy on large arrays does, Python itself does not.
    """
    count = min(most_threads(), len(parts))
    if count < 2:
        return [function(part) for part in parts]
    # contexts carry NumPy's error state along; threads of a thread would wait for themselves
    tasks = []
    for part in parts:
        context = copy_context()
        context.run(_threads.set, 1)
        tasks.append(_pool(count).submit(context.run, function, part))
    return [task.result() for task in tasks]


def parts_of(work: float) -> int:
    """How many parts some work is cut into: one, or as many times four as its size says.

    It depends on the work alone, so that sums over the parts are the same on any number of cores.
    """
    return 1 if work < 2.0 else 4 * math.ceil(work / 4.0)


@lru_cache(maxsize=4)
def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "collocode")
