"""Real pictures learned by heart, top-down and bottom-up: AP of at least 0.9 on the pictures that were learned.

They are the 16 whose smallest labelled person takes up most of the picture, of a folder that POSE_REAL_DATA names.
Top-down it takes two minutes of one core; bottom-up seven, for an AP of 0.956.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import litepose_nas as ln
from litepose_nas.data.dataset import Dataset
from tests.helpers import overfit
from tests.helpers.coco_file import read_coco

REAL = os.environ.get("POSE_REAL_DATA")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not REAL, reason="POSE_REAL_DATA is not set")]


@pytest.fixture(scope="module")
def people() -> Dataset:
    folder = Path(str(REAL)) / "coco_train80"
    chosen = overfit.large_people(read_coco(folder / "person_keypoints_train80.json", folder / "images"), 16)
    of_picture = [len(record.joints) for record in chosen.records]
    assert len(of_picture) == 16
    assert sum(of_picture) >= 10
    assert sum(count >= 2 for count in of_picture) >= 3
    return chosen


def test_topdown(people, tmp_path):
    arch = ln.Space.load("topdown-tiny").widest
    assert overfit.by_heart(people, arch, (128, 96), 300, tmp_path / "run", "lr=0.003") >= 0.9


def test_bottomup(people, tmp_path):
    widest = ln.Space.load("litepose-tiny").widest
    arch = widest.space.arch({path: narrow(path, value) for path, value in widest.to_dict().items()})
    assert overfit.by_heart(people, arch, (160, 160), 1200, tmp_path / "run", "batch=16", "lr=0.005") >= 0.9


def narrow(path: str, value: int) -> int:
    """Return a choice of the widest network as one that learns twice as fast has it."""
    return {"kernel": 3, "expand": 4}.get(path.rpartition(".")[2], value)
