"""Networks on videos: every length, people who come and go, broken files, stops, and going on to the same bytes."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

import litepose_nas as ln
from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.data.skeleton import make_skeleton
from litepose_nas.data.video_frames import open_frames
from litepose_nas.errors import UserError
from litepose_nas.inference import video
from litepose_nas.inference.following import FollowAll, FollowEach, FramePerson, finder
from litepose_nas.inference.online import Online
from litepose_nas.inference.video_results import document_of
from litepose_nas.inference.video_writer import VideoWriter
from litepose_nas.metrics.from_files import PredictionFiles, judge
from litepose_nas.pose.bottomup import BottomUp
from litepose_nas.pose.temporal import Temporal
from litepose_nas.pose.topdown import TopDown
from litepose_nas.steps.videos import boxes_by_place

BODY = make_skeleton(("nose", "left_hip", "right_hip"), [(0, 1), (0, 2)], [0.1] * 3)
OFFSETS = ((0, -8), (8, 8), (-8, 8))  # of the joints from the middle of a square
SIDE = 64


def square_at(image, x, y):
    image[max(0, y - 8) : y + 9, max(0, x - 8) : x + 9] = 255


def frames_with(places):
    """Frames of 64 pixels with white squares at these places in each."""
    made = []
    for places_of_frame in places:
        image = np.zeros((SIDE, SIDE, 3), np.uint8)
        for x, y in places_of_frame:
            square_at(image, x, y)
        made.append(image)
    return made


def write_folder(folder, frames, first=0):
    folder.mkdir(parents=True)
    for number, image in enumerate(frames):
        cv2.imwrite(str(folder / f"{first + number:06d}.png"), image)
    return folder


def write_video(path, frames, rate=10.0):
    with VideoWriter(path, rate) as film:
        for image in frames:
            film.add(image)
    return path


class SquaresWhole:
    """A bottom-up network that finds every white square: the joints around its middle, all of one tag."""

    def __call__(self, images: Tensor) -> list[Tensor]:
        coarse, fine = torch.zeros(len(images), 6, 16, 16), torch.zeros(len(images), 3, 32, 32)
        for number, image in enumerate(images):
            white = (image[1] > 0).to(torch.uint8).numpy()
            count, _, _, middles = cv2.connectedComponentsWithStats(white)
            for tag, (x, y) in enumerate(middles[1:count]):
                for joint, (dx, dy) in enumerate(OFFSETS):
                    column, row = int((x + dx) // 4), int((y + dy) // 4)
                    if 0 <= column < 16 and 0 <= row < 16:
                        coarse[number, joint, row, column] = 0.9
                        coarse[number, 3 + joint, row, column] = 10.0 * tag
                        fine[number, joint, int((y + dy) // 2), int((x + dx) // 2)] = 0.9
        return [coarse, fine]


class SquareOfCut:
    """A top-down network: joints around the middle of the white square of a cut-out, nothing where there is none."""

    def __call__(self, images: Tensor) -> list[Tensor]:
        heat = torch.zeros(len(images), 3, 32, 32)
        for number, image in enumerate(images):
            white = (image[1] > 0).to(torch.uint8).numpy()
            count, _marks, stats, middles = cv2.connectedComponentsWithStats(white)
            if count < 2:
                continue
            best = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
            x, y = middles[best]
            half = stats[best, cv2.CC_STAT_WIDTH] / 2
            for joint, (dx, dy) in enumerate(OFFSETS):
                column, row = int((x + dx * half / 8) // 2), int((y + dy * half / 8) // 2)
                if 0 <= column < 32 and 0 <= row < 32:
                    heat[number, joint, row, column] = 0.8
        return [heat]


def whole():
    return FollowAll(SquaresWhole(), BottomUp(3), BODY.sigmas, (SIDE, SIDE))


def each(find=None, given=None, every=5):
    return FollowEach(
        Online(SquareOfCut(), TopDown(3, codec="plain", sigmas=BODY.sigmas), (SIDE, SIDE)), find, given, every
    )


WALK = [[(14 + 2 * t, 30)] + ([(50, 40)] if 4 <= t < 9 else []) for t in range(12)]  # one goes, one comes and leaves


def middles(document):
    """Return {frame: {track: middle of the hips and nose}}."""
    frame_of = {image["id"]: image["frame"] for image in document["images"]}
    found = {}
    for a in document["annotations"]:
        points = np.reshape(a["keypoints"], (-1, 3))
        found.setdefault(frame_of[a["image_id"]], {})[a["track_id"]] = points[points[:, 2] > 0, :2].mean(0)
    return found


def check_walk(document, slack=0):
    """Both squares are followed by one number each, where they are."""
    found = middles(document)
    walker = {next(t for t, at in found[f].items() if abs(at[1] - 33) < 6) for f in range(12)}
    assert len(walker) == 1
    (walker,) = walker
    visitors = set()
    for t in range(12):
        x = 14 + 2 * t
        assert found[t][walker][0] == pytest.approx(x, abs=3)
        others = {track: at for track, at in found[t].items() if track != walker}
        if 4 + slack <= t < 9:
            ((visitor, at),) = others.items()
            visitors.add(visitor)
            assert at == pytest.approx((50, 42.5), abs=3.5)
        elif t < 4 or t >= 9 + slack:
            assert not others
    assert len(visitors) == 1


@pytest.mark.parametrize("kind", ["folder", "video"])
def test_a_bottom_up_network_follows_everybody(tmp_path, kind):
    make = write_folder if kind == "folder" else write_video
    source = make(tmp_path / ("clip" if kind == "folder" else "clip.mp4"), frames_with(WALK))
    steps = []
    made = video.predict_video(
        whole(), open_frames(source), BODY, tmp_path / "out", progress=lambda done, total: steps.append((done, total))
    )
    assert steps == [(n, 12) for n in range(1, 13)]
    assert (made.frames, made.people, made.tracks, made.stopped, made.warning) == (12, 17, 2, False, "")
    document = json.loads(made.poses.read_text())
    check_walk(document)
    assert document["info"]["rate"] == (25 if kind == "folder" else 10)
    overlay = open_frames(made.overlay)
    assert (overlay.length, overlay.rate) == (12, document["info"]["rate"])
    first = next(overlay.images())
    assert first.shape == (SIDE * 8, SIDE * 8, 3)  # small frames are enlarged
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["clip.json", "clip.mp4"]


def test_a_top_down_network_takes_boxes_of_a_detector(tmp_path):
    """It looks every third frame, so a newcomer is seen two frames later at most, and a leaver is gone at once."""
    source = write_folder(tmp_path / "clip", frames_with(WALK))
    find = finder(SquaresWhole(), BottomUp(3), (SIDE, SIDE))
    made = video.predict_video(each(find, every=3), open_frames(source), BODY, tmp_path / "out")
    check_walk(json.loads(made.poses.read_text()), slack=2)


def test_two_boxes_of_one_person_are_one_person():
    """Far apart boxes may lead to one pose; whoever was followed before stays."""
    (image,) = frames_with([[(30, 30)]])
    boxes = [[18.0, 18, 24, 24, 0.9], [14.0, 16, 24, 24, 0.5], [10.0, 18, 42, 26, 0.4]]
    follower = each(lambda image, place: np.array(boxes[: place + 1]), every=1)
    for place in range(3):
        (person,) = follower.step(image, place)
        assert person.track == 0
    both = each(given=lambda image, place: np.array(boxes))
    assert len(both.step(image, 0)) == 3  # boxes of a file are the truth


def test_a_top_down_network_takes_boxes_of_a_file(tmp_path):
    def box(x, y):
        return [x - 12.0, y - 12.0, 24.0, 24.0, 0.9]

    boxes = {t: np.array([box(x, y) for x, y in places]) for t, places in enumerate(WALK)}
    frames = open_frames(write_folder(tmp_path / "clip", frames_with(WALK)))
    found = boxes_by_place(boxes, frames)
    assert sorted(found) == list(range(12))
    made = video.predict_video(each(given=lambda image, place: found.get(place)), frames, BODY, tmp_path / "out")
    check_walk(json.loads(made.poses.read_text()))
    # Frames without boxes: nobody looked, the people of the frame before are followed.
    few = {0: boxes[0], 4: boxes[4], 9: boxes[9]}
    made = video.predict_video(each(given=lambda image, place: few.get(place)), frames, BODY, tmp_path / "few")
    check_walk(json.loads(made.poses.read_text()))
    # Before the first box nobody is there.
    made = video.predict_video(
        each(given=lambda image, place: boxes[5] if place == 5 else None), frames, BODY, tmp_path / "late"
    )
    assert min(middles(json.loads(made.poses.read_text()))) == 5


def test_a_top_down_network_alone_starts_with_the_whole_frame(tmp_path):
    places = [[], [], *[[(20 + t, 30)] for t in range(6)], [], [], [(40, 30)]]
    source = write_folder(tmp_path / "clip", frames_with(places))
    made = video.predict_video(each(), open_frames(source), BODY, tmp_path / "out")
    found = middles(json.loads(made.poses.read_text()))
    assert sorted(found) == [*range(2, 8), 10]
    assert len({track for t in range(2, 8) for track in found[t]}) == 1
    for t in range(2, 8):
        ((_, at),) = found[t].items()
        assert at[0] == pytest.approx(18 + t, abs=3)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("make", [whole, each])
def test_the_shortest_videos(tmp_path, count, make):
    source = write_video(tmp_path / "short.mp4", frames_with(WALK[:count]))
    made = video.predict_video(make(), open_frames(source), BODY, tmp_path / "out")
    assert made.frames == made.people == count
    assert open_frames(made.overlay).length == count


@pytest.mark.parametrize("sides", [(63, 97), (480, 641), (700, 300)])
def test_odd_sides(tmp_path, sides):
    images = [np.full((*sides, 3), 90, np.uint8)] * 3
    made = video.predict_video(whole(), open_frames(write_folder(tmp_path / "c", images)), BODY, tmp_path / "out")
    image = next(open_frames(made.overlay).images())
    zoom = max(1, round(480 / max(sides)))
    assert image.shape[:2] == tuple(side * zoom + side * zoom % 2 for side in sides)
    assert made.people == 0


def test_nothing_and_half_a_video_are_said(tmp_path):
    whole_file = write_video(tmp_path / "clip.mp4", frames_with(WALK))
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "half.mp4").write_bytes(whole_file.read_bytes()[:400])
    (tmp_path / "text.avi").write_text("no video " * 100)
    (tmp_path / "void").mkdir()
    for name, words in (
        ("empty.mp4", "empty"),
        ("half.mp4", "damaged, cut off, or no video"),
        ("text.avi", "damaged, cut off, or no video"),
        ("gone.mp4", "there is no"),
        ("void", "holds no pictures"),
    ):
        with pytest.raises(UserError, match=words):
            open_frames(tmp_path / name)
    folder = write_folder(tmp_path / "frames", frames_with(WALK))
    cv2.imwrite(str(folder / "000005.png"), np.zeros((40, 64, 3), np.uint8))
    with pytest.raises(UserError, match=r"000005.png is 64x40 pixels"):
        video.predict_video(whole(), open_frames(folder), BODY, tmp_path / "out")


def test_a_video_is_never_written_over_itself(tmp_path):
    source = write_video(tmp_path / "clip.mp4", frames_with(WALK[:2]))
    before = source.read_bytes()
    with pytest.raises(UserError, match="take the place of"):
        video.predict_video(whole(), open_frames(source), BODY, tmp_path)
    assert source.read_bytes() == before


def test_a_video_that_ends_early_is_named(tmp_path):
    frames = open_frames(write_video(tmp_path / "clip.mp4", frames_with(WALK)))._replace(length=30)
    made = video.predict_video(whole(), frames, BODY, tmp_path / "out")
    assert "12 frames could be read, and it says that it has 30" in made.warning


def test_frames_go_by_their_numbers(tmp_path):
    folder = write_folder(tmp_path / "clip", frames_with(WALK[:1] * 3))
    for new, old in ((2, 0), (10, 1), (9, 2)):
        (folder / f"{old:06d}.png").rename(folder / f"frame{new}.png")
    assert [path.name for path in open_frames(folder).pictures] == ["frame2.png", "frame9.png", "frame10.png"]
    assert open_frames(folder).number(2) == 2
    numbered = open_frames(write_folder(tmp_path / "late", frames_with(WALK[:2]), first=7))
    assert [numbered.number(place) for place in (0, 1)] == [7, 8]


def left(out):
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.mark.parametrize("make", [whole, lambda: each(finder(SquaresWhole(), BottomUp(3), (SIDE, SIDE)), every=4)])
@pytest.mark.parametrize("kill", [False, True])
def test_stopped_or_killed_it_goes_on_to_the_same_bytes(tmp_path, make, kill, monkeypatch):
    monkeypatch.setattr(video, "SAVE", 3)
    frames = open_frames(write_folder(tmp_path / "clip", frames_with(WALK)))
    settings = {"network": "a"}
    wanted = video.predict_video(make(), frames, BODY, tmp_path / "once", settings=settings)
    out, done, deaths = tmp_path / "out", [], [5, 8]

    def progress(at, total):
        done.append(at)
        if kill and at in deaths:
            deaths.remove(at)
            raise SystemExit  # as a kill between two saves

    def stop():
        return not kill and len(done) in (5, 5 + 5 + 2)  # the frames before are gone through again

    for turn in range(3):
        try:
            made = video.predict_video(
                make(), frames, BODY, out, settings=settings, resume=turn > 0, progress=progress, stop=stop
            )
        except SystemExit:
            continue
        if turn < 2:
            assert made.stopped
            assert (out / "clip.state.npz").is_file()
            document = json.loads(made.poses.read_text())
            assert len(document["images"]) == made.frames < 12
            assert open_frames(made.overlay).length == made.frames
    assert not made.stopped
    assert left(out) == left(tmp_path / "once")
    assert made._replace(overlay=wanted.overlay, poses=wanted.poses) == wanted
    assert not video.left_over(out, "clip")
    assert video.ended(out, "clip")


def test_a_temporal_network_goes_on_inside_a_group(tmp_path, monkeypatch):
    """What the last frame left behind, its heatmaps, is on the disk with the rest."""
    monkeypatch.setattr(video, "SAVE", 100)
    torch.manual_seed(3)
    arch = ln.Space.load("t_vipnas-tiny").smallest
    net = ln.build(arch).eval()
    people = known_skeleton("coco")
    frames = open_frames(write_folder(tmp_path / "clip", frames_with(WALK)))

    def follower():
        # A fresh network finds nothing worth following: boxes say who is who, in every frame.
        task = Temporal(TopDown(17, sigmas=people.sigmas, least_value=2.0), arch.clip_length)
        find = finder(SquaresWhole(), BottomUp(3), (SIDE, SIDE))
        return FollowEach(Online(net, task, (64, 48), least_score=0.0), find, every=1)

    assert arch.clip_length > 2
    wanted = video.predict_video(follower(), frames, people, tmp_path / "once")
    assert wanted.people >= 12
    stops = iter([False, True, *[False] * 20])
    made = video.predict_video(follower(), frames, people, tmp_path / "out", stop=stops.__next__)
    assert made.stopped
    with np.load(tmp_path / "out" / "clip.state.npz") as kept:
        assert kept["kept.0.numbers"].tolist()[1] == 1  # it is inside a group
        assert kept["kept.0.heatmaps"].any()
    video.predict_video(follower(), frames, people, tmp_path / "out", resume=True)
    assert left(tmp_path / "out") == left(tmp_path / "once")


def test_going_on_otherwise_is_refused(tmp_path, monkeypatch):
    frames = open_frames(write_folder(tmp_path / "clip", frames_with(WALK)))
    out = tmp_path / "out"
    video.predict_video(whole(), frames, BODY, out, settings={"flip": False}, stop=lambda: True)
    with pytest.raises(UserError, match="was begun with flip = False, not True"):
        video.predict_video(whole(), frames, BODY, out, settings={"flip": True}, resume=True)
    (out / "clip.frames.jsonl").write_text("")
    with pytest.raises(UserError, match="damaged"):
        video.predict_video(whole(), frames, BODY, out, settings={"flip": False}, resume=True)
    made = video.predict_video(whole(), frames, BODY, out, settings={"flip": True})  # anew
    assert made.frames == 12
    assert not video.left_over(out, "clip")


def test_posetracks_layout_is_what_its_evaluation_reads(tmp_path):
    names = ("head_top", "nose", "head_bottom")
    some = make_skeleton(names, [], [0.1] * 3)
    folder = write_folder(tmp_path / "001234_mpii_test", frames_with(WALK[:2]))
    pose = np.array([[10, 2, 0.5], [12, 9, 0.9], [0, 0, 0]], float)
    document = document_of("posetrack", open_frames(folder), (64, 64), [[FramePerson(3, pose, 0.7)], []], some)
    assert [image["id"] for image in document["images"]] == [10012340000, 10012340001]
    (found,) = document["annotations"]
    points = np.reshape(found["keypoints"], (17, 3))
    assert points[0].tolist() == [12, 9, 0.9]
    assert points[2].tolist() == [10, 2, 0.5]
    assert not np.delete(points, (0, 2), axis=0).any()
    assert (found["track_id"], found["image_id"]) == (3, 10012340000)
    keypoints = [0] * 51
    keypoints[:3], keypoints[6:9] = [12, 9, 1], [10, 2, 1]
    truth = {
        **document,
        "annotations": [
            {"id": 1, "image_id": 10012340000, "track_id": 0, "category_id": 1, "keypoints": keypoints,
             "bbox": [0, 0, 20, 20], "bbox_head": [8, 2, 8, 8]}
        ],
    }  # fmt: skip
    (tmp_path / "found.json").write_text(json.dumps(document))
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    report = judge("posetrack", PredictionFiles(tmp_path / "found.json", str(tmp_path / "truth.json")))
    assert report.figures["head"] == 100


def test_boxes_are_found_by_number_or_name(tmp_path):
    frames = open_frames(write_folder(tmp_path / "clip", frames_with(WALK[:4]), first=5))
    one = np.zeros((1, 5))
    assert sorted(boxes_by_place({"000005.png": one, "000006": one, 8: one, 99: one, "x": one}, frames)) == [0, 1, 3]
    posetrack = open_frames(write_folder(tmp_path / "012834_mpii_test", frames_with(WALK[:4])))
    assert sorted(boxes_by_place({10128340002: one, 10128350001: one}, posetrack)) == [2]
    clip = open_frames(write_video(tmp_path / "clip.mp4", frames_with(WALK[:4])))
    assert sorted(boxes_by_place({0: one, 3: one, "1": one}, clip)) == [0, 3]


@pytest.mark.skipif("POSE_REAL_DATA" not in os.environ, reason="POSE_REAL_DATA is not set")
@pytest.mark.parametrize("name", ["sam2_bedroom_200f.mp4", "sam2_juggle_247f.mp4"])
def test_real_videos_run_through(tmp_path, name):
    """Their first frames, with fresh networks: everything but the people is real."""
    frames = open_frames(Path(os.environ["POSE_REAL_DATA"]) / "videos" / name)
    assert frames.length >= 200
    torch.manual_seed(0)
    people = make_skeleton([f"joint_{n}" for n in range(17)], [], [0.1] * 17)
    bottomup = ln.build(ln.Space.load("litepose-tiny").smallest).eval()
    topdown = ln.build(ln.Space.load("topdown-tiny").smallest).eval()
    whole_frames = FollowAll(bottomup, BottomUp(17), people.sigmas, (96, 96))
    alone = FollowEach(Online(topdown, TopDown(17, sigmas=people.sigmas), (64, 48)))
    for follower, folder in ((whole_frames, "all"), (alone, "each")):
        answers = iter([False] * 19 + [True])
        made = video.predict_video(follower, frames, people, tmp_path / folder, stop=answers.__next__)
        assert made.frames == 20
        image = next(open_frames(made.overlay).images())
        assert image.shape[:2] == next(frames.images()).shape[:2]
