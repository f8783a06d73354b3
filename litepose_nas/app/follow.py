"""Who is who from frame to frame. It needs numpy, and the network of `network.py`."""

from __future__ import annotations

from typing import Any

import look
import numpy as np
from network import LEAST_VALUE, SAME_PERSON, Finder, Person

LEAST = 0.2  # similarity below which two poses are not one person's
PATIENCE = 6  # frames in which somebody may be lost and keep the number
COMMON = 3  # joints that two poses must share to be compared by them
SAME = 0.3  # overlap above which a box is that of a followed person
EVERY = 5  # frames after which the detector looks again


def follower(finder: Finder, least_score: float = 0.1) -> Any:
    return EachFollower(finder, least_score) if finder.network.one_person else EverybodyFollower(finder, least_score)


class EverybodyFollower:
    """Numbers the people whom a bottom-up network finds in every frame: the most similar pairs of poses first."""

    def __init__(self, finder: Finder, least_score: float):
        self.finder, self.least_score = finder, least_score
        self.known: list[tuple[int, np.ndarray, int]] = []  # number, pose when last seen, frames since
        self.free = 0

    def step(self, image: np.ndarray) -> list[Person]:
        people = self.finder.people(image, self.least_score)
        for one in people:
            one.keypoints = np.round(one.keypoints, 3)
        sigmas = self.finder.network.sigmas
        similar = np.array(
            [[similarity(one.keypoints, pose, sigmas) for _, pose, _ in self.known] for one in people], float
        ).reshape(len(people), len(self.known))
        pairs = dict(greedy_pairs(similar))
        for row, one in enumerate(people):
            if row in pairs:
                one.track = self.known[pairs[row]][0]
            else:
                one.track, self.free = self.free, self.free + 1
        found = set(pairs.values())
        lost = [(number, pose, age + 1) for at, (number, pose, age) in enumerate(self.known) if at not in found]
        seen = [(int(one.track or 0), one.keypoints, 0) for one in people]
        self.known = seen + [one for one in lost if one[2] <= PATIENCE]
        return people


