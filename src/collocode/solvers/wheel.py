"""What is in the casadi wheel beside CasADi: IPOPT, MUMPS and the OpenBLAS that they call."""

from __future__ import annotations

import os
import re
from pathlib import Path

import casadi as ca

WHEEL = Path(ca.__file__).parent
_ENDING = re.compile(r"\.so\.\d+|\.\d+\.dylib|-\d+\.dll")


def libraries(name: str) -> list[Path]:
    """Files of a library in the wheel, under the name by which others there link it.

    Wheels hold a copy under each name, and each would be a library of its own once loaded.
    """
    stem = f"lib{name}"
    found = [f for f in os.listdir(WHEEL) if f.startswith(stem)]
    return [WHEEL / f for f in sorted(found) if _ENDING.fullmatch(f, len(stem))]
