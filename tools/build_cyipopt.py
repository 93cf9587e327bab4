"""Build cyipopt against the Ipopt that the casadi wheel brings.

cyipopt publishes no wheels, and building it wants Ipopt's headers, its library and pkg-config.
The casadi wheel has the first two, in a version newer than the distributions' packages, and PyPI
has a pkg-config, so a C compiler and Python's headers are all that the machine must provide.
With both interfaces on one library a comparison of them compares nothing else.

    .venv/bin/python tools/build_cyipopt.py [CONSTRAINTS]

installs into the environment of the interpreter that runs it. The build tools go into a temporary
folder, so the environment gains cyipopt alone. A second run finds the work done and ends.
Where the compiler or the headers are missing, cyipopt is left out: the message says what to
install, and the exit status is 0, because everything else works without it. A build that fails
is an error. The versions are those of the file of constraints, or else the newest allowed.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from importlib.util import find_spec
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
BUILD_TOOLS = ["cython>=3", "setuptools>=70.1", "pkgconf"]

# Which libipopt is mapped is the only proof of what the extension was linked with.
PROBE = """
import cyipopt
version = ".".join(map(str, cyipopt.IPOPT_VERSION))
libraries = {line.split()[-1] for line in open("/proc/self/maps") if "/libipopt" in line}
print(version, *libraries, sep="\\n")
"""


def main() -> int:
    """Build unless done, then check; return the exit status."""
    casadi = casadi_folder()
    if version := linked_ipopt(casadi):
        print(f"cyipopt is in place, with Ipopt {version} of {casadi}")
        return 0
    if missing := missing_prerequisites():
        print(f"cyipopt left out, its tests will be skipped: install {missing} to have it")
        return 0
    build(casadi, [f"--constraint={file}" for file in sys.argv[1:2]])
    version = linked_ipopt(casadi)
    if not version:
        print(f"cyipopt was built, but does not load Ipopt from {casadi}", file=sys.stderr)
        return 1
    print(f"cyipopt built, with Ipopt {version} of {casadi}")
    return 0


def casadi_folder() -> Path:
    """Return the folder of the installed casadi wheel, without importing it."""
    spec = find_spec("casadi")
    if spec is None or spec.origin is None:
        sys.exit("casadi is not installed here: run `make venv` first")
    return Path(spec.origin).resolve().parent


def linked_ipopt(casadi: Path) -> str | None:
    """Return the version of Ipopt if cyipopt imports and loads it from casadi's folder."""
    probe = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True)
    if probe.returncode != 0:
        return None
    version, *libraries = probe.stdout.splitlines()
    return version if {Path(library).parent for library in libraries} == {casadi} else None


def missing_prerequisites() -> str | None:
    """Name the Debian packages that the build still needs."""
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC")
    missing = []
    if not shutil.which(compiler.split()[0]):
        missing.append("gcc")
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        missing.append("python3-dev")
    return " and ".join(missing) or None


def build(casadi: Path, constraints: list[str]) -> None:
    """Compile and install a version of cyipopt that `pyproject.toml` and the constraints allow."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    requirement = project["optional-dependencies"]["cyipopt"]
    with tempfile.TemporaryDirectory() as folder:
        tools = Path(folder)
        pip("install", "--target", folder, *constraints, *BUILD_TOOLS)
        # pkg-config insists on a version; cyipopt does not ask for it.
        (tools / "ipopt.pc").write_text(
            "Name: ipopt\n"
            "Description: Ipopt of the casadi wheel\n"
            "Version: 3\n"
            f"Cflags: -I{casadi}/include/coin-or\n"
            f"Libs: -L{casadi} -lipopt\n",
            encoding="utf-8",
        )
        # The two packages are neighbours in site-packages, hence the relative run path. No cache,
        # for it could hold a cyipopt that was linked with some other Ipopt.
        pip(
            "install",
            "--no-cache-dir",
            "--no-build-isolation",
            "--force-reinstall",
            "--no-deps",
            *constraints,
            *requirement,
            PATH=f"{tools / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            PYTHONPATH=folder,
            PKG_CONFIG_PATH=folder,
            LDFLAGS=f"{os.environ.get('LDFLAGS', '')} -Wl,-rpath,$ORIGIN/../casadi",
        )


def pip(*arguments: str, **environment: str) -> None:
    """Run pip of this environment; it prints its own errors."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", *arguments]
    done = subprocess.run(command, env=os.environ | environment)
    if done.returncode != 0:
        sys.exit(f"pip {arguments[0]} failed; cyipopt is not installed")


if __name__ == "__main__":
    sys.exit(main())
