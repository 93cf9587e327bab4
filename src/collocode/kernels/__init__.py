"""Compiled kernels: C for what NumPy does in many short calls, where a compiler made a library of it.

Whoever has a kernel for what it does asks for `library` and does without if there is none: the
results are the same, to rounding.  Nothing else depends on it: no compiler is needed, and
``COLLOCODE_KERNELS=0`` in the environment leaves the library aside.  Calls release Python's lock.

The sources are beside this file, `build` compiles them; a kernel that needs BLAS or LAPACK calls
SciPy's, whose addresses `library` hands over.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from . import build

SWITCH = "COLLOCODE_KERNELS"
# as blas.c takes them; SciPy's signatures are told by their capsules
_BLAS, _LAPACK = ("dsyr2k", "dtrsv", "dsyrk"), ("dpotrf", "dstemr")


def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None if there are none or they are switched off."""
    return None if os.environ.get(SWITCH) == "0" else _load(build.FOLDER / build.LIBRARY)


def state() -> str:
    """Whether compiled kernels are used, in words."""
    if os.environ.get(SWITCH) == "0":
        return f"switched off by {SWITCH}=0"
    if library() is not None:
        return "compiled"
    made = (build.FOLDER / build.LIBRARY).exists()
    return "not of these sources" if made else "not compiled"


def address(array: NDArray[Any]) -> ctypes.c_void_p:
    """Where an array's numbers are, one after the other, for a kernel."""
    assert array.flags.c_contiguous
    try:  # a quarter of the time of ``array.ctypes``, which a small fit would wait for some 2000 times
        return ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(array.data)))
    except (TypeError, ValueError):  # an array that is not to be written, or has no numbers
        return ctypes.c_void_p(array.ctypes.data)


@cache
def _load(path: Path) -> ctypes.CDLL | None:
    try:
        found = ctypes.CDLL(str(path))
        exported = found.kernels_version
        exported.restype = ctypes.c_uint32
        addresses = [_function("blas", name) for name in _BLAS]
        addresses += [_function("lapack", name) for name in _LAPACK]
    except (OSError, AttributeError, KeyError):  # absent, of another system, or no such names
        return None
    if exported() != build.version() or None in addresses:
        return None
    found.kernels_blas((ctypes.c_void_p * len(addresses))(*addresses))
    return found


def _function(of: str, name: str) -> int | None:
    """Where SciPy's BLAS or LAPACK has a function, if its integers are C's int."""
    capsule = import_module(f"scipy.linalg.cython_{of}").__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    signature = api.PyCapsule_GetName(capsule)
    address: int | None = api.PyCapsule_GetPointer(capsule, signature)
    return address if b"int *" in signature else None
