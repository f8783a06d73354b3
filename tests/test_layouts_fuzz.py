"""Broken files of every layout: either arrays of sound numbers, or one UserError that names the file."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litepose_nas.data.boxes import read_detections
from litepose_nas.data.dataset_yaml import known_skeleton, skeleton_in
from litepose_nas.data.images import ignored_mask
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.data.source import Source, open_source
from litepose_nas.data.statistics import statistics_of
from litepose_nas.errors import UserError
from tests.helpers import layouts
from tests.helpers.coco_file import read_coco
from tests.helpers.odd_json import changed, places

NUMBERS = [float("nan"), float("inf"), -float("inf"), -1, 0, 0.5, 3, 2**31, 2**63, 10**400, 1e308, -1e308, True, None]
TEXTS = ["", "x", "\ud800", "a\0b", "../" * 50, "n" * 5000]
TREES = [[], [[]], {}, [None], [[1, 2], [3]], {"a": 1}, [1e308] * 51]
ODD = st.one_of(
    st.sampled_from([*NUMBERS, *TEXTS, *TREES]),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(-5, 50), max_size=60),
)


@contextmanager
def fine_or_told(*words: str) -> Iterator[None]:
    """Let a UserError pass that names one of these places, and nothing else."""
    try:
        yield
    except UserError as error:
        if not any(word in str(error) for word in words):
            raise AssertionError(f"names none of {words}: {error}") from error


def broken(tree: object, chosen: float, how: str, odd: object) -> object:
    """Return a copy of a tree of which one value is replaced, removed or doubled."""
    ways = places(tree, 8)[1:]
    return changed(tree, ways[int(chosen * len(ways))], how, odd)


faults = given(chosen=st.floats(0, 1, exclude_max=True), how=st.sampled_from(["replace", "remove", "double"]), odd=ODD)
often = settings(max_examples=60)


def sound(source: Source, split: str = "val") -> None:
    """Read a split; what comes must be sound, and able to be counted and masked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        data = source.read(split)
    for record in data.records:
        for array in (record.joints, record.boxes, record.areas):
            assert np.isfinite(array).all()
        assert (record.boxes[:, 2:] >= 0).all()
        assert (record.areas >= 0).all()
        with fine_or_told(str(record.image_id)):
            ignored_mask(record)
    statistics_of(data)


@pytest.fixture
def rooms(tmp_path):
    """The five layouts that are JSON, each with the file to break."""
    made = {}
    for name in ("coco", "crowdpose", "mpii"):
        made[name] = getattr(layouts, name)(tmp_path / name)
    layouts.mpii_truth(tmp_path / "mpii")
    made["posetrack18"] = layouts.posetrack18(tmp_path / "posetrack18") / "000001_mpii_test.json"
    return made


@pytest.mark.parametrize("name", ["coco", "crowdpose", "mpii", "posetrack18"])
@faults
@often
def test_json(rooms, name, chosen, how, odd):
    file = rooms[name]
    whole = json.loads(file.read_text())
    where = str(file) if name in ("coco", "crowdpose") else f"{name}:{file.parents[1 if name == 'mpii' else 2]}"
    file.write_text(json.dumps(broken(whole, chosen, how, odd)))
    try:
        with fine_or_told(file.name, f"annotations{os.sep}val", "image "):
            sound(open_source(where))
    finally:
        file.write_text(json.dumps(whole))


@pytest.mark.parametrize("name", ["jhmdb", "halpe", "humanart", "mpii_trb", "ochuman"])
@faults
@often
def test_json_near_coco(tmp_path, name, chosen, how, odd):
    layouts.pictures(tmp_path)
    tree = layouts.document(known_skeleton("jhmdb" if name == "jhmdb" else "coco").names)
    layouts.put(tmp_path / "people.json", broken(tree, chosen, how, odd))
    (tmp_path / "data.yaml").write_text(f"format: {name}\nval: {{images: ., annotations: people.json}}\n")
    with fine_or_told("people.json"):
        sound(open_source(str(tmp_path / "data.yaml")))


@faults
@often
def test_detections(tmp_path, chosen, how, odd):
    path = layouts.detections(tmp_path / "found.json")
    layouts.put(path, broken(json.loads(path.read_text()), chosen, how, odd))
    with fine_or_told("found.json"):
        for found in read_detections(path).values():
            assert np.isfinite(found[:, :4]).all()
            assert np.isfinite(found[:, 4]).all()


@given(text=st.text(alphabet="0123456789.-+eE naif\n\t", max_size=80), place=st.integers(0, 60))
@often
def test_yolo_labels(tmp_path, text, place):
    if not (tmp_path / "data.yaml").exists():
        layouts.yolo(tmp_path)
    good = "0 0.5 0.5 0.25 0.5 0.25 0.5 2 0.5 0.4 1 0 0 0"
    (tmp_path / "labels" / "train" / "a.txt").write_text(good[:place] + text + good[place:])
    (tmp_path / "labels" / "train" / "b.txt").write_text(good)
    with fine_or_told("a.txt, line "):
        sound(open_source(str(tmp_path / "data.yaml")), "train")


