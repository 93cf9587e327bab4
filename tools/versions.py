"""Exact versions: write the lock, or try the newest or the oldest versions that the ranges allow.

    python3 tools/versions.py lock      # writes constraints.txt from a fresh environment
    python3 tools/versions.py newest    # a fresh environment in .newest: what moved, what breaks
    python3 tools/versions.py oldest    # another in .oldest: lower bounds of what the core needs

`pyproject.toml` says which versions may work, `constraints.txt` which ones did: `make` installs
those, so that a clone made later gets what was tested.  The first two begin with the same step, an
environment made with no lock.  pip's own variables and configuration are honoured.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "constraints.txt"
EXTRAS = "pyomo,exchange,petab,tables,cluster,learn,relu,test,docs,bench"
# What builds our package and cyipopt; pip puts it into environments of its own.
BUILD_TOOLS = ["hatchling", "editables", "cython", "setuptools", "pkgconf"]
# The last Python on which an install with these pins was tried; later ones get the open ranges.
LAST_TRIED = 13

# What must pass, by name: the checks of `make test` but for the demo.
CHECKS = {
    "lint": ["ruff", "check"],
    "format": ["ruff", "format", "--check"],
    "types": ["mypy"],
    "layers": ["lint-imports", "--no-logo"],
    "docs": ["mkdocs", "build", "--quiet", "--strict", "--site-dir", ".newest/site"],
    "pytest": ["pytest", "-q", "-n", "auto", "--dist", "worksteal"],
}
OLDEST = [
    "tests/solvers/test_chains.py",
    "tests/solvers/test_solve.py",
    "tests/starts",
    "tests/numerics",
]


def main() -> int:
    """Run the verb of the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=["lock", "newest", "oldest"])
    verb = parser.parse_args().verb
    if verb == "newest":
        return try_newest(ROOT / ".newest")
    if verb == "oldest":
        return try_oldest(ROOT / ".oldest")
    with tempfile.TemporaryDirectory() as folder:
        versions = build(Path(folder) / "environment")
    moved(locked(), versions)
    LOCK.write_text(lock_text(versions), encoding="utf-8")
    print(f"wrote {LOCK.name}: {len(versions)} packages; `make test` says whether they work")
    return 0


def build(environment: Path) -> dict[str, str]:
    """Make an environment of the newest versions allowed; return them by name."""
    print(f"== installing the newest versions into {environment}", flush=True)
    venv.create(environment, clear=True, with_pip=True)
    python = environment / "bin" / "python"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "-qq"]
    run([*pip, "install", "--upgrade", "--editable", f"{ROOT}[{EXTRAS}]", *BUILD_TOOLS])
    run([python, ROOT / "tools" / "build_cyipopt.py"])
    command = [*pip, "freeze", "--all", "--exclude-editable", "--exclude", "pip"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(line.split("==") for line in done.stdout.splitlines() if "==" in line)


def run(command: list[str | Path]) -> None:
    """Run a step that the others need; what it prints is enough of a message."""
    if status := subprocess.run(command, cwd=ROOT).returncode:
        sys.exit(status)


def lock_text(versions: dict[str, str]) -> str:
    """The lock with its header."""
    machine = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    lines = [
        f"# Exact versions, written by `make lock` on {date.today()} with {machine}.",
        "# `make` installs these; the ranges in pyproject.toml stay open, and `make newest` tries them.",
        f"# Installs were tried with Python 3.11 to 3.{LAST_TRIED}; a later one takes the open ranges, so that",
        "# no pin keeps it from an install.",
    ]
    marker = f'python_version < "3.{LAST_TRIED + 1}"'
    lines += [f"{name}=={versions[name]} ; {marker}" for name in sorted(versions, key=str.lower)]
    return "\n".join(lines) + "\n"


def locked() -> dict[str, str]:
    """Versions in the lock by name; empty without one."""
    text = LOCK.read_text(encoding="utf-8") if LOCK.exists() else ""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


def moved(old: dict[str, str], new: dict[str, str]) -> None:
    """Print what differs between two sets of versions."""
    for name in sorted(old.keys() | new.keys(), key=str.lower):
        if old.get(name) != new.get(name):
            print(f"  {name:28} {old.get(name, '-'):>16} -> {new.get(name, '-')}")


def try_newest(environment: Path) -> int:
    """Run every check with the newest versions; say what moved since the lock and what breaks."""
    versions = build(environment)
    variables = os.environ | {"OMP_NUM_THREADS": "1", "NO_MKDOCS_2_WARNING": "1"}
    broken = []
    for name, (tool, *arguments) in CHECKS.items():
        print(f"== {name}", flush=True)
        command = [environment / "bin" / tool, *arguments]
        if subprocess.run(command, cwd=ROOT, env=variables).returncode:
            broken.append(name)
    print(f"== moved since {LOCK.name}")
    moved(locked(), versions)
    print(f"== breaks: {', '.join(broken) or 'nothing'}")
    return bool(broken)


def try_oldest(environment: Path) -> int:
    """Run the tests of the solvers and of what comes before them with the oldest versions allowed.

    Foremost: does the Ipopt of the oldest casadi take our linear solver and our options?
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = [lower_bound(need) for need in project["dependencies"]]
    print(f"== installing {', '.join(core)} into {environment}", flush=True)
    venv.create(environment, clear=True, with_pip=True)
    python = environment / "bin" / "python"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "-qq"]
    run([*pip, "install", "--editable", ROOT, *core, "pytest", "hypothesis", *BUILD_TOOLS[:2]])
    # filters of warnings are for the locked versions: older ones warn of other things
    command = [
        python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-o",
        "filterwarnings=default",
    ]
    done = subprocess.run([*command, *OLDEST], cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return done.returncode


def lower_bound(requirement: str) -> str:
    """Return ``name==version`` of a requirement ``name>=version``."""
    name, version = re.fullmatch(r"([\w.-]+)>=([\w.]+)", requirement).groups()
    return f"{name}=={version}"


if __name__ == "__main__":
    sys.exit(main())
