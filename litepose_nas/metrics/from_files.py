"""Figures from files alone: predictions and annotations in, one report out; no network, no pictures."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from litepose_nas.data.coco import Document, keypoint_category, skeleton_of
from litepose_nas.data.formats import mpii as mpii_format
from litepose_nas.data.formats import posetrack18
from litepose_nas.data.formats.crowdpose import SPLIT_RULES
from litepose_nas.data.person import AREA_OF_BOX
from litepose_nas.data.source import open_source
from litepose_nas.errors import UserError, nearest
from litepose_nas.metrics import coco, crowdpose, mpii, oks, pck, posetrack
from litepose_nas.metrics.conditions import Conditions
from litepose_nas.metrics.results import Result, read_any, read_results

SHARES = (0.05, 0.1, 0.2)  # of the box or torso, at which PCK is given


class Asked(NamedTuple):
    """What is to be judged, and how."""

    predictions: Path
    annotations: str  # an annotation file of any layout, a folder of them, a dataset YAML, a name such as coco
    split: str = "val"  # of a YAML or a name
    rule: str = "released"  # of CrowdPose's splits
    said: str | None = None  # how the predictions were made


class Opened(NamedTuple):
    """Annotations that were read, and where from."""

    document: Document
    path: Path
    sigmas: tuple[float, ...]
    notes: tuple[str, ...]


class Report(NamedTuple):
    """The figures of a metric: lines for people, fields for machines, and the conditions for both."""

    lines: tuple[str, ...]
    figures: dict[str, Any]
    conditions: Conditions


def judge(metric: str, asked: Asked) -> Report:
    """Return the report of a metric on files."""
    if metric not in METRICS:
        raise UserError(f"--metric: {metric!r} is not one; {nearest(metric, METRICS)}")
    return METRICS[metric](asked)


def report_coco(asked: Asked) -> Report:
    """Return COCO's ten numbers for predictions as COCO results."""
    truth, notes = _truth(asked)
    results = read_results(asked.predictions)
    scores = coco.coco_ap(truth, results)
    if scores.ap < 0:
        raise _nobody(asked.annotations)
    return Report(
        tuple(coco.ten_lines(scores).split("\n")),
        scores._asdict(),
        _conditions(asked, truth, results, [*notes, *_nobody_of("people", scores._asdict())]),
    )


def report_crowdpose(asked: Asked) -> Report:
    """Return CrowdPose's nine numbers for predictions as COCO results."""
    opened = _opened(asked)
    crowd = crowdpose.crowd_truth(opened.document, opened.path, asked.rule)
    results = read_results(asked.predictions)
    scores = crowdpose.crowdpose_ap(crowd, results)
    if scores.ap < 0:
        raise _nobody(asked.annotations)
    low, high = SPLIT_RULES[asked.rule]
    counts = ", ".join(f"{len(ids)} {name}" for name, ids in crowd.splits.items())
    notes = [
        f"split rule {asked.rule!r}: medium from crowdIndex {low}, hard from {high}; pictures: {counts}",
        f"areas are {AREA_OF_BOX} of the box, sigmas CrowdPose's",
        *_nobody_of("pictures", scores._asdict()),
    ]
    figures = {
        **scores._asdict(),
        "split_rule": asked.rule,
        "split_limits": [low, high],
        "split_pictures": {name: len(ids) for name, ids in crowd.splits.items()},
    }
    lines = crowdpose.nine_lines(scores, asked.rule).split("\n")
    return Report(tuple(lines), figures, _conditions(asked, crowd.truth, results, notes))


def report_mpii(asked: Asked) -> Report:
    """Return PCKh at 0.5 and at 0.1 for predictions as COCO results, or an array of them as JSON or .mat."""
    truth = _mpii_truth(asked)
    found = _mpii_found(asked.predictions, truth)
    rows = {"0.5": mpii.pckh(found, truth, 0.5), "0.1": mpii.pckh(found, truth, 0.1)}
    if not truth.present.any():
        raise _nobody(asked.annotations)
    heads = int((truth.heads <= 0).sum())
    notes = [
        "mean over the labelled joints without pelvis and thorax; head is the head top alone, as for validation "
        "(the official test table averages it with the upper neck)"
    ]
    if heads:
        notes.append(f"{heads} people have a head box of no size: none of their joints count as right")
    pictures = len(set(truth.image_ids)) if truth.image_ids else len(truth.joints)
    if not truth.image_ids:
        notes.append("the ground truth does not name pictures: people are counted instead")
    conditions = Conditions(pictures, len(truth.joints), said=asked.said, notes=tuple(notes))
    head = ("", *(column.capitalize() for column in mpii.Pckh._fields))
    lines = _aligned(head, [(f"PCKh@{at}", *map(_percent, row)) for at, row in rows.items()])
    return Report(lines, {f"pckh@{at}": _known(row._asdict()) for at, row in rows.items()}, conditions)


