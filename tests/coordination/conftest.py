"""Fixtures that the tests of ADMM's processes share."""

import pytest

from collocode.coordination.executors import InProcess

from .faulty import Case, oscillators


@pytest.fixture(scope="package")
def folder(tmp_path_factory):
    """Where a `Trap` looks for what to do."""
    return tmp_path_factory.mktemp("trap")


@pytest.fixture(scope="package")
def case(folder):
    return Case.of(oscillators(str(folder)))


@pytest.fixture(scope="package")
def undisturbed(case):
    """The state after four iterations in one process, of which nothing has gone wrong."""
    return case.run(case.open(InProcess()))[0]


@pytest.fixture
def told(folder):
    """Tell the trap what to do; afterwards it does nothing."""
    yield lambda what: (folder / what).touch()
    for file in folder.iterdir():
        file.unlink()
