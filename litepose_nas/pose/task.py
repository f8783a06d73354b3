"""What a task is: everything about poses that depends on whether a network sees whole pictures or one person at a time.

Each task is one file beside this one. Training, scoring, evaluation and prediction know no more of it than stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from litepose_nas.data.augment import Augment, Size
from litepose_nas.data.boxes import Boxes
from litepose_nas.data.loader import Batch, Fitted, Pictures, View
from litepose_nas.pose.losses import LossSettings
from litepose_nas.pose.people import People
from litepose_nas.task_kind import TaskKind

Loss = Callable[[Sequence[Tensor]], dict[str, Tensor]]  # of outputs: `total`, for backward, and its parts


class PicturePeople(NamedTuple):
    """The people found in one view of a picture, or in all of them."""

    image_id: int
    keypoints: NDArray[np.float64]  # (P, J, 3): COCO's pixels of the picture, and a value
    scores: NDArray[np.float32]  # (P,)
    box: NDArray[np.float64] | None = None  # left, top, width, height, score of the person who was looked at
    area: float = 0.0  # of what the view shows, in pixels of the picture


class Task(Protocol):
    """What every task offers. It holds the settings that must be alike in training and in use."""

    @property
    def kind(self) -> TaskKind: ...

    @property
    def joints(self) -> int: ...

    @property
    def pixels(self) -> str:
        """What the network takes for a picture, a name in data/pixels.py."""

    @property
    def true_boxes(self) -> bool:
        """Whether it looks into the true boxes only because no others were given."""

    def to_info(self) -> dict[str, Any]:
        """What must travel with weights; each task has a `from_info` that reads it."""

    def with_boxes(self, boxes: Boxes, every: bool = False) -> Task:
        """The task that looks into these boxes, by image; with `every`, nobody is taken for another's double."""

    def items(self, pictures: Pictures) -> int:
        """How many things there are to learn from in an epoch: pictures or people."""

    def train_batch(
        self, pictures: Pictures, size: Size, batch: int, seed: int, step: int, augment: Augment | None
    ) -> Batch:
        """The training batch of a step; it depends on nothing else. None: nothing is augmented."""

    def eval_batches(self, pictures: Pictures, size: Size, batch: int = 16) -> Iterator[Fitted]:
        """Yield every view of the pictures in their order, each with its map."""

    def views(self, picture: Size, size: Size, boxes: NDArray[np.float64] | None = None) -> list[View]:
        """What a network is shown of one picture; boxes (N, 5) are for a task that needs them."""

    def target(
        self, outputs: Sequence[Tensor], joints: Tensor, masks: Tensor | None, size: Size, settings: LossSettings
    ) -> Loss:
        """The loss against the truth of one batch, made once for all networks whose outputs are so large."""

    def distillation(self, outputs: Sequence[Tensor], teacher: Sequence[Tensor], settings: LossSettings) -> Tensor:
        """How far outputs are from a teacher's."""

    def people(self, outputs: Sequence[Tensor], flipped: Sequence[Tensor] | None, size: Size) -> list[People]:
        """The people in each view, in pixels of the input, from outputs and those of the mirrored views."""

    def gather(self, found: Sequence[PicturePeople]) -> list[PicturePeople]:
        """The people of each picture from those of its views."""
