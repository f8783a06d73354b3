"""People in front of a camera, as they come: each frame is looked at as soon as the one before is done."""

from __future__ import annotations

import json
import statistics
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2

from litepose_nas import files
from litepose_nas.data.augment import Image
from litepose_nas.data.camera import LiveCamera
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.errors import UserError
from litepose_nas.inference.following import Follower, FramePerson
from litepose_nas.inference.pictures import overlay
from litepose_nas.inference.video_writer import SUFFIX, VideoWriter

POSES, VIDEO = "poses.jsonl", f"camera{SUFFIX}"
QUALITY = 80  # of the JPEGs of the page
REMEMBERED = 100  # frames that the speed is told of


class LiveState(NamedTuple):
    """How it goes, over the last frames."""

    frames: int  # that were looked at
    dropped: int  # that came meanwhile, of all
    per_second: float
    latency_ms: float  # the median, from when a frame came until its people are known and drawn
    people: int  # in the last one


class LiveFiles:
    """What is kept where files are asked for: a line of people for each frame, and the overlays as a video."""

    def __init__(self, folder: Path, rate: float):
        self.folder, self._writer = folder, VideoWriter(folder / VIDEO, rate)
        if (folder / POSES).exists():
            raise UserError(f"{folder / POSES}: there is something already, and it stays; name another with --out")
        files.write(folder / POSES, "")

    def add(self, number: int, seconds: float, people: list[dict[str, Any]], image: Image) -> None:
        line = json.dumps({"frame": number, "seconds": round(seconds, 3), "people": people})
        files.append(self.folder / POSES, files.encoded(line + "\n"))
        self._writer.add(image)

    def close(self) -> None:
        self._writer.close()


def watch(
    camera: LiveCamera,
    follower: Follower,
    skeleton: Skeleton,
    show: Callable[[bytes], None],
    told: Callable[[LiveState], None],
    stopped: Callable[[], bool],
    kept: LiveFiles | None = None,
) -> LiveState:
    """Look until it is stopped; `show` gets each frame with its people as a JPEG. A camera that ends is an error."""
    begun, number, looked = time.perf_counter(), 0, 0
    ends: deque[float] = deque([begun], REMEMBERED)
    latencies: deque[float] = deque(maxlen=REMEMBERED)
    state = LiveState(0, 0, 0.0, 0.0, 0)
    while not stopped():
        frame = camera.newest(number)
        if stopped():
            break
        if frame is None:
            raise UserError(f"{camera.source}: it gives no more frames; see whether it is still there")
        number = frame.number
        people = [_plain(one) for one in follower.step(frame.image, looked)]
        looked += 1
        drawn = overlay(frame.image, people, skeleton)
        show(_jpeg(drawn))
        now = time.perf_counter()
        ends.append(now)
        latencies.append(now - frame.taken)
        if kept:
            kept.add(number, frame.taken - begun, people, drawn)
        fast = (len(ends) - 1) / max(ends[-1] - ends[0], 1e-9)
        state = LiveState(looked, number - looked, fast, 1000 * statistics.median(latencies), len(people))
        told(state)
    return state


def _plain(one: FramePerson) -> dict[str, Any]:
    return {"track": one.track, "score": round(one.score, 4), "keypoints": one.keypoints.round(3).tolist()}


def _jpeg(image: Image) -> bytes:
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return bytes(data.tobytes())
