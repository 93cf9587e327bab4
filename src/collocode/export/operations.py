"""The arithmetic of Pyomo expressions, for networks and for tapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InputError, MissingDependency
from ..model.operations import Operations


def pyomo_environ() -> Any:
    """Return ``pyomo.environ``.

    Raises
    ------
    MissingDependency
        If Pyomo is not installed.
    """
    try:
        import pyomo.environ as pyo
    except ImportError as error:
        raise MissingDependency(
            "Pyomo is not installed; run: pip install 'collocode[pyomo]'."
        ) from error
    return pyo


def pyomo_operations() -> Operations:
    """Return the namespace for NumPy object arrays of Pyomo expressions (see `MLP.__call__`)."""
    pyo = pyomo_environ()

    def each(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return np.frompyfunc(function, 1, 1)

    def refuse(a: Any, b: Any) -> Any:
        raise InputError("Pyomo has no max(); embed a ReLU network by a MIP encoding instead.")

    return Operations(
        "pyomo",
        each(pyo.tanh),
        each(pyo.exp),
        each(pyo.log),
        each(pyo.cosh),
        refuse,
        lambda v, rows, columns: v.reshape((rows, columns), order="F"),
    )
