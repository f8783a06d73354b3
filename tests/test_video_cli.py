"""`predict` on videos from the command line: sources, options that go together, Ctrl-C, and PoseTrack18's figures."""

import json
import os
import signal
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

import litepose_nas as ln
from litepose_nas import weights
from litepose_nas.cli import console
from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.data.images import read_image
from litepose_nas.data.video_frames import open_frames
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.inference.following import without_doubles
from litepose_nas.inference.online import AROUND
from litepose_nas.inference.video_writer import VideoWriter
from litepose_nas.pose.make_task import make_task
from litepose_nas.resolve import resolve
from litepose_nas.steps import common, where_to_look
from litepose_nas.synthetic.dataset import write_toy
from litepose_nas.train.recipe import Recipe

FRAMES = 6
CLIP = "500001_drawn_val"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A drawn dataset of videos, a video file, and untrained networks of both kinds for its joints."""
    room = tmp_path_factory.mktemp("films")
    write_toy(room / "films", train=1, val=1, size=64, subject="video", setting="easy", frames=FRAMES)
    with VideoWriter(room / "clip.mp4", 12) as film:
        for image in open_frames(room / "films/images/val" / CLIP).images():
            film.add(image)
    skeleton = known_skeleton("posetrack18")
    for name, space in (("one", "topdown-tiny"), ("all", "litepose-tiny")):
        torch.manual_seed(1)
        arch = ln.Space.load(space).smallest
        said = {"supernet": {"path": "", "sha256": ""}, "recipe": Recipe(batch=2).__dict__, "data": "films", "seed": 0}
        info = {**said, **common.describe(skeleton, make_task(skeleton, Recipe().task_info))}
        weights.save(ln.build(arch, joints=17), room / f"{name}.safetensors", Subnet(arch, 17, info))
    return room


@pytest.fixture
def said(made, tmp_path, monkeypatch, said):
    for name in os.listdir(made):
        (tmp_path / name).symlink_to(made / name)
    monkeypatch.chdir(tmp_path)
    return said


def read(path):
    return json.loads(Path(path).read_text())


def test_a_video_file_with_a_network_that_sees_all(said):
    text = said("predict all.safetensors clip.mp4")
    assert f"people in {FRAMES} frames" in text
    document = read("predictions/clip.json")
    assert [image["frame"] for image in document["images"]] == list(range(FRAMES))
    assert document["categories"][0]["keypoints"] == list(known_skeleton("posetrack18").names)
    film = open_frames(Path("predictions/clip.mp4"))
    assert (film.length, film.rate) == (FRAMES, 12)
    said("predict all.safetensors clip.mp4 --min-score 1 --out sure")
    assert read("sure/clip.json")["annotations"] == []


def test_a_network_that_sees_one_says_where_it_begins(said):
    assert "none of --boxes, --detector and --whole was given" in said("predict one.safetensors clip.mp4")
    assert "none of" not in said("predict one.safetensors clip.mp4 --whole --out whole")
    text = said("predict one.safetensors clip.mp4 --detector all.safetensors --every 2 --out found")
    assert "none of" not in text
    boxes = [{"image_id": t, "category_id": 1, "bbox": [4, 4, 30, 40], "score": 1} for t in range(FRAMES)]
    Path("boxes.json").write_text(json.dumps(boxes))
    said("predict one.safetensors clip.mp4 --boxes boxes.json --out boxed")
    assert {a["track_id"] for a in read("boxed/clip.json")["annotations"]} <= {0}


def test_a_detector_finds_people_in_pictures(said):
    """Whom the detector finds becomes a box; the same boxes from a file lead to the same people."""
    pictures = f"films/images/val/{CLIP}"
    sure = weights.load("all.safetensors")
    for name, weight in sure.named_parameters():
        if name.startswith("head.out") and name.endswith("project.weight"):
            weight.data[:17] *= 100  # heatmaps: an untrained network is sure of nothing
            weight.data[17:] = 0  # tags
    described = resolve("all.safetensors").subnet
    Path("all.safetensors").unlink()
    weights.save(sure, "all.safetensors", described)
    said(f"predict all.safetensors {pictures} --out found")
    find, boxes = where_to_look.detector(Path("all.safetensors"), "cpu"), []
    for picture in read("found/poses.json")["pictures"]:
        found = find(read_image(Path(picture["file"])), 0)
        for person, row in zip(picture["people"], found.tolist(), strict=True):
            x, y = np.array(person["keypoints"])[:, :2].T  # every value of these networks is above zero
            sides = np.array([AROUND * max(x.max() - x.min(), 1), AROUND * max(y.max() - y.min(), 1)])
            middle = np.array([x.max() + x.min(), y.max() + y.min()]) / 2
            assert row == pytest.approx([*(middle - sides / 2), *sides, person["score"]], abs=0.01)
        for *box, score in without_doubles(found).tolist():
            boxes.append({"image_id": Path(picture["file"]).name, "bbox": box, "score": score, "category_id": 1})
    assert boxes
    Path("boxes.json").write_text(json.dumps(boxes))
    one = f"predict one.safetensors {pictures} --min-score 0"
    said(f"{one} --boxes boxes.json --out boxed")
    assert "none of" not in said(f"{one} --detector all.safetensors --out led")
    assert read("led/poses.json") == read("boxed/poses.json")
    whole = said(f"{one} --whole --out whole")
    assert "none of" not in whole
    assert f"{FRAMES} people in {FRAMES} pictures" in whole


def test_a_folder_of_frames_and_posetracks_figures(said):
    """Predictions of the frames of a dataset are judged against it, as the network is on the dataset itself."""
    said(f"predict one.safetensors films/images/val/{CLIP} --video --layout posetrack --rate 12 --out found")
    document = read(f"found/{CLIP}.json")
    listed = read(f"films/annotations/val/{CLIP}.json")["images"]
    assert [image["id"] for image in document["images"]] == [image["id"] for image in listed]
    assert open_frames(Path(f"found/{CLIP}.mp4")).rate == 12
    judged = said(
        f"evaluate --predictions found/{CLIP}.json --annotations films/annotations/val --metric posetrack --json"
    )
    assert 0 <= json.loads(judged)["total"] <= 100
    assert json.loads(said("evaluate one.safetensors --data films --json"))["metric"] == "posetrack"


def test_the_truth_as_predictions_has_all_the_points(said):
    truth = read(f"films/annotations/val/{CLIP}.json")
    Path("found").mkdir()
    Path("found/found.json").write_text(json.dumps({"annotations": truth["annotations"]}))
    judged = json.loads(
        said("evaluate --predictions found --annotations films/annotations/val --metric posetrack --json")
    )
    parts = [judged[part] for part in ("head", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "total")]
    assert parts == pytest.approx([100] * 8)


def test_several_videos_of_one_name(said):
    Path("other").mkdir()
    Path("other/clip.mp4").symlink_to(Path("clip.mp4").resolve())
    said("predict all.safetensors clip.mp4 'oth*/clip.mp4'")
    assert sorted(os.listdir("predictions")) == ["clip-2.json", "clip-2.mp4", "clip.json", "clip.mp4"]


def test_ctrl_c_keeps_what_there_is_and_resume_goes_on(said, monkeypatch):
    said("predict one.safetensors clip.mp4 --detector all.safetensors --out once")
    plain = console.progress
    stops = [2, 4]

    @contextmanager
    def pressed(what, unit):
        with plain(what, unit) as step:

            def press(done, total):
                step(done, total)
                if stops and done == stops[0]:
                    del stops[0]
                    os.kill(os.getpid(), signal.SIGINT)

            yield press

    monkeypatch.setattr(console, "progress", pressed)
    words = "predict one.safetensors clip.mp4 --detector all.safetensors --out found"
    assert "the same command with --resume goes on" in said(words, 130)
    assert open_frames(Path("found/clip.mp4")).length == 2
    assert len(read("found/clip.json")["images"]) == 2
    assert "was begun with every = 5, not 3" in said(f"{words} --every 3 --resume", 2)
    said(f"{words} --resume", 130)
    said(f"{words} --resume")
    for name in ("clip.mp4", "clip.json"):
        assert Path("found", name).read_bytes() == Path("once", name).read_bytes()
    assert sorted(os.listdir("found")) == ["clip.json", "clip.mp4"]
    before = Path("found/clip.json").stat().st_mtime_ns
    said(f"{words} --resume")  # nothing is left to do
    assert Path("found/clip.json").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("all.safetensors clip.mp4 --detector all.safetensors", "sees whole pictures and needs none"),
        ("all.safetensors clip.mp4 --boxes boxes.json", "sees whole pictures and needs none"),
        ("one.safetensors clip.mp4 --detector one.safetensors", "give a bottom-up network"),
        ("one.safetensors clip.mp4 --boxes boxes.json --detector all.safetensors", "give one of them"),
        ("one.safetensors clip.mp4 --whole --detector all.safetensors", "give one of them"),
        ("all.safetensors clip.mp4 --whole", "--whole: this network sees whole pictures"),
        ("one.safetensors films/images/val --every 3", "--every: is for videos"),
        (f"one.safetensors films/images/val/{CLIP} --detector one.safetensors", "give a bottom-up network"),
        (f"all.safetensors films/images/val/{CLIP} --whole", "--whole: this network sees whole pictures"),
        (f"all.safetensors films/images/val/{CLIP} --detector all.safetensors", "sees whole pictures and needs none"),
        (f"one.safetensors films/images/val/{CLIP} --whole --boxes boxes.json", "give one of them"),
        ("one.safetensors clip.mp4 --every 3", "name one"),
        ("one.safetensors clip.mp4 --min-box-score 0.3", "name it with --boxes"),
        ("one.safetensors clip.mp4 --flip", "leave it out in videos"),
        ("one.safetensors clip.mp4 --resume", "nothing was begun"),
        ("one.safetensors clip.mp4 --layout yolo", "is not one"),
        ("one.safetensors clip.mp4 --boxes boxes.json", "no box is of a frame of clip.mp4"),
        ("one.safetensors gone.mp4", "there is no gone.mp4"),
        ("one.safetensors clip.mp4 films/images/val", "is no video, and clip.mp4 is"),
        (f"one.safetensors films/images/val/{CLIP} --rate 9", "--rate: is for videos"),
        ("one.safetensors films --video", "holds no pictures"),
    ],
)
def test_what_does_not_go_together_is_said(said, words, expected):
    Path("boxes.json").write_text('[{"image_id": 900, "category_id": 1, "bbox": [1, 1, 9, 9], "score": 1}]')
    assert expected in said(f"predict {words} --out found", 2)
    assert not Path("found").exists()


def test_a_folder_of_pictures_stays_one(said):
    said(f"predict all.safetensors films/images/val/{CLIP} --out found")
    assert "pictures" in read("found/poses.json")


@pytest.mark.skipif("POSE_REAL_DATA" not in os.environ, reason="POSE_REAL_DATA is not set")
def test_posetrack18_itself(said):
    """Its samples: figures of a network on labelled frames, and its clip as a video file and as frames."""
    real = Path(os.environ["POSE_REAL_DATA"]) / "samples" / "posetrack18"
    report = json.loads(said(f"evaluate one.safetensors --data posetrack18:{real} --json"))
    assert report["metric"] == "posetrack"
    assert 0 <= report["total"] <= 100
    clip = real / "videos" / "000001_mpiinew_test"
    said(f"predict one.safetensors {clip} --video --layout posetrack --out frames")
    said(f"predict one.safetensors {clip / '000001_mpiinew_test.mp4'} --layout posetrack --out film")
    frames, film = read("frames/000001_mpiinew_test.json"), read("film/000001_mpiinew_test.json")
    assert [image["id"] for image in frames["images"]] == [10000010000 + frame for frame in range(5)]
    assert [image["id"] for image in film["images"]] == [image["id"] for image in frames["images"]]
    boxes = real / "annotations" / "test_posetrack18_human_detections.json"
    one_frame = next((real / "images" / "val").glob("012834*"))
    said(f"predict one.safetensors {one_frame} --video --boxes {boxes} --layout posetrack --out boxed")
    found = read(f"boxed/{one_frame.name}.json")
    assert {a["image_id"] for a in found["annotations"]} <= {10128340000}
    listed = [box for box in json.loads(boxes.read_text()) if box["image_id"] == 10128340000]
    assert 0 < len(found["annotations"]) <= len(listed)
    judged = said(
        f"evaluate --predictions boxed --annotations {real / 'annotations' / 'val'} --metric posetrack --json"
    )
    assert 0 <= json.loads(judged)["total"] <= 100
