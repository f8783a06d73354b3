"""Drawn videos as files in PoseTrack18's layout: a JSON for each video, its frames in a folder of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import yaml

from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.data.layouts.building import category_for
from litepose_nas.errors import UserError
from litepose_nas.synthetic.video import Frame
from litepose_nas.synthetic.video_labels import Annotated, annotate

SPLITS = ("train", "val")
FIRST = {"train": 1, "val": 500_001}  # numbers of the first videos: a video has its number to itself
QUALITY = 92
_NOTHING = np.zeros((0, 0, 3), np.uint8)

Films = Callable[[np.random.Generator], Iterator[Frame]]
Progress = Callable[[int, int], None]


def write_films(
    folder: Path,
    videos: tuple[int, int],
    frames: int,
    draw: Films,
    rng_of: Callable[[str, int], np.random.Generator],
    progress: Progress | None,
) -> list[list[Annotated]]:
    """Draw so many videos of so many frames for train and val, and a data.yaml; return the annotations of each."""
    done, total, written = 0, sum(videos) * frames, []
    for split, count in zip(SPLITS, videos, strict=True):
        (folder / "annotations" / split).mkdir(parents=True)
        of_split = []
        for index in range(count):
            annotated = _write_film(folder, split, index, draw(rng_of(split, index)))
            of_split.append(annotated._replace(document={}))
            done += frames
            if progress is not None:
                progress(done, total)
        written.append(of_split)
    places = {split: {"images": ".", "annotations": f"annotations/{split}"} for split in SPLITS}
    tree = {"format": "posetrack18", **places}
    (folder / "data.yaml").write_text(yaml.safe_dump(tree, sort_keys=False, default_flow_style=None), encoding="utf-8")
    return written


def _write_film(folder: Path, split: str, index: int, film: Iterator[Frame]) -> Annotated:
    video = FIRST[split] + index
    called = f"{video:06d}_drawn_{split}"
    place = Path("images") / split / called
    (folder / place).mkdir(parents=True)
    frames, names, size = [], [], (0, 0)
    for number, frame in enumerate(film):
        size = frame.image.shape[1], frame.image.shape[0]
        names.append((place / f"{number:06d}.jpg").as_posix())
        (folder / names[-1]).write_bytes(_jpeg(frame.image))
        frames.append(frame._replace(image=_NOTHING))  # a long video would fill the memory
    annotated = annotate(frames, size, names, video, category_for(known_skeleton("posetrack18")))
    text = json.dumps(annotated.document, separators=(",", ":"))
    (folder / "annotations" / split / f"{called}.json").write_text(text, encoding="utf-8")
    return annotated


def _jpeg(image: np.ndarray) -> bytes:
    ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not ok:
        raise UserError("this build of OpenCV cannot write JPEG; install opencv-python-headless")
    return data.tobytes()
