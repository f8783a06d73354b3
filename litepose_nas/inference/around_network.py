"""What the time of a network leaves out: preparing a picture for it, and finding people in its outputs.

The project's own inference looks at a picture, with a network that answers at once as a perfect one would: how long it
takes to find people depends on how many there are, and a network that has hardly been trained finds them everywhere.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from litepose_nas import devices
from litepose_nas.data.augment import Size
from litepose_nas.inference.pictures import predict_image
from litepose_nas.pose.targets import gaussian_heatmaps
from litepose_nas.pose.task import Task
from litepose_nas.pose.temporal import Temporal

PICTURE, PEOPLE = (480, 640), 3
LEAST, MOST, SECONDS = 5, 50, 0.3  # calls, and how long they may take together
APART = 3.0  # tags of one person and the next


class AroundNetwork(NamedTuple):
    prepare_ms: float  # the median of some calls
    decode_ms: float
    people: int  # who were found


def around_network(task: Task, maps: Sequence[tuple[int, int, int]], size: Size) -> AroundNetwork:
    """Measure both on one thread; `maps` are (channels, height, width) of the outputs, in their order.

    Of a clip it is one frame. A task that sees one person at a time is shown one.
    """
    task = task.each if isinstance(task, Temporal) else task
    one = task.kind.one_person
    outputs = perfect_outputs(maps[:1] if one else maps, task.joints, 1 if one else PEOPLE)
    picture = np.random.default_rng(0).integers(0, 256, (*PICTURE, 3), np.uint8)
    asked = 0.0

    def answer(images: Tensor) -> Sequence[Tensor]:
        nonlocal asked
        asked = time.perf_counter()
        return outputs

    prepared: list[float] = []
    decoded: list[float] = []
    found = 0
    before, begin = cv2.getNumThreads(), time.perf_counter()
    cv2.setNumThreads(1)
    try:
        with devices.one_thread(), torch.inference_mode():
            while len(prepared) <= LEAST or (len(prepared) <= MOST and time.perf_counter() - begin < SECONDS):
                start = time.perf_counter()
                found = len(predict_image(answer, task, picture, size, flip=False, least_score=0.0))
                decoded.append(time.perf_counter() - asked)
                prepared.append(asked - start)
    finally:
        cv2.setNumThreads(before)
    # The first call brings everything into the caches.
    return AroundNetwork(1e3 * statistics.median(prepared[1:]), 1e3 * statistics.median(decoded[1:]), found)


def perfect_outputs(maps: Sequence[tuple[int, int, int]], joints: int, people: int) -> list[Tensor]:
    """What a perfect network would say of so many people side by side: heatmaps, and behind them tags."""
    outputs = []
    for channels, height, width in maps:
        x = (torch.arange(people) + 0.5) / people * width
        y = (torch.arange(joints) + 0.5) / joints * height
        places = torch.ones(1, people, joints, 3)
        places[0, :, :, 0], places[0, :, :, 1] = x[:, None], y
        heatmaps = gaussian_heatmaps(places, (height, width))
        tags = APART * (torch.arange(width) * people // width).float().expand(1, channels - joints, height, width)
        outputs.append(torch.cat([heatmaps, tags], 1))
    return outputs
