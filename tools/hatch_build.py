"""Compile the kernels while the package is built; where there is no compiler it is built without them."""

from __future__ import annotations

import importlib.util
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Kernels(BuildHookInterface):
    """Adds the library to a wheel; an editable installation has it among the sources."""

    PLUGIN_NAME = "custom"
    _folder: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        builder = _builder(Path(self.root))
        if version == "editable":
            self._tell(builder.build(builder.FOLDER / builder.LIBRARY))
            return
        self._folder = tempfile.TemporaryDirectory()
        library = Path(self._folder.name) / builder.LIBRARY
        problem = builder.build(library)
        self._tell(problem)
        if not problem:
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["force_include"][str(library)] = f"collocode/kernels/{builder.LIBRARY}"
            # it does not know Python, only the system
            build_data["pure_python"], build_data["tag"] = False, f"py3-none-{platform}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def _tell(self, problem: str) -> None:
        if problem:
            self.app.display_warning(f"collocode is built without compiled kernels: {problem}")


def _builder(root: Path) -> ModuleType:
    """The module that compiles, without the package around it."""
    path = root / "src" / "collocode" / "kernels" / "build.py"
    spec = importlib.util.spec_from_file_location("collocode_kernels_build", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
