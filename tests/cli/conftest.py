"""What the commands' tests share."""

import pytest

from tests.figures import quickly_drawn


@pytest.fixture(scope="package", autouse=True)
def _figures():
    with quickly_drawn():
        yield
