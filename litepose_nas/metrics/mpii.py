"""MPII's PCKh: the share of joints that lie within a part of the head's size of where they were labelled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.annotations import keypoint_category
from litepose_nas.data.dataset import Document
from litepose_nas.data.fields import is_id
from litepose_nas.data.layouts.mpii import FIRST_PIXEL, load_mat, read_truth
from litepose_nas.data.layouts.mpii import MAT_JOINTS as JOINTS
from litepose_nas.data.person import head_size, points_of
from litepose_nas.errors import UserError
from litepose_nas.files import replacing
from litepose_nas.metrics.oks import ratio
from litepose_nas.metrics.results import Result, tabulate

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

PARTS = {
    "head": ("head",),
    "shoulder": ("lsho", "rsho"),
    "elbow": ("lelb", "relb"),
    "wrist": ("lwri", "rwri"),
    "hip": ("lhip", "rhip"),
    "knee": ("lkne", "rkne"),
    "ankle": ("lank", "rank"),
}
NOT_IN_MEAN = ("pelv", "thor")


class HeadTruth(NamedTuple):
    """Labelled people and the size of their heads, in the order of the file."""

    joints: Floats  # (N, 16, 2), in COCO's pixels
    present: Flags  # (N, 16)
    heads: Floats  # (N,): head sizes in pixels
    annotation_ids: tuple[int, ...] = ()
    image_ids: tuple[int, ...] = ()


class Pckh(NamedTuple):
    """MPII's row in percent; NaN where no person has the joint. The mean counts every joint but pelvis and thorax."""

    head: float
    shoulder: float
    elbow: float
    wrist: float
    hip: float
    knee: float
    ankle: float
    mean: float


def pckh(found: Floats, truth: HeadTruth, threshold: float = 0.5) -> Pckh:
    """The row of predicted joints (N, 16, 2), person by person as in the truth.

    A head of no size cannot be measured with, so none of its person's joints are right.
    """
    if found.shape != truth.joints.shape:
        raise UserError(
            f"the predictions are of shape {found.shape} and the labelled joints of {truth.joints.shape}; "
            "give one prediction for each labelled person, in the order of the annotations"
        )
    gap = np.linalg.norm(found - truth.joints, axis=2)
    sizes = np.where(truth.heads > 0, truth.heads, np.nan)[:, None]
    right = truth.present & (gap / sizes <= threshold)
    hits, count = right.sum(axis=0), truth.present.sum(axis=0)
    rates = 100 * ratio(hits, count)
    counted = [place for place, name in enumerate(JOINTS) if name not in NOT_IN_MEAN]
    columns = [float(np.mean([rates[JOINTS.index(name)] for name in names])) for names in PARTS.values()]
    columns.append(float(100 * ratio(hits[counted].sum(), count[counted].sum())))
    return Pckh(*columns)


def truth_of_mat(path: Path) -> HeadTruth:
    """The people of MPII's ground truth for PCKh (gt_valid.mat, mpii_gt_val.mat)."""
    truth = read_truth(path)
    absent = sorted(set(JOINTS) - set(truth.names))
    if absent:
        raise UserError(f"{path}: 'dataset_joints' does not list {absent[0]!r}; give MPII's own file")
    order = [truth.names.index(name) for name in JOINTS]
    joints, present = truth.joints[:, order], truth.labelled[:, order]
    if not np.isfinite(joints[present]).all() or not np.isfinite(truth.head_sizes).all():
        raise UserError(f"{path} has labelled joints or head boxes that are not numbers; give MPII's own file")
    return HeadTruth(joints, present, truth.head_sizes)


