"""Any annotation file and any picture: read, or refused in one message that the lenient pass agrees with."""

from __future__ import annotations

import json
import re
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litepose_nas.data.annotations import read_document
from litepose_nas.data.check.checkup import CheckReport, SplitToCheck, check_parts
from litepose_nas.data.check.finding import clean
from litepose_nas.data.check.messages import lines, tree
from litepose_nas.data.check.page import page
from litepose_nas.data.images import ignored_mask, load_picture, read_image
from litepose_nas.errors import UserError
from tests.helpers.coco_file import read_coco
from tests.helpers.layouts import camera_jpeg, small_document
from tests.helpers.odd_json import TREES, changed, places


def base() -> dict[str, Any]:
    document = small_document()
    document["images"][1]["ignore_regions"] = [[1, 1, 5, 1, 5, 5]]
    frame = {"id": 5, "file_name": "frame.png", "width": 20, "height": 16, "is_labeled": False, "vid_id": "a"}
    document["images"].append(frame)
    document["annotations"][1].update(track_id=3, head_box=[1, 2, 3, 4])
    document["annotations"].append({**document["annotations"][0], "id": 74, "image_id": 5, "keypoints": [1, 2, 2] * 3})
    return document


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    images = tmp_path_factory.mktemp("fuzz") / "снимки"
    images.mkdir()
    for name in ("ночь.png", "day.png"):
        (images / name).write_bytes(cv2.imencode(".png", np.zeros((16, 20, 3), np.uint8))[1].tobytes())
    return images


def look(path: Path, folder: Path) -> CheckReport:
    """Check a file, and say all that can be said of it."""
    report = check_parts("fuzz", [SplitToCheck("train", path, folder, lambda: read_document(path))])
    "\n".join(lines(report)).encode()
    json.dumps(tree(report)).encode()
    page(report).encode()
    return report


def strictly(path: Path, folder: Path) -> str | None:
    """Return the message with which the strict reader refuses a file or its pictures."""
    try:
        for record in read_coco(path, folder).records:
            load_picture(record)
            ignored_mask(record)
    except UserError as error:
        return str(error)
    return None


PLACES = places(base())[1:]
NUMBERS = [0, -1, 3, 1.5, 1e9, -1e9, 1e300, float("nan"), float("inf"), -float("inf"), 2**63, -(2**70), 10**400]
ODD = st.one_of(
    st.sampled_from([*NUMBERS, True, None, "", "x", "1", "\ud800", "\x1b[31m", "a\0b", "../..", "person", 70, 9, 4]),
    st.floats(),
    TREES,
)


CHANGES = st.lists(
    st.tuples(st.sampled_from(PLACES), st.sampled_from(["replace", "replace", "remove", "double"]), ODD),
    min_size=1,
    max_size=3,
)


@settings(max_examples=300)
@given(changes=CHANGES)
def test_both_ways_of_reading_agree_on_any_document(changes, folder, recwarn):
    document = base()
    for place, how, value in changes:
        document = changed(document, place, how, value)
    path = folder.parent / "people.json"
    path.write_text(json.dumps(document))
    refused, report = strictly(path, folder), look(path, folder)
    errors = [found for found in report.findings if found.severity == "error"]
    assert report.trainable == (refused is None), (refused, errors)
    if refused is not None:
        examples = "\n".join(example for found in errors for example in found.examples)
        for record in re.findall(r"(?:annotation|image) -?\d+\b", refused.removeprefix(str(path))):
            assert record in examples, (refused, examples)
    shown = [example for found in report.findings for example in found.examples]
    assert all(example.isprintable() for example in shown)


