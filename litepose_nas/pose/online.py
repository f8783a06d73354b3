"""Poses in a video as its frames come: nothing is remembered but what the frame before left behind.

    online = Online(net, task, size)            # a temporal group, or any top-down network
    for image in frames:
        people = online.step(image, boxes)      # boxes where somebody looked for people, None where nobody did

To go on later, or in another process, keep `online.state` and hand it to the next `Online(..., state=state)`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from litepose_nas.data.augment import Image, Size
from litepose_nas.evaluation import Net
from litepose_nas.pose.task import Task


class Followed(NamedTuple):
    """One person of the last frame."""

    track: int  # the same number in every frame, from 0 in the order of appearance
    keypoints: NDArray[np.float64]  # (J, 3): COCO's pixels of the frame, and a value
    score: float
    box: tuple[float, ...]  # left, top, width, height, score: where the group of frames looks, that of its key frame
    place: int  # of the last frame in its group: 0 is the key frame
    heatmaps: Tensor  # (J, h, w) of the last frame, in the crop of the box


class State(NamedTuple):
    """All that is remembered of a video: the people of its last frame, and the next free number."""

    people: tuple[Followed, ...] = ()
    next_track: int = 0


class Online:
    """Follows people through a video, frame by frame."""

    def __init__(
        self,
        net: Net,
        task: Task,
        size: Size,
        least_score: float = 0.1,
        state: State = State(),  # noqa: B008
    ):
        raise NotImplementedError

    def step(self, image: Image, boxes: NDArray[np.float64] | None = None) -> list[Followed]:
        """Return the people of the next frame, the surest first.

        `boxes` (N, 5) left, top, width, height, score: everybody who is in this frame, as a detector or the truth says:
        whoever overlaps a followed person is that person, the others come in, a followed person without a box has left.
        None: nobody looked, and everybody stays who is found again with `least_score` or more; in the first frame the
        whole picture is one person. (0, 5): nobody is there.
        """
        raise NotImplementedError
