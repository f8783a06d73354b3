"""Datasets from a stranger: small files that would fill memory, wait for ever, or command a screen."""

import json
import os
import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from litepose_nas.data.annotations import read_document
from litepose_nas.data.images import decode_image, load_picture
from litepose_nas.data.layouts.picture_size import picture_size
from litepose_nas.data.picture_header import KINDS, MAX_PIXELS
from litepose_nas.data.skeleton import MAX_JOINTS
from litepose_nas.data.source import open_source
from litepose_nas.errors import LONGEST, UserError
from tests.helpers import layouts
from tests.helpers.bombs import yaml_bomb
from tests.helpers.limits import within

CODES = "\x1b]0;owned\x07\x1b[31m"
SPLIT = "val: {images: images, annotations: people.json}\n"


@pytest.fixture
def room(tmp_path, monkeypatch) -> Path:
    """A dataset of two pictures: people.json, images/ and data.yaml."""
    monkeypatch.chdir(tmp_path)
    layouts.coco(tmp_path)
    Path("data.yaml").write_text(SPLIT)
    return tmp_path


def refused(result, *words):
    code, out, errors = result
    assert code == 2, (out, errors)
    assert "Traceback" not in errors
    assert len(errors) < LONGEST + 100
    for word in words:
        assert word in errors, errors


# ── aliases ──

KEYS = (
    *("keypoints", "flip_pairs", "skeleton", "sigmas", "kpt_shape", "flip_idx", "kpt_names"),
    *("format", "names", "nc", "path", "train"),
)


@pytest.mark.parametrize("key", KEYS)
def test_aliases_that_multiply(room, command, key):
    rest = {"train": "", "keypoints": SPLIT}.get(key, SPLIT + "keypoints: [a, b]\n")
    Path("data.yaml").write_text(
        f"license:\n  - {yaml_bomb(10).replace(chr(10), chr(10) + '    ')}\n{key}: *a9\n{rest}"
    )
    with within(30):
        refused(command("data stats data.yaml"), "data.yaml: not YAML: line", "aliases written out")


# ── what is no file, or a huge one ──


@pytest.mark.parametrize("what", ["pipe", "/dev/zero"])
def test_what_is_no_annotation_file(room, command, what):
    os.mkfifo("pipe")
    Path("data.yaml").write_text(f"val: {{images: images, annotations: {what}}}\n")
    with within(30):
        refused(command("data stats data.yaml"), what, "not a file")


def test_yaml_of_any_length(room, command):
    Path("data.yaml").write_text(SPLIT + "# " + "x" * (1 << 20))
    refused(command("data stats data.yaml"), "data.yaml", "larger than 1 MB")
    refused(command("space show ./data.yaml"), "data.yaml", "larger than 1 MB")


def test_pipes_in_place_of_files(room, command):
    Path("drawn").mkdir()
    for name in ("f.safetensors", "f.json", "drawn/toy.json"):
        os.mkfifo(name)
    with within(30):
        refused(command("profile f.safetensors"), "f.safetensors", "a pipe, not a file")
        refused(command("profile f.json"), "f.json", "a pipe, not a file")
        refused(command("data stats f.json"), "f.json")
        refused(command("data stats drawn"), "not a folder made by `data toy`")
    os.remove("images/000007.png")
    os.mkfifo("images/000007.png")
    with within(40):
        refused(command("data check people.json"), "training would stop")
        refused(command("data convert data.yaml out --to coco"), "a pipe, not a file")
        with pytest.raises(UserError, match="a pipe, not a file"):
            load_picture(open_source("data.yaml").read("val").records[1])


# ── pictures ──


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def test_a_picture_of_a_gigapixel_is_not_decoded(room, command, monkeypatch):
    (room / "images/000007.png").write_bytes(png(32_000, 32_000))
    with monkeypatch.context() as patch:
        patch.setattr(cv2, "imdecode", None)
        with pytest.raises(UserError, match="32000x32000 pixels, and more than 100 million are not decoded"):
            load_picture(open_source("data.yaml").read("val").records[1])
    code, out, errors = command("data check people.json")
    assert code == 2, errors
    assert "32000x32000 pixels, and more than 100 million are not decoded" in out


def test_a_picture_of_another_size_than_annotated_is_not_decoded(room, monkeypatch):
    layouts.picture(room / "images/000007.png", width=41)
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(UserError, match="is 41x30 pixels, but its annotations are for 40x30"):
        load_picture(open_source("data.yaml").read("val").records[1])


