"""One name, one thing."""

import ast
from collections import defaultdict
from pathlib import Path

import litepose_nas

PACKAGE = Path(litepose_nas.__file__).parent


def test_no_class_name_stands_for_two_things():
    places = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
    assert len(places) > 200
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
