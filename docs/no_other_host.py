"""The site reads without a connection: a page or a style that loads something from another host stops the build.

A hook of MkDocs.  Links that a reader may follow are free to lead anywhere.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

_LOADING = {"src", "srcset", "data", "poster", "background"}
_LINKS = {
    "stylesheet",
    "preload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "modulepreload",
    "icon",
}
_ELSEWHERE = re.compile(r"\s*(?:[a-z]+:)?//", re.IGNORECASE)
_STYLE = re.compile(r"""(?:url\(|@import)\s*["']?\s*((?:https?:)?//[^"')\s]+)""", re.IGNORECASE)


class _Loads(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        named = [values[name] for name in _LOADING & set(values)]
        if tag == "link" and _LINKS & set(values.get("rel", "").split()):
            named.append(values.get("href", ""))
        self.found += [value for value in named if _ELSEWHERE.match(value)]
        self.found += _STYLE.findall(values.get("style", ""))


def loads(html: str) -> list[str]:
    """Addresses on other hosts that a page loads without being asked."""
    parser = _Loads()
    parser.feed(html)
    return parser.found + loads_of_style(
        " ".join(re.findall(r"(?s)<style[^>]*>(.*?)</style>", html))
    )


def loads_of_style(css: str) -> list[str]:
    """Addresses on other hosts that a style sheet loads."""
    return _STYLE.findall(css)


def on_post_page(output: str, *, page: Any, **kwargs: Any) -> str:
    """Look at every page as it is written."""
    _refuse(page.file.src_uri, loads(output))
    return output


def on_post_build(*, config: Any) -> None:
    """Look at the style sheets, the theme's too."""
    for path in Path(config.site_dir).rglob("*.css"):
        _refuse(path.name, loads_of_style(path.read_text(encoding="utf-8")))


def _refuse(where: str, found: list[str]) -> None:
    if found:
        raise PluginError(f"{where} loads {', '.join(found)}: ship the file with the site instead")
