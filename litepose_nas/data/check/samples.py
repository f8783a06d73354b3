"""Drawn people of a split, each beside its mirror image: a wrong flip pair shows at a glance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.check.tolerant_reader import CheckedSplit
from litepose_nas.data.draw import draw_people
from litepose_nas.data.images import read_image
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.errors import UserError

SIZE = 300  # pixels of a drawing's longer side
MARGIN = 0.15
QUALITY = 85
_FRAME = (200, 200, 200)

Image = NDArray[np.uint8]


class SampleDrawing(NamedTuple):
    """A person as it is labelled, and as training sees it in a mirrored picture."""

    caption: str
    image: Image
    mirrored: Image


def good_samples(split: CheckedSplit, count: int) -> tuple[int, ...]:
    """The places of people to draw: one a picture, those with many joints, spread over the split."""
    people = split.people
    joints = (people.joints[..., 2] > 0).sum(1)
    ranked = np.lexsort((-people.boxes[:, 2] * people.boxes[:, 3], -joints))
    first: dict[int, int] = {}
    for place in ranked.tolist():
        if people.picture[place] >= 0:
            first.setdefault(int(people.picture[place]), place)
    best = list(first.values())
    best = best[: max(count, len(best) // 2)]  # the half with more joints
    count = min(count, len(best))
    return tuple(best[i * len(best) // count] for i in range(count))


def draw_samples(split: CheckedSplit, places: Iterable[int]) -> list[SampleDrawing]:
    """People at some places of a split's table as drawings; whose picture cannot be used are left out."""
    skeleton = split.skeleton
    samples = []
    for place in places:
        picture = split.pictures[split.people.picture[place]] if split.people.picture[place] >= 0 else None
        if picture is None or skeleton is None:
            continue
        try:
            image = read_image(picture.path)
        except UserError:
            continue
        if image.shape[:2] != (picture.height, picture.width):
            continue
        joints = split.people.joints[place] + (0.5, 0.5, 0)  # COCO calls the middle of the first pixel 0
        shown = draw_pair(image, joints.astype(np.float32), split.people.boxes[place], skeleton)
        samples.append(SampleDrawing(f"{picture.path.name}: {split.people.names[place]}", *shown))
    return samples


def draw_pair(
    image: Image, joints: NDArray[np.float32], box: NDArray[np.float64], skeleton: Skeleton
) -> tuple[Image, Image]:
    """A person (J, 3) cut out and drawn, and the same of the mirrored picture with the pairs exchanged."""
    left, top, right, bottom = _window(image, joints, box)
    cut = np.ascontiguousarray(image[top:bottom, left:right])
    wide = cut.shape[1]
    zoom = SIZE / max(cut.shape[:2])
    own = joints - np.array([left, top, 0], np.float32)
    other = own[list(skeleton.mirror)] * np.array([-1, 1, 1], np.float32) + np.array([wide, 0, 0], np.float32)
    frame = box - np.array([left, top, 0, 0])
    flipped = np.array([wide - frame[0] - frame[2], *frame[1:]])
    return (
        _drawn(cut, own, frame, skeleton, zoom),
        _drawn(np.ascontiguousarray(cut[:, ::-1]), other, flipped, skeleton, zoom),
    )


def jpeg(image: Image) -> bytes:
    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def _window(image: Image, joints: NDArray[np.float32], box: NDArray[np.float64]) -> tuple[int, int, int, int]:
    """The part of a picture to show: the box and the joints with a margin, as far as the picture goes."""
    height, width = image.shape[:2]
    points = np.vstack([joints[joints[:, 2] > 0, :2], [box[:2], box[:2] + box[2:]]])
    low, high = points.min(0), points.max(0)
    margin = MARGIN * float((high - low).max()) + 4
    left, top = np.clip(np.floor(low - margin), 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(np.ceil(high + margin), (left + 1, top + 1), (width, height)).astype(int)
    return int(left), int(top), int(right), int(bottom)


def _drawn(
    image: Image, joints: NDArray[np.float32], box: NDArray[np.float64], skeleton: Skeleton, zoom: float
) -> Image:
    drawn = draw_people(image, joints[None], skeleton, hidden=joints[None, :, 2] == 1, zoom=zoom, by_side=True)
    corners = np.clip(zoom * np.array([box[:2], box[:2] + box[2:]]), -1e4, 1e4).round().astype(int)
    cv2.rectangle(drawn, tuple(corners[0].tolist()), tuple(corners[1].tolist()), _FRAME, 1)
    return drawn
