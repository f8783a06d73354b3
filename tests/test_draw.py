"""Drawing and prediction: what is found is drawn where it is, and written where it is in the user's own picture."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from litepose_nas.data import draw
from litepose_nas.data.draw import Captioned, draw_people, heatmap_overlay, side_by_side
from litepose_nas.data.skeleton import make_skeleton
from litepose_nas.errors import UserError
from litepose_nas.inference.pictures import find_pictures, overlay_names, predict
from litepose_nas.pose.bottomup import BottomUp

BODY = make_skeleton(["nose", "left_wrist", "right_wrist"], [(0, 1), (0, 2)], sigmas=[0.026, 0.062, 0.062])
GREY = np.full((60, 80, 3), 128, np.uint8)


def near(picture: np.ndarray, x: float, y: float, colour: tuple[int, int, int]) -> bool:
    return np.abs(picture[int(y), int(x)].astype(int) - colour).max() < 30


def test_limbs_and_joints_are_where_they_should_be():
    people = np.array([[[40, 10, 1], [60, 50, 1], [20, 50, 1]], [[0, 0, 0], [70, 20, 1], [70, 50, 1]]], np.float32)
    for zoom in (1, 3):
        drawn = draw_people(GREY, people, BODY, zoom=zoom)
        assert drawn.shape == (60 * zoom, 80 * zoom, 3)
        assert near(drawn, 40 * zoom, 10 * zoom, draw.MIDDLE)
        assert near(drawn, 60 * zoom, 50 * zoom, draw.LEFT)
        assert near(drawn, 20 * zoom, 50 * zoom, draw.RIGHT)
        assert near(drawn, 50 * zoom, 30 * zoom, draw.PERSON_COLOURS[0])
        assert near(drawn, 70 * zoom, 20 * zoom, draw.LEFT)
        assert (drawn[: 5 * zoom, : 5 * zoom] == 128).all()  # a joint that was not found is not in the corner
        assert (drawn[25 * zoom : 45 * zoom, 68 * zoom : 72 * zoom] == 128).all()  # wrists are not joined
    assert (GREY == 128).all()


def test_a_pixel_is_its_middle():
    """The drawn disc of a joint in the middle of a pixel is symmetric about that pixel."""
    person = np.array([[[30.5, 20.5, 1], [0, 0, 0], [0, 0, 0]]], np.float32)
    changed = (draw_people(GREY, person, BODY) != 128).any(-1)
    rows, columns = np.nonzero(changed)
    assert (rows.mean(), columns.mean()) == pytest.approx((20, 30), abs=0.01)


def test_hidden_joints_are_hollow():
    person = np.array([[[0, 0, 0], [40, 30, 1], [0, 0, 0]]], np.float32)
    hollow = draw_people(GREY, person, BODY, hidden=np.array([[False, True, False]]), zoom=6)
    full = draw_people(GREY, person, BODY, hidden=np.array([[False, False, False]]), zoom=6)
    assert near(full, 240, 180, draw.LEFT)
    assert near(hollow, 240, 180, draw.DARK)
    ring = np.abs(hollow.astype(int) - draw.LEFT).max(-1) < 60
    assert ring.sum() > 10


def test_scores_and_far_joints():
    person = np.array([[[40, 30, 1], [1e9, -1e9, 1], [-500, 30, 1]]], np.float32)
    plain, scored = draw_people(GREY, person, BODY), draw_people(GREY, person, BODY, scores=[0.5])
    assert (plain != scored).any()
    assert (draw_people(GREY, np.zeros((0, 3, 3), np.float32), BODY, scores=[]) == GREY).all()


def test_heat_glows_where_it_is():
    heat = np.zeros((2, 15, 20), np.float32)
    heat[1, 5, 10] = 1
    heat[0, 0, 0] = np.nan
    glow = heatmap_overlay(GREY, heat, zoom=2).astype(int).sum(-1)
    assert glow.shape == (120, 160)
    row, column = np.unravel_index(glow.argmax(), glow.shape)
    assert (row / 120, column / 160) == pytest.approx((5.5 / 15, 10.5 / 20), abs=0.03)


def test_side_by_side():
    red, blue = np.full((20, 30, 3), (255, 0, 0), np.uint8), np.full((10, 40, 3), (0, 0, 255), np.uint8)
    row = side_by_side([Captioned(red, "red"), Captioned(blue)])
    assert (row == (255, 0, 0)).all(-1).sum() == 600
    assert (row == (0, 0, 255)).all(-1).sum() == 400
    column = side_by_side([Captioned(red), Captioned(blue), Captioned(red)], columns=2)
    assert column.shape[0] > 40
    assert (column == (255, 0, 0)).all(-1).sum() == 1200


class OnePerson:
    """Finds one person in every picture: joints at these pixels of a 64 x 64 input."""

    places = ((20, 20), (40, 44), (24, 44))

    def __call__(self, images: Tensor) -> list[Tensor]:
        coarse, fine = torch.zeros(len(images), 6, 16, 16), torch.zeros(len(images), 3, 32, 32)
        for joint, (x, y) in enumerate(self.places):
            coarse[:, joint, y // 4, x // 4] = 0.9
            fine[:, joint, y // 2, x // 2] = 0.9
        return [coarse, fine]


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    wide = np.random.default_rng(0).integers(0, 255, (64, 128, 3), np.uint8)
    for name in ("b.png", "A.JPG", "Zürich.webp"):
        (folder / name).write_bytes(cv2.imencode(Path(name).suffix.lower(), wide)[1].tobytes())
    (folder / "notes.txt").write_text("no picture")
    return folder


def run(photos: Path, out: Path, **how):
    return predict(OnePerson(), BottomUp(3), BODY, how.pop("sources", photos), (64, 64), out, **how)


def test_poses_are_in_pixels_of_the_picture(photos, tmp_path):
    steps = []
    made = run(photos, tmp_path / "out", progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert [path.name for path in made.overlays] == ["A.jpg", "Zürich.jpg", "b.png"]
    assert made.people == 3
    assert made.warnings == ()
    document = json.loads(made.poses.read_text(encoding="utf-8"))
    assert document["skeleton"] == [[1, 2], [1, 3]]
    assert [Path(entry["file"]).name for entry in document["pictures"]] == ["A.JPG", "Zürich.webp", "b.png"]
    for entry in document["pictures"]:
        (person,) = entry["people"]
        # The input shows the picture at half its size between rows 16 and 48; a coordinate of COCO is half less.
        wanted = [[2 * (x + 1) - 0.5, 2 * (y + 1 - 16) - 0.5] for x, y in OnePerson.places]
        assert np.array(person["keypoints"])[:, :2] == pytest.approx(np.array(wanted), abs=1.01)
        assert person["score"] > 0.5
    image = cv2.imread(str(made.overlays[2]))
    original = cv2.imread(str(photos / "b.png"))
    assert image.shape[1] >= 4 * original.shape[1] - 1  # small ones are enlarged
    x, y = np.array(document["pictures"][2]["people"][0]["keypoints"])[1, :2] + 0.5
    zoom = image.shape[1] / original.shape[1]
    assert near(image[..., ::-1], x * zoom, y * zoom, draw.LEFT)


def test_unreadable_pictures_are_left_out_and_named(photos, tmp_path):
    (photos / "cut.jpg").write_bytes((photos / "A.JPG").read_bytes()[:900])
    made = run(photos, tmp_path / "out")
    assert len(made.overlays) == 3
    assert len(made.warnings) == 1
    assert "cut.jpg: it is a JPEG that was cut off" in made.warnings[0]
    assert json.loads(made.poses.read_text(encoding="utf-8"))["unreadable"] == list(made.warnings)
    with pytest.raises(UserError, match=r"none of 1 pictures could be read; .*cut\.jpg"):
        run(photos, tmp_path / "none", sources=photos / "cut.jpg")
    assert not (tmp_path / "none").exists()


def test_people_below_the_least_score_are_left_out(photos, tmp_path):
    assert run(photos, tmp_path / "out", least_score=0.99).people == 0


def test_a_users_pictures_are_never_overwritten(photos):
    before = {path.name: path.read_bytes() for path in photos.iterdir()}
    with pytest.raises(UserError, match="would take the place of"):
        run(photos, photos)
    assert {path.name: path.read_bytes() for path in photos.iterdir()} == before


def test_pictures_are_turned_as_the_camera_says(tmp_path):
    plain = cv2.imencode(".jpg", np.full((64, 128, 3), 90, np.uint8))[1].tobytes()
    # An EXIF block with one entry: orientation 6, turn by a quarter.
    tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
    block = b"Exif\x00\x00" + tiff
    turned = plain[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + plain[2:]
    (tmp_path / "turned.jpg").write_bytes(turned)
    made = run(tmp_path, tmp_path / "out", sources=tmp_path / "turned.jpg")
    (entry,) = json.loads(made.poses.read_text())["pictures"]
    assert (entry["width"], entry["height"]) == (64, 128)


def test_naming_pictures(photos, tmp_path):
    assert [path.name for path in find_pictures(photos)] == ["A.JPG", "Zürich.webp", "b.png"]
    assert [path.name for path in find_pictures(str(photos / "*.png"))] == ["b.png"]
    assert len(find_pictures([photos / "b.png", photos, str(photos / "*")])) == 3
    with pytest.raises(UserError, match="there is no"):
        find_pictures(photos / "absent.jpg")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no pictures"):
        find_pictures(tmp_path / "empty")
    with pytest.raises(UserError, match="no pictures were named"):
        find_pictures([])
    paths = [Path("x/a.jpg"), Path("y/A.jpeg"), Path("z/a.png"), Path("w/a.bmp")]
    assert overlay_names(paths) == ["a.jpg", "A-2.jpg", "a.png", "a-3.jpg"]


def test_joints_must_agree(photos, tmp_path):
    with pytest.raises(UserError, match="17 joints and the skeleton 3"):
        predict(OnePerson(), BottomUp(17), BODY, photos, (64, 64), tmp_path / "out")
