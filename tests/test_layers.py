"""The import arrows run one way, and what must be quick to import stays free of torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import litepose_nas

PACKAGE = Path(litepose_nas.__file__).parent

# From the bottom up; a unit imports what stands on earlier lines only.
ORDER = [
    {"app", "errors", "partial", "rewrites", "store", "sums", "task_kind", "untrusted"},
    {"blocks", "devices", "files", "machine_errors", "optional", "resources", "space_file"},
    {"data", "executors", "families", "runs"},
    {"crash", "metrics", "pose", "space", "synthetic"},
    {"costs", "inference", "network"},
    {"budget", "formats", "plan_files", "supernet"},
    {"latency", "resolve", "targets", "train"},
    {"api", "search", "weights"},
    {"importers", "report", "runtimes"},
    {"doctor", "exporters"},
    {"steps"},
    {"demo"},
    {"cli"},
    {"__main__"},
]
RANK = {unit: rank for rank, units in enumerate(ORDER) for unit in units}
LONGEST_CHAIN = 14
NO_TORCH = {
    *("errors", "resources", "files", "optional", "space_file", "task_kind", "runs", "blocks", "families", "space"),
    *("crash", "machine_errors", "partial", "sums", "untrusted"),
    *(
        "costs",
        "budget",
        "formats",
        "executors",
        "search",
        "report",
        "resolve",
        "metrics",
        "latency",
        "plan_files",
        "targets",
        "cli",
    ),
}
# Those that know pictures and poses, and those that know networks, do not know each other.
PICTURES = {"data", "pose", "synthetic", "metrics", "inference"}
NETWORKS = {
    *("blocks", "families", "space", "costs", "budget", "formats", "network", "store", "supernet", "weights", "api"),
    *("resolve", "rewrites", "runtimes", "exporters", "importers", "plan_files", "latency", "targets"),
}


def unit(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def nodes(path: Path, top_level_only: bool = False):
    """The syntax tree's nodes, but for what only a type checker reads."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    return [node for node in (tree.body if top_level_only else ast.walk(tree)) if id(node) not in typing_only]


def imports(path: Path, top_level_only: bool = False):
    for node in nodes(path, top_level_only):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "litepose_nas":
                yield from (f"litepose_nas.{alias.name}" for alias in node.names)


def module(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


FILES = {module(path): path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"}


def imported(path: Path) -> set[str]:
    """The modules of the package that a file imports; `from package import module` is an import of the module."""
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and node.module:
            whole = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {name if name in FILES else node.module for name in whole}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & FILES.keys()


def test_every_unit_has_a_line():
    assert {unit(path) for path in FILES.values()} == set(RANK)
    assert len(ORDER) <= LONGEST_CHAIN


def test_imports_point_downwards():
    for path in FILES.values():
        here = unit(path)
        for name in imports(path):
            there = name.split(".")[1] if name.startswith("litepose_nas.") else "__version__"
            if there not in (here, "__version__"):
                assert RANK[there] < RANK[here], f"{path.relative_to(PACKAGE)} imports {name}"
                assert not (here in PICTURES and there in NETWORKS), f"{path.relative_to(PACKAGE)} imports {name}"
                assert not (here in NETWORKS and there in PICTURES), f"{path.relative_to(PACKAGE)} imports {name}"


def test_no_file_imports_itself_through_others():
    left = {name: imported(path) for name, path in FILES.items()}
    while ready := {name for name, needed in left.items() if not needed & left.keys()}:
        left = {name: needed for name, needed in left.items() if name not in ready}
    assert not left, f"a circle among {sorted(left)}"


def test_what_must_be_quick_imports_no_torch():
    # Modules beside their blocks are imported when one is built.
    quick = [
        name
        for name, path in FILES.items()
        if unit(path) in NO_TORCH and not path.stem.endswith("_torch") and name != "litepose_nas.search.scoring"
    ]
    heavy = {"torch", "cv2", "scipy", "onnx", "ray"}
    for name in quick:
        assert not {one.split(".")[0] for one in imports(FILES[name], top_level_only=True)} & heavy, name
    more = ("synthetic.dataset", "data.check.page", "data.convert")  # drawing, checking and converting data
    names = [*quick, *(f"litepose_nas.{name}" for name in more)]
    code = f"import sys, {', '.join(names)}; assert 'torch' not in sys.modules"
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
