"""Drawn videos as files in PoseTrack18's layout: a JSON for each video, its frames in a folder of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from litepose_nas.data.dataset_yaml import known_skeleton, write_tree
from litepose_nas.data.layouts.building import category_for
from litepose_nas.data.layouts.toy import SPLITS, YAML
from litepose_nas.synthetic.files import DrawnCounts, write_jpeg, write_json
from litepose_nas.synthetic.video import DrawnFrame
from litepose_nas.synthetic.video_labels import annotate

FIRST = {"train": 1, "val": 500_001}  # numbers of the first videos: a video has its number to itself
_NOTHING = np.zeros((0, 0, 3), np.uint8)

DrawVideo = Callable[[np.random.Generator], Iterator[DrawnFrame]]
Progress = Callable[[int, int], None]


def write_videos(
    folder: Path,
    videos: tuple[int, int],
    frames: int,
    draw: DrawVideo,
    rng_of: Callable[[str, int], np.random.Generator],
    progress: Progress | None,
) -> list[DrawnCounts]:
    """Draw videos of `frames` frames for train and val, and write a data.yaml; return what each holds."""
    done, total, written = 0, sum(videos) * frames, []
    for split, count in zip(SPLITS, videos, strict=True):
        (folder / "annotations" / split).mkdir(parents=True)
        of_split = []
        for index in range(count):
            of_split.append(_write_video(folder, split, index, draw(rng_of(split, index))))
            done += frames
            if progress is not None:
                progress(done, total)
        written.append(DrawnCounts(*map(sum, zip(*of_split, strict=True))))
    places = {split: {"images": ".", "annotations": f"annotations/{split}"} for split in SPLITS}
    write_tree(folder / YAML, {"format": "posetrack18", **places})
    return written


def _write_video(folder: Path, split: str, index: int, drawn: Iterator[DrawnFrame]) -> DrawnCounts:
    video = FIRST[split] + index
    called = f"{video:06d}_drawn_{split}"
    place = Path("images") / split / called
    (folder / place).mkdir(parents=True)
    frames, names, size = [], [], (0, 0)
    for number, frame in enumerate(drawn):
        size = frame.image.shape[1], frame.image.shape[0]
        names.append((place / f"{number:06d}.jpg").as_posix())
        write_jpeg(folder / names[-1], frame.image)
        frames.append(frame._replace(image=_NOTHING))  # a long video would fill the memory
    document, counts = annotate(frames, size, names, video, category_for(known_skeleton("posetrack18")))
    write_json(folder / "annotations" / split / f"{called}.json", document)
    return counts
