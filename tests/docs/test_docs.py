"""Every Python block and every ``$ collocode`` command of README and pages does what is shown."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import re
import shlex
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import collocode
from collocode.cli.main import app
from tests.docs.blocks import ROOT, Block, blocks_of, difference, pages
from tests.figures import quickly_drawn

# a page that is about an optional package is tested where the package is installed
NEEDS = {
    "solving/interfaces.md": ("pyomo",),
    "exchange.md": ("pyomo", "onnx"),
    "petab.md": ("libsbml", "yaml", "h5py"),
    "growing.md": ("equinox", "sklearn"),
    "relu.md": ("highspy", "optax", "pyomo"),
}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def python_pages() -> list[Path]:
    return [page for page in pages() if any(b.language == "python" for b in blocks_of(page))]


def commands() -> list[Any]:
    """One case a console block."""
    return [
        pytest.param(block, id=f"{block.where}")
        for page in pages()
        for block in blocks_of(page)
        if block.language == "console" and not block.not_run and "$ collocode" in block.text
    ]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that sees the repository's models and examples."""
    for folder in ("models", "examples"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    return tmp_path


@pytest.mark.parametrize("page", python_pages(), ids=name_of)
def test_python_blocks(page: Path, workplace: Path) -> None:
    for package in NEEDS.get(str(page.relative_to(ROOT)).removeprefix("docs/"), ()):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    namespace: dict[str, Any] = {"__name__": "page"}
    printed: str | None = None
    for block in blocks_of(page):
        if block.language == "python" and not block.not_run and "--8<--" not in block.text:
            printed = run_python(block, namespace)
            continue
        if block.language == "text" and block.follows and printed is not None:
            assert not difference(block.text, printed, block.tolerance), (
                f"{block.where}: {difference(block.text, printed, block.tolerance)}\n\n{printed}"
            )
        printed = None


def run_python(block: Block, namespace: dict[str, Any]) -> str:
    output = io.StringIO()
    # the line numbers of a traceback are those of the page
    code = compile("\n" * block.line + block.text, name_of(block.page), "exec")
    with contextlib.redirect_stdout(output):
        exec(code, namespace)
    return output.getvalue()


@pytest.mark.parametrize("block", commands())
def test_console_blocks(
    block: Block,
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """In this process, as far as its file descriptors: what C code prints counts too."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    for command, shown, status in split_commands(block.text):
        words = shlex.split(command, comments=True)
        if words[0] != "collocode":
            continue
        with quickly_drawn(), pytest.raises(SystemExit) as ended:
            app(words[1:], prog_name="collocode")
        printed = "".join(capfd.readouterr())
        got = ended.value.code or 0
        assert got == status, f"{block.where}: {command} -> {got}\n{printed}"
        if shown.strip():
            wrong = difference(shown, printed, block.tolerance)
            assert not wrong, f"{block.where}: {command}: {wrong}\n\n{printed}"


def split_commands(text: str) -> list[tuple[str, str, int]]:
    """(command, shown output, exit status) of a console block.

    Output with ``error:`` belongs to exit status 2, one with ``error: not solved`` to 1.
    """
    found: list[tuple[str, str, int]] = []
    for part in ("\n" + text.replace("\\\n", " ")).split("\n$ ")[1:]:
        command, _, shown = part.partition("\n")
        failed = 1 if "error: not solved" in shown else 2 if "error: " in shown else 0
        found.append((command, shown, failed))
    return found


def test_marked_blocks_give_a_reason() -> None:
    for page in pages():
        for block in blocks_of(page):
            assert "not run:" not in block.text, f"{block.where}: the mark belongs before the block"
            if block.language == "python" and block.not_run:
                assert len(block.not_run) > 3, f"{block.where}: say why it is not run"


def test_every_public_name_is_in_the_reference() -> None:
    """Under whichever of its names: what counts is that the object is described."""
    text = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "docs" / "api").glob("*.md"))
    entries = re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE)
    described = [_resolved(entry) for entry in entries]

    def found(name: str) -> bool:
        thing = getattr(collocode, name)
        if isinstance(thing, ModuleType):
            return any(entry.startswith(thing.__name__ + ".") for entry in entries)
        return any(thing is other for other in described)

    missing = [name for name in collocode.__all__ if not found(name)]
    assert not missing, f"add to docs/api: {', '.join(missing)}"


def _resolved(entry: str) -> Any:
    """The object behind a dotted name; a package's attribute hides a module of that name."""
    module, _, name = entry.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize(
    ("shown", "real", "same"),
    [
        ("a 1.00e-3 b", "a 1.02e-03 b", True),
        ("a 1.00e-3 b", "a 1.20e-03 b", False),
        ("total ... s", "total 0.3 times 4 s", True),
        ("total ... s", "total 0.3", False),
        ("y1 = 2", "y2 = 2", False),
        ("one", "one two", False),
        ("gap 0.0", "gap 0.04", True),
        ("(order 5), x", "(order 5), x", True),
        ("wrote m.nl (147,194 bytes)", "wrote m.nl (9,876,543 bytes)", True),
        ("wrote m.nl (147,194 bytes)", "wrote n.nl (147,194 bytes)", False),
    ],
)
def test_comparison(shown: str, real: str, same: bool) -> None:
    assert (not difference(shown, real)) is same
