"""Every kind of fault is found where it is, and nowhere else; the page needs nothing beside itself."""

from __future__ import annotations

import base64
import copy
import itertools
import json
import os
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from litepose_nas.data.annotations import read_document
from litepose_nas.data.check.checkup import CheckReport, SplitToCheck, check_parts, check_sigmas, check_source
from litepose_nas.data.check.finding import KINDS, SEVERITIES, DataFinding
from litepose_nas.data.check.messages import lines
from litepose_nas.data.check.page import page
from litepose_nas.data.check.pairs import best_mirror, usual_distances
from litepose_nas.data.check.samples import draw_pair
from litepose_nas.data.check.sides import check_sides
from litepose_nas.data.images import load_picture
from litepose_nas.data.layouts.toy import toy_split
from litepose_nas.data.skeleton import Skeleton, make_skeleton
from litepose_nas.data.source import open_source
from litepose_nas.errors import UserError
from litepose_nas.synthetic.dataset import write_toy
from tests.helpers.coco_file import read_coco
from tests.helpers.commands import run
from tests.helpers.layouts import camera_jpeg

Document = dict[str, Any]
LEFTS = range(1, 17, 2)


@pytest.fixture(scope="session")
def people(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("check") / "people"
    write_toy(folder, train=40, val=6, size=96, seed=5)
    return folder


@pytest.fixture
def own(people, tmp_path) -> Path:
    """Return a copy of the drawn people that may be spoiled."""
    return Path(shutil.copytree(people, tmp_path / "people"))


def document_of(folder: Path, split: str = "train") -> Document:
    return json.loads(toy_split(folder, split)[0].read_text())


def persons(document: Document) -> list[dict[str, Any]]:
    return [a for a in document["annotations"] if not a["iscrowd"]]


def crowds(document: Document) -> list[dict[str, Any]]:
    return [a for a in document["annotations"] if a["iscrowd"]]


def write(folder: Path, document: Document | str) -> Path:
    path = toy_split(folder, "train")[0]
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def look(folder: Path, document: Document | str, skeleton: Skeleton | None = None) -> CheckReport:
    part = part_of("train", write(folder, document), folder / "train", skeleton)
    return check_parts("people", [part, part_of("val", *toy_split(folder, "val"))])


def part_of(name: str, path: Path, images: Path, skeleton: Skeleton | None = None) -> SplitToCheck:
    return SplitToCheck(name, path, images, lambda: read_document(path), skeleton)


def serious(report: CheckReport) -> dict[str, DataFinding]:
    return {found.code: found for found in report.findings if found.severity != "note"}


def test_drawn_people_are_clean(people):
    report = look(people, document_of(people))
    assert report.trainable
    assert not serious(report)
    counts = report.splits[0].counts
    document = document_of(people)
    assert counts.images == 40
    assert counts.people == len(persons(document))
    assert counts.crowds == len(crowds(document))
    flags = np.array([a["keypoints"][2::3] for a in persons(document)])
    assert (counts.joints, counts.hidden) == ((flags > 0).sum(), (flags == 1).sum())


# One way to be wrong for each code, given a document and the folder of its pictures. Each spoils the fifth person or
# the third picture unless it spoils all, and returns what the finding's examples must say.


def _keypoints(**at: float) -> Callable[[Document, Path], str]:
    def spoil(document: Document, folder: Path) -> str:
        person = persons(document)[4]
        for place, value in at.items():
            person["keypoints"][int(place[1:])] = value
        return f"annotation {person['id']} "

    return spoil


def _person(**fields: Any) -> Callable[[Document, Path], str]:
    def spoil(document: Document, folder: Path) -> str:
        person = persons(document)[4]
        person.update(fields)
        return f"annotation {person['id']!r} "

    return spoil


def _image(**fields: Any) -> Callable[[Document, Path], str]:
    def spoil(document: Document, folder: Path) -> str:
        image = document["images"][2]
        image.update(fields)
        return f"image {image['id']!r}"

    return spoil


def _picture(data: bytes | None) -> Callable[[Document, Path], str]:
    def spoil(document: Document, folder: Path) -> str:
        path = folder / document["images"][2]["file_name"]
        if data is None:
            path.unlink()
        else:
            path.write_bytes(data)
        return path.name

    return spoil


def _labelled(person: dict[str, Any], joint: int) -> dict[str, Any]:
    person["keypoints"][3 * joint + 2] = 2
    return person


def duplicate_image(document: Document, folder: Path) -> str:
    document["images"].append({**document["images"][2]})
    return f"image {document['images'][2]['id']} "


def file_twice(document: Document, folder: Path) -> str:
    document["images"].append({**document["images"][2], "id": 555})
    return "image 555 "


def unlisted(document: Document, folder: Path) -> str:
    shutil.copy(folder / document["images"][2]["file_name"], folder / "more.png")
    return "more.png"


def empty_picture(document: Document, folder: Path) -> str:
    number = document["images"][2]["id"]
    document["annotations"] = [a for a in document["annotations"] if a["image_id"] != number]
    return f"image {number} "


def turned(document: Document, folder: Path) -> str:
    image = document["images"][2]
    image.update(file_name="turned.jpg", width=40, height=60)
    document["annotations"] = [a for a in document["annotations"] if a["image_id"] != image["id"]]
    (folder / "turned.jpg").write_bytes(camera_jpeg(np.zeros((40, 60, 3), np.uint8), 6))
    return "turned.jpg"


def same_picture(document: Document, folder: Path) -> str:
    shutil.copy(folder / document["images"][2]["file_name"], folder / document["images"][7]["file_name"])
    return f"image {document['images'][7]['id']} "


def overlap(document: Document, folder: Path) -> str:
    other = sorted((folder.parent / "val").iterdir())[0]
    shutil.copy(folder / document["images"][2]["file_name"], other)
    return other.name


def bad_annotation(document: Document, folder: Path) -> str:
    document["annotations"].append("a person")
    return "a person"


def duplicate_annotation(document: Document, folder: Path) -> str:
    persons(document)[4]["id"] = persons(document)[5]["id"]
    return f"annotation {persons(document)[5]['id']} "


def person_twice(document: Document, folder: Path) -> str:
    document["annotations"].append({**persons(document)[4], "id": 777})
    return "annotation 777 "


def other_category(document: Document, folder: Path) -> str:
    document["annotations"].append({"id": 777, "category_id": 99, "image_id": 1})
    return "annotation 777 "


def crowd_outline(document: Document, folder: Path) -> str:
    crowd = crowds(document)[0]
    crowd["segmentation"] = {"counts": [0, 9], "size": [3, 3]}
    return f"annotation {crowd['id']} "


def far_joints(document: Document, folder: Path) -> str:
    person = persons(document)[4]
    x, y = person["keypoints"][:2]
    person["bbox"] = [x + 30 if x < 50 else x - 30, y + 30 if y < 50 else y - 30, 8, 8]
    person["area"] = 30
    return f"annotation {person['id']} "


def over_edge(document: Document, folder: Path) -> str:
    person = persons(document)[4]
    person["bbox"][2] = 99
    return f"annotation {person['id']} "


def hips(document: Document, folder: Path, share: float) -> str:
    rng = np.random.default_rng(0)
    for person in persons(document):
        points = np.array(person["keypoints"], float).reshape(-1, 3)
        if rng.random() < share:
            points[[11, 13, 15, 12, 14, 16]] = points[[12, 14, 16, 11, 13, 15]]
        person["keypoints"] = points.ravel().tolist()
    return "left_hip" if share == 1 else "annotation"


def viewer(document: Document, folder: Path) -> str:
    for person in persons(document):
        points = np.array(person["keypoints"], float).reshape(-1, 3)
        for left in LEFTS:
            points[[left, left + 1]] = points[[left + 1, left]]
        person["keypoints"] = points.ravel().tolist()
    return "annotation"


def eye_and_ear(document: Document, folder: Path) -> str:
    names = document["categories"][0]["keypoints"]
    names[2], names[4] = names[4], names[2]  # the numbers stay: right_eye now heads those of the right ear
    return "left_eye with right_eye: left_eye fits right_ear"


def sides_without_partners(document: Document, folder: Path) -> str:
    names = document["categories"][0]["keypoints"]
    names[:] = [name.replace("right_", "other_") for name in names]
    return "left_eye"


def name_twice(document: Document, folder: Path) -> str:
    document["categories"][0]["keypoints"][1] = "nose"
    return "nose appears more than once"


WAYS: dict[str, Callable[[Document, Path], str] | str] = {
    "unreadable": '{"images": [',
    "no-category": lambda d, f: d.update(categories=[]) or "0 categories",
    "bad-skeleton": name_twice,
    "no-people": lambda d, f: d.update(annotations=[]) or "person_keypoints_train.json",
    "bad-image": _image(width="wide"),
    "duplicate-image": duplicate_image,
    "missing-file": _picture(None),
    "file-twice": file_twice,
    "unlisted-files": unlisted,
    "empty-pictures": empty_picture,
    "broken-picture": _picture(b"\xff\xd8\xff no picture"),
    "size-mismatch": _picture(cv2.imencode(".png", np.zeros((20, 30, 3), np.uint8))[1].tobytes()),
    "turned-picture": turned,
    "same-picture": same_picture,
    "split-overlap": overlap,
    "bad-annotation": bad_annotation,
    "bad-id": _person(id="five"),
    "duplicate-annotation": duplicate_annotation,
    "person-twice": person_twice,
    "unknown-image": _person(image_id=10**6),
    "other-category": other_category,
    "keypoint-count": _person(keypoints=[1, 2, 2] * 16),
    "keypoint-type": _keypoints(_3="left"),
    "not-finite": _keypoints(_3=float("nan")),
    "bad-flag": _keypoints(_5=3),
    "no-box": _person(bbox=None),
    "negative-box": _person(bbox=[50, 50, -20, -30]),
    "bad-area": _person(area=-4.0),
    "filled-area": _person(area=0),
    "bad-segmentation": crowd_outline,
    "zero-box": _person(bbox=[30, 30, 0, 0], area=0),
    "box-outside": _person(bbox=[200, 200, 9, 9], area=40),
    "box-over-edge": over_edge,
    "point-outside": _keypoints(_0=-12, _1=40, _2=2),
    "point-off-box": far_joints,
    "point-at-origin": _keypoints(_0=0, _1=0, _2=1),
    "large-area": _person(area=96 * 96),
    "sides-mixed": lambda d, f: hips(d, f, 0.3),
    "sides-inverted": lambda d, f: hips(d, f, 1),
    "viewer-sides": viewer,
    "unpaired-sides": sides_without_partners,
    "wrong-pair": eye_and_ear,
}
# What a way to be wrong brings along, and cannot but do.
WITH = {
    "box-outside": {"point-off-box"},
}
SIGMAS = {"equal-sigmas", "odd-sigmas", "uneven-sigmas"}
ELSEWHERE = {"many-joints"}  # in test_attack_data.py


def test_every_kind_of_fault_has_a_test():
    assert set(WAYS) | SIGMAS | ELSEWHERE == set(KINDS)


@pytest.mark.parametrize("code", WAYS)
def test_what_is_wrong_is_found_and_nothing_else(code, own):
    document, way = document_of(own), WAYS[code]
    said = "train" if isinstance(way, str) else way(document, own / "train")
    report = look(own, way if isinstance(way, str) else document)
    split = "val" if code == "split-overlap" else "train"
    found = [one for one in report.findings if (one.code, one.split) == (code, split)]
    assert len(found) == 1
    assert any(said in example for example in found[0].examples), found[0].examples[:3]
    assert set(serious(report)) - {code} - WITH.get(code, set()) == set()
    assert report.trainable == (KINDS[code].severity != "error")
    text = "\n".join(lines(report))
    assert f"[{code}]" in text
    assert KINDS[code].remedy in text
    assert ("training would work" in text) == report.trainable


def test_sigmas():
    def codes(sigmas: list[float]) -> dict[str, tuple[str, ...]]:
        body = make_skeleton(["nose", "left_eye", "right_eye"], sigmas=sigmas)
        return {found.code: found.examples for found in check_sigmas("train", body)}

    assert codes([0.026, 0.025, 0.025]) == {}
    assert codes([0.05, 0.05, 0.05]) == {"equal-sigmas": ("all are 0.05",)}
    assert codes([0.33, 0.025, 0.025]) == {"odd-sigmas": ("nose: 0.33",)}
    assert codes([0.005, 0.025, 0.026]).keys() == {"odd-sigmas", "uneven-sigmas"}


def test_a_given_skeleton_must_fit_and_may_pair_wrongly(own):
    document = document_of(own)
    names = document["categories"][0]["keypoints"]
    short = look(own, document, make_skeleton(names[:5]))
    assert "bad-skeleton" in serious(short)
    body = make_skeleton(names)
    mirror = list(body.mirror)
    for a, b in ((7, 10), (8, 9)):  # elbows with wrists
        mirror[a], mirror[b] = b, a
    found = serious(look(own, document, body._replace(mirror=tuple(mirror))))
    assert set(found) == {"wrong-pair"}
    assert found["wrong-pair"].examples == (
        "left_elbow with right_wrist: left_elbow fits right_elbow, right_wrist fits left_wrist",
        "right_elbow with left_wrist: right_elbow fits left_elbow, left_wrist fits right_wrist",
    )
    alone = body._replace(mirror=tuple(j if j in (9, 10) else m for j, m in enumerate(body.mirror)))
    found = serious(look(own, document, alone))
    assert list(found) == ["wrong-pair"]
    assert "left_wrist fits right_wrist" in found["wrong-pair"].examples[0]


def test_names_in_another_order_than_the_numbers_are_wrong_pairs(people):
    document = document_of(people)
    names = document["categories"][0]["keypoints"]
    document["categories"][0]["keypoints"] = names[5:] + names[:5]  # the face last, as some lists have it
    document["categories"][0]["skeleton"] = []
    part = part_of("train", people / "rolled.json", people / "train")
    (people / "rolled.json").write_text(json.dumps(document))
    try:
        found = serious(check_parts("people", [part], pictures=False))
    finally:
        (people / "rolled.json").unlink()
    assert len(found["wrong-pair"].examples) >= 3


def test_without_pictures_the_same_file_still_counts(own):
    document = document_of(own)
    _picture(b"")(document, own / "train")
    parts = [part_of(name, write(own, document), own / "train") for name in ("train", "val")]
    report = check_parts("people", parts, pictures=False)
    assert list(serious(report)) == ["split-overlap"]
    assert len(report.findings[0].examples) == 40
    assert any("not opened" in line for line in lines(report))


def test_many_findings_at_once_name_every_record(own):
    document = document_of(own)
    chosen = persons(document)[3:30:3]
    for person in chosen:
        person["keypoints"][5] = 7
    for image in document["images"][:4]:
        image["width"] = None
    found = serious(look(own, document))
    assert len(found["bad-flag"].examples) == len(chosen)
    assert all(f"annotation {p['id']} " in e for p, e in zip(chosen, found["bad-flag"].examples, strict=True))
    assert len(found["bad-image"].examples) == 4


class Tags(HTMLParser):
    """What a page holds."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.images: list[str] = []
        self.names: set[str] = set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        if tag == "img":
            self.images.append(dict(attrs)["src"])
        elif tag not in ("meta", "br", "path", "rect"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("path", "rect"):
            assert self.open.pop() == tag


def test_the_page_stands_alone(own):
    document = document_of(own)
    far_joints(document, own / "train")
    document["images"][2]["file_name"] = "<script>alert(1)</script>"
    text = page(look(own, document))
    found = Tags(text)
    assert not found.names & {"script", "link", "iframe"}
    assert not re.search(r"https?:|src=(?!\"data:)|url\(|@import", text)
    assert "svg" in found.names
    assert "&lt;script" in text
    assert "[{" not in text
    pictures = [
        cv2.imdecode(np.frombuffer(base64.b64decode(source.partition("base64,")[2]), np.uint8), cv2.IMREAD_COLOR)
        for source in found.images
    ]
    assert len(pictures) >= 2 * (8 + 6 + 1)  # of train, of val, and the one whose joint is off its box
    assert all(max(picture.shape[:2]) == 300 for picture in pictures)
    assert all(a.shape == b.shape for a, b in zip(pictures[::2], pictures[1::2], strict=True))
    assert all(f"<code>{one.code}</code>" in text for one in look(own, document).findings)


def test_a_person_beside_its_mirror_image():
    names = ["nose", "left_hand", "right_hand"]
    body = make_skeleton(names, [(0, 1), (0, 2)], [0.05] * 3)
    picture = np.full((60, 100, 3), 90, np.uint8)
    joints = np.array([[50, 20, 2], [80, 40, 2], [30, 30, 2]], np.float32)
    box = np.array([25.0, 15, 60, 30])
    own, mirrored = draw_pair(picture, joints, box, body)

    def centre(image: np.ndarray, colour: tuple[int, int, int]) -> float:
        return float(np.nonzero((np.abs(image.astype(int) - colour) < 30).all(2))[1].mean()) / image.shape[1]

    left, right = (40, 220, 255), (255, 70, 40)
    assert centre(own, left) > 0.6
    assert centre(own, right) < 0.4
    assert centre(mirrored, left) > 0.6  # the pairs are exchanged: the left hand is at the right again
    assert centre(mirrored, right) < 0.4
    # Without pairs the left hand goes with the mirrored picture, to the left: what a wrong pair looks like.
    wrong = draw_pair(picture, joints, box, body._replace(mirror=(0, 1, 2)))[1]
    assert not np.array_equal(wrong, mirrored)


def test_exit_codes_and_output(own, monkeypatch, capsys):
    assert run(f"litepose-nas data check {own} --html {own.parent}/page/check.html", monkeypatch) == 0
    printed = capsys.readouterr()
    assert "training would work" in printed.out
    assert "decoding: 46 of 46" in printed.err
    assert "data:image/jpeg" in (own.parent / "page" / "check.html").read_text()
    document = document_of(own)
    persons(document)[4]["keypoints"][3] = float("inf")
    (own / "train" / document["images"][0]["file_name"]).write_bytes(b"")
    write(own, document)
    assert run(f"litepose-nas data check {own}", monkeypatch) == 2
    printed = capsys.readouterr()
    assert "[not-finite]" in printed.out
    assert "[broken-picture]" in printed.out
    assert "training would stop" in printed.err
    assert run(f"litepose-nas data check {own} --split val", monkeypatch) == 0
    capsys.readouterr()
    assert run(f"litepose-nas data check {own} --no-images --json", monkeypatch) == 2
    tree = json.loads(capsys.readouterr().out)
    assert tree["trainable"] is False
    errors = [one for one in tree["findings"] if one["severity"] == "error"]
    assert [(one["code"], one["split"], one["count"]) for one in errors] == [("not-finite", "train", 1)]
    assert [SEVERITIES.index(one["severity"]) for one in tree["findings"]] == sorted(
        SEVERITIES.index(one["severity"]) for one in tree["findings"]
    )
    assert run(f"litepose-nas data check {own} --split test", monkeypatch) == 2
    assert run(f"litepose-nas data check {own.parent}/nothing", monkeypatch) == 2


def test_what_the_check_lets_pass_can_be_trained_on(own):
    document = document_of(own)
    for person in persons(document):
        person["area"] = 0
    crowds(document)[0]["segmentation"] = [[-500, -3, 50, 2, 4, 60]]
    report = look(own, document)
    assert report.trainable
    data = read_coco(*toy_split(own, "train"))
    for record in data.records:
        load_picture(record)
        np.testing.assert_allclose(record.areas, 0.53 * record.boxes[:, 2] * record.boxes[:, 3], rtol=1e-5)


def test_reading_twice_does_not_change_a_document(people):
    document = document_of(people)
    before = copy.deepcopy(document)
    look(people, document)
    assert document == before
    with pytest.raises(UserError, match="not whole JSON"):
        read_coco(write(people, '{"images": ['), people / "train")
    write(people, before)


needs_real_data = pytest.mark.skipif("POSE_REAL_DATA" not in os.environ, reason="needs POSE_REAL_DATA")


@needs_real_data
def test_real_pictures_are_fine():
    folder = Path(os.environ["POSE_REAL_DATA"]) / "coco_train80"
    report = check_source(open_source(str(folder / "person_keypoints_train80.json")))
    assert report.trainable
    assert not serious(report)
    assert report.splits[0].counts[:4] == (80, 172, 86, 5)


@needs_real_data
def test_every_wrong_exchange_of_two_pairs_is_found_in_real_people():
    source = open_source(str(Path(os.environ["POSE_REAL_DATA"]) / "crowdpose" / "crowdpose_val.json"))
    split = check_source(source, pictures=False).splits[0]
    right = split.skeleton.mirror
    distances = usual_distances(split.people)
    assert best_mirror(distances, right) == right
    for (a, b), (c, d) in itertools.combinations(split.skeleton.flip_pairs, 2):
        for e, f in ((c, d), (d, c)):
            wrong = list(right)
            for one, other in ((a, e), (b, f)):
                wrong[one], wrong[other] = other, one
            assert best_mirror(distances, tuple(wrong)) == right
    assert not [found for found in check_sides(split, split.skeleton, right) if found.severity != "note"]
