"""Clips: frames of a video that follow each other, and one person's place in each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from litepose_nas.data.dataset import Dataset, Record
from litepose_nas.errors import UserError


class Clip(NamedTuple):
    """One person through some frames."""

    images: tuple[int, ...]  # places of the frames among the dataset's records
    people: tuple[int, ...]  # the person's place in each record; -1 where the person is not labelled
    track: int


def clips(dataset: Dataset, length: int, stride: int = 1, hop: int = 1) -> list[Clip]:
    """The clips of a dataset: every person labelled in any of `length` frames that lie `stride` apart.

    A clip begins `hop` frames after the one before it, and one with a frame that is not among the records does not
    exist. Read the dataset with `unlabelled` to include the unlabelled frames between labelled ones.
    """
    for name, number in (("length", length), ("stride", stride), ("hop", hop)):
        if number < 1:
            raise UserError(f"clips: {name} = {number}; choose 1 or more")
    of_video: dict[str, dict[int, int]] = defaultdict(dict)
    for place, record in enumerate(dataset.records):
        if record.video and record.frame >= 0:
            of_video[record.video][record.frame] = place
    if not of_video:
        raise UserError(
            f"{dataset.annotations}: its pictures are no frames of videos; give a dataset in PoseTrack18's layout"
        )
    found = []
    for frames in of_video.values():
        for first in range(min(frames), max(frames) + 1, hop):
            numbers = range(first, first + length * stride, stride)
            if all(number in frames for number in numbers):
                found += _people_of(dataset.records, tuple(frames[number] for number in numbers))
    return found


def _people_of(records: Sequence[Record], images: tuple[int, ...]) -> list[Clip]:
    """A clip for each person who is labelled in one of these records or more, by the numbers of their tracks."""
    places: dict[int, list[int]] = {}
    for time, image in enumerate(images):
        tracks = records[image].track_ids
        for person, track in enumerate(() if tracks is None else tracks.tolist()):
            if track >= 0:
                places.setdefault(track, [-1] * len(images))[time] = person
    return [Clip(images, tuple(people), track) for track, people in sorted(places.items())]