@settings(max_examples=60)
@given(
    data=st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode), ODD.map(json.dumps).map(str.encode))
)
def test_any_bytes_for_annotations(data, folder):
    path = folder.parent / "bytes.json"
    path.write_bytes(data)
    assert strictly(path, folder) is not None
    assert not look(path, folder).trainable


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"images": ' + "9" * 10_000 + "}", '{"images": [' + '{"id":' * 50_000],
    ids=["deep", "long", "both"],
)
def test_json_that_parsers_choke_on(text, folder):
    path = folder.parent / "choke.json"
    path.write_text(text)
    assert "choke.json" in (strictly(path, folder) or "")
    assert [found.code for found in look(path, folder).findings] == ["unreadable"]


def test_the_untouched_document_is_fine(folder):
    path = folder.parent / "fine.json"
    path.write_text(json.dumps(base()))
    assert strictly(path, folder) is None
    report = look(path, folder)
    assert [found.code for found in report.findings if found.severity != "note"] == []
    counts = report.splits[0].counts
    assert (counts.images, counts.people, counts.crowds, counts.boxes_alone) == (3, 2, 2, 1)


def test_outlines_that_would_take_all_memory_are_refused(folder):
    path = folder.parent / "wild.json"
    for outline in (
        [[0, 0, 1e9, 0, 1e9, 1e9]],
        [[0, 0, float("nan"), 1, 2, 2]],
        [[0, 0, 5]],
        [["a"] * 6],
        {"counts": [0, 10**12], "size": [16, 20]},
        {"counts": "\uffff" * 9, "size": [16, 20]},
        {"counts": None},
        {},
        "text",
        7,
    ):
        document = base()
        document["annotations"][2]["segmentation"] = outline
        path.write_text(json.dumps(document))
        refused, report = strictly(path, folder), look(path, folder)
        assert report.trainable == (refused is None)
        if outline:
            assert "image 9" in refused
            codes = {found.code: found.examples for found in report.findings}
            assert "annotation 72 of image 9" in codes["bad-segmentation"][0]


def test_a_hundred_thousand_people_on_one_picture(folder):
    document = base()
    one = document["annotations"][1]
    rng = np.random.default_rng(0)
    for number in range(100_000):
        joints = [*rng.integers(1, 15, 2).tolist(), 2, 3, 4, 1, 5, 6, 2]
        document["annotations"].append({**one, "id": 1000 + number, "keypoints": joints, "bbox": [1, 1, 12, 12]})
    document["annotations"][-1]["bbox"] = [0, 0, -1, 4]
    path = folder.parent / "many.json"
    path.write_text(json.dumps(document))
    started = time.process_time()
    report = look(path, folder)
    assert time.process_time() - started < 20
    assert [(f.code, f.examples) for f in report.findings if f.severity == "error"] == [
        ("negative-box", ("annotation 100999 of image 9: bbox [0, 0, -1, 4]",))
    ]
    started = time.process_time()
    document["annotations"].pop()
    path.write_text(json.dumps(document))
    assert len(read_coco(path, folder).records[1].joints) == 100_001
    assert time.process_time() - started < 20


def test_names_can_be_printed_anywhere():
    assert clean("a\nb\x1b[31mc\ud800é") == r"a\nb\x1b[31mc\ud800é"


# Pictures.

HEIGHT, WIDTH = 24, 40
COLOURS = np.array([[200, 30, 10], [20, 180, 40], [10, 40, 220], [250, 240, 230]], np.uint8)


def quarters() -> np.ndarray:
    """A picture of four colours."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    return COLOURS[2 * (rows * 2 // HEIGHT) + columns * 2 // WIDTH]


def png(header: bytes, rows: list[bytes], *between: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    middle = b"".join(chunk(part[:4], part[4:]) for part in between)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + middle + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def png_of(pixels: np.ndarray, depth: int, kind: int, *between: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, kind, 0, 0, 0)
    return png(header, [row.astype(f">u{depth // 8}").tobytes() for row in pixels], *between)


def flat_cmyk_jpeg(inks: tuple[int, int, int, int]) -> bytes:
    """A JPEG of 8 by 8 pixels in four inks, written from the standard: one block a colour, its mean alone."""
    categories = list(range(12))
    symbols = bytes(categories)
    counts = bytes([0, 0, 0, 12] + [0] * 12)  # twelve codes of four bits each
    ends = bytes([1] + [0] * 15)  # one code of one bit: the end of a block
    quantised = b"\xff\xdb\0\x43\0" + bytes([1] * 64)
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 20, 8, 8, 8, 4) + b"".join(bytes([i, 0x11, 0]) for i in range(1, 5))
    tables = b"\xff\xc4" + struct.pack(">H", 2 + 17 + 12 + 17 + 1) + b"\0" + counts + symbols + b"\x10" + ends + b"\0"
    scan = b"\xff\xda" + struct.pack(">HB", 14, 4) + b"".join(bytes([i, 0]) for i in range(1, 5)) + b"\0\x3f\0"
    adobe = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0"  # as programs for print write it: inks the other way round
    bits = ""
    for ink in inks:
        mean = 8 * (255 - ink - 128)
        size = abs(mean).bit_length()
        bits += f"{size:04b}"
        if size:
            bits += f"{mean if mean > 0 else mean + (1 << size) - 1:0{size}b}"
        bits += "0"
    bits += "1" * (-len(bits) % 8)
    pixels = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)).replace(b"\xff", b"\xff\0")
    return b"\xff\xd8" + adobe + quantised + frame + tables + scan + pixels + b"\xff\xd9"


def close(found: np.ndarray, wanted: np.ndarray, far: int) -> bool:
    """Whether the middles of the four quarters have the colours they should."""
    high, wide = found.shape[:2]
    spots = [
        (high // 4, wide // 4),
        (high // 4, 3 * wide // 4),
        (3 * high // 4, wide // 4),
        (3 * high // 4, 3 * wide // 4),
    ]
    return bool(np.abs(np.array([found[spot] for spot in spots], int) - wanted).max() <= far)


def test_pictures_of_every_kind(tmp_path):
    picture = quarters()
    alpha = np.full((HEIGHT, WIDTH, 1), 90, np.uint8)
    grey = picture[..., 0]
    index = (np.indices((HEIGHT, WIDTH))[0] * 2 // HEIGHT * 2 + np.indices((HEIGHT, WIDTH))[1] * 2 // WIDTH).astype(
        np.uint8
    )
    grey_wanted = np.repeat(COLOURS[:, :1], 3, 1)
    kinds = {
        "deep.png": (png_of(picture.astype(np.uint16).reshape(HEIGHT, -1) * 257, 16, 2), COLOURS, 0),
        "deep_grey.png": (png_of(grey.astype(np.uint16) * 257, 16, 0), grey_wanted, 0),
        "alpha.png": (png_of(np.concatenate([picture, alpha], 2).reshape(HEIGHT, -1), 8, 6), COLOURS, 0),
        "grey_alpha.png": (
            png_of(np.concatenate([grey[..., None], alpha], 2).reshape(HEIGHT, -1), 8, 4),
            grey_wanted,
            0,
        ),
        "grey.png": (png_of(grey, 8, 0), grey_wanted, 0),
        "palette.png": (png_of(index, 8, 3, b"PLTE" + COLOURS.tobytes()), COLOURS, 0),
        "palette_clear.png": (png_of(index, 8, 3, b"PLTE" + COLOURS.tobytes(), b"tRNS\0\x80"), COLOURS, 0),
        "plain.jpg": (cv2.imencode(".jpg", picture[..., ::-1])[1].tobytes(), COLOURS, 12),
        "снимок 写真.webp": (cv2.imencode(".webp", picture[..., ::-1])[1].tobytes(), COLOURS, 25),
        "plain.bmp": (cv2.imencode(".bmp", picture[..., ::-1])[1].tobytes(), COLOURS, 0),
    }
    for name, (data, wanted, far) in kinds.items():
        (tmp_path / name).write_bytes(data)
        found = read_image(tmp_path / name)
        assert (found.shape, found.dtype) == ((HEIGHT, WIDTH, 3), np.uint8), name
        assert close(found, wanted, far), name


def test_inks(tmp_path):
    path = tmp_path / "print.jpg"
    for inks in ((0, 0, 0, 0), (255, 0, 0, 0), (0, 200, 100, 0), (30, 60, 90, 120)):
        path.write_bytes(flat_cmyk_jpeg(inks))
        cyan, magenta, yellow, black = (255 - np.array(inks)) / 255
        wanted = 255 * np.array([cyan, magenta, yellow]) * black
        found = read_image(path)
        assert found.shape == (8, 8, 3)
        assert np.abs(found.astype(float) - wanted).max() <= 3, inks


def test_pixels_stay_where_they_are_unless_upright(tmp_path):
    path = tmp_path / "turned.jpg"
    for orientation in range(1, 9):
        path.write_bytes(camera_jpeg(np.ascontiguousarray(quarters()[..., ::-1]), orientation))
        found = read_image(path)
        assert found.shape == (HEIGHT, WIDTH, 3)
        assert close(found, COLOURS, 12)
        upright = read_image(path, upright=True)
        assert upright.shape[:2] == ((HEIGHT, WIDTH) if orientation < 5 else (WIDTH, HEIGHT))
    path.write_bytes(camera_jpeg(np.ascontiguousarray(quarters()[..., ::-1]), 6))
    assert close(read_image(path, upright=True), COLOURS[[2, 0, 3, 1]], 12)  # a quarter turn to the right


def test_what_is_no_picture_is_named(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    jpeg = cv2.imencode(".jpg", noise)[1].tobytes()
    thumb = cv2.imencode(".jpg", noise[:20, :20])[1].tobytes()
    note = b"\xff\xe1" + (len(thumb) + 2).to_bytes(2, "big") + thumb  # has an end-of-picture mark of its own
    empty = struct.pack(">IIBBBBB", 0, 0, 8, 2, 0, 0, 0)
    size = jpeg.index(b"\xff\xc0") + 5
    wrong = {
        "zero.png": png(empty, []),
        "zero.jpg": jpeg[:size] + bytes(4) + jpeg[size + 4 :],
        "cut.jpg": jpeg[:2000],
        "cut_after_thumbnail.jpg": jpeg[:2] + note + jpeg[2:900],
        "huge.png": png(struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0), []),
        "cut.png": cv2.imencode(".png", noise)[1].tobytes()[:3000],
        "cut.webp": cv2.imencode(".webp", noise)[1].tobytes()[:600],
        "text.jpg": b"<html>404</html>",
        "empty.jpg": b"",
    }
    for name, data in wrong.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=f"{name}.*(fetch it again|make it smaller)"):
            read_image(tmp_path / name)
    whole = tmp_path / "whole.jpg"
    whole.write_bytes(jpeg[:2] + note + jpeg[2:])
    assert read_image(whole).shape == (64, 64, 3)
    (tmp_path / "folder.jpg").mkdir()
    for path in (tmp_path / "folder.jpg", tmp_path / "none.jpg", "a\0b.jpg", tmp_path / ("x" * 300)):
        with pytest.raises(UserError, match="cannot read the picture"):
            read_image(path)


@settings(max_examples=100)
@given(data=st.data())
def test_any_bytes_for_a_picture(data, tmp_path):
    kind = data.draw(st.sampled_from([".jpg", ".png", ".webp", ".bmp"]))
    whole = bytearray(cv2.imencode(kind, quarters())[1].tobytes())
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=5)):
        whole[place] = data.draw(st.integers(0, 255))
    path = tmp_path / f"picture{kind}"
    path.write_bytes(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    try:
        image = read_image(path)
    except UserError as error:
        assert path.name in str(error)  # noqa: PT017
    else:
        assert image.dtype == np.uint8
        assert image.ndim == 3
