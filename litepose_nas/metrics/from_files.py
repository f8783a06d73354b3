"""Figures from files: predictions and annotations in, one report out; no network, no pictures."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import NamedTuple

from litepose_nas.data.annotations import dataset_of, keypoint_category
from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.data.fields import load_json
from litepose_nas.data.layouts import mpii as mpii_format
from litepose_nas.data.layouts import posetrack18
from litepose_nas.data.layouts.building import LayoutFiles
from litepose_nas.data.person import AREA_OF_BOX
from litepose_nas.data.source import open_source
from litepose_nas.data.split_files import name_joints
from litepose_nas.errors import UserError, nearest
from litepose_nas.metrics import mpii
from litepose_nas.metrics.conditions import PredictionSettings
from litepose_nas.metrics.reports import METRICS, MetricInput, MetricReport, report_pckh
from litepose_nas.metrics.results import Result, read_results
from litepose_nas.untrusted.display import short


class PredictionFiles(NamedTuple):
    predictions: Path
    annotations: str  # an annotation file of any layout, a folder of them, a dataset YAML, a name such as coco
    split: str = "val"  # of a YAML or a name
    rule: str = "released"  # of CrowdPose's splits
    said: str | None = None  # how the predictions were made


def judge(metric: str, files: PredictionFiles) -> MetricReport:
    """The report of a metric on files.

    Predictions are COCO results; for MPII also an array as JSON or .mat, for PoseTrack18 also a folder of videos.
    """
    if metric not in METRICS:
        raise UserError(f"--metric: {metric!r} is not one; {nearest(metric, METRICS)}")
    if metric == "mpii":
        truth = _mpii_truth(files)
        made = PredictionSettings(said=files.said)
        return report_pckh(_mpii_found(files.predictions, truth), truth, Path(files.annotations), made)
    opened = _opened(files, metric)
    results = _tracked(files.predictions) if metric == "posetrack" else read_results(files.predictions)
    kind = keypoint_category(opened.path, opened.document["categories"])
    if "ids" in kind:  # of several categories that are one kind here
        results = [
            {**one, "category_id": kind["id"]} if one.get("category_id") in kind["ids"] else one for one in results
        ]
    return METRICS[metric](opened._replace(results=results))


def _opened(files: PredictionFiles, metric: str) -> MetricInput:
    path = Path(files.annotations)
    if path.is_dir() and not (path / "data.yaml").is_file() and any(path.glob("*.json")):  # one file for each video
        document, where, skeleton, layout = posetrack18.read(LayoutFiles(path)), path, None, "posetrack18"
    else:
        source = open_source(files.annotations)
        document, skeleton = source.document(files.split, pictures=False), source.skeleton
        where, layout = source.split(files.split).annotations or path, source.split(files.split).layout
    named = any(isinstance(category, dict) and category.get("keypoints") for category in document["categories"])
    if metric in ("coco", "crowdpose") and not named:
        skeleton = skeleton or known_skeleton(metric)  # the metric names what the file does not
        name_joints(where, document, skeleton)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # The arrays are not needed: reading them checks every record.
        dataset = dataset_of(document, where, where.parent, skeleton, pictures=False)
    notes = [str(warning.message) for warning in caught]
    if layout != "coco":
        notes.append(f"areas that {layout} files lack are {AREA_OF_BOX} of the box")
    made = PredictionSettings(said=files.said)
    ends = dataset.skeleton.nme_joints
    return MetricInput(document, where, dataset.skeleton.sigmas, [], made, files.rule, tuple(notes), ends)


def _mpii_truth(files: PredictionFiles) -> mpii.HeadTruth:
    """MPII's people from its .mat file, or from a JSON that has head boxes or such a .mat file beside it."""
    path = Path(files.annotations)
    if path.suffix.lower() == ".mat":
        return mpii.truth_of_mat(path)
    opened = _opened(files, "mpii")
    people = opened.document["annotations"]
    stem = opened.path.stem  # valid.json has gt_valid.mat, and mpii_val.json mpii_gt_val.mat
    beside = [opened.path.with_name(f"{name}.mat") for name in (f"gt_{stem}", stem.replace("mpii_", "mpii_gt_"))]
    there = next((file for file in beside if file.is_file()), None)
    if there is not None and not any("head_box" in person for person in people):
        return mpii.truth_of_document(mpii_format.read(LayoutFiles(opened.path, truth=there)), opened.path)
    return mpii.truth_of_document(opened.document, opened.path)


def _mpii_found(path: Path, truth: mpii.HeadTruth) -> mpii.Floats:
    if path.suffix.lower() == ".mat":
        return mpii.read_mat_found(path)
    value = load_json(path, "predictions")
    if isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        return mpii.found_of(value, truth)
    return mpii.checked(value, path)


def _tracked(path: Path) -> list[Result]:
    """Results for videos: a list, or files with `annotations` such as PoseTrack18's own."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path} holds no JSON file; give the folder with the predictions, one file for each video")
    results: list[Result] = []
    for file in files:
        value = load_json(file, "predictions")
        if isinstance(value, dict) and isinstance(value.get("annotations"), list):
            results += value["annotations"]
        else:
            results += read_results(file)
    bad = [result for result in results if not isinstance(result, dict)]
    if bad:
        raise UserError(f"{path}: a result is {short(bad[0], 40)}, not an object; mend the predictions")
    return results
