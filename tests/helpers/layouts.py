"""Tiny datasets in every layout, written by hand: two pictures of 40 by 30, three people."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from litepose_nas.data.dataset_yaml import known_skeleton

WIDTH, HEIGHT = 40, 30
# As the ground truth of MPII spells them.
MPII_NAMES = "rank rkne rhip lhip lkne lank pelv thor neck head rwri relb rsho lsho lelb lwri".split(" ")  # noqa: SIM905


def picture(path: Path, seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())


def camera_jpeg(picture: np.ndarray, orientation: int) -> bytes:
    """A JPEG with a camera's note of how it was held."""
    data = cv2.imencode(".jpg", picture)[1].tobytes()
    entry = bytes.fromhex("0112 0003 00000001") + orientation.to_bytes(2, "big") + bytes(2)
    exif = b"Exif\0\0MM\0*" + (8).to_bytes(4, "big") + (1).to_bytes(2, "big") + entry + bytes(4)
    return data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]


def joints(count: int, seed: int = 0, flags: tuple[int, ...] = (0, 1, 2)) -> np.ndarray:
    """Return (count, 3): whole pixels, each flag in turn; what is not labelled is zero."""
    rng = np.random.default_rng(seed)
    points = np.column_stack([rng.integers(2, WIDTH - 2, count), rng.integers(2, HEIGHT - 2, count)])
    flag = np.array([flags[(place + seed) % len(flags)] for place in range(count)])
    return np.column_stack([points * (flag > 0)[:, None], flag])


def flat(points: np.ndarray) -> list[int]:
    return [int(value) for value in points.ravel()]


def document(names: tuple[str, ...], **more) -> dict:
    """Return a COCO document of these joints: people 11 and 12 in picture 7, person 13 in picture 5."""
    people = [(11, 7), (12, 7), (13, 5)]
    return {
        "images": [
            {"id": 7, "file_name": "000007.png", "width": WIDTH, "height": HEIGHT},
            {"id": 5, "file_name": "000005.png", "width": WIDTH, "height": HEIGHT},
        ],
        "annotations": [
            {
                "id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "area": 300.5,
                "bbox": [3, 4, 20 + place, 20], "keypoints": flat(joints(len(names), place)), **more,
            }
            for place, (number, image) in enumerate(people)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(names), "skeleton": [[1, 2]]}],
    }  # fmt: skip


NAMES = ["nose", "left_knee", "right_knee"]


def small_document() -> dict:
    """A COCO document by hand: two people and a crowd in picture 9, a person without joints in picture 4."""

    def person(number: int, image: int, keypoints: list[float], **more) -> dict:
        common = {"id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "bbox": [2, 3, 10, 8], "area": 40.5}
        return {**common, "keypoints": keypoints, **more}

    return {
        "images": [
            {"id": 9, "file_name": "ночь.png", "width": 20, "height": 16},
            {"id": 4, "file_name": "day.png", "width": 20, "height": 16},
        ],
        "annotations": [
            person(70, 9, [1.5, 2, 2, 3, 4, 1, 0, 0, 0]),
            person(71, 9, [5, 6, 2, 7, 8, 2, 9, 9, 2]),
            person(72, 9, [0] * 9, iscrowd=1, segmentation={"counts": [0, 16, 304], "size": [16, 20]}),
            person(73, 4, [0] * 9, segmentation=[[4, 4, 8, 4, 8, 10, 4, 10]]),
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(NAMES), "skeleton": [[1, 2], [2, 3]]}],
    }


def pictures(folder: Path) -> None:
    for number in (7, 5):
        picture(folder / f"{number:06d}.png", number)


def put(path: Path, tree: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree), encoding="utf-8")
    return path


def coco(folder: Path) -> Path:
    pictures(folder / "images")
    return put(folder / "people.json", document(known_skeleton("coco").names))


def crowdpose(folder: Path) -> Path:
    pictures(folder / "images")
    tree = document(known_skeleton("crowdpose").names)
    tree["categories"][0]["skeleton"] = [[16, 14], [14, 12]]  # COCO's, as in the published files
    for annotation in tree["annotations"]:
        del annotation["area"]
    for image, index in zip(tree["images"], (0.15, 0.8), strict=True):
        image["crowdIndex"] = index
    return put(folder / "json" / "crowdpose_val.json", tree)


