"""The parsers of videos, and of what a video that was stopped has left to go on from."""

from __future__ import annotations

import itertools
import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from torch import Tensor

from litepose_nas.data.skeleton import make_skeleton
from litepose_nas.data.video_frames import open_frames
from litepose_nas.errors import UserError
from litepose_nas.inference.following import FollowAll, FollowEach, Follower
from litepose_nas.inference.online import Online
from litepose_nas.inference.video import predict_video
from litepose_nas.pose.bottomup import BottomUp
from litepose_nas.pose.topdown import TopDown
from tests.helpers.fuzz.target import Target

BODY = make_skeleton(("nose", "left_hip", "right_hip"), [(0, 1), (0, 2)], [0.1] * 3)
SIDE, FRAMES = 64, 3
MOST_FRAMES = 40  # that are read of a broken video: it may say that it has any number
STATE, PEOPLE = "clip.state.npz", "clip.frames.jsonl"


def _one_in_the_middle(images: Tensor) -> list[Tensor]:
    """What a bottom-up network says of somebody in the middle of every picture."""
    coarse, fine = torch.zeros(len(images), 6, 16, 16), torch.zeros(len(images), 3, 32, 32)
    coarse[:, :3, 8, 8] = fine[:, :, 16, 16] = 0.9
    return [coarse, fine]


def _one_in_the_crop(images: Tensor) -> list[Tensor]:
    heat = torch.zeros(len(images), 3, 32, 32)
    heat[:, :, 16, 16] = 0.8
    return [heat]


def _whole() -> Follower:
    return FollowAll(_one_in_the_middle, BottomUp(3), BODY.sigmas, (SIDE, SIDE))


def _each() -> Follower:
    return FollowEach(Online(_one_in_the_crop, TopDown(3, codec="plain", sigmas=BODY.sigmas), (SIDE, SIDE)))


def _make_videos(folder: Path) -> list[bytes]:
    made = []
    for name, codec in (("a.mp4", "mp4v"), ("b.avi", "MJPG"), ("c.mkv", "mp4v")):
        writer = cv2.VideoWriter(str(folder / name), cv2.VideoWriter.fourcc(*codec), 10.0, (SIDE, SIDE))
        for number in range(6):
            writer.write(np.full((SIDE, SIDE, 3), 40 * number, np.uint8))
        writer.release()
        made.append((folder / name).read_bytes())
    return made


def _read_video(path: Path) -> None:
    frames = open_frames(path)
    _ = frames.name, frames.posetrack_id(0)
    for _image in itertools.islice(frames.images(), MOST_FRAMES):
        pass


def _stop_one(folder: Path, follower: Follower) -> dict[str, bytes]:
    """Begin a video, stop it after its second frame, and return what it left."""
    for number in range(FRAMES):
        cv2.imwrite(str(folder / f"clip/{number:06d}.png"), np.full((SIDE, SIDE, 3), 90, np.uint8))
    steps = itertools.count(1)
    predict_video(follower, open_frames(folder / "clip"), BODY, folder, stop=lambda: next(steps) == 2)
    return {name: (folder / name).read_bytes() for name in (STATE, PEOPLE)}


@cache
def _stopped() -> tuple[dict[str, bytes], dict[str, bytes]]:
    """What is left by a network of each kind."""
    left = []
    for make in (_whole, _each):
        with TemporaryDirectory() as folder:
            Path(folder, "clip").mkdir()
            left.append(_stop_one(Path(folder), make()))
    return left[0], left[1]


def _make_left(name: str, folder: Path) -> list[bytes]:
    (folder / "clip").mkdir(exist_ok=True)
    for number in range(FRAMES):
        cv2.imwrite(str(folder / f"clip/{number:06d}.png"), np.full((SIDE, SIDE, 3), 90, np.uint8))
    return [left[name] for left in _stopped()]


def _go_on(path: Path) -> None:
    """Go on with a video of which one file is broken; each kind of network is tried on the file."""
    broken = path.read_bytes()
    refused: list[UserError] = []
    for make, left in zip((_whole, _each), _stopped(), strict=True):
        out = path.parent / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        for name, content in left.items():
            (out / name).write_bytes(broken if name == path.name else content)
        try:
            predict_video(make(), open_frames(path.parent / "clip"), BODY, out, resume=True)
        except UserError as error:
            refused.append(error)
    if len(refused) == len(_stopped()):
        raise refused[0]


def _left(target: str, file: str, form: str) -> Target:
    return Target(target, file, form, lambda folder: _make_left(file, folder), _go_on)


TARGETS = (
    Target("video", "a.mp4", "bytes", _make_videos, _read_video),
    _left("video-state", STATE, "npz"),
    _left("video-people", PEOPLE, "lines"),
)