def truth_of_document(document: Document, path: Path) -> HeadTruth:
    """The people of a document whose annotations have a `head_box` (left, top, width, height)."""
    category = keypoint_category(path, document["categories"])
    if len(category["keypoints"]) != len(JOINTS):
        raise UserError(
            f"{path} has {len(category['keypoints'])} joints a person, and MPII {len(JOINTS)}; "
            "choose the metric of this dataset"
        )
    people = [raw for raw in document["annotations"] if raw.get("category_id") == category["id"]]
    joints, heads = np.zeros((len(people), len(JOINTS), 3)), np.zeros(len(people))
    for place, raw in enumerate(people):
        where = f"{path}: annotation {raw.get('id')}"
        if points_of(where, raw, len(JOINTS)).any():  # the numbers are good, but single precision loses some of them
            joints[place] = np.array(raw["keypoints"], float).reshape(-1, 3)
        heads[place] = head_size(where, raw)
        if raw.get("head_box") is None:
            raise UserError(
                f"{where} has no 'head_box', which PCKh measures with; put gt_valid.mat (mpii_gt_val.mat) beside "
                "the JSON, or give it as the annotations"
            )
    ids = tuple(raw.get("id", -1) for raw in people)
    return HeadTruth(joints[..., :2], joints[..., 2] > 0, heads, ids, tuple(raw["image_id"] for raw in people))


def found_of(results: Sequence[Result], truth: HeadTruth) -> Floats:
    """The joints (N, 16, 2) of COCO-style results, one for each person of the truth.

    A result names its person by `annotation_id`; without that they must follow the annotations one by one.
    """
    if not truth.image_ids:
        raise UserError(
            "a .mat ground truth does not say which picture a person is in, so it cannot be compared with a list of "
            "results; give an array (people, 16, 2), or annotations as JSON"
        )
    table = tabulate(results, len(JOINTS), set(truth.image_ids))
    if results and all("annotation_id" in result for result in results):
        place = {number: row for row, number in enumerate(truth.annotation_ids)}
        named = [result["annotation_id"] for result in results]
        rows = [place.get(number, -1) if is_id(number) else -1 for number in named]
        if -1 in rows or len(set(rows)) < len(rows):
            raise UserError(
                "an 'annotation_id' of the results is not in the annotations, or is there twice; "
                "give one result for each labelled person"
            )
    else:
        rows = list(range(len(results)))
        if tuple(table.image_ids) != truth.image_ids:
            raise UserError(
                f"{len(results)} results without 'annotation_id' do not follow the {len(truth.image_ids)} people of "
                "the annotations picture by picture; give each its 'annotation_id'"
            )
    if len(rows) < len(truth.joints):
        raise UserError(
            f"{len(rows)} results for {len(truth.joints)} labelled people: PCKh needs one for each, "
            "from the boxes or centres of the annotations"
        )
    found = np.zeros((len(truth.joints), len(JOINTS), 2))
    found[rows] = table.joints[..., :2]
    return found


def read_mat_found(path: Path) -> Floats:
    """The joints (N, 16, 2) of a .mat file of predictions in COCO's pixels; the file counts from one."""
    arrays = load_mat(path)
    if "preds" not in arrays:
        names = [name for name in arrays if not name.startswith("__")]
        raise UserError(f"{path} has no array 'preds' (it has {', '.join(names) or 'none'}); write one of (N, 16, 2)")
    return checked(arrays["preds"], path) - FIRST_PIXEL


def write_mpii(joints: NDArray[np.floating], path: Path) -> None:
    """Write joints (N, 16, 2) in COCO's pixels, person after person, as MPII's .mat file, which counts from 1."""
    from scipy.io import savemat

    if path.suffix.lower() != ".mat":
        raise UserError(f"{path}: MPII takes a MATLAB file; let its name end in .mat")
    found = checked(joints, path)
    with replacing(path) as temporary:
        savemat(temporary, {"preds": found + FIRST_PIXEL})


def checked(value: Any, path: Path) -> Floats:
    """Predictions as an array (N, 16, 2), checked."""
    try:
        found = np.asarray(value, float)
    except (TypeError, ValueError, OverflowError):
        found = np.zeros(0)
    if found.ndim != 3 or found.shape[1] != len(JOINTS) or found.shape[2] not in (2, 3):
        raise UserError(f"{path}: the predictions are of shape {found.shape}; (people, 16, 2) is needed")
    bad = np.flatnonzero(~np.isfinite(found[..., :2]).all(axis=(1, 2)))
    if len(bad):
        raise UserError(f"{path}: person {bad[0]} (counted from 0) has a NaN or an infinity among its joints; mend it")
    return found[..., :2]
