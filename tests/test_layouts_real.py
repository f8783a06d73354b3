"""A few real records of each layout, and CrowdPose's real validation file; POSE_REAL_DATA names their folder."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from litepose_nas.data.boxes import read_detections
from litepose_nas.data.convert import convert
from litepose_nas.data.images import ignored_mask, load_picture
from litepose_nas.data.source import open_source
from litepose_nas.data.statistics import crowding

REAL = Path(os.environ.get("POSE_REAL_DATA", ""))
SAMPLES = REAL / "samples"

pytestmark = pytest.mark.skipif("POSE_REAL_DATA" not in os.environ, reason="POSE_REAL_DATA is not set")

# name, the dataset as a user would give it, pictures, people with joints
LAYOUTS = [
    ("coco", "coco/test_coco.json", 4, 12),
    ("coco_wholebody", "coco/test_coco_wholebody.json", 4, 12),
    ("coco_train80", "../coco_train80/person_keypoints_train80.json", 80, 86),
    ("crowdpose", "crowdpose/test_crowdpose.json", 2, 4),
    ("mpii", "mpii/test_mpii.json", 5, 5),
    ("ochuman", "ochuman/test_ochuman.json", 3, 5),
    ("aic", "aic/test_aic.json", 3, 9),
    ("posetrack18", "posetrack18/annotations/test_posetrack18_val.json", 3, 14),
    ("exlpose", "exlpose/test_exlpose.json", 2, 6),
    ("humanart", "humanart/test_humanart.json", 3, 4),
    ("mhp", "mhp/test_mhp.json", 2, 4),
    (
        "jhmdb",
        "path: jhmdb\nformat: jhmdb\nval: {images: ., annotations: test_jhmdb_sub1.json}\nkeypoints: jhmdb",
        3,
        3,
    ),
    ("halpe", "format: halpe\nval: {images: coco, annotations: halpe/test_halpe.json}\nkeypoints: halpe26", 4, 12),
    ("trb", "path: mpii\nformat: mpii_trb\nval: {images: ., annotations: test_mpii_trb.json}", 5, 5),
]


def opened(what: str, folder: Path):
    if what.endswith(".json"):
        return open_source(str(SAMPLES / what))
    path = folder / "data.yaml"
    relative = "." if "path:" not in what else what.splitlines()[0].removeprefix("path: ")
    lines = [line for line in what.splitlines() if not line.startswith("path")]
    path.write_text("\n".join([f"path: {SAMPLES.resolve() / relative}", *lines]))
    return open_source(str(path))


@pytest.mark.parametrize(("name", "what", "pictures", "people"), LAYOUTS, ids=[layout[0] for layout in LAYOUTS])
def test_layout(name, what, pictures, people, tmp_path):
    with warnings.catch_warnings():
        if name == "trb":  # its contour points have no published sigmas
            warnings.simplefilter("ignore")
        source = opened(what, tmp_path)
        data = source.read("val")
        assert (len(data.records), sum(len(record.joints) for record in data.records)) == (pictures, people)
        for record in data.records:
            image = load_picture(record)
            assert ignored_mask(record).shape == image.shape[:2]
            for joints, box, area in zip(record.joints, record.boxes, record.areas, strict=True):
                known = joints[joints[:, 2] > 0, :2]
                # Boxes of some layouts leave out hidden legs; a mix-up of axes or layouts would be far off.
                slack = 0.6 * box[2:] + 3
                assert (known >= box[:2] - slack).all(), record.path
                assert (known <= box[:2] + box[2:] + slack).all(), record.path
                assert area > 0
        if name != "coco_train80":
            convert(source, tmp_path / "coco", "coco")
            again = open_source(str(tmp_path / "coco" / "data.yaml"))
            back = again.read(next(iter(again.splits)))
            assert back.skeleton == data.skeleton
            for one, other in zip(data.records, back.records, strict=True):
                np.testing.assert_array_equal(one.joints, other.joints)
                np.testing.assert_array_equal(one.boxes, other.boxes)
            convert(again, tmp_path / "yolo", "yolo")
            found = open_source(str(tmp_path / "yolo"))
            third = found.read(next(iter(found.splits)))
            # Ids follow the names where those are no numbers: compare by picture.
            by_name = {load_picture(record).tobytes(): record for record in third.records}
            for record in data.records:
                other = by_name[load_picture(record).tobytes()]
                inside = (record.joints[..., :2] >= 0).all(-1)
                inside &= (record.joints[..., :2] <= (record.width, record.height)).all(-1)
                np.testing.assert_allclose(other.joints[inside], record.joints[inside], atol=1e-3)


def test_posetrack_by_its_folder():
    data = open_source(f"posetrack18:{SAMPLES / 'posetrack18'}").read("val")
    merged = open_source(str(SAMPLES / "posetrack18/annotations/test_posetrack18_val.json")).read("val")
    assert len(data.records) == len(merged.records) == 3
    for one, other in zip(data.records, merged.records, strict=True):
        assert one.image_id == other.image_id
        np.testing.assert_array_equal(one.joints, other.joints)
        np.testing.assert_array_equal(one.head_sizes, other.head_sizes)
        assert one.track_ids.tolist() == other.track_ids.tolist()
        assert [region.segmentation for region in one.ignored] == [region.segmentation for region in other.ignored]
    assert data.records[0].joints[:, 3:5].max() == 0  # ears


@pytest.mark.parametrize(
    ("name", "boxes", "images"),
    [("coco/test_coco_det_AP_H_56.json", 118, 4), ("crowdpose/test_crowdpose_det_AP_40.json", 6, 2),
     ("posetrack18/annotations/test_posetrack18_human_detections.json", 278, 3),
     ("humanart/test_humanart_det_AP_H_56.json", 13, 3)],
)  # fmt: skip
def test_detections(name, boxes, images):
    found = read_detections(SAMPLES / name)
    assert (sum(len(picture[:, :4]) for picture in found.values()), len(found)) == (boxes, images)
    assert all((np.diff(picture[:, 4]) <= 0).all() for picture in found.values())
    best = read_detections(SAMPLES / name, min_score=0.9)
    assert all(picture[:, 4].min() >= np.float32(0.9) for picture in best.values())


def test_crowdposes_validation_file(capsys):
    source = open_source(str(REAL / "crowdpose" / "crowdpose_val.json"))
    start = time.process_time()
    data = source.read("val", pictures=False)
    seconds = time.process_time() - start
    with capsys.disabled():
        print(f"\n8,527 annotations in {seconds:.2f} s of one processor")
    assert seconds < 5
    assert len(data.records) == 2000
    assert sum(len(record.joints) + len(record.ignored) for record in data.records) == 8527
    assert crowding(source.document("val")) == {
        "released": {"easy": 411, "medium": 1240, "hard": 349},
        "paper": {"easy": 192, "medium": 1459, "hard": 349},
    }
