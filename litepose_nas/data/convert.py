"""Writing datasets: as COCO JSON or as a YOLO-pose folder, each with a YAML that opens it again."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from litepose_nas.data import zipped
from litepose_nas.data.annotations import dataset_of, keypoint_category
from litepose_nas.data.dataset import Document, split
from litepose_nas.data.dataset_yaml import skeleton_tree, write_tree
from litepose_nas.data.fields import path_inside
from litepose_nas.data.image_entry import is_labelled
from litepose_nas.data.layouts.building import SUFFIXES, category_for
from litepose_nas.data.layouts.yolo_pose import line_of
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.data.source import WHOLE, Source
from litepose_nas.errors import UserError, nearest
from litepose_nas.files import new_folder
from litepose_nas.untrusted.opening import open_regular

TO = ("coco", "yolo")
IMAGES = ("link", "copy", "none")
Progress = Callable[[int, int], None]


class WrittenSplit(NamedTuple):
    """What of a split was written, and what was left behind because the layout has no place for it."""

    split: str
    pictures: int
    people: int
    left: dict[str, int]
    category: str


class _SplitToWrite(NamedTuple):
    document: Document
    folder: Path  # of the pictures
    skeleton: Skeleton


def convert(
    source: Source, out: Path, to: str, images: str = "link", progress: Progress | None = None
) -> list[WrittenSplit]:
    """Write a dataset into a new folder as COCO JSON or YOLO-pose texts, whole or not at all.

    Pictures are linked (copied where the disk cannot link), copied, or with "none" left where they are.
    """
    if to not in TO:
        raise UserError(f"--to {to}: nothing is written in that layout; {nearest(to, TO)}")
    if images not in IMAGES:
        raise UserError(f"--images {images}: not one of the ways; {nearest(images, IMAGES)}")
    if to == "yolo" and images == "none":
        raise UserError("--images none: YOLO-pose finds labels by the place of the pictures; choose link or copy")
    parts = {name: _part(source, key) for key, name in _named_splits(source)}
    total, done = sum(len(part.document["images"]) for part in parts.values()), 0
    written = []
    with new_folder(out) as partial:
        entries: dict[str, Any] = {}
        for name, part in parts.items():
            names = _new_names(part.document, name, to)
            for picture in part.document["images"]:
                if images != "none":
                    _place_picture(
                        part.folder / picture["file_name"], partial / "images" / name / names[picture["id"]], images
                    )
                done += 1
                if progress is not None:
                    progress(done, total)
            if to == "coco":
                written.append(_write_coco(partial, name, part, names if images != "none" else None))
                folder = f"images/{name}" if images != "none" else str(part.folder.resolve())
                entries[name] = {"images": folder, "annotations": f"annotations/{name}.json"}
            else:
                written.append(_write_yolo(partial, name, part, names))
                entries[name] = f"images/{name}"
        write_tree(partial / "data.yaml", {**entries, **_joint_keys(next(iter(parts.values())), to)})
    return written


def divide(source: Source, out: Path, fraction: float, seed: int = 0, of: str = "train") -> list[WrittenSplit]:
    """Write two COCO JSON of a split's pictures, the larger as train and a fraction as val, into a new folder.

    Which pictures go where depends only on their ids and the seed; those of a video stay together.
    """
    part = _part(source, of, keep_unlabelled=True)
    path, folder = Path(source.name), part.folder
    rest, slice_ = split(dataset_of(part.document, path, folder, part.skeleton, pictures=False), fraction, seed)
    written = []
    with new_folder(out) as partial:
        entries = {}
        for name, records in (("train", rest.records), ("val", slice_.records)):
            ids, videos = {record.image_id for record in records}, {record.video for record in records} - {""}
            kept = [
                p for p in part.document["images"] if p["id"] in ids or (not is_labelled(p) and p["vid_id"] in videos)
            ]
            document = {**part.document, "images": kept, "annotations": _people_of(part.document, kept)}
            written.append(_write_coco(partial, name, part._replace(document=document), None))
            entries[name] = {"images": str(folder.resolve()), "annotations": f"annotations/{name}.json"}
        write_tree(partial / "data.yaml", {**entries, **_joint_keys(part, "coco")})
    return written


def _named_splits(source: Source) -> list[tuple[str, str]]:
    if WHOLE in source.splits:
        return [(WHOLE, "val" if "val" in Path(source.name).stem.lower() else "train")]
    people = {name: split for name, split in source.splits.items() if split.annotations or split.folders}
    if not people:
        raise UserError(f"{source.name} has pictures alone; give a dataset with annotations")
    return [(name, name) for name in people]


def _part(source: Source, name: str, keep_unlabelled: bool = False) -> _SplitToWrite:
    """A split that has passed the strict reader, with the people of its one category."""
    document, folder = source.document(name), source.split(name).images
    path = source.split(name).annotations or folder
    skeleton = dataset_of(document, path, folder, source.skeleton, people=name != "test").skeleton
    category = keypoint_category(path, document["categories"])
    number, label = category.get("id", 1), str(category.get("name", "person"))
    pictures = [p for p in document["images"] if keep_unlabelled or is_labelled(p)]
    people = [a for a in document["annotations"] if a.get("category_id") == number]
    whole = {**document, "images": pictures, "annotations": people}
    return _SplitToWrite(
        {**whole, "annotations": _people_of(whole, pictures), "categories": [category_for(skeleton, number, label)]},
        folder,
        skeleton,
    )


def _people_of(document: Document, pictures: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    ids = {picture["id"] for picture in pictures}
    return [annotation for annotation in document["annotations"] if annotation["image_id"] in ids]


def _new_names(document: Document, split_name: str, to: str) -> dict[int, str]:
    """The name of each picture below images/SPLIT; no folder in it may be called images, by YOLO-pose's rule."""
    names: dict[int, str] = {}
    for picture in document["images"]:
        path = path_inside(f"image {picture['id']}", picture["file_name"])
        parts = [*(part for part in path.parts[:-1] if part != "images"), path.name]
        parts = parts[1:] if len(parts) > 1 and parts[0] == split_name else parts
        names[picture["id"]] = "/".join(parts)
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        raise UserError(f"two pictures would both be called {twice[0]}; rename one of them")
    strange = [name for name in names.values() if Path(name).suffix.lower() not in SUFFIXES] if to == "yolo" else []
    if strange:
        raise UserError(
            f"{strange[0]}: YOLO-pose knows pictures by the ends of their names, {', '.join(SUFFIXES)}; rename it, or "
            "convert --to coco"
        )
    texts: dict[Path, str] = {}
    for name in names.values() if to == "yolo" else ():
        other = texts.setdefault(Path(name).with_suffix(".txt"), name)
        if other != name:
            raise UserError(f"{other} and {name} would share one file of labels in YOLO-pose; rename one of them")
    return names


