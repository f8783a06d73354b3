"""Drawn videos: same bytes, PoseTrack18's layout, people who move smoothly, hide each other, come and go."""

import json

import cv2
import numpy as np
import pytest

from litepose_nas.data.check.checkup import check_source
from litepose_nas.data.layouts.toy import toy_settings
from litepose_nas.data.source import open_source
from litepose_nas.data.statistics import statistics_of
from litepose_nas.errors import UserError
from litepose_nas.synthetic import motion, video, video_labels, video_scene
from litepose_nas.synthetic.dataset import write_toy
from litepose_nas.synthetic.figure import LIMITS, draw_body, place

FRAMES = 12


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films") / "films"
    made = write_toy(folder, train=2, val=1, size=96, subject="video", frames=FRAMES)
    return folder, made


def documents(folder, split):
    return [json.loads(file.read_text()) for file in sorted((folder / "annotations" / split).glob("*.json"))]


def bytes_of(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_a_rerun_writes_the_same_bytes_and_more_videos_begin_with_the_same(drawn, tmp_path):
    folder, _ = drawn
    write_toy(tmp_path / "more", train=3, val=1, size=96, subject="video", frames=FRAMES)
    more = bytes_of(tmp_path / "more")
    assert all(more[name] == data for name, data in bytes_of(folder).items() if name != "toy.json")
    write_toy(tmp_path / "other", train=2, val=1, size=96, subject="video", frames=FRAMES, seed=1)
    other = bytes_of(tmp_path / "other")
    assert all(other[name] != data for name, data in bytes_of(folder).items() if name.endswith(".jpg"))
    assert toy_settings(folder)["subject"] == "video"


def test_the_layout_is_posetrack18s(drawn):
    folder, made = drawn
    seen, ids = 0, set()
    for split in ("train", "val"):
        for document in documents(folder, split):
            (category,) = document["categories"]
            assert category["name"] == "person"
            assert category["keypoints"][:5] == ["nose", "head_bottom", "head_top", "left_ear", "right_ear"]
            images = {image["id"]: image for image in document["images"]}
            assert [image["is_labeled"] for image in document["images"]] == video_labels.labelled_frames(FRAMES)
            for number, image in enumerate(document["images"]):
                assert image["file_name"].startswith(f"images/{split}/{image['vid_id']}_drawn_{split}/")
                assert image["file_name"].endswith(f"{number:06d}.jpg")
                assert image["nframes"] == FRAMES
                assert image["id"] == image["frame_id"] == int(f"1{image['vid_id']}{number:04d}")
                assert len(image["ignore_regions_x"]) == len(image["ignore_regions_y"])
                pixels = cv2.imread(str(folder / image["file_name"]))
                assert pixels.shape == (image["height"], image["width"], 3)
            tracks = [(a["image_id"], a["track_id"]) for a in document["annotations"]]
            assert len(set(tracks)) == len(tracks)  # a person is in a frame once
            for a in document["annotations"]:
                image = images[a["image_id"]]
                assert image["is_labeled"]
                assert a["id"] // 100 == a["image_id"]
                points = np.array(a["keypoints"]).reshape(17, 3)
                assert set(points[:, 2]) <= {0, 1}
                assert not points[points[:, 2] == 0].any()
                assert not points[3:5].any()  # nobody labels ears
                known = points[points[:, 2] == 1, :2]
                assert (known >= -0.5).all()
                assert (known <= (image["width"], image["height"])).all()
                low, high = known.min(0), known.max(0)
                middle, size = (low + high) / 2, (high - low) * 1.3
                assert np.allclose(a["bbox"], [*(middle - size / 2), *size], atol=0.03)
                assert a["bbox_head"][2] == pytest.approx(a["bbox_head"][3], abs=0.02)
                seen += 1
                ids.add(a["id"])
    assert seen == len(ids) == sum(made.people)
    assert made.pictures == (2 * FRAMES, FRAMES)


def test_the_reader_of_posetrack18_opens_it_with_and_without_unlabelled_frames(drawn):
    folder, made = drawn
    source = open_source(str(folder))
    assert source.split("val").layout == "posetrack18"
    labelled = source.read("train")
    assert len(labelled.records) == 2 * sum(video_labels.labelled_frames(FRAMES))
    assert all(record.labelled for record in labelled.records)
    assert sum(len(record.joints) for record in labelled.records) == made.people[0]
    assert all((record.head_sizes > 0).all() and (record.track_ids >= 0).all() for record in labelled.records)
    every = source.read("train", unlabelled=True)
    assert [record.labelled for record in every.records] == 2 * video_labels.labelled_frames(FRAMES)
    assert [record.frame for record in every.records] == 2 * list(range(FRAMES))
    assert all(not len(record.joints) for record in every.records if not record.labelled)
    gone = every.records[1].path
    data = gone.read_bytes()
    try:
        gone.unlink()  # many people keep the labelled frames alone
        assert len(source.read("train", unlabelled=True).records) == 2 * FRAMES - 1
        assert len(source.read("train").records) == len(labelled.records)
    finally:
        gone.write_bytes(data)


def test_unlabelled_frames_without_sizes_are_measured_when_they_are_wanted(drawn, tmp_path):
    folder, _ = drawn
    (file, *_) = sorted((folder / "annotations" / "train").glob("*.json"))
    document = json.loads(file.read_text())
    sizes = {(image.pop("width"), image.pop("height")) for image in document["images"]}
    (tmp_path / "video.json").write_text(json.dumps(document))
    (tmp_path / "images").symlink_to(folder / "images")
    source = open_source(str(tmp_path / "video.json"))
    records = source.read("val", unlabelled=True).records
    assert {(record.width, record.height) for record in records} == sizes
    assert len(records) == FRAMES


def test_check_and_stats_know_videos(drawn):
    folder, made = drawn
    source = open_source(str(folder))
    numbers = statistics_of(source.read("train", pictures=False))
    assert (numbers["videos"], numbers["tracks"], numbers["people"]) == (2, made.tracks[0], made.people[0])
    assert check_source(source).trainable


def test_heads_are_where_heads_are():
    """Seen from any side: the crown beyond the neck, and both, with the nose, in the head's box or at its edge."""
    checked = 0
    for seed in range(3):
        for frame in list(video.draw_video(np.random.default_rng(seed), 96, 8))[::4]:
            for person in frame.people:
                left, top, wide, high = person.head
                hips = person.joints[11:13, :2].mean(0)
                if not (person.neck[2] and person.crown[2] and (person.joints[11:13, 2] > 0).all()):
                    continue
                neck, crown = np.array(person.neck[:2]), np.array(person.crown[:2])
                if person.joints[5:7, 2].all() and np.linalg.norm(person.joints[5:7, :2].mean(0) - hips) > high:
                    assert np.linalg.norm(crown - hips) > np.linalg.norm(neck - hips)  # nobody is upside down
                for x, y in (neck, crown, *person.joints[:1, :2][person.joints[:1, 2] > 0]):
                    assert left - 0.25 * wide <= x <= left + 1.25 * wide
                    assert top - 0.25 * high <= y <= top + 1.25 * high
                checked += 1
    assert checked > 10


def test_what_an_annotator_places():
    """A joint that is hidden in a frame is placed if it is seen within five frames of it, read literally."""
    rng = np.random.default_rng(0)
    seen = rng.random((16, 3, 17)) < 0.15
    points = rng.random((16, 3, 17, 2))
    points[rng.random((16, 3, 17)) < 0.2] = np.nan  # outside the frame
    seen &= ~np.isnan(points[..., 0])
    wrong = video_labels._placed(points, seen)
    for time, person, joint in np.ndindex(wrong.shape):
        nearby = any(seen[other, person, joint] for other in range(16) if abs(other - time) <= 5)
        assert wrong[time, person, joint] == (nearby and not np.isnan(points[time, person, joint, 0]))
    assert wrong.any()
    assert not wrong.all()


def test_people_come_and_go_hide_each_other_and_the_camera_moves():
    entered = hidden = 0
    moved = []
    for seed in range(6):
        frames = list(video.draw_video(np.random.default_rng(seed), 96, 10))
        flags = np.array([[person.joints[:, 2] for person in frame.people] for frame in frames])  # (T, P, 17)
        there = (flags > 0).any(axis=2)
        entered += int((there.any(axis=0) & ~there.all(axis=0)).sum())
        hidden += int((flags == 1).sum())
        corner = np.array([frame.image[:12].mean(axis=(0, 2)) for frame in frames])
        moved.append(np.abs(np.diff(corner, axis=0)).mean())
    assert entered >= 2
    assert hidden > 100
    assert max(moved) > 3 * min(moved)  # one camera in three stands still


def test_joints_move_smoothly():
    """From one moment to the next in an eighth of a frame nobody jumps, whatever they do."""
    for seed in range(4):
        scene = video_scene.draw_scene(np.random.default_rng(seed), 96, 1.5, video_scene.HARD_VIDEO)
        times = np.arange(0, 1.5, 1 / video_scene.RATE / 8)
        spots = np.array(
            [
                [(a.figure.joints[:, :2] * a.scale + a.origin) / scene.size[1] for a in video._moment(scene, t).actors]
                for t in times.tolist()
            ]
        )
        assert np.abs(np.diff(spots, axis=0)).max() < 0.05  # of the picture's height


@pytest.mark.parametrize("gait", [motion.WALK, motion.RUN])
def test_gaits_repeat_alternate_and_stay_inside_the_limits(gait):
    rng = np.random.default_rng(2)
    style = motion.draw_gait_style(rng, gait is motion.RUN)._replace(busy=None)
    body = draw_body(rng)
    for phase in np.linspace(0, 1, 40).tolist():
        pose, later = motion.gait_pose(style, phase, 90.0), motion.gait_pose(style, phase + 1, 90.0)
        half = motion.gait_pose(style, phase + 0.5, 90.0)
        assert np.allclose(place(body, pose).joints, place(body, later).joints)
        assert all(pose.legs[0][key] == pytest.approx(half.legs[1][key]) for key in pose.legs[0])
        assert all(pose.arms[0][key] == pytest.approx(half.arms[1][key]) for key in pose.arms[0])
        for name, part in (("shoulder", pose.arms[0]), ("hip", pose.legs[0]), ("neck", pose.neck), ("", pose.trunk)):
            for key, value in part.items():
                low, high = LIMITS.get(f"{name}_{key}", LIMITS.get(key, (0, 0)))
                assert low - 1e-9 <= value <= high + 1e-9


def test_gestures_pass_their_keys_and_rest_in_them():
    keys, times = motion.gestures(np.random.default_rng(3), 10.0, 3.0)
    assert times[0] <= 0
    assert times[-1] >= 3
    for key, time in zip(keys, times, strict=True):
        assert (
            motion.keyframe_pose(keys, times, time) == key or motion.keyframe_pose(keys, times, time).trunk == key.trunk
        )
    slow = motion.keyframe_pose(keys, times, times[1] + 0.01).trunk["bend"] - keys[1].trunk["bend"]
    assert abs(slow) < 0.01 * abs(keys[2].trunk["bend"] - keys[1].trunk["bend"]) + 1e-9
    assert motion.keyframe_pose(keys, times, -100.0) == keys[0]
    assert motion.keyframe_pose(keys, times, 100.0) == keys[-1]


def test_a_quick_movement_is_blurred():
    def sharpness(shutter):
        rng = np.random.default_rng(5)
        scene = video_scene.draw_scene(rng, 96, 1.0, video_scene.STANDARD_VIDEO)._replace(noise=0)
        roles = [role._replace(route=role.route._replace(speed=6.0, heading=np.pi / 2)) for role in scene.roles]
        image = video._frame(rng, scene._replace(roles=roles, shutter=shutter), roles[0].route.time).image
        return cv2.Laplacian(image, cv2.CV_64F).var()

    assert sharpness(1 / video_scene.RATE) < 0.9 * sharpness(0.0)


def test_wrong_numbers_are_named(tmp_path):
    with pytest.raises(UserError, match="frames are for videos"):
        write_toy(tmp_path / "a", train=1, val=1, frames=3)
    with pytest.raises(UserError, match="frames = 0 is outside"):
        write_toy(tmp_path / "a", train=1, val=1, frames=0, subject="video")
    with pytest.raises(UserError, match="video"):
        write_toy(tmp_path / "a", train=1, val=1, subject="vidoe")


@pytest.mark.parametrize("frames", [1, 2, 5, 6, 24])
def test_some_frames_of_every_video_are_labelled(frames):
    labelled = video_labels.labelled_frames(frames)
    assert len(labelled) == frames
    assert labelled[0]
    assert sum(labelled) >= frames / 2