def test_annotations_of_a_huge_picture(room, command):
    tree = json.loads(Path("people.json").read_text())
    tree["images"][0] |= {"width": 99_999, "height": 99_999}
    layouts.put(Path("people.json"), tree)
    refused(command("data stats data.yaml"), "people.json: image 7: 99999x99999 pixels")


def headers() -> dict[str, bytes]:
    """A picture of 301 by 20 in every kind, as OpenCV writes it."""
    pixels = np.random.default_rng(0).integers(0, 255, (20, 301, 3), np.uint8)
    found = {}
    for kind in ("jpg", "png", "webp", "bmp", "tiff", "ppm"):
        found[kind] = cv2.imencode(f".{kind}", pixels)[1].tobytes()
    for kind in ("pgm", "pbm"):
        found[kind] = cv2.imencode(f".{kind}", pixels[..., 0])[1].tobytes()
    found["lossless.webp"] = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    alpha = np.dstack([pixels, pixels[..., :1]])
    found["alpha.webp"] = cv2.imencode(".webp", alpha)[1].tobytes()
    found["grey.jpg"] = cv2.imencode(".jpg", pixels[..., 0], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    return found


@pytest.mark.parametrize("kind", headers())
def test_the_size_in_a_header_is_that_of_the_picture(tmp_path, kind):
    data = headers()[kind]
    path = tmp_path / f"picture.{kind}"
    path.write_bytes(data)
    assert picture_size(path) == (301, 20)
    assert decode_image(path, data).shape == (20, 301, 3)


HUGE = {
    "gif": b"GIF89a" + struct.pack("<HH", 60_000, 60_000) + bytes(30),
    "bmp": b"BM" + bytes(12) + struct.pack("<Iii", 40, 40_000, -40_000) + bytes(30),
    "old bmp": b"BM" + bytes(12) + struct.pack("<IHH", 12, 40_000, 40_000) + bytes(30),
    "webp": b"RIFF\0\0\0\0WEBPVP8X\n\0\0\0\0\0\0\0" + b"\xff\x3f\0\xff\x3f\0" + bytes(30),
    "tiff": b"II*\0\x08\0\0\0\x02\0" + struct.pack("<HHIIHHII", 256, 4, 1, 1 << 20, 257, 4, 1, 99_999),
    "tiff of one tile": b"II*\0\x08\0\0\0\x04\0"
    + b"".join(struct.pack("<HHII", tag, 4, 1, n) for tag, n in ((256, 64), (257, 64), (322, 32_768), (323, 32_768))),
    "big tiff": b"MM\0+\0\x08\0\0" + struct.pack(">QQ", 16, 2)
    + b"".join(struct.pack(">HHQQ", tag, 16, 1, 99_999) for tag in (256, 257)),
    "pgm": b"P5\n# made\n100000 100000\n255\n" + bytes(30),
}  # fmt: skip


@pytest.mark.parametrize("kind", HUGE)
def test_huge_pictures_of_every_kind(kind, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(UserError, match=r"bomb: \d+x\d+ pixels, and more than 100 million are not decoded"):
        decode_image(Path("bomb"), HUGE[kind])


@pytest.mark.parametrize(
    "data",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\x76\x2f\x31\x01" + bytes(64), b"P5\n" + b"9" * 900,
        b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 99999 +X 99999\n", b"II*\0\xff\xff\xff\xff", b"BM", b"GIF89a",
        b"MM\0+" + b"\xff" * 20,
        b"RIFF\0\0\0\0WEBPVP8 ", b"\xff\xd8" + b"\xff\xe0\0\2" * 50_000 + b"\xff\xd9", b"\xff\xd8\xff\xff\xff\xff\xd9",
    ],
)  # fmt: skip
def test_what_has_no_size_is_no_picture(data, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", None)
    with within(20), pytest.raises(UserError, match="cannot read the picture odd: it is"):
        decode_image(Path("odd"), data)


def test_the_kinds_are_those_of_the_documentation():
    text = (Path(__file__).parent.parent / "docs" / "data.md").read_text()
    assert KINDS in text
    assert f"{MAX_PIXELS // 10**6} million pixels" in text


def test_a_huge_file_in_a_zip_is_not_read(room, command):
    with zipfile.ZipFile("images.zip", "w", zipfile.ZIP_DEFLATED) as made:
        for name in ("000007.png", "000005.png"):
            made.writestr(name, bytes(1000))
    data = bytearray(Path("images.zip").read_bytes())
    at = data.find(b"PK\x01\x02")
    data[at + 24 : at + 28] = (1000 << 20).to_bytes(4, "little")
    Path("images.zip").write_bytes(data)
    for name in ("000007.png", "000005.png"):
        os.remove(f"images/{name}")
    os.rmdir("images")
    with pytest.raises(UserError, match=r"000007.png in .*images.zip: it would take 1,000 MB"):
        load_picture(open_source("data.yaml").read("val").records[1])


# ── joints ──


def many(count: int, name: str = "j{}") -> dict:
    tree = layouts.document(tuple(name.format(n) for n in range(count)))
    tree["categories"][0]["skeleton"] = []
    return tree


def test_a_thousand_joints_are_checked_in_seconds(room, command):
    layouts.put(Path("people.json"), many(MAX_JOINTS))
    with within(90):
        _, out, errors = command("data check data.yaml --html page.html")
    assert "skeletons with too many joints to compare their pairs: 1 [many-joints]" in out
    assert max(map(len, (out + errors).splitlines())) < LONGEST
    assert Path("page.html").stat().st_size < 5_000_000


def test_more_joints_than_anybody_labels(room, command):
    layouts.put(Path("people.json"), many(5000))
    for verb in ("stats", "check --html page.html"):
        code, out, errors = command(f"data {verb} data.yaml")
        assert code == 2
        assert "a category has 5,000 joints" in out + errors


def test_names_of_any_length(room, command):
    layouts.put(Path("people.json"), many(20, "joint {}" + "x" * 2000))
    refused(command("data stats data.yaml"), "people.json: a joint is called 'joint 0xxx", "100 letters")
    tree = many(20)
    tree["categories"][0]["skeleton"] = [[1, 2]] * 10_001
    layouts.put(Path("people.json"), tree)
    refused(command("data stats data.yaml"), "10,001 limbs")
    layouts.put(Path("people.json"), many(1000, "left_{}_of_many_more_joints"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        open_source("data.yaml").read("val", pictures=False)
    assert caught
    assert all(len(str(one.message)) < LONGEST for one in caught)


# ── codes for a terminal ──


def test_codes_in_names_reach_no_screen(room, command):
    file = f"{CODES}<img src=x>.png"
    tree = layouts.document((f"left_a{CODES}", f"right_a{CODES}", "b<script>"))
    tree["images"][0]["file_name"] = file
    layouts.put(Path("people.json"), tree)
    os.rename("images/000007.png", f"images/{file}")
    Path(f"images/{CODES}.yaml").write_text("a: [")
    for words in (
        "data stats data.yaml",
        "data stats data.yaml --json",
        "data check data.yaml --html page.html",
        "data check data.yaml --json",
        f"data stats 'images/{CODES}.yaml'",
        f"data stats '{CODES}'",
    ):
        code, out, errors = command(words)
        assert "\x1b" not in out + errors + str(code), words
        assert "\x07" not in out + errors
    page = Path("page.html").read_text()
    assert "\x1b" not in page
    assert "<script" not in page
    assert "left_a\\x1b]0;owned" in page
    os.remove(f"images/{file}")
    refused(command("data convert data.yaml out --to coco"), "has no file", "\\x1b]0;owned\\x07")
    assert read_document(Path("people.json"))["images"][0]["file_name"] == file  # files keep what they are called


# ── names and sizes ──


@pytest.mark.parametrize("name", ["images", "images/images", "val/images", "x.gif", "images.png", "images/images.png"])
def test_whatever_a_picture_is_called_it_is_read_again_or_refused(room, command, name):
    tree = json.loads(Path("people.json").read_text())
    tree["images"][0]["file_name"] = name
    layouts.put(Path("people.json"), tree)
    target = Path("images") / name
    target.parent.mkdir(exist_ok=True)
    os.rename("images/000007.png", target)
    for to in ("coco", "yolo"):
        code, _, errors = command(f"data convert data.yaml {to} --to {to}")
        if to == "yolo" and not name.endswith(".png"):
            assert code == 2
            assert "YOLO-pose knows pictures by the ends of their names" in errors
            assert not Path(to).exists()
        else:
            assert code == 0, errors
            found = open_source(f"{to}/data.yaml").read("val")
            assert [len(record.joints) for record in found.records] == [1, 2]
            assert all(load_picture(record).shape == (30, 40, 3) for record in found.records)


def test_the_sizes_that_can_be_drawn_are_those_of_the_help(room, command):
    for size, end in ((47, "48"), (4097, "4096")):
        code, _, errors = command(f"data toy drawn --train 1 --val 1 --size {size}")
        assert code == 2
        assert "--size" in errors
        assert end in errors
    assert command("data toy drawn --train 1 --val 1 --size 48")[0] == 0
