"""The built site: mathematics without a script, nothing from another host."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tests.docs.blocks import ROOT
from tests.waiting import HANGS

pytest.importorskip("mkdocs")
pytest.importorskip("math_core")


def hook(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGE = SimpleNamespace(file=SimpleNamespace(src_uri="a/page.md"))


def test_formulas_become_mathml() -> None:
    html = (
        r'<p>With <span class="arithmatex">\(\dot x = f(x)\)</span>:</p>'
        r'<div class="arithmatex">\[a &lt; \sum_j b_j\]</div>'
    )
    made = hook("mathml").on_page_content(html, page=PAGE)
    assert made.count("<math") == made.count("</math>") == 2
    assert made.count('display="block"') == 1
    assert "\\" not in made
    assert "<mover" in made  # the dot
    assert "<munder" in made  # the index below the sum


def test_a_formula_that_is_none_stops_the_build() -> None:
    from mkdocs.exceptions import PluginError

    with pytest.raises(PluginError, match=r"a/page\.md: .*\\farc"):
        hook("mathml").on_page_content(r'<span class="arithmatex">\(\farc12\)</span>', page=PAGE)


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<script src="https://cdn.example/x.js"></script>', ["https://cdn.example/x.js"]),
        ('<img src="//cdn.example/x.png">', ["//cdn.example/x.png"]),
        ('<link rel="stylesheet" href="http://cdn.example/x.css">', ["http://cdn.example/x.css"]),
        ("<style>@import 'https://cdn.example/x.css';</style>", ["https://cdn.example/x.css"]),
        ('<p style="background:url(//cdn.example/x.png)">', ["//cdn.example/x.png"]),
        ('<a href="https://arxiv.org">a link</a><img src="data:image/png;base64,AA">', []),
        ('<script src="js/x.js"></script><link rel="canonical" href="https://x.example">', []),
    ],
)
def test_what_a_page_loads_from_elsewhere(html: str, found: list[str]) -> None:
    assert hook("no_other_host").loads(html) == found


def test_a_page_that_loads_from_elsewhere_stops_the_build() -> None:
    from mkdocs.exceptions import PluginError

    with pytest.raises(PluginError, match=r"a/page\.md loads https://cdn\.example/x\.js"):
        hook("no_other_host").on_post_page(
            '<script src="https://cdn.example/x.js"></script>', page=PAGE
        )


def test_a_style_that_loads_from_elsewhere_stops_the_build(tmp_path: Path) -> None:
    from mkdocs.exceptions import PluginError

    (tmp_path / "site.css").write_text("@font-face { src: url(https://fonts.example/x.woff2) }")
    with pytest.raises(PluginError, match=r"site\.css loads https://fonts\.example"):
        hook("no_other_host").on_post_build(config=SimpleNamespace(site_dir=tmp_path))


@pytest.mark.slow  # `make docs` builds the site in every `make test`
def test_the_whole_site(tmp_path: Path) -> None:
    if shutil.which("mkdocs", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("mkdocs is not beside this Python")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "-d", tmp_path]
    subprocess.run(command, cwd=ROOT, check=True, timeout=HANGS)
    pages = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")]
    assert sum(page.count("<math") for page in pages) > 100
    assert not [page for page in pages if 'class="arithmatex">\\' in page]
    # the theme's script would fetch the engine of diagrams where a page has one
    assert not [page for page in pages if 'class="mermaid"' in page]
