"""An exported file in the place of the network that it was made from: it sees the same views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from litepose_nas.data.loader import to_picture
from litepose_nas.pose.people import DivergedError, People
from litepose_nas.pose.standalone.group_people import group_people
from litepose_nas.pose.task import Task
from litepose_nas.pose.topdown import TopDown
from litepose_nas.runtimes.base import Session


class FileNetwork:
    """What a file's session answers, for `predict_batches`."""

    def __init__(self, session: Session, pixels: str, reads_bytes: bool = False, free_batch: bool = False):
        """`pixels` is the convention of the views; only a file with a free batch size sees several views at once."""
        self._session, self._pixels, self._bytes, self._free = session, pixels, reads_bytes, free_batch

    def __call__(self, images: Tensor) -> list[Tensor]:
        batch = file_input(images, self._pixels, self._bytes)
        parts = [batch] if self._free else np.split(batch, len(batch))
        answers = [self._session(np.ascontiguousarray(part)) for part in parts]
        return [torch.from_numpy(np.concatenate(outputs)) for outputs in zip(*answers, strict=True)]


def file_input(images: Tensor, pixels: str, reads_bytes: bool) -> np.ndarray[Any, Any]:
    """Views as a file takes them."""
    return np.stack([to_picture(image, pixels) for image in images]) if reads_bytes else images.numpy()


class DecodedTask:
    """A task whose network answers with joints, or with peaks and perhaps maps."""

    def __init__(self, task: Task):
        self._task = task

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def people(
        self, outputs: Sequence[Tensor], flipped: Sequence[Tensor] | None, size: tuple[int, int]
    ) -> list[People]:
        if not all(bool(torch.isfinite(output).all()) for output in outputs):
            raise DivergedError("the file answers with NaN or infinity")
        if isinstance(self._task, TopDown):
            return self._task.scored(outputs[0])
        peaks, *maps = (output.numpy() for output in outputs)
        rest: list[Any] = [size] if maps else []
        return [People(*group_people(own, *more, *rest)) for own, *more in zip(peaks, *maps, strict=True)]
