"""The parsers of datasets, annotations, predictions, pictures and zips."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from scipy.io import loadmat, savemat

from litepose_nas.data import zipped
from litepose_nas.data.boxes import read_boxes
from litepose_nas.data.check.checkup import check_source
from litepose_nas.data.check.messages import lines, tree
from litepose_nas.data.check.page import page
from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.data.images import ignored_mask, read_image
from litepose_nas.data.layouts.picture_size import picture_size
from litepose_nas.data.layouts.toy import toy_settings
from litepose_nas.data.source import open_source
from litepose_nas.data.statistics import categories, crowding, statistics_of
from litepose_nas.metrics.from_files import PredictionFiles, judge
from litepose_nas.metrics.mpii import read_mat_found, truth_of_mat
from tests.helpers import drawn_results, layouts
from tests.helpers.fuzz.target import Target, texts

COCO_YAML = """path: .
train: {images: images, annotations: people.json}
val: {images: images, annotations: people.json, detections: found.json}
"""
JOINTS = f"keypoints: [{', '.join(known_skeleton('coco').names)}]\n"
YOLO_WORDS = "kpt_names: {0: [a, left_b, right_b]}\nnames: {0: person}\nnc: 1\n"
NEAR_COCO = ("coco", "crowdpose", "halpe", "humanart", "jhmdb", "mpii_trb", "ochuman")


def _read_all(what: str) -> None:
    """Read, count and mask what a source has, with its pictures and without."""
    source = open_source(what)
    for split in list(source.splits)[:2]:
        data = source.read(split, pictures=False)
        statistics_of(data)
        document = source.document(split, pictures=False)
        categories(document)
        if source.split(split).layout == "crowdpose":
            crowding(document)
        for record in source.read(split).records:
            if max(record.width, record.height) < 5_000:
                ignored_mask(record)


def _make_yaml(folder: Path) -> list[bytes]:
    layouts.coco(folder)
    pairs = "flip_pairs: [[left_eye, right_eye]]\nskeleton: [[0, 1], [nose, right_eye]]\nsigmas: auto\n"
    return texts(COCO_YAML, COCO_YAML + JOINTS + pairs, COCO_YAML + pairs, COCO_YAML + "sigmas: 0.1\n")


def _make_yolo_yaml(folder: Path) -> list[bytes]:
    text = layouts.yolo(folder).read_text()
    listed = text.replace("train: images/train", "train: [images/train]\nval: some.txt")
    (folder / "some.txt").write_text("images/train/a.png\n./images/train/b.png\n")
    return texts(text, text + YOLO_WORDS, listed)


def _make_yolo_label(folder: Path) -> list[bytes]:
    layouts.yolo(folder)
    return [(folder / "labels" / "train" / "a.txt").read_bytes()]


def _make_layout(name: str, folder: Path) -> list[bytes]:
    layouts.pictures(folder / "images")
    (folder / "data.yaml").write_text(f"format: {name}\nval: {{images: images, annotations: people.json}}\n")
    if name == "mpii":
        return [json.dumps(layouts.mpii_records()).encode()]
    if name == "crowdpose":
        return [layouts.crowdpose(folder).read_bytes()]
    document = layouts.document(known_skeleton("jhmdb" if name == "jhmdb" else "coco").names)
    document["annotations"][0]["segmentation"] = [[4, 4, 8, 4, 8, 10, 4, 10]]
    document["annotations"][1].update(iscrowd=1, segmentation={"counts": [0, 16, 1184], "size": [30, 40]})
    document["annotations"][2].update(track_id=3, head_box=[1, 2, 3, 4])
    document["images"][0]["ignore_regions"] = [[1, 1, 5, 1, 5, 5]]
    document["images"][1].update(is_labeled=True, vid_id="a")
    return [json.dumps(document).encode()]


def _read_layout(path: Path) -> None:
    _read_all(str(path.parent / "data.yaml"))
    _read_all(str(path))


def _make_posetrack(folder: Path) -> list[bytes]:
    found = sorted(layouts.posetrack18(folder / "posetrack18").iterdir())
    for path in found[1:]:
        path.unlink()
    return [found[0].read_bytes()]


def _make_check(folder: Path) -> list[bytes]:
    layouts.pictures(folder)
    small = layouts.small_document()
    for image, number in zip(small["images"], (7, 5), strict=True):
        image.update(file_name=f"{number:06d}.png", width=layouts.WIDTH, height=layouts.HEIGHT)
    small["annotations"][2]["segmentation"]["size"] = [30, 40]
    return [json.dumps(small).encode(), *_make_layout("coco", folder)]


def _check(path: Path) -> None:
    report = check_source(open_source(str(path)), pictures=True)
    "\n".join(lines(report)).encode()
    json.dumps(tree(report)).encode()
    page(report).encode()


def _make_detections(folder: Path) -> list[bytes]:
    return [layouts.detections(folder / "found.json").read_bytes()]


def _pair(metric: str, folder: Path) -> list[object]:
    if metric == "crowdpose":
        return list(drawn_results.drawn_crowd(9))
    if metric == "posetrack":
        document, results = drawn_results.drawn_video(6)
        for person in document["annotations"]:
            person["bbox_head"] = person.pop("head_box")
        return [document, results]
    if metric == "mpii":
        truth, corners, found = drawn_results.drawn_truth(1, people=3)
        drawn_results.write_truth(folder / "gt_truth.mat", truth, corners)
        return [layouts.mpii_records(), found.tolist()]
    document, results = drawn_results.drawn_pair(2, images=3, most=2)
    return [document, results[:8]]


def _make_judged(metric: str, broken: str, folder: Path) -> list[bytes]:
    truth, found = (json.dumps(one).encode() for one in _pair(metric, folder))
    (folder / "truth.json").write_bytes(truth)
    (folder / "found.json").write_bytes(found)
    return [truth if broken == "truth.json" else found]


def _judge(metric: str, path: Path) -> None:
    folder = path.parent
    report = judge(metric, PredictionFiles(folder / "found.json", str(folder / "truth.json")))
    json.dumps(report.figures, allow_nan=False)


def _make_mat(folder: Path) -> list[bytes]:
    truth, corners, found = drawn_results.drawn_truth(1, people=3)
    drawn_results.write_truth(folder / "truth.mat", truth, corners)
    arrays = {name: array for name, array in loadmat(folder / "truth.mat").items() if not name.startswith("__")}
    savemat(folder / "truth.mat", {**arrays, "preds": found + 1})
    return [(folder / "truth.mat").read_bytes()]


def _read_mat(path: Path) -> None:
    truth_of_mat(path)
    read_mat_found(path)


def _make_pictures(folder: Path) -> list[bytes]:
    pixels = np.random.default_rng(0).integers(0, 255, (24, 20, 3), np.uint8)
    return [
        *(cv2.imencode(suffix, pixels)[1].tobytes() for suffix in (".png", ".jpg", ".webp", ".bmp", ".tiff")),
        layouts.camera_jpeg(pixels, 6),
    ]


def _read_picture(path: Path) -> None:
    picture_size(path)
    read_image(path)
    read_image(path, upright=True)


def _make_zip(folder: Path) -> list[bytes]:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[2] = 200
    for packing, name in ((zipfile.ZIP_STORED, "a.zip"), (zipfile.ZIP_DEFLATED, "b.zip")):
        with zipfile.ZipFile(folder / name, "w", packing) as made:
            for number in range(2):
                made.writestr(f"val/{number:06d}.png", cv2.imencode(".png", pixels)[1].tobytes())
    return [(folder / name).read_bytes() for name in ("a.zip", "b.zip")]


def _read_zip(path: Path) -> None:
    inside = path / "val"
    zipped.names_in(inside)
    zipped.elsewhere(path / "000000.png")
    for name in zipped.files_below(path):
        read_image(path / name)


def _make_marker(folder: Path) -> list[bytes]:
    return texts('{"what": "people drawn by litepose-nas", "train": 3, "val": 1, "size": 64, "seed": 0}')


def _judged(metric: str, broken: str) -> Target:
    make: Callable[[Path], Sequence[bytes]] = partial(_make_judged, metric, broken)
    return Target(f"{broken.partition('.')[0]}-{metric}", broken, "json", make, partial(_judge, metric))


TARGETS = (
    Target("dataset-yaml", "data.yaml", "yaml", _make_yaml, lambda path: _read_all(str(path))),
    Target("yolo-yaml", "data.yaml", "yaml", _make_yolo_yaml, lambda path: _read_all(str(path))),
    Target("yolo-label", "labels/train/a.txt", "bytes", _make_yolo_label, lambda path: _read_all(str(path.parents[2]))),
    *(Target(name, "people.json", "json", partial(_make_layout, name), _read_layout) for name in (*NEAR_COCO, "mpii")),
    Target(
        "posetrack18",
        "posetrack18/annotations/val/000001_mpii_test.json",
        "json",
        _make_posetrack,
        lambda path: _read_all(f"posetrack18:{path.parents[2]}"),
    ),
    Target("data-check", "people.json", "json", _make_check, _check),
    Target("detections", "found.json", "json", _make_detections, read_boxes),
    *(_judged(metric, "found.json") for metric in ("coco", "crowdpose", "mpii", "posetrack", "pck")),
    *(_judged(metric, "truth.json") for metric in ("coco", "crowdpose", "mpii", "posetrack", "pck")),
    Target("mat", "truth.mat", "mat", _make_mat, _read_mat),
    Target("picture", "a.png", "picture", _make_pictures, _read_picture),
    Target("zip", "pictures.zip", "zip", _make_zip, _read_zip),
    Target("toy-marker", "toy.json", "json", _make_marker, lambda path: toy_settings(path.parent)),
)
