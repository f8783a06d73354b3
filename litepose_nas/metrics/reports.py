"""A report for each metric: lines for people, fields for machines, and the conditions for both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from litepose_nas.data.dataset import Document, subjects
from litepose_nas.data.layouts.crowdpose import SPLIT_RULES
from litepose_nas.data.person import AREA_OF_BOX
from litepose_nas.errors import UserError
from litepose_nas.metrics import coco, crowdpose, mpii, nme, oks, pck, posetrack
from litepose_nas.metrics.conditions import Conditions, PredictionSettings
from litepose_nas.metrics.results import Result

SHARES = (0.05, 0.1, 0.2)  # of the box or torso, at which PCK is given


class MetricInput(NamedTuple):
    document: Document
    path: Path  # of the annotations
    sigmas: tuple[float, ...]
    results: Sequence[Result]
    made: PredictionSettings = PredictionSettings()
    rule: str = "released"  # of CrowdPose's splits
    notes: tuple[str, ...] = ()  # what had to be assumed
    nme_joints: tuple[int, int] | None = None  # whose distance is a subject's size in the NME


class MetricReport(NamedTuple):
    lines: tuple[str, ...]
    figures: dict[str, Any]
    conditions: Conditions


def report_coco(given: MetricInput) -> MetricReport:
    truth, notes = _truth(given)
    scores = coco.coco_ap(truth, given.results)
    if scores.ap < 0:
        raise no_people(given.path)
    notes = [*notes, *_missing_groups(_who(truth), scores._asdict())]
    lines = coco.ten_lines(scores).split("\n")
    return MetricReport(tuple(lines), scores._asdict(), _conditions(given, truth, notes))


def report_crowdpose(given: MetricInput) -> MetricReport:
    crowd = crowdpose.crowd_truth(given.document, given.path, given.rule)
    scores = crowdpose.crowdpose_ap(crowd, given.results)
    if scores.ap < 0:
        raise no_people(given.path)
    low, high = SPLIT_RULES[given.rule]
    counts = ", ".join(f"{len(ids)} {name}" for name, ids in crowd.splits.items())
    notes = [
        f"split rule {given.rule!r}: medium from crowdIndex {low}, hard from {high}; pictures: {counts}",
        f"areas are {AREA_OF_BOX} of the box, sigmas CrowdPose's",
        *_missing_groups("pictures", scores._asdict()),
    ]
    figures = {
        **scores._asdict(),
        "split_rule": given.rule,
        "split_limits": [low, high],
        "split_pictures": {name: len(ids) for name, ids in crowd.splits.items()},
    }
    lines = crowdpose.nine_lines(scores, given.rule).split("\n")
    return MetricReport(tuple(lines), figures, _conditions(given, crowd.truth, notes))


def report_mpii(given: MetricInput) -> MetricReport:
    """PCKh at 0.5 and at 0.1 of results, one for each person."""
    truth = mpii.truth_of_document(given.document, given.path)
    return report_pckh(mpii.found_of(given.results, truth), truth, given.path, given.made)


def report_pckh(found: mpii.Floats, truth: mpii.HeadTruth, path: Path, made: PredictionSettings) -> MetricReport:
    """PCKh at 0.5 and at 0.1 of joints (N, 16, 2), person by person as in the truth that a path held."""
    rows = {"0.5": mpii.pckh(found, truth, 0.5), "0.1": mpii.pckh(found, truth, 0.1)}
    if not truth.present.any():
        raise no_people(path)
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
    conditions = Conditions(pictures, len(truth.joints), made, tuple(notes))
    head = ("", *(column.capitalize() for column in mpii.Pckh._fields))
    lines = _aligned(head, [(f"PCKh@{at}", *map(_percent, row)) for at, row in rows.items()])
    return MetricReport(lines, {f"pckh@{at}": _known(row._asdict()) for at, row in rows.items()}, conditions)


def report_posetrack(given: MetricInput) -> MetricReport:
    frames = posetrack.frames_of(given.document, given.path, given.results)
    scores = posetrack.posetrack_ap(frames)
    if scores.total != scores.total:
        raise no_people(given.path)
    people = sum(len(frame.joints) for frame in frames)
    unlabelled = len(given.document["images"]) - len(frames)
    headless = sum(int((frame.heads <= 0).sum()) for frame in frames)
    notes = ["AP of joints within half a head's size; total is the mean over the 15 joints"]
    if unlabelled:
        notes.append(f"{unlabelled} frames without annotated people are left out, as its evaluation does")
    if headless:
        notes.append(f"{headless} people have a head box of no size: nothing can be near them")
    if given.results and not any(result.get("scores") for result in given.results):
        notes.append("no result has 'scores': joints are ranked by their third number")
    columns = posetrack.PoseTrackScores._fields[:-1]
    row = scores._asdict()
    lines = _aligned(
        ("", *(column.capitalize() for column in columns)), [("AP", *(_percent(row[column]) for column in columns))]
    )
    figures = {**_known({column: row[column] for column in columns}), "joints": _known(scores.joints)}
    return MetricReport(lines, figures, Conditions(len(frames), people, given.made, tuple(notes)))


def report_pck(given: MetricInput) -> MetricReport:
    truth, notes = _truth(given)
    names = [str(name) for name in truth.coco.dataset["categories"][0]["keypoints"]]
    errors = pck.errors_of(coco.labels_of(truth), coco.found_of(truth, given.results), names)
    if not errors.present.any():
        raise no_people(given.path)
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
        f"{found} of {people} {_who(truth)} were found (similarity {pck.MIN_SIMILARITY} or more, the most similar "
        "first); joints of the others are wrong in PCK and not in the median",
        "box: its longer side" + (f"; torso: left shoulder to right hip, of {torsos} {_who(truth)}" if torsos else ""),
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
    return MetricReport(lines, _known(figures), _conditions(given, truth, notes))


def report_nme(given: MetricInput) -> MetricReport:
    """The NME, of which less is better, of all joints and of each."""
    if given.nme_joints is None:
        raise UserError(
            f"{given.path}: nothing says between which two joints the NME measures a subject's size; add `nme_joints` "
            "to the dataset's YAML, for faces the outer corners of the eyes: nme_joints: [36, 45] of 68 points"
        )
    truth, notes = _truth(given)
    names = [str(name) for name in truth.coco.dataset["categories"][0]["keypoints"]]
    errors = nme.errors_of(coco.labels_of(truth), coco.found_of(truth, given.results), given.nme_joints)
    each, (one, other) = nme.of_subjects(errors), (names[joint] for joint in given.nme_joints)
    if not len(each):
        raise UserError(
            f"{given.path}: nobody has both {one} and {other} labelled, so there is no size to measure errors by"
        )
    found, who = int(np.isfinite(each).sum()), _who(truth)
    notes = [
        *notes,
        f"size: from {one} to {other}, which {len(each)} of {len(errors)} {who} have labelled; the others are left out",
        f"{found} of {len(each)} {who} have a result, the nearest of their picture; the others are failures alone",
    ]
    mean, of_joints, failures = nme.nme(errors), nme.of_joints(errors), nme.failures(errors)
    figures = {
        "nme": mean,
        f"failures@{nme.FAILED:g}": failures,
        "people_found": found,
        "joints": dict(zip(names, of_joints.tolist(), strict=True)),
    }
    rows = [*zip(names, (_percent(100 * value) for value in of_joints), strict=True), ("all", _percent(100 * mean))]
    lines = (
        *_aligned(("joint", "NME, %"), rows),
        f"NME above {100 * nme.FAILED:g} %: {100 * failures:.1f} % of the {who}",
    )
    return MetricReport(lines, _known(figures), _conditions(given, truth, notes))


METRICS: dict[str, Callable[[MetricInput], MetricReport]] = {
    "coco": report_coco,
    "crowdpose": report_crowdpose,
    "mpii": report_mpii,
    "posetrack": report_posetrack,
    "pck": report_pck,
    "nme": report_nme,
}


def no_people(path: Path) -> UserError:
    return UserError(f"{path} labels no joints of anybody, so there is nothing to find; give a file that does")


def _truth(given: MetricInput) -> tuple[coco.Truth, list[str]]:
    truth = coco.truth_of(given.document, given.path, given.sigmas)
    filled = [f"{truth.filled} areas were missing or zero: {AREA_OF_BOX} of the box instead"] if truth.filled else []
    return truth, [*given.notes, *filled]


def _conditions(given: MetricInput, truth: coco.Truth, notes: Sequence[str]) -> Conditions:
    people = int((~coco.labels_of(truth).ignored).sum())
    counts: dict[int, int] = {}
    for result in given.results:
        counts[result["image_id"]] = counts.get(result["image_id"], 0) + 1
    empty = len(truth.image_ids) - len(counts)
    most = oks.MAX_DETECTIONS
    crowded = sum(count > most for count in counts.values())
    if empty:
        notes = [*notes, f"no result in {empty} of {len(truth.image_ids)} pictures"]
    if crowded:
        notes = [
            *notes,
            f"more than {most} results in {crowded} pictures: the best {most} count",
        ]
    return Conditions(len(truth.image_ids), people, given.made, tuple(notes), _who(truth))


def _who(truth: coco.Truth) -> str:
    return subjects(str(truth.coco.dataset["categories"][0].get("name", "person")))


def _missing_groups(what: str, scores: dict[str, float]) -> list[str]:
    absent = sorted({name.split("_")[1] for name, value in scores.items() if value < 0})
    return [f"-1: no {' and no '.join(absent)} {what} to find"] if absent else []


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
    """Figures for JSON, which has no NaN: it becomes null."""
    if isinstance(value, dict):
        return {key: _known(entry) for key, entry in value.items()}
    if isinstance(value, float):
        return None if value != value else float(value)
    return value
