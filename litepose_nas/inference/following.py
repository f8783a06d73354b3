"""Following people through a video with one network, or with two of which one finds whom the other looks at."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import inference_mode, nn

from litepose_nas import devices
from litepose_nas.data.augment import Image, Size
from litepose_nas.inference.batches import Net
from litepose_nas.inference.online import SAME, Followed, Online, State, around, overlap
from litepose_nas.inference.pictures import predict_image
from litepose_nas.inference.tracking import Tracked, Tracks, follow, similarity
from litepose_nas.pose.task import Task

Floats = NDArray[np.float64]
Arrays = dict[str, NDArray[np.generic]]
NOBODY = np.zeros((0, 5))

EVERY = 5  # frames after which somebody who came in is found at the latest
DOUBLE = 0.5  # overlap of two boxes that were found, or similarity of two poses, above which they are one person's


class FramePerson(NamedTuple):
    track: int
    keypoints: Floats  # (J, 3): COCO's pixels, and a value
    score: float


class Follower(Protocol):
    """What takes a video frame by frame. All it remembers is what `remember` gives, so that it can go on elsewhere."""

    def step(self, image: Image, place: int) -> list[FramePerson]:
        """The people of the next frame, which is at this place of the video, the surest first."""

    def remember(self) -> Arrays:
        """What must be known of the frames so far."""

    def recall(self, arrays: Arrays) -> None:
        """Go on where `remember` was asked."""


class FollowAll:
    """Follows the people that a bottom-up network finds in every frame."""

    def __init__(
        self,
        net: Net,
        task: Task,
        sigmas: tuple[float, ...],
        size: Size,
        flip: bool = False,
        least_score: float = 0.1,
    ):
        self.net = net.eval() if isinstance(net, nn.Module) else net
        self.task, self.sigmas, self.size, self.flip, self.least_score = task, sigmas, size, flip, least_score
        self.tracks = Tracks()

    @inference_mode()
    def step(self, image: Image, place: int) -> list[FramePerson]:
        found = predict_image(self.net, self.task, image, self.size, self.flip, self.least_score)
        poses = np.array([one["keypoints"] for one in found], float).reshape(len(found), self.task.joints, 3)
        numbers, self.tracks = follow(self.tracks, poses, self.sigmas)
        rows = zip(numbers, poses, found, strict=True)
        return [FramePerson(number, pose, float(one["score"])) for number, pose, one in rows]

    def remember(self) -> Arrays:
        people, joints = self.tracks.people, self.task.joints
        return {
            "numbers": np.array([(one.track, one.lost) for one in people], np.int64).reshape(-1, 2),
            "poses": np.array([one.keypoints for one in people], float).reshape(-1, joints, 3),
            "next": np.array(self.tracks.next_track),
        }

    def recall(self, arrays: Arrays) -> None:
        numbers = _whole(arrays["numbers"], (len(arrays["numbers"]), 2))
        poses = _finite(arrays["poses"], (len(numbers), self.task.joints, 3))
        people = tuple(Tracked(track, pose, lost) for (track, lost), pose in zip(numbers.tolist(), poses, strict=True))
        self.tracks = Tracks(people, int(_whole(arrays["next"], ())))


Finder = Callable[[Image, int], "Floats | None"]  # of a frame and its place: boxes (N, 5), None where nobody looks


class FollowEach:
    """Follows people with a network that sees one at a time: from pose to pose, and by boxes where somebody has some.

    With `find` alone people come in; whoever it does not find stays as long as the pose has a score. With `given` the
    boxes are the truth: whoever has none has left. With neither, whoever the picture shows as a whole is followed.
    """

    def __init__(self, online: Online, find: Finder | None = None, given: Finder | None = None, every: int = EVERY):
        self.online, self.find, self.given, self.every = online, find, given, every

    def step(self, image: Image, place: int) -> list[FramePerson]:
        new = self.online.state.next_track
        found = self.online.step(image, self._boxes(image, place))
        sure = [one for one in found if one.score >= self.online.least_score]
        if self.given is None:
            # Whoever has been followed stays before whoever came in.
            sure = _apart(sorted(sure, key=lambda one: one.track >= new), self.online.each.sigmas)
        self.online.state = self.online.state._replace(people=tuple(sure))
        return [FramePerson(one.track, one.keypoints, one.score) for one in sorted(sure, key=lambda one: -one.score)]

    def _boxes(self, image: Image, place: int) -> Floats | None:
        followed = self.online.state.people
        if self.given is not None:
            boxes = self.given(image, place)
            return NOBODY if boxes is None and not followed else boxes
        if self.find is not None:
            if followed and place % self.every:
                return None
            boxes = self.find(image, place)
            return self._and_followed(NOBODY if boxes is None else boxes)
        whole = np.array([[0.0, 0.0, image.shape[1], image.shape[0], 1.0]])
        return None if followed else whole

    def _and_followed(self, boxes: Floats) -> Floats:
        """Boxes that were found, and those around people who are followed and were overlooked."""
        rows: list[list[float]] = without_doubles(boxes).tolist()
        for one in self.online.state.people:
            own = around(one.keypoints, self.online.each.least_value)
            if own is not None and not any(overlap(own, row) > SAME for row in rows):
                rows.append([*own, one.box[4]])
        return np.array(rows, float).reshape(-1, 5)

    def remember(self) -> Arrays:
        state = self.online.state
        arrays: Arrays = {"count": np.array(len(state.people)), "next": np.array(state.next_track)}
        for place, one in enumerate(state.people):
            arrays[f"{place}.numbers"] = np.array([one.track, one.place])
            arrays[f"{place}.keypoints"] = one.keypoints
            arrays[f"{place}.box"] = np.array([*one.box, one.score])
            arrays[f"{place}.heatmaps"] = one.heatmaps.detach().cpu().float().numpy()
        return arrays

    def recall(self, arrays: Arrays) -> None:
        people, joints = [], self.online.each.joints
        for place in range(int(_whole(arrays["count"], ()))):
            track, frame = _whole(arrays[f"{place}.numbers"], (2,)).tolist()
            *box, score = _finite(arrays[f"{place}.box"], (6,)).tolist()
            maps = arrays[f"{place}.heatmaps"]
            maps = _finite(maps, (joints, *maps.shape[1:])).astype(np.float32)
            heatmaps = devices.beside(self.online.net, torch.from_numpy(maps))
            keypoints = _finite(arrays[f"{place}.keypoints"], (joints, 3))
            people.append(Followed(track, keypoints, score, tuple(box), frame, heatmaps))
        self.online.state = State(tuple(people), int(_whole(arrays["next"], ())))


def _whole(array: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
    """The array, if it holds whole numbers in this shape: it comes from a file."""
    if array.dtype.kind not in "iu" or array.shape != shape:
        raise ValueError(f"{array.dtype} {array.shape} in place of whole numbers {shape}")
    return array


def _finite(array: NDArray[np.generic], shape: tuple[int, ...]) -> Floats:
    if array.dtype.kind != "f" or array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"{array.dtype} {array.shape} in place of finite numbers {shape}")
    return array.astype(float)


def finder(net: Net, task: Task, size: Size, least_score: float = 0.1) -> Callable[[Image, int], Floats]:
    """What finds people in a frame with a bottom-up network: boxes around their joints."""

    @inference_mode()
    def find(image: Image, place: int) -> Floats:
        rows = []
        for one in predict_image(net, task, image, size, False, least_score):
            box = around(np.array(one["keypoints"]), 0.0)
            if box is not None:
                rows.append([*box, one["score"]])
        return np.array(rows, float).reshape(-1, 5)

    return find


def without_doubles(boxes: Floats) -> Floats:
    """Boxes (N, 5), the surest first, without those that mostly overlap a surer one."""
    rows: list[list[float]] = []
    for row in sorted(boxes.tolist(), key=lambda row: -row[4]):
        if not any(overlap(row, surer) > DOUBLE for surer in rows):
            rows.append(row)
    return np.array(rows, float).reshape(-1, 5)


def _apart(people: list[Followed], sigmas: tuple[float, ...]) -> list[Followed]:
    """The people without those whose pose is that of one before them; all of them where no sigmas are known."""
    if not sigmas:
        return people
    kept: list[Followed] = []
    for one in people:
        if not any(similarity(one.keypoints, other.keypoints, sigmas) > DOUBLE for other in kept):
            kept.append(one)
    return kept
