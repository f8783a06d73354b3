"""The import arrows run one way, and what must be quick to import stays free of torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import litepose_nas

PACKAGE = Path(litepose_nas.__file__).parent

# From the bottom up; a unit may import those on earlier lines, and those beside it on its own line.
ORDER = [
    {"errors"},
    {"resources", "files", "optional", "space_file", "devices", "task_kind"},
    {"runs"},
    {"blocks"},
    {"families"},
    {"space"},
    {"costs", "network"},
    {"formats", "budget"},
    {"executors"},
    {"resolve", "store"},
    {"api"},
    {"supernet"},
    {"weights", "importers", "rewrites", "doctor"},
    {"runtimes"},
    {"exporters"},
    {"metrics"},  # the first to know pictures and poses
    {"inference", "train"},
    {"search"},
    {"report"},
    {"steps"},
    {"demo"},
    {"cli"},
    {"__main__"},
]
RANK = {unit: rank for rank, units in enumerate(ORDER) for unit in units}
NO_TORCH = {
    *("errors", "resources", "files", "optional", "space_file", "task_kind", "runs", "blocks", "families", "space"),
    *("costs", "budget", "formats", "executors", "search", "report", "resolve", "metrics", "cli"),
}
DATA = {"data", "pose", "synthetic"}  # never import networks, and networks never import them
BELOW_DATA = {"errors", "files", "resources", "devices", "task_kind"}
ABOVE_DATA = RANK["metrics"]


def unit(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, top_level_only: bool = False):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    for node in tree.body if top_level_only else ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "litepose_nas":
                yield from (f"litepose_nas.{alias.name}" for alias in node.names)


def files():
    return [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]


def test_imports_point_downwards():
    for path in files():
        here = unit(path)
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "litepose_nas" and len(parts) > 1 and parts[1] != "__version__":
                there = parts[1]
                if here in DATA:
                    allowed = there in {here, "data"} | BELOW_DATA
                elif there in DATA:
                    allowed = RANK[here] >= ABOVE_DATA
                else:
                    allowed = here == there or RANK[there] < RANK[here] or {here, there} <= ORDER[RANK[here]]
                assert allowed, f"{path.relative_to(PACKAGE)} imports {name}"


def test_every_file_has_a_place():
    known = set(RANK) | DATA
    assert {unit(path) for path in files()} <= known


def test_what_must_be_quick_imports_no_torch():
    for path in files():
        # Modules beside their blocks are imported inside build().
        torch_here = path == PACKAGE / "search" / "scoring.py" or path.stem.endswith("_torch")
        if unit(path) in NO_TORCH and not torch_here:
            top = {name.split(".")[0] for name in imports(path, top_level_only=True)}
            assert not top & {"torch", "cv2", "scipy", "onnx", "ray"}, path
    names = (
        "cli",
        "costs",
        "runs.run",
        "search.loop",
        "search.nsga2",
        "report.plots",
        "search.rank_correlation",
        "report.page",
        "metrics.from_files",
        "synthetic.dataset",
        "data.check.page",
        "data.convert",
    )
    code = f"import sys, {', '.join(f'litepose_nas.{name}' for name in names)}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_are_what_is_listed():
    assert litepose_nas.__all__ == sorted(litepose_nas.__all__)
    assert set(dir(litepose_nas)) == {*litepose_nas.__all__, "__version__"}
    for name in litepose_nas.__all__:
        assert callable(getattr(litepose_nas, name)), f"{name} is hidden by a module of that name"


def test_what_git_ignores_is_no_part_of_the_package():
    """The wheel leaves out what .gitignore names, wherever it is: `runs/` there once cost it a whole unit."""
    ignored = PACKAGE.parent / ".gitignore"
    if not ignored.is_file():
        pytest.skip("not a checkout")
    patterns = {line.rstrip("/") for line in ignored.read_text(encoding="utf-8").split() if not line.startswith("/")}
    inside = {part for path in PACKAGE.rglob("*.py") for part in path.relative_to(PACKAGE).parts}
    assert "runs" in inside
    assert not inside & patterns
