"""What the commands' tests share."""

import pytest

from tests.cli.small_models import DECAY, NETWORK
from tests.figures import quickly_drawn


@pytest.fixture(scope="package", autouse=True)
def _figures():
    with quickly_drawn():
        yield


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with the files of two small models."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "decay.py").write_text(DECAY)
    (folder / "network.py").write_text(NETWORK)
    return folder
