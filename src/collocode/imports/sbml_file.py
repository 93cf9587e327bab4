"""SBML files: size, nesting and validity are looked at before anything is made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.parsers import expat

from ..errors import InputError
from ..files import read_bytes, refusing
from ..kinds import check_type
from .mathml import libsbml
from .sbml import SbmlModel
from .sbml_reader import SbmlReader

LARGEST = 50_000_000  # bytes
_MOST_ELEMENTS = 2_000_000
_DEEPEST = 400  # nested XML elements
_WHAT = "an SBML model"


def read_sbml(path: str | Path) -> SbmlModel:
    """Read an SBML file.

    Parameters
    ----------
    path : an XML file of SBML Level 2 or 3, at most 50 MB, without a document type.

    Raises
    ------
    MissingDependency
        python-libsbml is not installed.
    FileError
        Missing, too large, no XML, too deep.
    InputError
        No valid model, or an element that is not supported, named with its id.
    """
    check_type("read_sbml", path, str, Path)
    library, source = libsbml(), Path(path)
    content = read_bytes(source, LARGEST, _WHAT)
    with refusing(source, _WHAT):
        _scan(content)
        text = content.decode("utf-8")
    document = library.readSBMLFromString(text)
    fatal = [
        document.getError(k)
        for k in range(document.getNumErrors())
        if document.getError(k).getSeverity() >= library.LIBSBML_SEV_ERROR
    ]
    if fatal or document.getModel() is None:
        words = " ".join(fatal[0].getMessage().split())[:200] if fatal else "it has no model"
        raise InputError(f"{source} is no valid SBML ({words}); correct it.")
    try:
        return SbmlReader(document).model()
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def _scan(content: bytes) -> None:
    """Refuse what could exhaust or hijack a parser before libsbml sees it."""
    depth = count = 0

    def start(name: str, attributes: Any) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > _DEEPEST or count > _MOST_ELEMENTS:
            raise ValueError("its elements are too many or nest too deep")

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    def doctype(*_: Any) -> None:
        raise ValueError("it declares a document type, which SBML has not")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = doctype
    parser.Parse(content, True)
