"""A file that is played as a camera: frames on the page change, what comes too fast is dropped, Ctrl-C ends it."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import cv2
import numpy as np
import pytest

from litepose_nas.data.camera import LiveCamera, is_camera
from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.errors import UserError
from litepose_nas.inference import live
from litepose_nas.inference.following import FramePerson
from litepose_nas.inference.live_page import LivePage
from tests.helpers.browser import opened
from tests.helpers.commands import environment, run
from tests.helpers.lively import lively

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # as the command sets it before OpenCV first looks
SECONDS = float(os.environ.get("CAMERA_SECONDS", "3"))  # 20 before an issue is closed


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A network, and a video of which each frame is another shade of grey."""
    folder = tmp_path_factory.mktemp("camera")
    lively(folder / "net.safetensors", "litepose-tiny", known_skeleton("coco"), 30)
    writer = cv2.VideoWriter(str(folder / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 20, (64, 48))
    for at in range(12):
        writer.write(np.full((48, 64, 3), 20 * at, np.uint8))
    writer.release()
    return folder


def start(room, *words):
    command = [sys.executable, "-c", "from litepose_nas.cli import main; main()", "predict", "net.safetensors", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=room, env=environment(), **pipes)


def frames_of(address, seconds):
    """The JPEGs that the stream sends within a time, and a few at least, however busy the machine is."""
    found, end = [], time.monotonic() + seconds
    with urllib.request.urlopen(f"{address}stream", timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("multipart/x-mixed-replace")
        while time.monotonic() < end or len(found) < 12:
            assert answer.readline() == b"--frame\r\n"
            assert answer.readline() == b"Content-Type: image/jpeg\r\n"
            length = int(re.match(rb"Content-Length: (\d+)", answer.readline()).group(1))
            assert answer.readline() == b"\r\n"
            found.append(answer.read(length))
            assert answer.readline() == b"\r\n"
    return found


def test_a_file_is_played_as_a_camera_until_ctrl_c(room, tmp_path):
    process = start(room, "camera:clip.avi", "--port", "0", "--out", str(tmp_path / "kept"))
    try:
        line = process.stdout.readline()
        assert "Ctrl-C ends it" in line, process.stderr.read()
        address = re.search(r"http://127\.0\.0\.1:\d+/", line).group()
        page = urllib.request.urlopen(address, timeout=30).read()
        assert b'<img src="stream"' in page
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{address}other", timeout=30)
        found = frames_of(address, SECONDS)
    finally:
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert re.search(r"ended after [\d,]+ frames, [\d,]+ dropped; [\d.]+ frames/s, latency \d+ ms", out)
    shades = {round(float(cv2.imdecode(np.frombuffer(one, np.uint8), 1)[0].mean()) / 20) for one in found}
    assert len(found) > 3
    assert len(shades) > 3
    rows = [json.loads(line) for line in (tmp_path / "kept" / live.POSES).read_text().splitlines()]
    numbers = [row["frame"] for row in rows]
    assert numbers == sorted(set(numbers))
    video = cv2.VideoCapture(str(tmp_path / "kept" / live.VIDEO))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == len(rows)


def test_what_is_not_there_ends_in_one_message(room, monkeypatch, capfd):
    monkeypatch.chdir(room)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = free.getsockname()[1]
    for source, says in (
        ("camera:97", "camera:97: no such camera"),
        ("camera:none.mp4", "camera:none.mp4: no such video"),
        (f"rtsp://127.0.0.1:{closed}/x", "no stream answers there"),
        (f"http://127.0.0.1:{closed}/x", "no stream answers there"),
        ("camera:net.safetensors", "no video"),
    ):
        assert run(f"litepose-nas predict net.safetensors {source} --port 0", monkeypatch) == 2
        errors = capfd.readouterr().err
        assert says in errors
        assert len(errors.splitlines()) == 1, errors
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        words = f"camera:clip.avi --port {taken.getsockname()[1]}"
        assert run(f"litepose-nas predict net.safetensors {words}", monkeypatch) == 2
        assert "choose another with --port" in capfd.readouterr().err
    for words, says in (
        ("camera:0 clip.avi", "a camera is looked at alone"),
        ("camera:0 --resume", "--resume: is not for cameras"),
        ("camera:0 --layout coco", "--layout: is not for cameras"),
        ("clip.avi --port 3", "are for the page of a camera"),
    ):
        assert run(f"litepose-nas predict net.safetensors {words}", monkeypatch) == 2
        assert says in capfd.readouterr().err


def test_what_a_camera_is():
    assert all(is_camera(source) for source in ("camera:0", "Camera:1", "rtsp://host/path", "http://host/"))
    assert not any(is_camera(source) for source in ("camera.jpg", "clip.mp4", "c:/photos"))


class Slow:
    """A follower that needs longer than a frame lasts, and finds the frame's shade."""

    def __init__(self):
        self.seen = []

    def step(self, image, place):
        time.sleep(0.2)
        self.seen.append(round(float(image.mean()) / 20))
        return [FramePerson(7, np.full((17, 3), 5.0), 0.5)]


def test_frames_are_dropped_rather_than_delayed(room):
    shown, states, follower = [], [], Slow()
    with LiveCamera(f"camera:{room / 'clip.avi'}") as camera:
        state = live.watch(
            camera, follower, known_skeleton("coco"), shown.append, states.append, lambda: len(states) >= 6
        )
    assert state.frames == len(shown) == 6
    assert state.dropped >= 6  # 20 frames a second come, 5 are looked at
    assert 1 < state.per_second < 5.5
    assert 180 < state.latency_ms < 1500
    assert state.people == 1
    steps = [(b - a) % 12 for a, b in zip(follower.seen, follower.seen[1:])]  # noqa: B905
    assert min(steps) >= 2


def test_a_camera_that_ends_is_an_error(room, monkeypatch):
    with LiveCamera(f"camera:{room / 'clip.avi'}") as camera:
        assert camera.rate == 20
        monkeypatch.setattr(camera, "newest", lambda after: None)
        with pytest.raises(UserError, match="gives no more frames"):
            live.watch(camera, Slow(), known_skeleton("coco"), print, print, lambda: False)
    assert camera._thread.is_alive() is False


def test_kept_files_are_not_written_over(tmp_path):
    live.LiveFiles(tmp_path, 10)
    with pytest.raises(UserError, match="there is something already"):
        live.LiveFiles(tmp_path, 10)


@pytest.mark.browser
def test_a_browser_shows_the_frames():
    with LivePage(port=0) as page:
        over = threading.Event()

        def send():
            for at in range(10_000):
                if over.wait(0.05):
                    return
                _, data = cv2.imencode(".jpg", np.full((48, 64, 3), (at * 10) % 250, np.uint8))
                page.show(data.tobytes())

        sender = threading.Thread(target=send)
        sender.start()
        try:
            with opened(page.address, wait_until="commit") as one:
                one.until("document.images[0].naturalWidth === 64")
                pictures = {io.BytesIO(one.page.screenshot()).getvalue() for _ in range(8) if not time.sleep(0.1)}
                assert len(pictures) > 2
        finally:
            over.set()
            sender.join()


def test_the_page_is_served_on_loopback_by_default():
    with LivePage(port=0) as page:
        assert page.address.startswith("http://127.0.0.1:")
