"""Fenced blocks of a Markdown page, and a comparison of shown with real output.

Conventions of our pages:

* the ```` ```python ```` blocks of a page run from top to bottom in one namespace;
* a ```` ```text ```` block right after a Python block is what that block prints;
* in a ```` ```console ```` block the lines that begin with ``$ collocode`` run, and what follows them
  is their output; without any such lines the output is not compared;
* ``...`` stands for any text, and so does a count of bytes; numbers are compared with a tolerance, 5 % unless
  ``<!-- tolerance: 30% -->`` stands before the block, and never finer than the last digit shown;
* ``<!-- not run: reason -->`` before a block says why it does not run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
USUAL_TOLERANCE = 0.05

_FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>```+) *(?P<language>[\w-]*)(?P<rest>[^\n`]*)\n"
    r"(?P<body>.*?)^(?P=indent)(?P=fence) *$",
    re.DOTALL | re.MULTILINE,
)
_COMMENT = re.compile(r"<!--\s*(not run|tolerance):\s*(.*?)\s*-->", re.DOTALL)
_BYTES = re.compile(r"\d[\d,]*(?= bytes\b)")
_NUMBER = re.compile(r"[-+−]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    not_run: str = ""
    tolerance: float = USUAL_TOLERANCE
    follows: bool = False  # whether only blanks and comments part it from the block before

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Every page whose blocks run."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(page: Path) -> list[Block]:
    """Blocks of a page in their order."""
    text = page.read_text(encoding="utf-8")
    found, end = [], 0
    for match in _FENCE.finditer(text):
        between = text[end : match.start()]
        marks = dict(_COMMENT.findall(between[between.rstrip().rfind("\n\n") + 1 :]))
        indent = len(match["indent"])
        found.append(
            Block(
                page,
                text.count("\n", 0, match.start()) + 1,
                match["language"],
                "".join(line[indent:] or "\n" for line in match["body"].splitlines(keepends=True)),
                marks.get("not run", ""),
                float(marks.get("tolerance", f"{100 * USUAL_TOLERANCE}%").rstrip("%")) / 100,
                bool(found) and not _COMMENT.sub("", between).strip(),
            )
        )
        end = match.end()
    return found


def difference(shown: str, real: str, tolerance: float = USUAL_TOLERANCE) -> str:
    """Say where the real output leaves the shown one, or nothing."""
    expected, got = (_tokens(_BYTES.sub("N", text)) for text in (shown, real))
    # after reading i expected tokens, the positions in `got` that can have been reached
    reached = {0}
    for i, token in enumerate(expected):
        if token == "...":
            reached = set(range(min(reached), len(got) + 1))
            continue
        step = {j + 1 for j in reached if j < len(got) and _same(token, got[j], tolerance)}
        if not step:
            near = " ".join(got[max(0, min(reached) - 3) : min(reached) + 8])
            return (
                f"{' '.join(expected[max(0, i - 3) : i + 1])!r} is shown, but printed is {near!r}"
            )
        reached = step
    if len(got) not in reached:
        return f"{' '.join(got[max(reached) :][:12])!r} is printed, but not shown"
    return ""


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    for word in text.split():
        if word == "...":
            tokens.append(word)
            continue
        position = 0
        for match in _NUMBER.finditer(word):
            # a digit inside a name, such as y1, belongs to the name
            if match.start() and (
                word[match.start() - 1].isalnum() or word[match.start() - 1] == "_"
            ):
                continue
            tokens += [word[position : match.start()], match.group()]
            position = match.end()
        tokens.append(word[position:])
    return [token for token in tokens if token]


def _same(shown: str, real: str, tolerance: float) -> bool:
    if shown == real:
        return True
    if not (_NUMBER.fullmatch(shown) and _NUMBER.fullmatch(real)):
        return False
    a, b = (float(s.replace("−", "-")) for s in (shown, real))
    mantissa, _, exponent = shown.lower().partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    return abs(a - b) <= max(tolerance * abs(a), 1.01 * unit)