def report_posetrack(asked: Asked) -> Report:
    """Return PoseTrack18's AP for predictions as COCO results, or as a folder with a JSON file for each video."""
    opened = _opened(asked)
    results = _tracked(asked.predictions)
    frames = posetrack.frames_of(opened.document, opened.path, results)
    scores = posetrack.posetrack_ap(frames)
    if scores.total != scores.total:
        raise _nobody(asked.annotations)
    people = sum(len(frame.joints) for frame in frames)
    unlabelled = len(opened.document["images"]) - len(frames)
    headless = sum(int((frame.heads <= 0).sum()) for frame in frames)
    notes = ["AP of joints within half a head's size; total is the mean over the 15 joints"]
    if unlabelled:
        notes.append(f"{unlabelled} frames without annotated people are left out, as its evaluation does")
    if headless:
        notes.append(f"{headless} people have a head box of no size: nothing can be near them")
    if results and not any(result.get("scores") for result in results):
        notes.append("no result has 'scores': joints are ranked by their third number")
    columns = posetrack.PoseTrackScores._fields[:-1]
    row = scores._asdict()
    lines = _aligned(
        ("", *(column.capitalize() for column in columns)), [("AP", *(_percent(row[column]) for column in columns))]
    )
    figures = {**_known({column: row[column] for column in columns}), "joints": _known(scores.joints)}
    return Report(lines, figures, Conditions(len(frames), people, said=asked.said, notes=tuple(notes)))


def report_pck(asked: Asked) -> Report:
    """Return PCK of box and torso and the median pixel error for predictions as COCO results, any skeleton."""
    truth, notes = _truth(asked)
    results = read_results(asked.predictions)
    names = [str(name) for name in truth.coco.dataset["categories"][0]["keypoints"]]
    errors = pck.errors_of(coco.labels_of(truth), coco.found_of(truth, results), names)
    if not errors.present.any():
        raise _nobody(asked.annotations)
    sizes = ["box", *(["torso"] if np.isfinite(errors.torsos).any() else [])]
    median, medians = pck.median_error(errors)
    tables = {f"pck@{share:g} of {size}": pck.pck(errors, share, size) for size in sizes for share in SHARES}
    means = {f"pck@{share:g} of {size}": pck.mean_pck(errors, share, size) for size in sizes for share in SHARES}
    rows = [
        (name, f"{medians[j]:.2f}", *(_percent(100 * table[j]) for table in tables.values()))
        for j, name in enumerate(names)
    ]
    rows.append(("all", f"{median:.2f}", *(_percent(100 * mean) for mean in means.values())))
    found, people = pck.people_found(errors), len(errors.boxes)
    torsos = int(np.isfinite(errors.torsos).sum())
    notes = [
        *notes,
        f"{found} of {people} people were found (similarity {pck.LEAST} or more, the most similar first); joints of "
        "the others are wrong in PCK and not in the median",
        "box: its longer side" + (f"; torso: left shoulder to right hip, of {torsos} people" if torsos else ""),
    ]
    figures = {
        "median_px": median,
        **means,
        "people_found": found,
        "joints": {
            name: {"median_px": medians[j], **{key: table[j] for key, table in tables.items()}}
            for j, name in enumerate(names)
        },
    }
    lines = _aligned(("joint", "median px", *tables), rows)
    return Report(lines, _known(figures), _conditions(asked, truth, results, notes))


METRICS: dict[str, Callable[[Asked], Report]] = {
    "coco": report_coco,
    "crowdpose": report_crowdpose,
    "mpii": report_mpii,
    "posetrack": report_posetrack,
    "pck": report_pck,
}


