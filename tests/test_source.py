"""What a user may call a dataset: YAML in two dialects, JSON, names; and what is said of misspelt ones."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from litepose_nas.data.dataset import split
from litepose_nas.data.dataset_yaml import known_skeleton, skeleton_in
from litepose_nas.data.layouts.toy import DRAWN
from litepose_nas.data.skeleton import make_skeleton, mirror_of, side
from litepose_nas.data.source import DATA_FOLDER, open_source
from litepose_nas.errors import UserError
from litepose_nas.synthetic.dataset import open_or_draw, write_toy
from tests.helpers import layouts


def written(folder: Path, text: str) -> str:
    path = folder / "data.yaml"
    path.write_text(text)
    return str(path)


def test_a_json_is_whatever_split_is_asked_for(tmp_path):
    source = open_source(str(layouts.coco(tmp_path)))
    assert source.split("train") == source.split("val")
    data = source.read("train")
    assert data.images == tmp_path / "images"
    assert source.read("val").records[0].path == tmp_path / "images" / "000005.png"
    # COCO's own folders: annotations/person_keypoints_val2017.json beside val2017/
    layouts.pictures(tmp_path / "there" / "val2017")
    moved = tmp_path / "there" / "annotations" / "person_keypoints_val2017.json"
    layouts.put(moved, json.loads((tmp_path / "people.json").read_text()))
    assert open_source(str(moved)).read("val").images == tmp_path / "there" / "val2017"


def test_a_json_whose_pictures_are_nowhere(tmp_path):
    path = layouts.put(tmp_path / "a" / "b" / "c" / "people.json", layouts.document(("nose", "left_eye", "right_eye")))
    with pytest.raises(UserError, match=r"image 7 has no file .*000007\.png"):
        open_source(str(path)).read("val")
    data = open_source(str(path)).read("val", pictures=False)
    assert [len(record.joints) for record in data.records] == [1, 2]


def test_known_names_are_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(DATA_FOLDER, raising=False)
    with pytest.raises(UserError, match=r"crowdpose: none of its files in data/crowdpose .*json/crowdpose_val\.json"):
        open_source("crowdpose")
    layouts.crowdpose(Path("data/crowdpose"))
    source = open_source("crowdpose")
    assert len(source.read("val").records) == 2
    with pytest.raises(UserError, match=r"no split 'train': expected .*crowdpose_train\.json"):
        source.read("train")
    layouts.mpii(Path("elsewhere/mpii"))
    monkeypatch.setenv(DATA_FOLDER, "elsewhere")
    with pytest.raises(UserError, match=r"gt_valid\.mat: cannot be read"):
        open_source("mpii").read("val")
    layouts.mpii_truth(Path("elsewhere/mpii"))
    assert len(open_source("mpii").read("val").records) == 2
    with pytest.raises(UserError, match="crowdpsoe: no such dataset; did you mean 'crowdpose'"):
        open_source("crowdpsoe")


def test_mmposes_names_of_mpiis_files(tmp_path):
    layouts.pictures(tmp_path / "images")
    layouts.put(tmp_path / "annotations" / "mpii_train.json", layouts.mpii_records())
    assert len(open_source(f"mpii:{tmp_path}").read("train").records) == 2


def test_coco_in_two_folders(tmp_path):
    tree = json.loads(layouts.coco(tmp_path).read_text())
    layouts.pictures(tmp_path / "images" / "val2017")
    layouts.put(tmp_path / "annotations" / "person_keypoints_val2017.json", tree)
    assert open_source(f"coco:{tmp_path}").read("val").images == tmp_path / "images" / "val2017"
    layouts.pictures(tmp_path / "val2017")
    assert open_source(f"coco:{tmp_path}").read("val").images == tmp_path / "val2017"


def test_the_test_split_needs_no_people(tmp_path):
    tree = json.loads(layouts.coco(tmp_path).read_text())
    categories = [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}]
    layouts.pictures(tmp_path / "test2017")
    layouts.put(
        tmp_path / "annotations" / "image_info_test-dev2017.json", {"images": tree["images"], "categories": categories}
    )
    data = open_source(f"coco:{tmp_path}").read("test")
    assert [record.image_id for record in data.records] == [5, 7]
    assert data.skeleton == known_skeleton("coco")
    # a folder of pictures alone
    text = "train: {images: images, annotations: people.json}\ntest: {images: images}\n"
    source = open_source(written(tmp_path, text + "keypoints: coco\n"))
    assert [(r.image_id, r.width, len(r.joints)) for r in source.read("test").records] == [(5, 40, 0), (7, 40, 0)]
    with pytest.raises(UserError, match="add `keypoints`"):
        open_source(written(tmp_path, text)).read("test")


def test_toy_folders_and_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_toy("people", train=3, val=2, size=64)
    for name in ("people", "toy:people"):
        assert len(open_source(name).read("val").records) == 2
    write_toy(DRAWN, train=3, val=2, size=64)
    assert len(open_source("toy").read("train").records) == len(open_or_draw(None).read("train").records) == 3
    write_toy("coco", train=3, val=2, size=64)
    assert len(open_source("coco").read("val").records) == 2  # a drawn folder goes before the name


def test_own_joints(tmp_path):
    names = ("base", "arm", "tip_a", "tip_b")
    layouts.pictures(tmp_path / "images")
    layouts.put(tmp_path / "people.json", layouts.document(names))
    split_line = "val: {images: images, annotations: people.json}\n"
    text = split_line + (
        "keypoints: [base, arm, tip_a, tip_b]\nflip_pairs: [[tip_a, tip_b]]\n"
        "skeleton: [[base, arm], [1, tip_a], [1, 3]]\nsigmas: 0.04\nlicense: ours\n"
    )
    skeleton = open_source(written(tmp_path, text)).read("val").skeleton
    assert skeleton.flip_pairs == ((2, 3),)
    assert skeleton.limbs == ((0, 1), (1, 2), (1, 3))
    assert skeleton.sigmas == (0.04,) * 4
    text = split_line + "keypoints: [base, arm, tip_a]\nsigmas: 0.04\n"
    with pytest.raises(UserError, match=r"people\.json has 4 joints a person and the skeleton 3"):
        open_source(written(tmp_path, text)).read("val")
    with pytest.raises(UserError, match="has no split 'train'; it has val"):
        open_source(written(tmp_path, split_line)).read("train")


NAMES = "keypoints: [nose, left_eye, right_eye]\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("keypoint: [a]\n", "unknown key `keypoint`; did you mean 'keypoints'"),
        ("format: cocoo\n", "format: 'cocoo' is not one; did you mean 'coco'"),
        ("keypoints: []\n", "keypoints: expected a list of names"),
        ("keypoints: coca\n", "no dataset called 'coca': did you mean 'coco'"),
        ("keypoints: [a, [b]]\n", "keypoints: expected a list of names"),
        ("keypoints: [a, a]\nsigmas: 1\n", "a appears more than once"),
        (NAMES + "sigmas: [0.1]\n", "1 sigmas for 3 joints"),
        (NAMES + "sigmas: [0.1, 0.1, -1]\n", "sigma of right_eye is not a positive"),
        (NAMES + "sigmas: wide\n", "sigmas: expected auto"),
        (NAMES + "flip_pairs: [[left_eye, rihgt_eye]]\n", "no joint called 'rihgt_eye'; did you mean 'right_eye'"),
        (NAMES + "flip_pairs: [[left_eye, left_eye]]\n", "no flip pair"),
        (NAMES + "flip_pairs: [[0, 1], [1, 2]]\n", "left_eye stands in two flip pairs"),
        (NAMES + "nme_joints: [left_eye]\n", "nme_joints: expected a list of pairs"),
        (NAMES + "nme_joints: [left_eye, left_eye]\n", "nme_joints: left_eye twice; name two"),
        (NAMES + "nme_joints: [left_eye, 3]\n", "nme_joints: 3 is no joint"),
        (NAMES + "flip_idx: [0, 1]\n", "flip_idx: expected each of 0 to 2 once"),
        (NAMES + "flip_idx: [1, 2, 0]\n", "flip_idx: joint 0 becomes 1, which does not become 0"),
        (NAMES + "skeleton: [[0, 7]]\n", "7 is no joint"),
        (NAMES + "skeleton: [[0, 3]]\n", "joints are counted from 0 to 2, but 3 is named"),
        (NAMES + "skeleton: nothing\n", "skeleton: expected a list of pairs"),
        ("kpt_shape: [17]\n", r"kpt_shape: expected \[joints, 2 or 3\]"),
        ("kpt_shape: [2000000000, 3]\n", "kpt_shape: 2000000000 joints; expected 1 to 1000"),
        ("kpt_shape: [17, 3]\n" + NAMES, "kpt_shape says 17 joints and the names are 3"),
        ("nc: 2\nnames: [person]\n", "nc is 2 and names has 1"),
        ("names: 5\n", "names: expected class numbers"),
        ("val: {images: images}\n", "val: expected a mapping of `images`"),
        ("val: 5\n", "val: expected a mapping of `images`"),
        ("val: {images: images, annotation: a.json, annotations: a.json}\n", "val: unknown key `annotation`"),
        ("val: {images: images, annotations: a.json, truth: a.mat}\n", "`truth` belongs to the format mpii"),
    ],
)
def test_words_that_are_refused(tmp_path, text, words):
    base = "" if text.startswith("val") else "train: {images: images, annotations: people.json}\n"
    path = written(tmp_path, base + text)
    with pytest.raises(UserError, match=words) as told:
        open_source(path)
    assert "data.yaml" in str(told.value) or "coca" in text


def test_yamls_that_are_none(tmp_path):
    for text, words in (
        ("[1, 2]", "expected a mapping"),
        ("train: [", "not YAML"),
        ("keypoints: coco\n", "neither train nor val"),
        ("train: images/train\n", "needs `kpt_shape"),
        (
            "train: [images/train, {a: b}]\nformat: yolo\nkpt_shape: [17, 3]\n",
            "expected a folder of pictures, or a list",
        ),
        ("train: images/train\nkpt_shape: [17, 4]\n", "kpt_shape: 4 numbers a joint"),
        ("a: 2020-13-41\n", "not YAML"),
    ):
        with pytest.raises(UserError, match=words):
            open_source(written(tmp_path, text))
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UserError, match="not YAML"):
        open_source(str(tmp_path / "bytes.yaml"))


def test_limbs_counted_from_one_are_said_to_be(tmp_path):
    tree = {"keypoints": ["a", "b", "c"], "skeleton": [[1, 2], [2, 3]], "sigmas": 0.1}
    with pytest.warns(UserWarning, match="joint 3 is named, so joints are counted from 1"):
        found = skeleton_in(tree, "x.yaml")
    assert found is not None
    assert found.limbs == ((0, 1), (1, 2))


def test_words_of_yolo_pose():
    found = skeleton_in({"kpt_shape": [17, 3], "flip_idx": list(known_skeleton("coco").mirror)}, "x")
    assert found == known_skeleton("coco")
    tree = {"kpt_shape": [2, 3], "kpt_names": {0: ["left_tip", "right_tip"]}, "kpt_oks_sigmas": [0.1, 0.1]}
    found = skeleton_in(tree, "x")
    assert found == make_skeleton(["left_tip", "right_tip"], sigmas=[0.1, 0.1])


def test_sigmas_of_unknown_joints_are_said():
    with pytest.warns(UserWarning, match="no standard sigma for tip: 0.05 is used"):
        found = skeleton_in({"keypoints": ["tip"], "sigmas": "auto"}, "x")
    assert found is not None
    assert found.sigmas == (0.05,)


@pytest.mark.parametrize(
    ("names", "mirror"),
    [
        (["Right Shoulder", "Left Shoulder", "Head top"], (1, 0, 2)),
        (["Right-ankle", "Left-ankle"], (1, 0)),
        (["leftWrist", "rightWrist"], (1, 0)),
        (["medial_right_bow", "medial_left_bow", "medial_neck"], (1, 0, 2)),
        (["l_hip", "r_hip", "tail_l", "tail_r"], (1, 0, 3, 2)),
        (["bright", "blight", "cleft"], (0, 1, 2)),
        (["l", "r"], (1, 0)),
        (["левый_локоть", "нос"], (0, 1)),
    ],
)
def test_sides_in_names(names, mirror):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mirror_of(names) == mirror


def test_two_names_of_the_same_words_have_one_partner():
    with pytest.warns(UserWarning, match="no partner"):
        mirror = mirror_of(["left_hip", "Left-hip", "right_hip"])
    assert [mirror[other] for other in mirror] == [0, 1, 2]
    assert (side("Left Hip"), side("hip_r"), side("bright")) == ("left", "right", "")


def test_videos_are_not_torn_apart(tmp_path):
    layouts.posetrack18(tmp_path)
    data = open_source(f"posetrack18:{tmp_path}").read("val")
    rest, part = split(data, 0.3)
    assert len(rest.records) == len(part.records) == 2
    assert not {record.video for record in rest.records} & {record.video for record in part.records}
    one = data._replace(records=data.records[:2])
    assert [len(half.records) for half in split(one, 0.5)] == [1, 1]  # of one video the pictures are all there is
