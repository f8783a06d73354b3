"""MPII: one record a person with centre and scale, counted from 1, and the MATLAB file by which PCKh is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.dataset import Document
from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.data.fields import load_json, number, numbers
from litepose_nas.data.layouts import mat_file
from litepose_nas.data.layouts.building import LayoutFiles, category_for, ids_of, labelled_box, with_sizes
from litepose_nas.data.person import AREA_OF_BOX, HEAD_OF_BOX
from litepose_nas.errors import UserError
from litepose_nas.untrusted.opening import read_bytes

FIRST_PIXEL = 1  # MPII counts pixels from one, in all its files
# The joints as the .mat files spell them, in MPII's order.
MAT_JOINTS = (
    *("rank", "rkne", "rhip", "lhip", "lkne", "lank", "pelv", "thor"),
    *("neck", "head", "rwri", "relb", "rsho", "lsho", "lelb", "lwri"),
)
HEIGHT = 200  # pixels of a person at scale 1
LOWER = 15  # the box stands this many pixels lower at scale 1, so that no foot is cut off


class PckhTruth(NamedTuple):
    """What PCKh compares with, person by person in the order of the records; COCO's pixels."""

    names: tuple[str, ...]  # of the joints, as the file spells them
    joints: NDArray[np.float64]  # (N, J, 2)
    labelled: NDArray[np.bool_]  # (N, J)
    head_boxes: NDArray[np.float64]  # (N, 4): left, top, width, height
    head_sizes: NDArray[np.float64]  # (N,): 0.6 of the diagonal of the head's box


def read(files: LayoutFiles) -> Document:
    """The records of an MPII JSON, in HRNet's or mmpose's file, as a document.

    A person's box is the square of the usual crop before its padding by 1.25. The area is 0.53 of the box around the
    labelled joints made wider by 0.3 (of that square, where they span none). With `truth`, the .mat file, people have
    head boxes. Sizes of pictures come from the pictures.
    """
    path = files.annotations
    records = load_json(path)
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise UserError(f"{path} is no list of MPII's records; give annot/valid.json or annotations/mpii_val.json")
    heads = None if files.truth is None else read_truth(files.truth).head_boxes
    if heads is not None and len(heads) != len(records):
        raise UserError(f"{files.truth} has {len(heads)} people and {path} {len(records)}; give the two of one split")
    names = [_file_name(path, place, record) for place, record in enumerate(records)]
    ids = ids_of(names)
    annotations = []
    for place, record in enumerate(records):
        annotation = _annotation(f"{path}: record {place}", record)
        annotation.update(id=place + 1, image_id=ids[names[place]], category_id=1)
        if heads is not None:
            annotation["head_box"] = heads[place].tolist()
        annotations.append(annotation)
    pictures = [{"id": number, "file_name": name} for name, number in ids.items()]
    category = category_for(known_skeleton("mpii"))
    return {"images": with_sizes(pictures, files.images), "annotations": annotations, "categories": [category]}


def read_truth(path: Path) -> PckhTruth:
    """What the ground truth in MATLAB's format says: gt_valid.mat of HRNet, mpii_gt_val.mat of mmpose."""
    arrays = load_mat(path)
    wanted = ("dataset_joints", "jnt_missing", "pos_gt_src", "headboxes_src")
    missing = [key for key in wanted if key not in arrays]
    if missing:
        raise UserError(f"{path}: no array `{missing[0]}` in it; give gt_valid.mat")
    cells = arrays["dataset_joints"].ravel()
    if not all(isinstance(cell, np.ndarray) and cell.size for cell in cells):
        raise UserError(f"{path}: `dataset_joints` is no list of names; give gt_valid.mat")
    names = tuple(str(cell.ravel()[0]) for cell in cells)
    places, absent, heads = (arrays[key] for key in ("pos_gt_src", "jnt_missing", "headboxes_src"))
    if not all(array.dtype.kind in "iuf" for array in (places, absent, heads)):
        raise UserError(
            f"{path}: `pos_gt_src`, `jnt_missing` and `headboxes_src` must hold numbers; fetch the file again"
        )
    people = places.shape[-1]
    shapes = (places.shape, absent.shape, heads.shape)
    if shapes != ((len(names), 2, people), (len(names), people), (2, 2, people)):
        raise UserError(f"{path}: its arrays do not fit each other, {shapes}; fetch the file again")
    joints, heads = places.transpose(2, 0, 1).astype(np.float64) - 1, heads.transpose(2, 0, 1).astype(np.float64) - 1
    first, size = heads[:, 0], heads[:, 1] - heads[:, 0]
    diagonals = HEAD_OF_BOX * np.hypot(size[:, 0], size[:, 1])
    return PckhTruth(names, joints, absent.T == 0, np.concatenate([first, size], axis=1), diagonals)


def load_mat(path: Path) -> dict[str, Any]:
    try:
        return dict(mat_file.variables(read_bytes(path, mat_file.MOST_BYTES)))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    except ValueError as error:
        raise UserError(f"{path}: not a MATLAB file ({error}); save or fetch it again, as version 5, 6 or 7") from error


def one_less(where: str, keypoints: Any) -> list[float]:
    """Joints x, y, flag counted from 0 instead of 1; those that are not labelled become 0."""
    flat = numbers(where, "keypoints", keypoints).ravel()
    if len(flat) % 3:
        raise UserError(f"{where}: 'keypoints' must be x, y and flag of each joint; mend it")
    points = flat.reshape(-1, 3)
    moved = np.where(points[:, 2:] > 0, points - (1, 1, 0), 0)
    return [float(value) for value in moved.ravel()]


def _file_name(path: Path, place: int, record: dict[str, Any]) -> str:
    name = record.get("image")
    if not isinstance(name, str) or not name:
        raise UserError(f"{path}: record {place} has no 'image', the name of its file; add it")
    return name


def _annotation(where: str, record: dict[str, Any]) -> dict[str, Any]:
    centre = numbers(where, "center", record.get("center"), 2).ravel()
    scale = number(where, "scale", record.get("scale"))
    side = max(scale, 0.0) * HEIGHT  # of people in the test pictures it may be unknown: -1
    left, top = centre - 1 - side / 2 + (0, max(scale, 0.0) * LOWER)
    box = [float(left), float(top), side, side]
    annotation: dict[str, Any] = {"iscrowd": 0, "bbox": box, "center": (centre - 1).tolist(), "scale": scale}
    if "joints" not in record:  # a picture of the test
        return {**annotation, "area": side * side * AREA_OF_BOX}
    count = len(known_skeleton("mpii").names)
    places = numbers(where, "joints", record["joints"], 2 * count).reshape(count, 2)
    flags = numbers(where, "joints_vis", record.get("joints_vis"), count).ravel()
    points = np.column_stack([places, 2 * (flags > 0)])
    tight = labelled_box(points)
    area = (tight[2] * tight[3] or side * side) * AREA_OF_BOX
    keypoints = one_less(where, points.ravel().tolist())
    return {**annotation, "keypoints": keypoints, "num_keypoints": int((flags > 0).sum()), "area": area}
