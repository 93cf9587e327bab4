r"""Links: windows that follow each other, or that close upon themselves.

.. math:: x^+(t^+_0) = j\bigl(t^-_f, x^-(t^-_f), u, p\bigr),\qquad t^+_0 = t^-_f

A state jumps by a given map at a link (a stage is dropped, a batch is diluted) or goes over as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from ..checks import apart, as_names, check_fields, check_named
from ..errors import InputError
from .experiment import Experiment


@dataclass(frozen=True)
class Link:
    """The end of one window is the start of another, or its own: a periodic orbit.

    Parameters
    ----------
    before, after : names of the windows.
    states : names of the states that go over; empty for all but those of an `IntegralConstraint`, which
        begins at zero in every window.
    jump : ``j(t, x, u, p, nn)`` at the end of ``before``, by the state that it gives; the others go over
        as they are.
    time : whether ``after`` starts when ``before`` ends; False for a periodic orbit, or for windows that
        each have a time of their own.

    Examples
    --------
    A stage of mass 0.2 that is dropped, and a periodic orbit:

    >>> drop = Link("boost", "coast", jump={"m": lambda t, x, u, p, nn: x.m - 0.2})
    >>> orbit = Link("orbit", "orbit", time=False)
    >>> drop.name, orbit.name
    ('boost to coast', 'orbit to orbit')
    """

    before: str
    after: str
    _: KW_ONLY
    states: tuple[str, ...] = ()
    jump: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    time: bool = True

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "states", as_names(self.states, f"states= of link {self.name!r}"))
        for state, jump in self.jump.items():
            if not callable(jump):
                raise InputError(
                    f"the jump of {state!r} in link {self.name!r} is a function of (t, x, u, p, nn), not "
                    f"{jump!r}."
                )
        if self.time and self.before == self.after:
            raise InputError(
                f"window {self.before!r} cannot start when it ends; give time=False for a periodic orbit."
            )
        stray = [name for name in self.jump if self.states and name not in self.states]
        if stray:
            raise InputError(
                f"link {self.name!r} has a jump of {stray[0]!r}, which is not among its states="
                f"{self.states}; add it there."
            )

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.before} to {self.after}"

    def check(self, windows: Mapping[str, Experiment], states: Sequence[str]) -> None:
        """Refuse names that a problem does not have, and times that do not meet."""
        where = f"link {self.name!r}"
        check_named(where, (self.before, self.after), "window", windows)
        check_named(where, (*self.states, *self.jump), "state", states)
        before, after = windows[self.before], windows[self.after]
        assert before.end is not None
        late = [
            e.time for e in before.events if not isinstance(e.time, str) and e.time >= before.end
        ]
        if late:
            told = apart(before.end, late[0], digits=12)
            raise InputError(
                f"window {before.name!r} ends at {told[0]}, before its event at {told[1]} acts; give it to "
                f"{after.name!r}, or to the link as a jump=."
            )
        if self.time and not (before.is_free or after.is_free) and before.end != after.start:
            told = apart(after.start, before.end, digits=12)
            raise InputError(
                f"window {after.name!r} starts at {told[0]}, not when {before.name!r} ends, at "
                f"{told[1]}; shift it, free a time, or give the link time=False."
            )
