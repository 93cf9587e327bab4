"""Our docstrings as mkdocstrings wants them.

They are NumPy-style with mathematics in reStructuredText roles, and say shape and meaning in one
phrase behind the name (``points : (E+1,) increasing``).  Here the roles become ``$...$``, the phrases
become descriptions (types come from the annotations), tables become preformatted text and the names
of the public interface become links.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import griffe

_INIT = Path(__file__).parents[1] / "src" / "collocode" / "__init__.py"
_PUBLIC = set(re.findall(r'^    "(\w+)",$', _INIT.read_text(encoding="utf-8"), re.MULTILINE))
_SECTIONS = r"(Parameters|Attributes|Returns|Yields)\n-{3,}\n"


class Docstrings(griffe.Extension):
    """Rewrite every docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = rewritten(obj.docstring.value, obj.name)


def rewritten(text: str, name: str = "") -> str:
    """Turn a docstring into Markdown with NumPy-style sections."""
    text = re.sub(r":math:`([^`]*)`", lambda m: f"${m.group(1)}$", text)
    text = re.sub(r"^\.\. math:: *(.*(?:\n .*)*)", _display, text, flags=re.MULTILINE)
    text = re.sub(r"^=+ +=[= ]*\n(?:.*\n)+?=+ +=[= ]*$", _table, text, flags=re.MULTILINE)
    parts = re.split(rf"(?m)^(?={_SECTIONS})", text)
    text = "".join(part for i, part in enumerate(map(_section, parts)) if i % 2 == 0)
    return re.sub(r"(?<!`)`(\w+)`(?!`)", lambda m: _link(m.group(1), name), text)


def _display(match: re.Match[str]) -> str:
    return "\n$$\n" + "\n".join(line.strip() for line in match.group(1).split("\n")) + "\n$$\n"


def _table(match: re.Match[str]) -> str:
    return "```text\n" + match.group(0).replace("``", "") + "\n```"


def _section(part: str) -> str:
    head = re.match(_SECTIONS, part)
    if head is None:
        return part
    body, rest = part[head.end() :], ""
    following = re.search(r"(?m)^\w+\n-{3,}$", body)
    if following:
        body, rest = body[: following.start()], body[following.start() :]
    if head.group(1) in ("Returns", "Yields"):
        lines = [f"    {line}".rstrip() for line in body.strip("\n").split("\n")]
        return head.group(0) + ":\n" + "\n".join(lines) + "\n\n" + rest
    body = re.sub(r"(?m)^(\w+(?:, \w+)*) : (.*(?:\n(?:    .*)?)*)", _entries, body)
    return head.group(0) + body + rest


def _entries(match: re.Match[str]) -> str:
    """One entry for each name, so that each gets its own type and default."""
    text = match.group(2).rstrip()
    return "".join(f"{name}\n    {text}\n" for name in match.group(1).split(", ")) + "\n"


def _link(word: str, name: str) -> str:
    return f"[`{word}`][collocode.{word}]" if word in _PUBLIC and word != name else f"`{word}`"
