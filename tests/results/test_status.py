"""One enum says why things ended; a message has the specifics."""

from __future__ import annotations

import pytest

from collocode import Termination
from collocode.results.status import Outcome


def test_an_outcome_says_its_message_or_else_its_termination() -> None:
    full = Outcome(termination=Termination.SIZE_LIMIT, message="layer budget used up")
    assert full.status == "layer budget used up"
    assert Outcome(termination=Termination.TIME_LIMIT).status == "time limit"


@pytest.mark.parametrize("termination", Termination)
def test_only_what_cannot_be_gone_on_from_has_failed(termination: Termination) -> None:
    bad = {"INFEASIBLE", "DIVERGING", "UNBOUNDED", "EVALUATION_ERROR", "ERROR"}
    assert termination.failed == (termination.name in bad)
