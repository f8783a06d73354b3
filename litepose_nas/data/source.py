"""Where pictures come from: a dataset YAML, a JSON, a name such as coco, or a folder of `data toy`."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from litepose_nas.data import dataset_yaml, zipped
from litepose_nas.data.annotations import dataset_of, keypoint_category
from litepose_nas.data.dataset import Dataset, Document
from litepose_nas.data.dataset_yaml import known_names, known_tree, read_tree, skeleton_in
from litepose_nas.data.fields import collector_off, read_raw
from litepose_nas.data.layouts.table import LAYOUTS, layout_of
from litepose_nas.data.layouts.toy import DRAWN, toy_settings, toy_split
from litepose_nas.data.layouts.yolo_pose import YoloFormat, yolo_format
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.data.split_files import SplitFiles, document_of_split
from litepose_nas.errors import UserError, nearest
from litepose_nas.untrusted.display import short

DATA_FOLDER = "LITEPOSE_DATA"  # the environment variable that names the folder of all datasets
SPLITS = ("train", "val", "test")
WHOLE = "all"  # the one split of a JSON: it is whatever is asked for
KEYS = ("path", "format", *SPLITS, *dataset_yaml.JOINT_KEYS, "names", "nc")
NAMING_KEYS = {"keypoints", "kpt_shape", "kpt_names"}
NOTES = ("license", "download")  # for people and other programs
SPLIT_KEYS = ("images", "annotations", "detections", "truth")  # detections: for people, who give them with --boxes


class Source(NamedTuple):
    """A dataset that has been found, nothing of it read; `val` and `test` are for final figures only."""

    name: str
    splits: Mapping[str, SplitFiles]
    skeleton: Skeleton | None = None  # None where the annotation files say what the joints are
    absent: Mapping[str, str] = {}  # of a dataset with a name: the files of the splits that are not there

    def split(self, name: str) -> SplitFiles:
        if WHOLE in self.splits:
            return self.splits[WHOLE]
        if name in self.absent:
            raise UserError(f"{self.name} has no split {name!r}: expected {self.absent[name]}; put the files there")
        if name not in self.splits:
            raise UserError(f"{self.name} has no split {name!r}; it has {', '.join(self.splits)}")
        return self.splits[name]

    def document(self, name: str, pictures: bool = True) -> Document:
        """A split as a COCO-keypoints document, whatever its files look like.

        Without `pictures` they may be missing, and sizes too.
        """
        return document_of_split(self.split(name), self.skeleton, name != "test", pictures)

    def read(self, name: str, pictures: bool = True, unlabelled: bool = False) -> Dataset:
        """Read a split as arrays; without `pictures` only its annotations, and pictures may be missing.

        With `unlabelled` the records include unlabelled video frames whose pictures exist.
        """
        split, people = self.split(name), name != "test"
        again = functools.partial(document_of_split, split, self.skeleton, people, pictures, unlabelled)
        path = split.annotations or split.images.joinpath(*split.folders[:1])
        with collector_off():
            return dataset_of(again(), path, split.images, self.skeleton, again, pictures, people, unlabelled)


def open_source(what: str) -> Source:
    """The dataset that a YAML, a JSON, a folder of `data toy` or a name means.

    A name is `coco`, whose folder is looked for, or `coco:FOLDER`; `toy` is what was drawn where nothing was named.
    """
    if what == "toy":
        what = str(DRAWN)
    path, (name, _, folder) = Path(what), what.partition(":")
    if name in known_names() and not path.is_file() and toy_settings(path) is None:
        return _known(what, name, Path(folder) if folder else None)
    if name == "toy":
        return open_source(folder)
    if path.is_dir():
        if toy_settings(path) is not None:
            return _toy(path)
        if (path / "data.yaml").is_file():
            return _from_yaml(path / "data.yaml")
        raise UserError(f"{what}: not a folder made by `data toy`, nor one with a data.yaml; {_wanted()}")
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return _from_yaml(path)
    if path.suffix == ".json" and path.is_file():
        return _from_json(path)
    hint = nearest(name, known_names()) if re.fullmatch(r"\w+", name) else ""
    raise UserError(f"{what}: no such dataset; {hint if hint.startswith('did') else _wanted()}")


def _toy(folder: Path) -> Source:
    if (folder / "data.yaml").is_file():  # of another subject than people
        return _from_yaml(folder / "data.yaml")
    splits = {name: toy_split(folder, name) for name in ("train", "val")}
    return Source(str(folder), {name: SplitFiles("coco", images, json) for name, (json, images) in splits.items()})


def _known(what: str, name: str, folder: Path | None) -> Source:
    tree = known_tree(name)
    around = os.environ.get(DATA_FOLDER)
    usual = [*([Path(around) / name] if around else []), Path("data") / name, Path(name)]
    places = [folder] if folder is not None else usual
    root = next((place for place in places if place.is_dir()), places[0])
    splits: dict[str, SplitFiles] = {}
    absent: dict[str, str] = {}
    for key in (key for key in SPLITS if key in tree):
        ways = [_split(name, root, tree["format"], key, way, YoloFormat()) for way in _as_list(tree[key])]
        there = [way for way in ways if way.annotations is not None and way.annotations.exists()]
        # Of two layouts whose annotations have one name, that which has the pictures too.
        there.sort(key=lambda way: not zipped.is_folder(way.images))
        if there:
            splits[key] = there[0]
        else:
            absent[key] = " or ".join(f"{way.annotations} with {way.images}" for way in ways)
    if not splits:
        looked = "" if folder else f" (looked in {', '.join(map(str, places))}; {name}:FOLDER names another)"
        wanted = "; ".join(f"{key}: {files}" for key, files in absent.items())
        raise UserError(f"{name}: none of its files in {root}{looked}; expected {wanted}")
    return Source(what, splits, skeleton_in(tree, f"{name}.yaml"), absent)


def _from_yaml(path: Path) -> Source:
    tree = read_tree(path)
    for key in tree:
        if key not in (*KEYS, *NOTES):
            raise UserError(f"{path}: unknown key `{key}`; {nearest(key, KEYS)}")
    root = path.parent / str(tree.get("path", "."))
    given = [key for key in SPLITS if tree.get(key) is not None]
    if not given:
        raise UserError(f"{path}: neither train nor val; {_wanted()}")
    usual = "yolo" if all(isinstance(value, str) for key in given for value in _as_list(tree[key])) else "coco"
    layout = tree.get("format", usual)
    if layout not in (*LAYOUTS, "yolo"):
        raise UserError(f"{path}: format: {short(layout, 40)} is not one; {nearest(layout, (*LAYOUTS, 'yolo'))}")
    nameless = layout != "yolo" and not NAMING_KEYS & tree.keys() and tree.keys() & set(dataset_yaml.JOINT_KEYS)
    skeleton = None if nameless else skeleton_in(tree, str(path))
    if layout == "yolo" and skeleton is None:
        raise UserError(f"{path}: a YOLO-pose folder needs `kpt_shape: [joints, 3]` or `keypoints`; add one")
    words = yolo_format(path, tree)
    splits = {key: _split(str(path), root, layout, key, tree[key], words) for key in given}
    if nameless:
        skeleton = skeleton_in({**tree, "keypoints": _joints_in(splits)}, str(path))
    return Source(str(path), splits, skeleton)


def _joints_in(splits: Mapping[str, SplitFiles]) -> list[str] | None:
    """The names of the joints in the first annotation file, for a YAML that says more of them but no names."""
    for split in splits.values():
        if split.annotations is not None:
            categories = document_of_split(split, None, True, pictures=False)["categories"]
            named = any(isinstance(category, dict) and category.get("keypoints") for category in categories)
            return (
                [str(name) for name in keypoint_category(split.annotations, categories)["keypoints"]] if named else None
            )
    return None


def _split(where: str, root: Path, layout: str, key: str, value: Any, form: YoloFormat) -> SplitFiles:
    if layout == "yolo":
        folders = tuple(_as_list(value))
        if not all(isinstance(folder, str) for folder in folders):
            raise UserError(f"{where}: {key}: expected a folder of pictures, or a list of such, got {short(value)}")
        return SplitFiles(layout, root, None, folders=folders, form=form)
    needed = {"images"} if key == "test" else {"images", "annotations"}
    known = isinstance(value, dict) and all(isinstance(part, str) for part in value.values())
    for part in value if known else ():
        if part not in SPLIT_KEYS:
            raise UserError(f"{where}: {key}: unknown key `{part}`; {nearest(part, SPLIT_KEYS)}")
    if not known or not needed <= set(value):
        raise UserError(
            f"{where}: {key}: expected a mapping of `images` (a folder or zip) and `annotations` (a JSON), "
            f"got {short(value, 80)}"
        )
    if "truth" in value and layout != "mpii":
        raise UserError(f"{where}: {key}: `truth` belongs to the format mpii alone; leave it out")
    annotations, truth = (root / value[part] if part in value else None for part in ("annotations", "truth"))
    return SplitFiles(layout, zipped.folder_or_zip(root / value["images"]), annotations, truth)


def _from_json(path: Path) -> Source:
    data = read_raw(path)
    return Source(str(path), {WHOLE: SplitFiles(layout_of(data), _folder_beside(path, data), path)})


def _folder_beside(path: Path, data: bytes) -> Path:
    """The folder that has the first picture of an annotation file; the file's own if none has it."""
    found = re.search(rb'"(?:file_name|image)"\s*:\s*"([^"]+)"', data)
    name = found.group(1).decode("utf-8", "replace") if found else ""
    part = re.split(r"[_\-.]", path.stem)[-1]
    for above in (path.parent, path.parent.parent, path.parent.parent.parent):
        for folder in (above, above / "images", above / part, above / "images" / part):
            place = zipped.folder_or_zip(folder)
            if name and zipped.is_file(place / name):
                return place
    return path.parent


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _wanted() -> str:
    return (
        f"name a folder made by `data toy`, a COCO JSON, one of {', '.join(known_names())}, or a dataset YAML: "
        "path: DIR; train: {images: DIR, annotations: JSON}; val: {images: DIR, annotations: JSON}"
    )