def _place_picture(source: Path, target: Path, how: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    packed = zipped.within(source)
    try:
        with io.BytesIO(zipped.read_bytes(source)) if packed else open_regular(source) as file:
            if how == "link" and not packed:
                with contextlib.suppress(OSError):  # another disk, or one without links
                    os.link(source.resolve(), target)
                    return
            # "x": where upper and lower case are the same, two names may be one file
            with target.open("xb") as copy:
                shutil.copyfileobj(file, copy)
    except OSError as error:
        raise UserError(f"{source} cannot be copied ({error.strerror or error}); nothing was written") from error


def _write_coco(folder: Path, name: str, part: _SplitToWrite, names: dict[int, str] | None) -> WrittenSplit:
    document = part.document
    if names is not None:
        document = {**document, "images": [{**p, "file_name": names[p["id"]]} for p in document["images"]]}
    target = folder / "annotations" / f"{name}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
    return WrittenSplit(name, len(document["images"]), len(document["annotations"]), {}, _category_of(part))


def _write_yolo(folder: Path, name: str, part: _SplitToWrite, names: dict[int, str]) -> WrittenSplit:
    left: Counter[str] = Counter()
    people: dict[int, list[str]] = defaultdict(list)
    sizes = {picture["id"]: (picture["width"], picture["height"]) for picture in part.document["images"]}
    for person in part.document["annotations"]:
        if person.get("iscrowd"):
            left["crowds"] += 1
            continue
        if "keypoints" not in person:
            person = {**person, "keypoints": [0] * 3 * len(part.skeleton.names)}
        width, height = sizes[person["image_id"]]
        inside, gone = _inside(person["keypoints"], width, height)
        left["joints outside their picture"] += gone
        left["categories"] += int("category" in person)
        left["areas and masks"] += int("segmentation" in person or "area" in person)
        people[person["image_id"]].append(line_of({**person, "keypoints": inside}, width, height))
    left["regions to ignore"] = sum(len(p.get("ignore_regions") or ()) for p in part.document["images"])
    for picture in part.document["images"]:
        target = (folder / "labels" / name / names[picture["id"]]).with_suffix(".txt")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in people[picture["id"]]))
    count = sum(map(len, people.values()))
    some = {what: n for what, n in left.items() if n}
    return WrittenSplit(name, len(part.document["images"]), count, some, _category_of(part))


def _category_of(part: _SplitToWrite) -> str:
    return str(part.document["categories"][0]["name"])


def _inside(keypoints: Sequence[float], width: int, height: int) -> tuple[list[float], int]:
    """Joints of which those outside the picture are not labelled, as YOLO-pose wants it, and their number."""
    kept: list[float] = []
    gone = 0
    for x, y, flag in zip(keypoints[0::3], keypoints[1::3], keypoints[2::3], strict=True):
        inside = 0 <= x <= width and 0 <= y <= height
        gone += bool(flag) and not inside
        kept += [x, y, flag] if inside else [0, 0, 0]
    return kept, gone


def _joint_keys(part: _SplitToWrite, to: str) -> dict[str, Any]:
    words = skeleton_tree(part.skeleton)
    if to == "coco":
        return words
    names = words.pop("keypoints")
    del words["flip_pairs"]
    shape = {"names": {0: _category_of(part)}, "kpt_shape": [len(names), 3], "flip_idx": list(part.skeleton.mirror)}
    return {**shape, "kpt_names": {0: names}, **words}
