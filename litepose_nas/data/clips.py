"""Clips: so many frames of a video in a row, and one person in them."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from litepose_nas.data.coco import Dataset


class Clip(NamedTuple):
    """One person in frames that follow each other."""

    images: tuple[int, ...]  # places in the dataset's records
    people: tuple[int, ...]  # the person's place in each record, -1 where nobody labelled it
    track: int


def clips(dataset: Dataset, length: int, stride: int = 1) -> list[Clip]:
    """Return every clip of so many frames, `stride` apart, whose first frame has the person labelled."""
    videos: dict[str, dict[int, int]] = defaultdict(dict)
    for place, record in enumerate(dataset.records):
        if record.video and record.frame >= 0:
            videos[record.video][record.frame] = place
    found = []
    for frames in videos.values():
        for frame, place in sorted(frames.items()):
            images = [frames.get(frame + stride * step) for step in range(length)]
            tracks = dataset.records[place].track_ids
            if tracks is None or None in images:
                continue
            whole = [image for image in images if image is not None]
            for track in tracks[tracks >= 0].tolist():
                people = tuple(_of_track(dataset, image, track) for image in whole)
                found.append(Clip(tuple(whole), people, track))
    return found


def _of_track(dataset: Dataset, image: int, track: int) -> int:
    tracks = dataset.records[image].track_ids
    return -1 if tracks is None or track not in tracks else int((tracks == track).argmax())
