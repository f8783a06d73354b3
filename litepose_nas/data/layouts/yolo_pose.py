"""YOLO-pose folders: pictures below images/, beside them labels/ with a text of each, a person a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data import zipped
from litepose_nas.data.dataset import Document
from litepose_nas.data.layouts.building import category_for, ids_of, pictures_in, with_sizes
from litepose_nas.data.person import AREA_OF_BOX
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.errors import UserError
from litepose_nas.untrusted.display import short, some
from litepose_nas.untrusted.opening import MAX_TEXT, read_text

MAX_LIST = 64 << 20  # bytes of a list of pictures


class YoloFormat(NamedTuple):
    numbers: int = 3  # of each joint: 3 with a flag, 2 without
    classes: tuple[tuple[int, str], ...] = ((0, "person"),)


def yolo_format(path: Path, tree: dict[str, Any]) -> YoloFormat:
    """Read `names` and `kpt_shape` of a dataset YAML."""
    names = tree.get("names", ["person"])
    classes = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(classes, dict) or not classes or not all(type(number) is int for number in classes):
        raise UserError(f"{path}: names: expected class numbers with their names, got {short(names)}")
    if tree.get("nc", len(classes)) != len(classes):
        raise UserError(f"{path}: nc is {short(tree['nc'], 20)} and names has {len(classes)}; let them agree")
    shape = tree.get("kpt_shape") or [0, 3]
    if shape[1] not in (2, 3):
        raise UserError(f"{path}: kpt_shape: {shape[1]} numbers a joint; expected 2, or 3 with a flag")
    return YoloFormat(shape[1], tuple((number, str(name)) for number, name in sorted(classes.items())))


def read(root: Path, places: Sequence[str], skeleton: Skeleton, form: YoloFormat = YoloFormat()) -> Document:  # noqa: B008
    """The pictures of folders below a root, or those that text files list, with their people.

    Boxes and joints are shares of a picture's sides; they become COCO's pixels as Ultralytics' converter makes them,
    without a half pixel.
    """
    ids = ids_of([name for place in places for name in _listed(root, place)])
    pictures = with_sizes([{"id": number, "file_name": name} for name, number in ids.items()], root)
    people: list[dict[str, Any]] = []
    for picture in pictures:
        labels = label_file(root / picture["file_name"])
        for row in _rows(labels, len(skeleton.names), form):
            person = _annotation(row, picture, len(skeleton.names), form.numbers)
            people.append({"id": len(people) + 1, "image_id": picture["id"], **person})
    categories = [category_for(skeleton, number + 1, name) for number, name in form.classes]
    return {"images": pictures, "annotations": people, "categories": categories}


def label_file(picture: Path) -> Path:
    """The label file of a picture: the last folder called `images` is replaced by `labels`."""
    parts = list(picture.with_suffix(".txt").parts)
    if "images" not in parts[:-1]:
        raise UserError(f"{picture}: no folder called images above it, so its labels cannot be found; rename one")
    last = len(parts) - 2 - parts[-2::-1].index("images")
    return Path(*parts[:last], "labels", *parts[last + 1 :])


def line_of(person: dict[str, Any], width: int, height: int) -> str:
    """A person as a line of a label file; the box is clipped to the picture."""
    left, top, wide, high = person["bbox"]
    right, bottom = min(left + wide, width), min(top + high, height)
    left, top = max(left, 0.0), max(top, 0.0)
    box = (left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height
    words = ["0", *(f"{max(share, 0.0):.9g}" for share in box)]
    for x, y, flag in np.array(person["keypoints"], np.float64).reshape(-1, 3).tolist():
        words += [f"{x / width:.9g}", f"{y / height:.9g}", f"{flag:g}"] if flag else ["0", "0", "0"]
    return " ".join(words)


def _listed(root: Path, place: str) -> list[str]:
    """The names, relative to the root, of the pictures in a folder or a list file."""
    path = root / place
    if path.suffix != ".txt":
        return [(Path(place) / name).as_posix() for name in pictures_in(path)]
    try:
        lines = read_text(path, MAX_LIST).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: no list of pictures can be read ({error}); check the path") from error
    names = [line.strip().removeprefix("./") for line in lines]
    whole = f"{root.absolute().as_posix()}/"  # many lists name pictures from the root of the disk
    return [(Path(place).parent / name).as_posix().removeprefix(whole) for name in names if name]


def _rows(file: Path, joints: int, form: YoloFormat) -> list[NDArray[np.float64]]:
    each, classes = form.numbers, [number for number, _ in form.classes]
    if not zipped.is_file(file):
        return []  # a picture without a label file shows no people
    try:
        lines = zipped.read_bytes(file, MAX_TEXT).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read ({error}); mend or remove it") from error
    rows = []
    for place, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        where = f"{file}, line {place}"
        try:
            row = np.array([float(word) for word in words])
        except ValueError as error:
            raise UserError(f"{where}: something other than numbers; mend it") from error
        if len(row) != 5 + each * joints:
            raise UserError(
                f"{where} has {len(row)} numbers, but class, box and {joints} joints of {each} need "
                f"{5 + each * joints}; mend it, or kpt_shape in the YAML"
            )
        if not (np.abs(row) <= 1000).all() or (row[3:5] < 0).any():  # false for NaN as well
            raise UserError(f"{where}: numbers must be shares of the picture, widths and heights 0 or more; mend it")
        if row[0] not in classes:
            raise UserError(f"{where}: class {row[0]:g} is none of [{some(classes)}]; mend it, or names in the YAML")
        if each == 3 and not np.isin(row[7::3], (0, 1, 2)).all():
            raise UserError(f"{where}: flags must be 0, 1 or 2; mend it")
        rows.append(row)
    return rows


def _annotation(row: NDArray[np.float64], picture: dict[str, Any], joints: int, each: int) -> dict[str, Any]:
    width, height = picture["width"], picture["height"]
    across, down, wide, high = row[1:5] * (width, height, width, height)
    points = row[5:].reshape(joints, each)
    if each == 2:  # without flags, joints at 0 or less are not labelled
        points = np.column_stack([points, 2 * (points > 0).all(1)])
    points = points * (width, height, 1) * (points[:, 2:] > 0)
    return {
        "category_id": int(row[0]) + 1,
        "iscrowd": 0,
        "bbox": [float(across - wide / 2), float(down - high / 2), float(wide), float(high)],
        "area": float(wide * high * AREA_OF_BOX),
        "keypoints": [float(value) for value in points.ravel()],
        "num_keypoints": int((points[:, 2] > 0).sum()),
    }