class EachFollower:
    """Follows people with a network that sees one at a time: from pose to pose, and the detector lets others in.

    Without a detector the first frame is one person.
    """

    def __init__(self, finder: Finder, least_score: float):
        self.finder, self.least_score = finder, least_score
        self.people: list[tuple[int, np.ndarray, float, look.Box]] = []  # number, pose, score, box with its score
        self.free, self.place = 0, 0

    def step(self, image: np.ndarray) -> list[Person]:
        size, new = image.shape[:2], self.free
        boxes, looked = self._boxes(image)
        looks = self._given(boxes) if looked else self._kept(size)
        self.free = max([self.free, *(number + 1 for number, _ in looks)])
        people = self._found(image, [one for one in looks if look.clipped(one[1], size) is not None])
        if not looked:
            people = self._sure_of(people)
        people = [one for one in people if one[2] >= self.least_score]
        people.sort(key=lambda one: -one[2])
        people.sort(key=lambda one: one[0] >= new)  # whoever has been followed stays before whoever came in
        self.people = self._apart(people)
        self.place += 1
        return [Person(pose, score, number) for number, pose, score, _ in sorted(self.people, key=lambda one: -one[2])]

    def _boxes(self, image: np.ndarray) -> tuple[list[look.Box], bool]:
        """Boxes of everybody, and whether somebody looked for them."""
        if self.finder.detector is None:
            height, width = image.shape[:2]
            return ([] if self.people else [(0.0, 0.0, float(width), float(height), 1.0)]), not self.people
        if self.people and self.place % EVERY:
            return [], False
        rows = look.without_doubles([tuple(row) for row in self.finder.boxes(image).tolist()])
        for _, pose, _, box in self.people:  # those whom it overlooked stay
            own = look.around(pose, LEAST_VALUE)
            if own is not None and not any(look.overlap(own, row) > SAME for row in rows):
                rows.append((*own, box[4]))
        return rows, True

    def _given(self, boxes: list[look.Box]) -> list[tuple[int, look.Box]]:
        pairs = []
        for at, (_, pose, _, box) in enumerate(self.people):
            own = look.around(pose, LEAST_VALUE) or box[:4]
            pairs += [(look.overlap(own, row), number, at) for number, row in enumerate(boxes)]
        owners: dict[int, int] = {}
        for share, number, at in sorted(pairs, key=lambda pair: -pair[0]):
            if share > SAME and number not in owners and at not in owners.values():
                owners[number] = at
        free, looks = self.free, []
        for number, row in enumerate(boxes):
            looks.append((self.people[owners[number]][0] if number in owners else free, row))
            free += number not in owners
        return looks

    def _kept(self, size: tuple[int, int]) -> list[tuple[int, look.Box]]:
        looks = []
        for number, pose, _, box in self.people:
            own = look.around(pose, LEAST_VALUE)
            if own is not None:
                looks.append((number, (*own, box[4])))
        return looks

    def _found(self, image: np.ndarray, looks: list[tuple[int, look.Box]]) -> list[Any]:
        if not looks:
            return []
        size, network = image.shape[:2], self.finder.network
        warps = []
        for _, box in looks:
            part = look.clipped(box, size)
            assert part is not None
            warps.append(look.cut_out(part, network.input))
        poses, scores = network.at(image, warps)
        rows = zip(looks, poses, scores, strict=True)
        return [(number, pose, float(score) * box[4], box) for (number, box), pose, score in rows]

    def _sure_of(self, people: list[Any]) -> list[Any]:
        """The people without those who have become another: of two the surer stays."""
        people = [one for one in people if one[2] >= self.least_score]
        if len(people) < 2:
            return people
        areas = np.array([box[2] * box[3] for _, _, _, box in people])
        scores, poses = np.array([score for _, _, score, _ in people]), np.stack([pose for _, pose, _, _ in people])
        return [people[at] for at in look.surest(poses, scores, areas, self.finder.network.sigmas, SAME_PERSON)]

    def _apart(self, people: list[Any]) -> list[Any]:
        kept: list[Any] = []
        for one in people:
            alike = (similarity(one[1], other[1], self.finder.network.sigmas) for other in kept)
            if not any(share > look.DOUBLE for share in alike):
                kept.append(one)
        return kept


def greedy_pairs(similar: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (row, column), the most similar first, each row and column once."""
    pairs: list[tuple[int, int]] = []
    rows: set[int] = set()
    columns: set[int] = set()
    order = np.argsort(-similar, axis=None, kind="stable")
    for row, column in zip(*np.unravel_index(order, similar.shape), strict=True):
        if similar[row, column] < LEAST:
            break
        if row not in rows and column not in columns:
            pairs.append((int(row), int(column)))
            rows.add(row)
            columns.add(column)
    return pairs


def similarity(one: np.ndarray, other: np.ndarray, sigmas: np.ndarray) -> float:
    """The mean of the overlap of two poses' boxes and the similarity of their joints; 0 where one has no joint."""
    boxes = [pose[pose[:, 2] > 0, :2] for pose in (one, other)]
    if not all(len(points) for points in boxes):
        return 0.0
    corners = [(points.min(0), np.maximum(points.max(0), points.min(0) + 1)) for points in boxes]
    low, high = np.maximum(corners[0][0], corners[1][0]), np.minimum(corners[0][1], corners[1][1])
    common = float(np.prod(np.maximum(high - low, 0)))
    areas = [float(np.prod(end - begin)) for begin, end in corners]
    shared = common / (sum(areas) - common)
    both = (one[:, 2] > 0) & (other[:, 2] > 0)
    if both.sum() < COMMON:
        return shared
    square = ((one[both, :2] - other[both, :2]) ** 2).sum(1)
    spread = (2 * sigmas[both]) ** 2 * 2 * (sum(areas) / 2)
    return (shared + float(np.exp(-square / spread).mean())) / 2
