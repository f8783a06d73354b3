"""Clips against a literal reading: frames that lie a stride apart, and one track's place in each."""

from pathlib import Path

import numpy as np
import pytest

from litepose_nas.data.clips import Clip, clips
from litepose_nas.data.dataset import Dataset, Record
from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.errors import UserError


def record(video, frame, tracks, labelled=True):
    count = len(tracks)
    joints = np.ones((count, 17, 3), np.float32)
    none = np.zeros(count)
    return Record(
        frame, Path(f"{video}-{frame}.jpg"), 8, 8, joints, np.ones((count, 4)), none, none, (), None,
        np.array(tracks, np.int64) if tracks else None, video, frame, labelled,
    )  # fmt: skip


def dataset(*records):
    return Dataset(Path("a.json"), Path(), known_skeleton("posetrack18"), tuple(records))


def test_a_small_case_by_hand():
    found = clips(
        dataset(
            record("a", 0, [5, 7]), record("a", 1, [], False), record("a", 2, [7]), record("b", 0, [5]),
            record("b", 2, [5]),
        ),
        3,
    )  # fmt: skip
    assert found == [Clip((0, 1, 2), (0, -1, -1), 5), Clip((0, 1, 2), (1, -1, 0), 7)]


@pytest.mark.parametrize(
    ("length", "stride", "hop"), [(1, 1, 1), (3, 1, 1), (3, 2, 1), (2, 3, 2), (4, 1, 4), (30, 1, 1)]
)
def test_against_a_literal_reading(length, stride, hop):
    rng = np.random.default_rng(length * 10 + stride)
    records = []
    for video in ("x", "y", "z"):
        for frame in range(12):
            if rng.random() < 0.9:
                tracks = [int(t) for t in rng.permutation(4)[: rng.integers(0, 4)]]
                records.append(record(video, frame, tracks))
    order = rng.permutation(len(records))  # records need not lie in the order of the frames
    records = [records[i] for i in order]
    wanted = set()
    for video in ("x", "y", "z"):
        numbers = [r.frame for r in records if r.video == video]
        for first in range(min(numbers), 12):
            if (first - min(numbers)) % hop:
                continue
            chain = []
            for step in range(length):
                at = [p for p, r in enumerate(records) if r.video == video and r.frame == first + step * stride]
                chain += at or [None]
            if None in chain:
                continue
            for track in range(4):
                people = tuple(
                    -1 if records[p].track_ids is None or track not in records[p].track_ids
                    else list(records[p].track_ids).index(track)
                    for p in chain
                )  # fmt: skip
                if max(people) >= 0:
                    wanted.add(Clip(tuple(chain), people, track))
    found = clips(dataset(*records), length, stride, hop)
    assert set(found) == wanted
    assert len(found) == len(wanted)
    assert wanted or length == 30


def test_people_without_a_track_are_in_no_clip():
    assert clips(dataset(record("a", 0, [-1, 3]), record("a", 1, [-1])), 2) == [Clip((0, 1), (1, -1), 3)]


def test_what_cannot_be_is_said():
    with pytest.raises(UserError, match="no frames of videos"):
        clips(dataset(record("", -1, [])), 2)
    for words in ({"length": 0}, {"length": 2, "stride": 0}, {"length": 2, "hop": 0}):
        with pytest.raises(UserError, match="choose 1 or more"):
            clips(dataset(record("a", 0, [1])), **words)
