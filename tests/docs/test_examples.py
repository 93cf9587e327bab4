"""Every script in examples/ is short, runs as a notebook, and prints what the page of examples shows."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import io
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.docs.blocks import ROOT, blocks_of, difference
from tests.waiting import HANGS

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
MOST_LINES = 40

pytest.importorskip("jupytext")


def _notebooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebooks", ROOT / "docs" / "notebooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


notebooks = _notebooks()


def shown_outputs() -> dict[str, tuple[str, float]]:
    """What docs/examples.md shows under each included script."""
    found: dict[str, tuple[str, float]] = {}
    script = ""
    for block in blocks_of(ROOT / "docs" / "examples.md"):
        included = re.search(r"--8<--\nexamples/(\w+\.py)", block.text)
        if included:
            script = included.group(1)
        elif block.language == "text" and block.follows and script:
            found[script] = block.text, block.tolerance
            script = ""
    return found


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder beside models/, as the notebooks ask for; examples write files there."""
    (tmp_path / "models").symlink_to(ROOT / "models")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    return tmp_path / "notebooks"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example(path: Path, beside: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < MOST_LINES
    shown = shown_outputs()
    assert path.name in shown, f"docs/examples.md does not show {path.name} and its output"
    namespace: dict[str, Any] = {"__name__": "__main__"}
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        for cell in notebooks.notebook(path).cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, path.name, "exec"), namespace)
    text, tolerance = shown[path.name]
    wrong = difference(text, output.getvalue(), tolerance)
    assert not wrong, f"{wrong}\n\n{output.getvalue()}"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_a_notebook_says_what_the_script_says(path: Path) -> None:
    made = notebooks.notebook(path)
    code = "\n".join(cell.source for cell in made.cells if cell.cell_type == "code")
    script = ast.parse(path.read_text(encoding="utf-8"))
    told = ast.get_docstring(script)
    assert told is not None
    assert told in made.cells[0].source
    script.body = script.body[1:]
    same = ast.unparse(script).replace("Path(__file__).parents[1]", "Path.cwd().parent")
    assert ast.unparse(ast.parse(code)) == same
    assert "__file__" not in code
    link = f"(notebooks/{path.stem}.ipynb)"
    assert link in (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")


@pytest.mark.slow  # starts a kernel for each
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_notebook_in_a_kernel(path: Path, beside: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    made = notebooks.notebook(path)
    nbclient.NotebookClient(made, timeout=HANGS, resources={"metadata": {"path": beside}}).execute()
    outputs = [out for cell in made.cells if cell.cell_type == "code" for out in cell.outputs]
    text = "".join(out.text for out in outputs if out.get("name") == "stdout")
    shown, tolerance = shown_outputs()[path.name]
    wrong = difference(shown, text, tolerance)
    assert not wrong, f"{wrong}\n\n{text}"
