"""Poses in a video as its frames come: nothing is remembered but what the frame before left behind.

    online = Online(net, task, size)            # a temporal group, or any top-down network
    for image in frames:
        people = online.step(image, boxes)      # boxes where somebody looked for people, None where nobody did

To go on later, or in another process, keep `online.state` and hand it to the next `Online(..., state=state)`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from litepose_nas import devices
from litepose_nas.data import boxes as box_
from litepose_nas.data.augment import Image, Size, to_files, warp_picture
from litepose_nas.data.loader import to_input
from litepose_nas.errors import UserError
from litepose_nas.pose.nms import oks_nms
from litepose_nas.pose.task import Task
from litepose_nas.pose.temporal import PREVIOUS, as_group

AROUND = 1.3  # how much larger than the extent of its joints a person's box is, as in PoseTrack
FEWEST = 3  # joints: with less there is no telling where a person is
SAME = 0.3  # overlap above which a box is that of a followed person
BATCH = 16  # people who are looked at together

Net = Callable[..., Sequence[Tensor]]


class Followed(NamedTuple):
    track: int  # the same number in every frame; from 0 in the order of appearance, or as the caller numbers people
    keypoints: NDArray[np.float64]  # (J, 3): COCO's pixels of the frame, and a value
    score: float
    box: tuple[float, ...]  # left, top, width, height, score: where the group of frames looks, that of its key frame
    place: int  # of the last frame in its group: 0 is the key frame
    heatmaps: Tensor  # (J, h, w) of the last frame, in the crop of the box


class State(NamedTuple):
    """All that is remembered of a video: the people of its last frame, and the next free number."""

    people: tuple[Followed, ...] = ()
    next_track: int = 0


class _Look(NamedTuple):
    """Whom a network is to be shown next: a person, its box, its place in the group, and what the last frame left."""

    track: int
    box: tuple[float, ...]
    place: int
    before: Tensor | None


class Online:
    """Follows people through a video, frame by frame; the network is put into eval mode."""

    def __init__(
        self,
        net: Net,
        task: Task,
        size: Size,
        least_score: float = 0.1,
        state: State = State(),  # noqa: B008
    ):
        group = as_group(task)
        self.net = net.eval() if isinstance(net, nn.Module) else net
        self.each, self.clip_length = group.each, group.clip_length
        self.moves = group.crop == PREVIOUS  # the crop does, inside a group
        self.size, self.least_score, self.state = size, least_score, state

    @torch.inference_mode()
    def step(
        self, image: Image, boxes: NDArray[np.float64] | None = None, tracks: Sequence[int] | None = None
    ) -> list[Followed]:
        """The people of the next frame, the surest first.

        `boxes` (N, 5) left, top, width, height, score: everybody who is in this frame, as a detector or the truth says:
        whoever overlaps a followed person is that person, the others come in, a followed person without a box has left.
        Where who is who is known, `tracks` are their numbers. None: nobody looked, and everybody stays who is found
        again with `least_score` or more; in the first frame the whole picture is one person. (0, 5): nobody is there.
        """
        picture = image.shape[0], image.shape[1]
        looks = self._given(boxes, tracks) if boxes is not None else self._kept(picture)
        people = self._found(image, [look for look in looks if box_.clipped(look.box, picture) is not None])
        if boxes is None:
            people = self._apart([one for one in people if one.score >= self.least_score])
        numbers = [self.state.next_track, *(look.track + 1 for look in looks)]
        self.state = State(tuple(people), max(numbers))
        return sorted(people, key=lambda one: -one.score)

    def _given(self, boxes: NDArray[np.float64], tracks: Sequence[int] | None) -> list[_Look]:
        """Whom boxes show: people who are followed, and new ones."""
        rows = [tuple(float(number) for number in row) for row in boxes.tolist()]
        if tracks is not None:
            if len(tracks) != len(rows):
                raise UserError(f"{len(rows)} boxes and {len(tracks)} tracks: give one number for each box")
            of_track = {one.track: one for one in self.state.people}
            return [self._next(of_track.get(track), row, track) for row, track in zip(rows, tracks, strict=True)]
        owners = self._owners(rows)
        free, looks = self.state.next_track, []
        for number, row in enumerate(rows):
            looks.append(self._next(owners.get(number), row, free))
            free += number not in owners
        return looks

    def _next(self, one: Followed | None, box: tuple[float, ...], track: int) -> _Look:
        """The next look at a person: at a key frame where the box is, inside a group where the group looks."""
        place = 0 if one is None else (one.place + 1) % self.clip_length
        if one is None or place == 0:
            return _Look(track if one is None else one.track, box, 0, None)
        own = around(one.keypoints, self.each.least_value) if self.moves else None
        return _Look(one.track, one.box if own is None else (*own, one.box[4]), place, one.heatmaps)

    def _kept(self, picture: Size) -> list[_Look]:
        """Where the people of the last frame are looked for where nobody gave a box."""
        if self.state == State():
            return [_Look(0, (0.0, 0.0, float(picture[1]), float(picture[0]), 1.0), 0, None)]
        looks = []
        for one in self.state.people:
            own = around(one.keypoints, self.each.least_value)
            if own is not None:
                looks.append(self._next(one, (*own, one.box[4]), one.track))
        return looks

    def _owners(self, rows: list[tuple[float, ...]]) -> dict[int, Followed]:
        """The followed person of each box that overlaps one, the largest overlaps first."""
        pairs = []
        for one in self.state.people:
            own = around(one.keypoints, self.each.least_value) or one.box[:4]
            pairs += [(overlap(own, row), number, one) for number, row in enumerate(rows)]
        owners: dict[int, Followed] = {}
        taken: set[int] = set()
        for share, number, one in sorted(pairs, key=lambda pair: -pair[0]):
            if share > SAME and number not in owners and one.track not in taken:
                owners[number] = one
                taken.add(one.track)
        return owners

    def _found(self, image: Image, looks: list[_Look]) -> list[Followed]:
        of_place: dict[int, list[_Look]] = defaultdict(list)
        for look in looks:
            of_place[look.place].append(look)
        people = []
        for place, some in sorted(of_place.items()):
            for first in range(0, len(some), BATCH):
                people += self._at_place(image, place, some[first : first + BATCH])
        return people

    def _at_place(self, image: Image, place: int, looks: list[_Look]) -> list[Followed]:
        boxes = np.array([look.box for look in looks])
        warps = [view.warp for view in self.each.views((image.shape[0], image.shape[1]), self.size, boxes)]
        pictures = [warp_picture(image, warp, self.size) for warp in warps]
        inputs = devices.beside(self.net, to_input(pictures, self.each.pixels))
        before = [look.before for look in looks if look.before is not None]
        outputs = self.net(inputs, torch.stack(before).to(inputs.device), place) if before else self.net(inputs)
        (heatmaps,) = outputs
        found = []
        people = self.each.people(outputs, None, self.size)
        for look, warp, maps, one in zip(looks, warps, heatmaps, people, strict=True):
            keypoints = to_files(one.keypoints, warp)[0]
            found.append(Followed(look.track, keypoints, float(one.scores[0]) * look.box[4], look.box, place, maps))
        return found

    def _apart(self, people: list[Followed]) -> list[Followed]:
        """The people without those who have become another: of two the surer stays."""
        if not self.each.sigmas or len(people) < 2:
            return people
        keypoints = np.stack([one.keypoints for one in people])
        areas = np.array([one.box[2] * one.box[3] for one in people])
        scores = np.array([one.score for one in people], np.float32)
        kept = oks_nms(keypoints[..., :2], scores, areas, np.array(self.each.sigmas), self.each.same_person)
        return [people[number] for number in sorted(kept.tolist())]


def around(keypoints: NDArray[np.float64], least: float) -> tuple[float, ...] | None:
    """The box around a person's joints (J, 3) with a value above the least, or None where there are too few."""
    points = keypoints[keypoints[:, 2] > least, :2]
    if len(points) < FEWEST:
        return None
    low, high = points.min(0), points.max(0)
    middle, sides = (low + high) / 2, np.maximum(high - low, 1.0) * AROUND
    return (*(middle - sides / 2).tolist(), *sides.tolist())


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """The area that two boxes have in common, as a share of what they cover together."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (one[2] * one[3] + other[2] * other[3] - width * height)
