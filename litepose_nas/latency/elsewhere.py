"""Run a script of this project in another interpreter, from Python 3.8 on: python elsewhere.py SCRIPT ARGUMENTS

The script can import this project, and of other packages those of the interpreter alone. With the project's folder on
PYTHONPATH it would also get whatever is installed beside the project, made for another interpreter.
"""

from __future__ import annotations

import importlib.util
import os
import runpy
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class ProjectFinder:
    """Where this project is, for imports."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != os.path.basename(PACKAGE):
            return None
        file = os.path.join(PACKAGE, "__init__.py")
        return importlib.util.spec_from_file_location(name, file, submodule_search_locations=[PACKAGE])


def main() -> None:
    del sys.path[0]  # the files beside this one have names that others use too
    sys.meta_path.insert(0, ProjectFinder)
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