WORDS = {
    "path": ".",
    "format": "coco",
    "train": {"images": "images", "annotations": "people.json"},
    "val": {"images": "images", "annotations": "people.json", "detections": "found.json"},
    "keypoints": list(known_skeleton("coco").names),
    "flip_pairs": [["left_eye", "right_eye"]],
    "skeleton": [[0, 1], ["nose", "right_eye"]],
    "sigmas": [0.1] * 17,
    "kpt_shape": [17, 3],
    "flip_idx": list(range(17)),
    "names": {0: "person"},
    "nc": 1,
}


@faults
@often
def test_yaml(tmp_path, chosen, how, odd):
    if not (tmp_path / "people.json").exists():
        layouts.coco(tmp_path)
    tree = broken(WORDS, chosen, how, odd)
    (tmp_path / "data.yaml").write_text(json.dumps(tree))  # every JSON is YAML
    with fine_or_told("data.yaml", "people.json", "no dataset called"):
        sound(open_source(str(tmp_path / "data.yaml")))


@given(
    names=st.lists(st.text(max_size=12), min_size=1, max_size=8),
    pairs=st.lists(st.tuples(st.integers(-1, 8), st.integers(-1, 8)), max_size=4),
)
@often
def test_skeletons(names, pairs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with fine_or_told("x.yaml: "):
            found = skeleton_in({"keypoints": names, "flip_pairs": [list(pair) for pair in pairs] or "auto"}, "x.yaml")
            assert isinstance(found, Skeleton)
            assert [found.mirror[other] for other in found.mirror] == list(range(len(names)))


# ── by hand ──


def faulty(tmp_path: Path, change) -> str:
    path = layouts.coco(tmp_path)
    tree = json.loads(path.read_text())
    change(tree)
    layouts.put(path, tree)
    with pytest.raises(UserError) as told:
        read_coco(path, tmp_path / "images")
    return str(told.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bbox": [1, 2, -3, 4]}, "annotation 12: 'bbox' must be finite"),
        ({"bbox": [1, 2, float("nan"), 4]}, "annotation 12: 'bbox' must be finite"),
        ({"bbox": [1, 2, float("inf"), 4]}, "annotation 12: 'bbox' must be finite"),
        ({"bbox": [1, 2, 10**400, 4]}, "annotation 12 has no 'bbox'"),
        ({"bbox": "here"}, "annotation 12 has no 'bbox'"),
        ({"area": float("nan")}, "annotation 12: 'area'"),
        ({"area": -1}, "annotation 12: 'area'"),
        ({"keypoints": [float("nan")] * 51}, "annotation 12: coordinates must be finite"),
        ({"keypoints": [1e300] * 51}, "annotation 12: coordinates must be finite"),
        ({"keypoints": [[1]] * 51}, "annotation 12 has something other than numbers"),
        ({"keypoints": ["1"] * 51}, "annotation 12 has something other than numbers"),
        ({"keypoints": [True] * 51}, "annotation 12 has something other than numbers"),
        ({"keypoints": [1, 2, 0.5] * 17}, "annotation 12: coordinates must be finite and flags"),
        ({"id": 11}, "annotation 11 stands twice"),
        ({"id": "12"}, "annotation '12': 'id' must be a whole number"),
        ({"image_id": [7]}, r"annotation 12 belongs to image [7]"),
        ({"image_id": True}, "annotation 12 belongs to image True"),
        ({"track_id": "a"}, "annotation 12: 'track_id'"),
        ({"head_box": [1, 2]}, "annotation 12: 'head_box'"),
    ],
)
def test_a_bad_person_is_named(tmp_path, change, words):
    assert words in faulty(tmp_path, lambda tree: tree["annotations"][1].update(change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": 7}, "lists image 7 twice"),
        ({"id": 2**70}, f"image {2**70}: 'id'"),
        ({"width": 0}, "image 5: 'id', 'width'"),
        ({"width": 10**9}, "image 5: 'id', 'width'"),
        ({"file_name": 5}, "image 5 has no file name"),
        ({"file_name": "a\0b"}, "image 5 has no file name"),
        ({"file_name": "\ud800.png"}, "image 5 has no file"),
        ({"file_name": "n" * 5000}, "image 5 has no file"),
        ({"file_name": "n" * 5000 + "/a.png"}, "image 5 has no file"),
        ({"ignore_regions": [[1, 2, 3, 4]]}, "image 5: a polygon in 'ignore_regions'"),
    ],
)
def test_a_bad_picture_is_named(tmp_path, change, words):
    assert words in faulty(tmp_path, lambda tree: tree["images"][1].update(change))


def test_areas_are_filled_by_the_rule(tmp_path):
    path = layouts.coco(tmp_path)
    tree = json.loads(path.read_text())
    tree["annotations"][0]["area"] = 0
    tree["annotations"][1]["area"] = None
    del tree["annotations"][2]["area"]
    layouts.put(path, tree)
    data = read_coco(path, tmp_path / "images")
    areas = [area for record in data.records for area in record.areas.tolist()]
    assert areas == pytest.approx([0.53 * 22 * 20, 0.53 * 20 * 20, 0.53 * 21 * 20])


def test_text_that_is_barely_json(tmp_path):
    for text in ("[" * 100_000, "1" * 10_000, '{"images": ' + "9" * 5000 + "}", "null", "[]", '"', "\ufeff{}"):
        path = tmp_path / "people.json"
        path.write_text(text, encoding="utf-8")
        for read in (lambda path=path: read_coco(path, tmp_path), lambda path=path: open_source(str(path)).read("val")):
            with pytest.raises(UserError, match=r"people\.json"):
                read()