def _opened(asked: Asked) -> Opened:
    """Return annotations of whatever layout, without looking at pictures."""
    path = Path(asked.annotations)
    if path.is_dir() and not (path / "data.yaml").is_file() and any(path.glob("*.json")):  # one file for each video
        document, where, skeleton = posetrack18.read(path), path, None
    else:
        source = open_source(asked.annotations)
        document, skeleton = source.document(asked.split, pictures=False), source.skeleton
        where = source.split(asked.split).annotations or path
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        skeleton = skeleton or skeleton_of(where, keypoint_category(where, document["categories"]))
    return Opened(document, where, skeleton.sigmas, tuple(str(warning.message) for warning in caught))


def _truth(asked: Asked) -> tuple[coco.Truth, list[str]]:
    """Return the people of the annotations, and what had to be assumed of them."""
    opened = _opened(asked)
    truth = coco.truth_of(opened.document, opened.path, opened.sigmas)
    notes = list(opened.notes)
    if truth.filled:
        notes.append(f"{truth.filled} areas were missing or zero: {AREA_OF_BOX} of the box instead")
    return truth, notes


def _conditions(asked: Asked, truth: coco.Truth, results: Sequence[Result], notes: Sequence[str]) -> Conditions:
    people = int((~coco.labels_of(truth).ignored).sum())
    counts: dict[int, int] = {}
    for result in results:
        counts[result["image_id"]] = counts.get(result["image_id"], 0) + 1
    empty = len(truth.image_ids) - len(counts)
    crowded = sum(count > oks.MOST for count in counts.values())
    if empty:
        notes = [*notes, f"no result in {empty} of {len(truth.image_ids)} pictures"]
    if crowded:
        notes = [*notes, f"more than {oks.MOST} results in {crowded} pictures: the best {oks.MOST} count"]
    return Conditions(len(truth.image_ids), people, said=asked.said, notes=tuple(notes))


def _nobody(path: str) -> UserError:
    return UserError(f"{path} has nobody with labelled joints: there is nothing to find; give a file with people")


def _nobody_of(what: str, scores: dict[str, float]) -> list[str]:
    absent = sorted({name.split("_")[1] for name, value in scores.items() if value < 0})
    return [f"-1: no {' and no '.join(absent)} {what} to find"] if absent else []


def _mpii_truth(asked: Asked) -> mpii.HeadTruth:
    """Return MPII's people from its .mat file, or from a JSON that has head boxes or such a .mat file beside it."""
    path = Path(asked.annotations)
    if path.suffix.lower() == ".mat":
        return mpii.truth_of_mat(path)
    opened = _opened(asked)
    people = opened.document["annotations"]
    beside = [opened.path.with_name(name) for name in _mat_names(opened.path.stem)]
    there = next((file for file in beside if file.is_file()), None)
    if there is not None and not any("head_box" in person for person in people):
        return mpii.truth_of_document(mpii_format.read(opened.path, None, there), opened.path)
    return mpii.truth_of_document(opened.document, opened.path)


def _mat_names(stem: str) -> tuple[str, ...]:
    """Return how the ground truth for PCKh is called that belongs to valid.json or mpii_val.json."""
    return f"gt_{stem}.mat", f"{stem.replace('mpii_', 'mpii_gt_')}.mat"


def _mpii_found(path: Path, truth: mpii.HeadTruth) -> mpii.Floats:
    if path.suffix.lower() == ".mat":
        return mpii.read_mat_found(path)
    value = read_any(path)
    if isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        return mpii.found_of(value, truth)
    return mpii.checked(value, path)


def _tracked(path: Path) -> list[Result]:
    """Return results for videos: a list, or files with `annotations` such as PoseTrack18's own."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path} holds no JSON file; give the folder with the predictions, one file for each video")
    results: list[Result] = []
    for file in files:
        value = read_any(file)
        if isinstance(value, dict) and isinstance(value.get("annotations"), list):
            results += value["annotations"]
        else:
            results += read_results(file)
    bad = [result for result in results if not isinstance(result, dict)]
    if bad:
        raise UserError(f"{path}: a result is {bad[0]!r:.40}, not an object; mend the predictions")
    return results


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    table = [tuple(head), *map(tuple, rows)]
    widths = [max(len(line[place]) for line in table) for place in range(len(head))]
    return tuple(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    )


def _percent(value: float) -> str:
    return "-" if value != value else f"{value:.1f}"


def _known(value: Any) -> Any:
    """Return figures for JSON, which knows no NaN: nobody to find is null."""
    if isinstance(value, dict):
        return {key: _known(entry) for key, entry in value.items()}
    if isinstance(value, float):
        return None if value != value else float(value)
    return value