def mpii_records() -> list[dict]:
    places = [joints(16, seed, (1, 0)) for seed in range(3)]
    return [
        {
            "image": name,
            "center": [20.0, 15.0],
            "scale": 0.1,
            "joints": [[float(x), float(y)] if flag else [-1.0, -1.0] for x, y, flag in points.tolist()],
            "joints_vis": points[:, 2].tolist(),
        }
        for name, points in zip(("000007.png", "000005.png", "000007.png"), places, strict=True)
    ]


def mpii(folder: Path) -> Path:
    pictures(folder / "images")
    return put(folder / "annot" / "valid.json", mpii_records())


def mpii_truth(folder: Path) -> Path:
    """Write gt_valid.mat for the three records: heads of 3 by 4 pixels from (4 + person, 6), counted from 1."""
    records = mpii_records()
    places = np.array([record["joints"] for record in records]).transpose(1, 2, 0)
    missing = 1 - np.array([record["joints_vis"] for record in records]).T
    heads = np.stack([np.array([[4 + n, 6], [7 + n, 10]]) for n in range(3)], axis=2)
    names = np.empty((1, 16), object)
    names[0] = [np.array([name]) for name in MPII_NAMES]
    path = folder / "annot" / "gt_valid.mat"
    savemat(
        path,
        {"dataset_joints": names, "jnt_missing": missing, "pos_gt_src": places.astype(float), "headboxes_src": heads},
    )
    return path


def posetrack18(folder: Path) -> Path:
    """Write two videos of three frames, of which the middle one is not labelled; sizes are left to the pictures."""
    names = known_skeleton("posetrack18").names
    for video in (1, 2):
        frames, people = [], []
        for frame in range(3):
            name = f"images/val/00000{video}_mpii_test/{frame:06d}.png"
            if frame != 1:
                picture(folder / name, 10 * video + frame)
            number = 10_000_000_000 + video * 10_000 + frame
            entry = {"id": number, "frame_id": number, "file_name": name, "vid_id": f"00000{video}", "nframes": 3}
            regions = {"ignore_regions_x": [[0, 10, 10, 0]], "ignore_regions_y": [[0, 0, 5, 5]]} if frame == 0 else {}
            frames.append({**entry, "is_labeled": frame != 1, **regions})
            if frame != 1:
                points = joints(len(names), frame, (1,))
                points[3:5] = 0  # ears
                people.append(
                    {
                        "id": number * 100,
                        "image_id": number,
                        "category_id": 1,
                        "track_id": video,
                        "scores": [],
                        "keypoints": flat(points),
                        "bbox": [5.0, 5.0, 20.0, 20.0],
                        "bbox_head": [6, 7, 3, 4],
                    }
                )
        category = {"id": 1, "name": "person", "keypoints": list(names), "skeleton": [[16, 14]]}
        tree = {"images": frames, "annotations": people, "categories": [category]}
        put(folder / "annotations" / "val" / f"00000{video}_mpii_test.json", tree)
    return folder / "annotations" / "val"


def yolo(folder: Path) -> Path:
    """Write a folder of three joints: one person with joints, one with a box alone, one picture of nobody."""
    for name in ("a", "b", "c"):
        picture(folder / "images" / "train" / f"{name}.png", ord(name))
    labels = folder / "labels" / "train"
    labels.mkdir(parents=True)
    (labels / "a.txt").write_text(
        "0 0.5 0.5 0.25 0.5 0.25 0.5 2 0.5 0.4 1 0 0 0\n0 0.1 0.1 0.1 0.1 0 0 0 0 0 0 0 0 0\n"
    )
    (labels / "b.txt").write_text("\n")
    path = folder / "data.yaml"
    path.write_text("train: images/train\nnames: [person]\nkpt_shape: [3, 3]\nflip_idx: [0, 2, 1]\nsigmas: 0.05\n")
    return path


def detections(path: Path) -> Path:
    boxes = [
        {"image_id": 7, "category_id": 1, "bbox": [1.5, 2.5, 10.0, 12.0], "score": 0.4},
        {"image_id": 5, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.05},
        {"image_id": 7, "category_id": 1, "bbox": [3, 3, 9, 9], "score": 0.9},
        {"image_id": 7, "category_id": 18, "bbox": [3, 3, 9, 9], "score": 0.99},
    ]
    return put(path, boxes)
