"""Every script in examples/ runs, is short, and prints what the page of examples shows."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks_of, difference

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
MOST_LINES = 40


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


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < MOST_LINES
    shown = shown_outputs()
    assert path.name in shown, f"docs/examples.md does not show {path.name} and its output"
    monkeypatch.chdir(tmp_path)  # examples write files beside the caller
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        runpy.run_path(str(path), run_name="__main__")
    text, tolerance = shown[path.name]
    wrong = difference(text, output.getvalue(), tolerance)
    assert not wrong, f"{wrong}\n\n{output.getvalue()}"
