"""CONTRIBUTING tells the truth about where things are."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "src" / "collocode"


def rows() -> list[tuple[str, list[str], list[str]]]:
    """(request, files, names) of the table of places."""
    table = TEXT.split("## Where do I change")[1].split("\n## ")[0]
    cells = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")]
    return [
        (a.strip(), re.findall("`(.+?)`", b), re.findall("`(.+?)`", c)) for a, b, c in cells[1:]
    ]


def place_of(path: str) -> Path:
    found = [folder / path for folder in (PACKAGE, ROOT) if (folder / path).exists()]
    assert found, f"CONTRIBUTING.md names {path}, which is not there"
    return found[0]


def names_in(path: Path) -> set[str]:
    """Names that a module binds at its top level."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def test_there_are_at_least_twenty_requests() -> None:
    requests = [request for request, _, _ in rows()]
    assert len(set(requests)) == len(requests) >= 20


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_places_exist(row: tuple[str, list[str], list[str]]) -> None:
    _, files, names = row
    assert files
    assert names
    places = [place_of(file) for file in files]
    known = set().union(*(names_in(path) for path in places if path.suffix == ".py"))
    assert not set(names) - known, f"not in {', '.join(files)}"


def test_all_files_named_in_the_text_exist() -> None:
    for path in re.findall(r"`([\w./-]+\.(?:py|md|toml|css|txt|yml))`", TEXT):
        place_of(path)
    for path in re.findall(r"`((?:docs|models|tests|src|export|solvers)/[\w./-]*/)`", TEXT):
        place_of(path)


def test_the_layers_are_those_that_are_enforced() -> None:
    shown = TEXT.split("```text\n")[1].split("```")[0]
    drawn = [set(re.findall(r"\w+", re.split(r"\s{3,}", line)[0])) for line in shown.splitlines()]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c["type"] == "layers")
    enforced = [set(re.findall(r"collocode\.(\w+)", layer)) for layer in layers]
    *above, lowest = drawn  # the last line stands for all that is left
    assert above == enforced[: len(above)]
    assert lowest == set().union(*enforced[len(above) :])


def test_every_module_is_in_a_layer() -> None:
    """Import-linter does not look at what no layer names; doors are imported by nobody here."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(c["layers"] for c in contracts["contracts"] if c["type"] == "layers")
    named = set(re.findall(r"collocode\.(\w+)", " ".join(layers)))
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert there - {"__init__", "__main__", "__pycache__", "pyomo_plugin"} == named
