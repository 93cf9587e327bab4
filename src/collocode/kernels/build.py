"""Compile the C sources beside this file: `python src/collocode/kernels/build.py`, or by `pip install`.

It knows Python's library only, since the build of the package runs it before anything is installed.
Nothing is tuned for the machine that compiles: functions marked `DISPATCHED` are compiled for three
kinds of x86-64, of which the one that runs takes the best that it has.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import zlib
from pathlib import Path

FOLDER = Path(__file__).parent
LIBRARY = "compiled.so"
_OPTIONS = (
    "-std=gnu11",
    "-O3",
    "-fopenmp-simd",
    "-fPIC",
    "-shared",
    "-pthread",
    "-fvisibility=hidden",
)
_SECONDS = 120.0


def sources() -> list[Path]:
    """C files and headers, in the order of their names."""
    return [FOLDER / name for name in sorted(os.listdir(FOLDER)) if name.endswith((".c", ".h"))]


def version() -> int:
    """A number of the sources as they are, which the library made from them exports."""
    number = 0
    for path in sources():
        number = zlib.crc32(path.read_bytes(), number)
    return number


def build(out: Path) -> str:
    """Compile the library.

    Returns
    -------
    what stood against it, in words; nothing if it was made.
    """
    named = os.environ.get("CC", "")
    compiler = next(filter(None, map(shutil.which, (named, "cc", "gcc", "clang"))), None)
    if compiler is None:
        return "there is no C compiler"
    try:
        with tempfile.TemporaryDirectory(dir=out.parent) as folder:
            made = Path(folder) / LIBRARY
            # dispatch needs a compiler and a C library that know it; one kind for all does without
            for dispatch in ("-DDISPATCH", "-UDISPATCH"):
                problem = _compile(compiler, dispatch, made)
                if not problem:
                    made.replace(out)  # who has the old one open keeps it
                    return ""
    except (OSError, subprocess.TimeoutExpired) as failure:
        return str(failure)
    return f"{compiler} fails: {problem}"


def _compile(compiler: str, dispatch: str, made: Path) -> str:
    files = [str(path) for path in sources() if path.suffix == ".c"]
    told = [compiler, *_OPTIONS, dispatch, f"-DVERSION={version()}u", *files]
    done = subprocess.run(
        [*told, "-o", str(made), "-lm"],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no message"])[0]
    made.chmod(0o644)
    return ""


if __name__ == "__main__":
    print(build(FOLDER / LIBRARY) or f"made {FOLDER / LIBRARY}")
