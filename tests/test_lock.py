"""The lock has a version of everything that `pyproject.toml` asks for, inside the open ranges."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def asked_for():
    """Requirements of the package, its extras, its build, and of cyipopt's build."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["project"]["optional-dependencies"].values()
    tools = re.search(
        r"^BUILD_TOOLS = \[(.*?)\]$", (ROOT / "tools/build_cyipopt.py").read_text(), re.MULTILINE
    )
    assert tools is not None
    lines = [
        *project["project"]["dependencies"],
        *project["build-system"]["requires"],
        *(line for group in groups for line in group),
        *re.findall(r'"(.*?)"', tools[1]),
    ]
    return sorted({line for line in lines if not line.startswith("collocode")})


def locked():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in pins}


@pytest.mark.parametrize("requirement", [Requirement(line) for line in asked_for()], ids=str)
def test_what_is_asked_for_is_locked_inside_its_range(requirement):
    pin = locked().get(canonicalize_name(requirement.name))
    assert pin is not None, f"constraints.txt has no {requirement.name}; run `make lock`"
    (version,) = (part.version for part in pin.specifier)
    assert requirement.specifier.contains(version), "run `make lock`"


def test_a_later_python_takes_the_open_ranges():
    for pin in locked().values():
        assert pin.marker is not None
        assert pin.marker.evaluate({"python_version": "3.11"})
        assert not pin.marker.evaluate({"python_version": "3.99"})
