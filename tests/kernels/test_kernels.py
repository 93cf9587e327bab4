"""The library of compiled kernels: made, found, refused where it is of other sources, and switched off."""

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from collocode import kernels
from collocode.kernels import build
from tests.docs.blocks import ROOT

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """The sources elsewhere."""
    for path in build.sources():
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    monkeypatch.delenv(kernels.SWITCH, raising=False)
    return tmp_path


@needs_compiler
def test_the_library_is_made_and_is_refused_once_a_source_has_changed(copied, monkeypatch):
    quick = tuple("-O0" if o.startswith("-O") else o for o in build._OPTIONS)
    monkeypatch.setattr(build, "_OPTIONS", quick)  # the wheel's test below compiles as we ship it
    assert kernels.state() == "not compiled"
    assert kernels.library() is None
    assert build.build(copied / "first.so") == ""
    assert kernels._load(copied / "first.so") is not None
    (copied / "more.c").write_text("double more(void) { return 1.0; }\n")
    shutil.copy(copied / "first.so", copied / build.LIBRARY)
    kernels._load.cache_clear()
    assert kernels.library() is None
    assert kernels.state() == "not of these sources"


def test_what_is_no_library_is_refused(copied):
    (copied / build.LIBRARY).write_bytes(b"of another system")
    assert kernels.library() is None


def test_without_a_compiler_it_is_said_what_is_missing(copied, monkeypatch):
    monkeypatch.setenv("PATH", str(copied))
    monkeypatch.delenv("CC", raising=False)
    assert build.build(copied / build.LIBRARY) == "there is no C compiler"


@needs_compiler
def test_sources_that_do_not_compile_are_told_and_leave_nothing(copied):
    for path in copied.glob("*.c"):  # the compiler need not get through the others first
        path.unlink()
    (copied / "wrong.c").write_text("double wrong(void) { return one; }\n")
    assert "cc fails" in build.build(copied / build.LIBRARY)
    assert not (copied / build.LIBRARY).exists()


def test_the_environment_switches_them_off(monkeypatch):
    monkeypatch.setenv(kernels.SWITCH, "0")
    assert kernels.library() is None
    assert kernels.state() == "switched off by COLLOCODE_KERNELS=0"


def test_nothing_is_tuned_for_the_machine_that_compiles():
    assert not any("native" in option for option in build._OPTIONS)


class Hook:
    """What of hatchling's hooks the build's own needs; pip alone has hatchling."""

    def __init__(self):
        self.root, self.app, self.told = str(ROOT), self, []

    def display_warning(self, text):
        self.told.append(text)


def built(monkeypatch):
    """What the build of a wheel is told by the hook, and its warnings."""
    names = ["hatchling", "builders", "hooks", "plugin", "interface"]
    for k in range(1, len(names) + 1):
        monkeypatch.setitem(sys.modules, ".".join(names[:k]), ModuleType(names[k - 1]))
    sys.modules[".".join(names)].BuildHookInterface = Hook
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "tools" / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    hook, data = module.Kernels(), {"force_include": {}, "pure_python": True}
    hook.initialize("standard", data)
    inside = {
        target: Path(source).stat().st_size for source, target in data["force_include"].items()
    }
    hook.finalize("standard", data, "")
    assert not any(Path(source).exists() for source in data["force_include"])
    return data, inside, hook.told


@needs_compiler
def test_a_wheel_with_kernels_is_one_for_this_system(monkeypatch):
    data, inside, told = built(monkeypatch)
    assert inside["collocode/kernels/compiled.so"] > 0
    assert not data["pure_python"]
    assert data["tag"].startswith("py3-none-")
    assert not told


def test_a_wheel_without_kernels_is_one_for_all(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    data, inside, told = built(monkeypatch)
    assert data["pure_python"]
    assert "tag" not in data
    assert not inside
    assert told == ["collocode is built without compiled kernels: there is no C compiler"]
