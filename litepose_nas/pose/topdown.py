"""The top-down task: a network sees one person at a time, cut out by a box, and answers with heatmaps."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from litepose_nas.data import augment as aug
from litepose_nas.data import boxes as box_
from litepose_nas.data import loader
from litepose_nas.data.augment import Augment, Size
from litepose_nas.data.boxes import Box, Boxes
from litepose_nas.data.loader import Batch, BatchItem, Fitted, Pictures, View
from litepose_nas.data.pixels import DEFAULT, pixels_of
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.errors import UserError
from litepose_nas.pose.bottomup_decode import mirror_order
from litepose_nas.pose.codecs import decode_heatmaps, encode, mirrored_back, named_codec
from litepose_nas.pose.losses import LossSettings, heatmap_loss
from litepose_nas.pose.nms import oks_nms
from litepose_nas.pose.people import DivergedError, People
from litepose_nas.pose.task import Loss, PicturePeople
from litepose_nas.task_kind import TaskKind

# How much more the joints count that are hardest to find, where a recipe says so.
HARD = {"wrist": 1.5, "ankle": 1.5, "elbow": 1.2, "knee": 1.2}


class TopDown(NamedTuple):
    """The top-down task and the settings of its decode."""

    joints: int
    flip_pairs: tuple[tuple[int, int], ...] = ()  # joints that change places in the mirrored picture
    codec: str = "dark"  # as in training
    sigmas: tuple[float, ...] = ()  # of the joints, to tell whether two people are one; none: nobody is left out
    weights: tuple[float, ...] = ()  # of the joints in the loss; none: all alike
    boxes: Boxes | None = None  # where people are, by image; None: the true boxes
    least_value: float = 0.2  # joints below it do not count in a person's score
    same_person: float = 0.9  # object keypoint similarity above which two people are one
    pixels: str = DEFAULT  # what the network takes for a picture, a name in data/pixels.py

    @property
    def kind(self) -> TaskKind:
        return TaskKind.TOPDOWN

    @classmethod
    def from_info(cls, skeleton: Skeleton, info: Mapping[str, Any]) -> TopDown:
        """The task; files of weights that name no codec are of networks that others trained, with the plain one.

        `joints_weight` is for training: a recipe says it, a file does not.
        """
        weights = joint_weights(skeleton.names) if info.get("joints_weight") else ()
        joints, codec = len(skeleton.names), str(info.get("codec", "plain"))
        return cls(joints, skeleton.flip_pairs, codec, skeleton.sigmas, weights, pixels=pixels_of(info))

    def to_info(self) -> dict[str, Any]:
        return {"pixels": self.pixels, "codec": self.codec}

    def with_boxes(self, boxes: Boxes, every: bool = False) -> TopDown:
        return self._replace(boxes=boxes, sigmas=() if every else self.sigmas)

    @property
    def true_boxes(self) -> bool:
        return self.boxes is None

    def items(self, pictures: Pictures) -> int:
        return len(pictures.people)

    def train_batch(
        self, pictures: Pictures, size: Size, batch: int, seed: int, step: int, augment: Augment | None
    ) -> Batch:
        """Cut-outs: every person once an epoch in a new order, each changed by its own draws."""
        people, where = pictures.people, pictures.dataset.annotations
        if not len(people):
            raise UserError(
                f"{where}: no person with joints and a box in these pictures; a top-down network needs some"
            )
        samples = []
        for position, place in enumerate(range(step * batch, (step + 1) * batch)):
            index, person = people[loader.shuffled(seed, place, len(people))].tolist()
            record = pictures.dataset.records[index]
            box = box_.clipped(record.boxes[person].tolist(), (record.height, record.width))
            assert box is not None  # Pictures.people has no others
            joints, who = loader.continuous(record.joints[person]), slice(person, person + 1)
            rng = np.random.default_rng([loader.CHANGES, seed, step, position])
            samples.append(cut_out(pictures, index, who, box, joints, size, augment, rng))
        return loader.collate(samples, size, self.joints, self.pixels)

    def eval_batches(self, pictures: Pictures, size: Size, batch: int = 16) -> Iterator[Fitted]:
        """Yield a cut-out of each box, the true ones unless the task has others."""
        return loader.view_batches(pictures, self.shots(pictures, size), size, batch, pixels=self.pixels)

    def shots(self, pictures: Pictures, size: Size) -> list[tuple[int, View]]:
        """The boxes to look into, each with the place of its picture."""
        shots = []
        for index, record in enumerate(pictures.dataset.records):
            given = _true(record.boxes) if self.boxes is None else self.boxes.get(record.image_id, np.zeros((0, 5)))
            for view in self.views((record.height, record.width), size, given):
                shots.append((index, view if self.boxes is None else view._replace(people=slice(0))))
        return shots

    def views(self, picture: Size, size: Size, boxes: NDArray[np.float64] | None = None) -> list[View]:
        """A cut-out of each box that lies in the picture; without boxes the whole picture is one."""
        if boxes is None:
            whole = (0.0, 0.0, float(picture[1]), float(picture[0]), 1.0)
            return [View(aug.fit_warp(picture, size), whole)]
        views = []
        for number, row in enumerate(boxes.tolist()):
            box = box_.clipped(row, picture)
            if box is not None:
                warp = box_.crop_warp(box_.padded(box, size), size)
                views.append(View(warp, (*box, row[4]), slice(number, number + 1)))
        return views

    def target(
        self, outputs: Sequence[Tensor], joints: Tensor, masks: Tensor | None, size: Size, settings: LossSettings
    ) -> Loss:
        """The loss of the heatmaps; joints that nobody labelled ask for nothing."""
        (heatmaps,) = outputs
        maps = (heatmaps.shape[2], heatmaps.shape[3])
        wanted, asked = encode(joints[:, 0], size, maps, named_codec(self.codec), settings.sigma)
        weight = asked * _on_device(self.weights, joints.device) if self.weights else asked

        def loss(outputs: Sequence[Tensor]) -> dict[str, Tensor]:
            square = (self._checked(outputs).float() - wanted) ** 2
            if settings.foreground:
                square = square * (1 + settings.foreground * wanted)
            return {"total": (square.mean((2, 3)) * weight).mean()}

        return loss

    def distillation(self, outputs: Sequence[Tensor], teacher: Sequence[Tensor], settings: LossSettings) -> Tensor:
        wanted = self._checked(teacher).detach().float().clamp(0, 1)
        return heatmap_loss(self._checked(outputs), wanted, None, settings.foreground).mean()

    def people(self, outputs: Sequence[Tensor], flipped: Sequence[Tensor] | None, size: Size) -> list[People]:
        """The one person in each cut-out; the score is the mean over joints with a value that counts."""
        codec, heatmaps = named_codec(self.codec), self._checked(outputs).float()
        if flipped is not None:
            back = mirrored_back(self._checked(flipped).float(), mirror_order(self.joints, self.flip_pairs), codec)
            heatmaps = (heatmaps + back) / 2
        if not bool(torch.isfinite(heatmaps).all()):
            raise DivergedError(
                "heatmaps hold NaN or infinity: the network has diverged; go back to an earlier checkpoint"
            )
        return self.scored(decode_heatmaps(heatmaps, size, codec))

    def scored(self, joints: Tensor) -> list[People]:
        """The person of each cut-out from its joints (B, J, 3)."""
        found = (joints * (joints[..., 2:] > 0)).cpu().numpy()
        value = found[..., 2] * (found[..., 2] > self.least_value)
        scores = value.sum(1) / np.maximum((value > 0).sum(1), 1)
        return [People(person[None], score[None]) for person, score in zip(found, scores, strict=True)]

    def gather(self, found: Sequence[PicturePeople]) -> list[PicturePeople]:
        """The people of each picture, scored with their boxes; of two who are one the surer stays."""
        of_image: dict[int, list[PicturePeople]] = {}
        for one in found:
            of_image.setdefault(one.image_id, []).append(one)
        out = []
        for image_id, views in of_image.items():
            keypoints = np.concatenate([view.keypoints for view in views])
            scores = np.concatenate([view.scores * _score(view) for view in views]).astype(np.float32)
            kept = np.arange(len(scores))
            if self.sigmas:
                areas = np.array([view.area for view in views])
                kept = np.sort(oks_nms(keypoints[..., :2], scores, areas, np.array(self.sigmas), self.same_person))
            out.append(PicturePeople(image_id, keypoints[kept], scores[kept]))
        return out

    def _checked(self, outputs: Sequence[Tensor]) -> Tensor:
        (heatmaps,) = outputs
        if heatmaps.shape[1] != self.joints:
            raise UserError(
                f"the output has {heatmaps.shape[1]} channels, a task of {self.joints} joints needs as many: "
                "was the network built for other joints?"
            )
        return heatmaps


@functools.lru_cache(maxsize=16)  # or every step would wait for a copy to a GPU
def _on_device(weights: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(weights, device=device)


def joint_weights(names: Sequence[str]) -> tuple[float, ...]:
    """How much each joint counts where those that are hard to find shall count more, by their names."""
    weights = tuple(next((weight for part, weight in HARD.items() if part in name.lower()), 1.0) for name in names)
    if len(set(weights)) == 1:
        raise UserError(f"joints_weight: no joint of {', '.join(names)} is a {', '.join(HARD)}; leave it out")
    return weights


def cut_out(
    pictures: Pictures,
    index: int,
    people: slice,
    box: Box,
    joints: NDArray[np.float32],
    size: Size,
    augment: Augment | None,
    rng: np.random.Generator,
) -> BatchItem:
    """The cut-out of a box in a picture, for training; joints (J, 3) are those of the person who is looked at."""
    skeleton = pictures.dataset.skeleton
    if augment is None:
        warp, flipped = box_.crop_warp(box_.padded(box, size), size), False
    else:
        warp, flipped = box_.draw_crop(rng, box, joints, box_.lower_half(skeleton.names), size, augment)
    view = View(warp, (*box, 1.0), people)
    item = loader.view_item(pictures, index, view, size, skeleton.mirror if flipped else None)
    if augment is None:
        return item
    return item._replace(image=aug.change_colours(item.image, aug.draw_colours(rng, augment)))


def _true(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.column_stack([boxes.astype(np.float64), np.ones(len(boxes))])


def _score(view: PicturePeople) -> float:
    return 1.0 if view.box is None else float(view.box[4])
