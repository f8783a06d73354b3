"""Where pictures come from: a dataset YAML, a folder of drawn people, or drawn people made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from litepose_nas.data.coco import Dataset, read_coco
from litepose_nas.data.toy import toy_settings, toy_split, write_toy
from litepose_nas.errors import UserError, nearest

DRAWN = Path("runs") / "drawn-people"
KEYS = ("path", "train", "val")


class Source(NamedTuple):
    """The two splits of a dataset, each as (annotations, folder of pictures); `val` is for final figures only."""

    name: str
    train: tuple[Path, Path]
    val: tuple[Path, Path]

    def read(self, split: str) -> Dataset:
        """Return one of the splits."""
        return read_coco(*(self.train if split == "train" else self.val))


def open_source(what: str | None, progress: Callable[[int, int], None] | None = None) -> Source:
    """Return the dataset that a YAML file or a folder of `data toy` names; with None, people drawn once and kept."""
    if what is None:
        if toy_settings(DRAWN) is None:
            write_toy(DRAWN, progress=progress)
        return _toy(DRAWN)
    path = Path(what)
    if path.is_dir():
        if toy_settings(path) is None:
            raise UserError(f"{what}: not a folder made by `data toy`; name a dataset YAML: {_example()}")
        return _toy(path)
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        raise UserError(
            f"{what}: no such dataset; expected a folder made by `data toy`, or a dataset YAML: {_example()}"
        )
    return _from_yaml(path)


def _toy(folder: Path) -> Source:
    return Source(str(folder), toy_split(folder, "train"), toy_split(folder, "val"))


def _from_yaml(path: Path) -> Source:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(tree, dict):
        raise UserError(f"{path}: expected {_example()}")
    for key in tree:
        if key not in KEYS:
            raise UserError(f"{path}: unknown key `{key}`; {nearest(key, KEYS)}")
    root = path.parent / str(tree.get("path", "."))
    return Source(str(path), _split(path, root, tree, "train"), _split(path, root, tree, "val"))


def _split(path: Path, root: Path, tree: dict[str, Any], key: str) -> tuple[Path, Path]:
    split = tree.get(key)
    if not isinstance(split, dict) or sorted(split) != ["annotations", "images"]:
        raise UserError(f"{path}: {key}: expected a mapping of `images` (a folder) and `annotations` (a COCO JSON)")
    return root / str(split["annotations"]), root / str(split["images"])


def _example() -> str:
    return "path: DIR; train: {images: DIR, annotations: JSON}; val: {images: DIR, annotations: JSON}"
