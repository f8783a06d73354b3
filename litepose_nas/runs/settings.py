"""The settings that a run was begun with, from a file that another version or a stranger may have written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from litepose_nas.errors import UserError
from litepose_nas.untrusted.display import short

WORD, WHOLE, NUMBER, LIST, MAPPING, TRUTH = "a word", "a whole number", "a number", "a list", "a mapping", "yes or no"
WORDS, SIZE, NOTHING = "a list of words", "two whole numbers", "nothing"
# What each setting may be; what stands in none of these lines is looked at where it is used.
KINDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("space", "space_digest", "amp", "subnet", "sha256", "take", "search"), (WORD,)),
    **dict.fromkeys(("convention", "method", "rank", "people_are"), (WORD,)),
    **dict.fromkeys(("data", "init", "key", "supernet", "ops"), (WORD, NOTHING)),
    **dict.fromkeys(("seed", "steps", "joints", "candidates", "nets", "seeds", "detector_macs"), (WHOLE,)),
    **dict.fromkeys(("evals", "threads"), (WHOLE, NOTHING)),
    **dict.fromkeys(("quick", "teacher"), (TRUTH,)),
    **dict.fromkeys(("budget", "objectives", "latency", "supernets"), (WORDS,)),
    **dict.fromkeys(("recipe", "scale"), (MAPPING,)),
    "lanes": (WHOLE,),
    "size": (SIZE, NOTHING),
    "boxes": (LIST, NOTHING),
    "people": (WORD, NUMBER),
    "detector_ms": (NUMBER,),
    "measure": (TRUTH, NOTHING),
    "measure_minutes": (NUMBER, NOTHING),
}


class Settings(dict[str, Any]):
    """What a run's config.yaml holds; a setting that it lacks is told by the name of the file."""

    path = Path()

    @classmethod
    def of(cls, path: Path, tree: Mapping[str, Any]) -> Settings:
        for name, value in tree.items():
            kinds = KINDS.get(name, ())
            if kinds and not any(_is(kind, value) for kind in kinds):
                raise UserError(f"{path}: {name}: expected {' or '.join(kinds)}, got {short(value)}; start a new run")
        found = cls(tree)
        found.path = path
        return found

    def __missing__(self, name: str) -> Any:
        raise UserError(f"{self.path}: no setting {name!r}; start a new run")


def _is(kind: str, value: object) -> bool:
    if kind == WORDS:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind == SIZE:
        return isinstance(value, list) and [type(item) for item in value] == [int, int]
    if kind == NUMBER:
        return type(value) in (int, float)
    if kind == NOTHING:
        return value is None
    return type(value) is {WORD: str, WHOLE: int, LIST: list, MAPPING: dict, TRUTH: bool}[kind]
