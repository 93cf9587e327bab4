"""Mathematics as MathML, made when the site is built: browsers set it without a script.

A hook of MkDocs.  Arithmatex has marked the formulas of pages and docstrings; what is between the marks
becomes ``<math>``.  A formula that the converter does not understand stops the build.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from math_core import LatexError, LatexToMathML
from mkdocs.exceptions import PluginError

_CONVERTER = LatexToMathML(fancy_error=False)
_MARKED = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<tex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)


def on_page_content(html: str, *, page: Any, **kwargs: Any) -> str:
    """Set every formula of a page."""

    def formula(match: re.Match[str]) -> str:
        tex = unescape(match["tex"]).strip()
        try:
            found = _CONVERTER.convert_with_local_state(tex, displaystyle=match["tag"] == "div")
        except LatexError as error:
            raise PluginError(f"{page.file.src_uri}: {tex!r} is no formula: {error}") from error
        # the theme gives this class a scroll bar where a formula is too long
        return f'<{match["tag"]} class="arithmatex">{found}</{match["tag"]}>'

    return _MARKED.sub(formula, html)
