"""App folders: what runs without torch and without us finds whom `predict` finds."""

import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.data.images import read_image, write_image
from litepose_nas.errors import UserError
from litepose_nas.steps import web_runtime
from litepose_nas.steps.ship import APP, add_page, ship
from litepose_nas.synthetic.dataset import write_toy
from tests.helpers.browser import opened
from tests.helpers.commands import run
from tests.helpers.lively import lively

SURE = 0.11  # values above which joints are compared strictly
# Pixels. The maps of an untrained top-down network are flat at their tops: last bits of values move those.
WITHIN = {"bu": 0.1, "td": 0.5, "both": 0.5}
REAL = Path(os.environ.get("POSE_REAL_DATA", "/nowhere"))
# Nothing but what requirements.txt names: torch and this package cannot be imported.
ALONE = """
import runpy, sys
for name in ("torch", "litepose_nas", "scipy", "pycocotools"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """Two networks, their folders without a page, images and a video of drawn people."""
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("shipped")
    coco = known_skeleton("coco")
    lively(folder / "bu.safetensors", "litepose-tiny", coco, 30)
    lively(folder / "td.safetensors", "topdown-tiny", coco, 4)
    empty = pytest.MonkeyPatch()
    empty.setattr(web_runtime.shutil, "which", lambda name: None)
    ship(str(folder / "td.safetensors"), str(folder / "bu.safetensors"), folder / "both")
    empty.undo()
    # The same files as those of the networks alone: an export takes a while.
    info = json.loads((folder / "both/pose.json").read_text())
    for name, model in (("td", info["model"]), ("bu", info["detector"])):
        shutil.copytree(folder / "both", folder / name)
        (folder / name / "pose.json").write_text(json.dumps({**info, "model": model, "detector": None}))
    write_toy(folder / "people", train=1, val=4, size=128)
    images = sorted((folder / "people/val").glob("*.jpg"))
    (folder / "photos").mkdir()
    for at, path in enumerate(images):
        image = read_image(path)
        image = image[: 128 - 20 * at, : 128 - 7 * at]
        sized = cv2.resize(image, None, fx=at + 0.7, fy=at + 0.7, interpolation=cv2.INTER_CUBIC)
        write_image(folder / "photos" / f"{at}.png", np.asarray(sized, np.uint8))
    whole = read_image(images[0])
    writer = cv2.VideoWriter(str(folder / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (96, 80))
    for at in range(9):
        writer.write(whole[at * 3 : at * 3 + 80, at * 2 : at * 2 + 96, ::-1])
    writer.release()
    return folder


def alone(program, *words):
    done = subprocess.run([sys.executable, "-c", ALONE, str(program), *map(str, words)], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def people_of(path):
    return [one["people"] for one in json.loads(path.read_text())["pictures"]]


def same(found, wanted, within=0.1):
    """Assert that people are the same, in their order where scores differ; return how many joints were compared."""
    count = 0
    assert [len(one) for one in found] == [len(one) for one in wanted]
    for mine, theirs in zip(found, wanted, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            assert one["score"] == pytest.approx(other["score"], abs=0.002)
            joints, places = (np.array(each["keypoints"]) for each in (one, other))
            there = places[:, 2] > 0
            assert (joints[:, 2] > 0).tolist() == there.tolist()
            apart = np.abs(joints[:, :2] - places[:, :2]).max(1)
            # Where a map is nearly flat, the last bits of its values decide where exactly its top is.
            assert apart[there].max(initial=0) < 20 * within
            sure = places[:, 2] > SURE
            assert apart[sure].max(initial=0) < within
            count += int(sure.sum())
    return count


@pytest.mark.parametrize(("app", "words"), [("bu", ""), ("td", "--whole"), ("both", "--detector bu.safetensors")])
def test_pose_py_finds_whom_predict_finds(room, app, words, tmp_path, monkeypatch):
    monkeypatch.chdir(room)
    sources = [room / "photos", *([REAL / "samples/coco"] if REAL.is_dir() else [])]
    for number, source in enumerate(sources):
        network = "bu" if app == "bu" else "td"
        mine, theirs = tmp_path / f"mine{number}", tmp_path / f"theirs{number}"
        assert run(f"litepose-nas predict {network}.safetensors {source} {words} --out {theirs}", monkeypatch) == 0
        code, out, errors = alone(room / app / "pose.py", source, "--out", mine)
        assert code == 0, errors
        assert "people in" in out
        compared = same(people_of(mine / "poses.json"), people_of(theirs / "poses.json"), WITHIN[app])
        assert compared >= (10 if number == 0 else 0)
        assert len(list(mine.glob("*.*"))) == len(list(source.iterdir())) + 1 or number


@pytest.mark.parametrize(("app", "words"), [("bu", ""), ("both", "--detector bu.safetensors"), ("td", "--whole")])
def test_ids_are_kept_through_a_video(room, app, words, tmp_path, monkeypatch):
    monkeypatch.chdir(room)
    network = "bu" if app == "bu" else "td"
    assert run(f"litepose-nas predict {network}.safetensors clip.avi {words} --out {tmp_path}/theirs", monkeypatch) == 0
    code, out, errors = alone(room / app / "pose.py", room / "clip.avi", "--out", tmp_path / "mine")
    assert code == 0, errors
    assert out.startswith("9 frames")
    document = json.loads((tmp_path / "theirs/clip.json").read_text())
    wanted = {place: {} for place in range(9)}
    for one in document["annotations"]:
        wanted[one["image_id"]][one["track_id"]] = one
    frames = json.loads((tmp_path / "mine/clip.json").read_text())["frames"]
    count = 0
    for frame in frames:
        theirs = wanted[frame["frame"]]
        assert {one["track"] for one in frame["people"]} == set(theirs)
        for one in frame["people"]:
            places = np.reshape(theirs[one["track"]]["keypoints"], (-1, 3))
            joints = np.array(one["keypoints"])
            sure = places[:, 2] > SURE
            assert np.abs(joints[sure, :2] - places[sure, :2]).max(initial=0) < WITHIN[app]
            count += 1
    assert count >= 5
    assert (tmp_path / "mine/clip.mp4").stat().st_size > 1000


def test_pose_py_says_what_is_wrong_in_one_line(room, tmp_path):
    for source, words in (
        (tmp_path / "none.jpg", "no image, folder of images, or video"),
        ("camera:99", "no such camera or stream"),
    ):
        code, _, errors = alone(room / "bu/pose.py", source, "--out", tmp_path / "out")
        assert code == 2
        lines = [line for line in errors.splitlines() if "WARN" not in line and "ERROR:0" not in line]
        assert lines[-1].startswith("error: ")
        assert words in lines[-1]
    (tmp_path / "odd.jpg").write_bytes(b"no image")
    code, _, errors = alone(room / "bu/pose.py", tmp_path / "odd.jpg", "--out", tmp_path / "out")
    assert code == 2
    assert "cannot be read" in errors


def test_without_the_runtime_the_python_part_is_written_and_said_so(room, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(room)
    assert not (room / "both/index.html").exists()
    assert sorted(path.name for path in (room / "both").iterdir() if path.name != "detector.onnx") == [
        "LICENCES.txt", "README.md", "follow.py", "group_people.py", "look.py", "model.onnx", "network.py", "pose.json",
        "pose.py", "requirements.txt",
    ]  # fmt: skip
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(f"litepose-nas ship bu.safetensors --out {tmp_path}/app", monkeypatch) == 0
    out = capsys.readouterr().out
    assert "without a page for browsers: npm is not installed" in out
    assert "model.onnx: decodes inside, torch's outputs to" in out
    for words, says in (
        (f"bu.safetensors --out {tmp_path}/app", "there is something already"),
        ("bu.safetensors --out x --detector bu.safetensors", "--detector bu.safetensors"),
        ("td.safetensors --out x --detector td.safetensors", "sees one person at a time and finds nobody"),
        (f"bu.safetensors --out x --web {tmp_path}", "no ort.wasm.bundle.min.mjs"),
        ("litepose-xs --out x", "an architecture without weights"),
    ):
        assert run(f"litepose-nas ship {words}", monkeypatch) == 2, words
        assert says in capsys.readouterr().err
    assert not Path("x").exists()


def test_another_package_than_the_pinned_one_is_refused(tmp_path):
    (tmp_path / "onnxruntime-web-1.30.0.tgz").write_bytes(b"not the one")
    with pytest.raises(UserError, match="has the digest sha512-"):
        web_runtime.unpacked(tmp_path / "onnxruntime-web-1.30.0.tgz")


def web_folder():
    """An unpacked onnxruntime-web, or skip: the tests fetch nothing."""
    if "ORT_WEB" not in os.environ:
        pytest.skip("ORT_WEB names no unpacked onnxruntime-web")
    return Path(os.environ["ORT_WEB"])


@pytest.fixture
def served():
    """Serve folders as any plain file server does; a call gives the address."""
    servers = []

    def serve(folder):
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
        handler.log_message = lambda *words: None
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/index.html"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.browser
@pytest.mark.parametrize(("app", "words"), [("bu", ""), ("td", "--whole"), ("both", "--detector bu.safetensors")])
def test_the_page_finds_whom_predict_finds(room, app, words, served, tmp_path, monkeypatch):
    """On images as large as the input, whose bytes are the same; of others an untrained network makes other noise."""
    monkeypatch.chdir(room)
    network = "bu" if app == "bu" else "td"
    runtime = web_runtime.from_folder(web_folder())
    shutil.copytree(app, tmp_path / "app")
    add_page(tmp_path / "app", runtime)
    info = json.loads((room / app / "pose.json").read_text())
    height, width = (info["detector"] or info["model"])["input"]
    (tmp_path / "photos").mkdir()
    for at, path in enumerate(sorted((room / "people/val").glob("*.jpg"))):
        image = cv2.resize(read_image(path), (width, height), interpolation=cv2.INTER_AREA)
        write_image(tmp_path / "photos" / f"{at}.png", np.asarray(image, np.uint8))
    theirs = f"--out {tmp_path}/theirs"
    assert run(f"litepose-nas predict {network}.safetensors {tmp_path}/photos {words} {theirs}", monkeypatch) == 0
    found = []
    with opened(served(tmp_path / "app")) as one:
        one.until("document.getElementById('status').textContent.startsWith('Ready')", 60)
        for path in sorted((tmp_path / "photos").iterdir()):
            one.page.set_input_files("#file", str(path))
            one.until(f"document.getElementById('status').textContent.includes('people in {path.name}')", 60)
            found.append(json.loads(one.page.locator("#poses").text_content()))
    wanted = people_of(tmp_path / "theirs/poses.json")
    if app == "both":  # cut-outs are resized
        assert sum(map(len, found)) == pytest.approx(sum(map(len, wanted)), rel=0.1)
        return
    pairs = [(one, mine) for mine, theirs in zip(found, wanted, strict=True) for one in theirs]
    again = sum(any(alike(one, other) for other in mine) for one, mine in pairs)
    assert len(pairs) > 3
    # What remains are joints that are looked for in a whole map of noise, where two places are equally good.
    assert again >= 0.9 * len(pairs), f"{again} of {len(pairs)}"
    assert list(map(len, found)) == list(map(len, wanted))


def alike(one, other, within=0.5):
    """Whether two people have the same joints, within half a pixel."""
    places, joints = (np.array(each["keypoints"]) for each in (one, other))
    sure = places[:, 2] > SURE
    return np.abs(joints[sure, :2] - places[sure, :2]).max(initial=0) < within


def test_the_page_shows_a_network_the_bytes_that_python_shows_it(room, tmp_path):
    """Whole images and cut-outs of many sizes: resizing in JavaScript is that of OpenCV to one level of a colour."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.syspath_prepend(str(APP))
    import look

    monkeypatch.undo()
    cases, wanted = [], []
    rng = np.random.default_rng(0)
    smooth = cv2.GaussianBlur(rng.integers(0, 256, (300, 400, 3), np.uint8), (0, 0), 2)
    for at, (height, width) in enumerate([(300, 400), (64, 48), (65, 47), (299, 133), (30, 40)]):
        image = np.ascontiguousarray(smooth[:height, :width])
        np.dstack([image, np.full((height, width), 255, np.uint8)]).tofile(tmp_path / f"{at}.raw")
        box = [width * 0.2, height * 0.1, width * 0.5, height * 0.7]
        for input in ((64, 64), (64, 48)):
            for warp in (look.whole((height, width), input), look.cut_out(box, input)):
                case = {"raw": str(tmp_path / f"{at}.raw"), "size": [height, width], "input": input, "box": box}
                cases.append({**case, "cut": len(cases) % 2 == 1})
                wanted.append(look.shown(image, warp, input, (124, 116, 104)))
    shutil.copyfile(APP / "look.js", tmp_path / "look.mjs")
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    (tmp_path / "show.mjs").write_text(SHOW)
    done = subprocess.run([node, "show.mjs"], cwd=tmp_path, capture_output=True, check=True)
    shown = np.frombuffer(done.stdout, np.uint8)
    for case, want in zip(cases, wanted, strict=True):
        mine, shown = shown[: want.size].reshape(want.shape).astype(int), shown[want.size :]
        assert np.abs(mine - want).max() <= 1, case
        assert (mine != want).mean() < 0.1


SHOW = """
import { readFileSync, writeSync } from "node:fs";
import { cutOut, shown, whole } from "./look.mjs";
for (const { raw, size: [height, width], input, box, cut } of JSON.parse(readFileSync("cases.json"))) {
  const data = new Uint8ClampedArray(readFileSync(raw));
  const warp = cut ? cutOut(box, input) : whole([height, width], input);
  writeSync(1, shown({ data, height, width }, warp, input, [124, 116, 104]));
}
"""


@pytest.mark.browser
def test_the_page_looks_at_the_webcam_and_stops(room, served, tmp_path):
    ship(str(room / "bu.safetensors"), None, tmp_path / "app", web_folder())
    with opened(served(tmp_path / "app"), 420, permissions=["camera"]) as one:
        one.until("document.getElementById('status').textContent.startsWith('Ready')", 60)
        one.page.click("#camera")
        one.until("document.getElementById('status').textContent.includes('frames a second')", 60)
        one.page.click("#camera")
        one.until("document.getElementById('status').textContent == 'The webcam is off.'", 60)
        assert one.page.evaluate("document.documentElement.scrollWidth") <= 420
