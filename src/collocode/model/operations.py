"""Operations namespaces: one network definition for NumPy, CasADi, Pyomo and JAX.

A network is written once over ``ops.tanh``, ``ops.matrix`` and the like.  Which arithmetic it then
means is the namespace's business: `NUMPY` evaluates, `CASADI` builds graphs, `jax_operations` returns
the one for JAX.  Pyomo's lives with the exporter, `collocode.export.operations`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from ..errors import MissingDependency


@dataclass(frozen=True)
class Operations:
    """What a network definition may use; arrays are columns, ``matrix`` reshapes column-major."""

    name: str
    tanh: Callable[[Any], Any]
    exp: Callable[[Any], Any]
    log: Callable[[Any], Any]
    cosh: Callable[[Any], Any]
    maximum: Callable[[Any, Any], Any]
    matrix: Callable[[Any, int, int], Any]


def _column_major(vector: Any, rows: int, columns: int) -> Any:
    return vector.reshape((rows, columns), order="F")


NUMPY = Operations("numpy", np.tanh, np.exp, np.log, np.cosh, np.maximum, _column_major)
CASADI = Operations("casadi", ca.tanh, ca.exp, ca.log, ca.cosh, ca.fmax, ca.reshape)


def jax_operations() -> Operations:
    """Return the namespace for JAX arrays."""
    try:
        import jax.numpy as jnp
    except ImportError as error:
        raise MissingDependency("JAX is not installed; run: pip install jax.") from error
    return Operations("jax", jnp.tanh, jnp.exp, jnp.log, jnp.cosh, jnp.maximum, _column_major)
