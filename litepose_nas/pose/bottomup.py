"""The bottom-up task: a network sees whole pictures, and tags tell the joints of one person from another's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from litepose_nas.data import loader
from litepose_nas.data.augment import Augment, Size, fit_warp
from litepose_nas.data.boxes import Boxes
from litepose_nas.data.loader import Batch, Fitted, Pictures, View
from litepose_nas.data.pixels import DEFAULT, pixels_of
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.errors import UserError
from litepose_nas.pose.bottomup_decode import decode
from litepose_nas.pose.grouping import Grouping
from litepose_nas.pose.losses import LossSettings, bottomup_loss, distillation_loss
from litepose_nas.pose.people import People
from litepose_nas.pose.targets import bottomup_targets
from litepose_nas.pose.task import Loss, PicturePeople
from litepose_nas.task_kind import TaskKind


class BottomUp(NamedTuple):
    """The bottom-up task and the settings of its decode."""

    joints: int
    flip_pairs: tuple[tuple[int, int], ...] = ()  # joints that change places in the mirrored picture
    tag_cue: tuple[float, float] = (0.0, 0.0)  # added to the tags, see position_cue; as in training
    decode_at_input: bool = False  # upsample to the input size before the peaks are sought
    grouping: Grouping = Grouping()
    pixels: str = DEFAULT  # what the network takes for a picture, a name in data/pixels.py

    @property
    def kind(self) -> TaskKind:
        return TaskKind.BOTTOMUP

    @property
    def true_boxes(self) -> bool:
        return False

    @classmethod
    def from_info(cls, skeleton: Skeleton, info: Mapping[str, Any]) -> BottomUp:
        return cls(len(skeleton.names), skeleton.flip_pairs, tag_cue_of(info), pixels=pixels_of(info))

    def to_info(self) -> dict[str, Any]:
        return {"pixels": self.pixels, "tag_cue": list(self.tag_cue)}

    def with_boxes(self, boxes: Boxes, every: bool = False) -> NoReturn:
        raise UserError(f"{self.kind.why_no_boxes}; leave them out")

    def items(self, pictures: Pictures) -> int:
        return len(pictures)

    def train_batch(
        self, pictures: Pictures, size: Size, batch: int, seed: int, step: int, augment: Augment | None
    ) -> Batch:
        return loader.train_batch(pictures, size, batch, seed, step, augment, self.pixels)

    def eval_batches(self, pictures: Pictures, size: Size, batch: int = 16) -> Iterator[Fitted]:
        return loader.eval_batches(pictures, size, batch, pixels=self.pixels)

    def views(self, picture: Size, size: Size, boxes: NDArray[np.float64] | None = None) -> list[View]:
        return [View(fit_warp(picture, size))]

    def target(
        self, outputs: Sequence[Tensor], joints: Tensor, masks: Tensor | None, size: Size, settings: LossSettings
    ) -> Loss:
        sizes = [(output.shape[2], output.shape[3]) for output in outputs]
        on_maps: list[Tensor | None] = [None] * len(sizes)
        heatmaps, indices = bottomup_targets(joints, size, sizes, settings.sigma, settings.exact)
        if masks is not None:
            floats = masks.float()[:, None]
            on_maps = [F.interpolate(floats, size, mode="nearest")[:, 0] for size in sizes]
        return lambda outputs: bottomup_loss(outputs, heatmaps, on_maps, indices, settings)._asdict()

    def distillation(self, outputs: Sequence[Tensor], teacher: Sequence[Tensor], settings: LossSettings) -> Tensor:
        return distillation_loss(outputs, teacher, self.joints, settings)

    def people(self, outputs: Sequence[Tensor], flipped: Sequence[Tensor] | None, size: Size) -> list[People]:
        return decode(outputs, self, flipped, size)

    def gather(self, found: Sequence[PicturePeople]) -> list[PicturePeople]:
        """What was given: a picture has one view."""
        return list(found)


def tag_cue_of(info: Mapping[str, Any]) -> tuple[float, float]:
    """What a recipe or a file of weights says; nothing is added to the tags of those that others trained."""
    x, y = info.get("tag_cue", (0.0, 0.0))
    return float(x), float(y)
