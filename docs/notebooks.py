"""Notebooks of the examples: the scripts stay the source, the site offers what is made of them.

A hook of MkDocs, and a script that fills a folder (beside ``examples/``, so that data are found):

    python docs/notebooks.py notebooks
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import jupytext
from nbformat import NotebookNode, v4, validate, writes

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
# a notebook has no file of its own name; Jupyter starts it in its folder
_HERE, _THERE = "Path(__file__).parents[1]", "Path.cwd().parent"
_PLACE = (
    "Keep this notebook in a folder of the repository, say `notebooks/`: it reads `../models/`."
)


def notebook(script: Path) -> NotebookNode:
    """Docstring as text, every paragraph of the code as a cell."""
    source = script.read_text(encoding="utf-8")
    first = ast.parse(source).body[0]
    told = ast.get_docstring(ast.parse(source)) or ""
    code = "\n".join(source.splitlines()[first.end_lineno :]).strip() + "\n"
    if _HERE in code:
        told += f"\n\n{_PLACE}"
        code = code.replace(_HERE, _THERE)
    title = f"# {script.stem.replace('_', ' ').capitalize()}\n\n{told}"
    cells = [v4.new_markdown_cell(title)]
    for cell in jupytext.reads(code, fmt="py:light").cells:
        if all(_imports(c) for c in (cell, cells[-1])):
            cells[-1]["source"] += f"\n\n{cell['source']}"
        else:
            cells.append(cell)
    for number, cell in enumerate(cells):
        cell["id"] = f"{script.stem[:50]}-{number}"  # the same in every build
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    found = v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    validate(found)
    return found


def _imports(cell: NotebookNode) -> bool:
    return cell["cell_type"] == "code" and cell["source"].startswith(("import ", "from "))


def on_files(files: Any, *, config: Any, **kwargs: Any) -> Any:
    """Add the notebooks to the site, as files to download."""
    from mkdocs.structure.files import File

    for script in EXAMPLES:
        name = f"notebooks/{script.stem}.ipynb"
        files.append(File.generated(config, name, content=writes(notebook(script))))
    return files


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for script in EXAMPLES:
        (folder / f"{script.stem}.ipynb").write_text(writes(notebook(script)), encoding="utf-8")
    print(f"{len(EXAMPLES)} notebooks in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
