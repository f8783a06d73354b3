"""Networks made ready to follow people through videos."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas import files
from litepose_nas.data.augment import Image
from litepose_nas.data.boxes import Boxes, read_boxes
from litepose_nas.data.video_frames import VideoFrames
from litepose_nas.errors import UserError
from litepose_nas.inference.following import EVERY, Finder, FollowAll, FollowEach, Follower
from litepose_nas.inference.online import Online
from litepose_nas.steps import where_to_look
from litepose_nas.steps.evaluate import Loaded, load
from litepose_nas.steps.where_to_look import WhereToLook


class PredictOptions(NamedTuple):
    """What `predict` is told; what follows `whole` is for videos alone."""

    out: Path
    flip: bool = False
    boxes: Path | None = None
    min_box_score: float = 0.0
    min_score: float = 0.1
    device: str = "auto"
    detector: Path | None = None
    whole: bool = False
    every: int | None = None
    layout: str | None = None
    rate: float | None = None
    resume: bool = False


class VideoNetwork(NamedTuple):
    """A network that can be let loose on videos."""

    loaded: Loaded
    follower: Callable[[VideoFrames | None], Follower]  # new for each video; None: a camera
    settings: dict[str, Any]  # on which the result depends
    notes: tuple[str, ...]


def load_network(target: str, options: PredictOptions) -> VideoNetwork:
    """The network of a file, ready to follow people where boxes or a detector say that they are."""
    flip, boxes, detector, least_score = options.flip, options.boxes, options.detector, options.min_score
    every = options.every or EVERY
    if options.every is not None and detector is None:
        raise UserError("--every: says how often --detector looks for people; name one")
    loaded = load(target, options.device)
    settings: dict[str, Any] = {"network": _print_of(target), "flip": flip, "least score": least_score}
    WhereToLook(boxes, options.min_box_score, detector, options.whole).check(loaded)
    if not loaded.task.kind.one_person:
        task, sigmas = loaded.task, loaded.skeleton.sigmas
        return VideoNetwork(
            loaded, lambda frames: FollowAll(loaded.net, task, sigmas, loaded.size, flip, least_score), settings, ()
        )
    if flip:
        raise UserError("--flip: one person at a time is followed without mirroring; leave it out in videos")
    settings |= {"boxes": str(boxes), "least box score": options.min_box_score}
    settings |= {"detector": None if detector is None else _print_of(str(detector)), "every": every}
    known = None if boxes is None else read_boxes(boxes, options.min_box_score)
    find = None if detector is None else where_to_look.detector(detector, options.device)

    def follower(frames: VideoFrames | None) -> Follower:
        online = Online(loaded.net, loaded.task, loaded.size, least_score)
        given = None if known is None or frames is None else _of_frames(known, frames, boxes)
        return FollowEach(online, find, given, every)

    return VideoNetwork(loaded, follower, settings, () if known or find or options.whole else (_WHOLE,))


_WHOLE = (
    "this network sees one person at a time, and none of --boxes, --detector and --whole was given: the first frame is "
    "taken for one person as a whole, who is followed from pose to pose"
)


def boxes_by_place(boxes: Boxes, frames: VideoFrames) -> dict[int, NDArray[np.float64]]:
    """Return the boxes of each frame that has some, by its place.

    An image is the number of a frame, or of a folder's frame the name of its file, with or without the ending, or the
    id that PoseTrack18 gives it.
    """
    if frames.pictures:
        names = [
            (path.name, path.stem, frames.number(place), frames.posetrack_id(place))
            for place, path in enumerate(frames.pictures)
        ]
        return {place: boxes[key] for place, keys in enumerate(names) for key in keys if key in boxes}
    return {image: rows for image, rows in boxes.items() if isinstance(image, int)}


def _of_frames(boxes: Boxes, frames: VideoFrames, file: Path | None) -> Finder:
    found = boxes_by_place(boxes, frames)
    if not found or (frames.length and min(found) >= frames.length):
        raise UserError(
            f"{file}: no box is of a frame of {frames.source}; their image_id must be the number of a frame, from 0, "
            "or the name of its file in a folder of frames"
        )

    def given(image: Image, place: int) -> NDArray[np.float64] | None:
        return found.get(place)

    return given


@functools.cache
def _print_of(target: str) -> str:
    return f"{Path(target).name}, {files.sha256(target)[:12]}" if Path(target).is_file() else target
