"""The temporal task: a network sees one person through a clip, and answers with heatmaps for every frame of it.

Everything about single frames is the top-down task's. A clip is cut out by one box, that of its key frame, so that the
heatmaps of one frame lie on the picture of the next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from litepose_nas.data import boxes as box_
from litepose_nas.data import loader
from litepose_nas.data.augment import Augment, Matrix, Size
from litepose_nas.data.boxes import Box, Boxes
from litepose_nas.data.clips import Clip
from litepose_nas.data.dataset import Dataset
from litepose_nas.data.loader import Batch, BatchItem, Fitted, Pictures, View
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.errors import UserError
from litepose_nas.pose.losses import LossSettings
from litepose_nas.pose.people import People
from litepose_nas.pose.task import Loss, PicturePeople, Task
from litepose_nas.pose.topdown import TopDown, cut_out
from litepose_nas.task_kind import TaskKind

KEY, PREVIOUS = CROPS = ("key", "previous")  # whose box a later frame is cut out by: the key frame's, the last frame's
NOBODY = -1  # the image id of a frame in which nobody asked for the person


class Temporal(NamedTuple):
    """The temporal task: how a single frame is seen, how many frames a group has, and by whose box they are cut out."""

    each: TopDown
    clip_length: int  # the key frame among them
    crop: str = KEY

    @property
    def kind(self) -> TaskKind:
        return TaskKind.TEMPORAL

    @property
    def true_boxes(self) -> bool:
        return False  # it has no use for others

    @classmethod
    def from_info(cls, skeleton: Skeleton, info: Mapping[str, Any], clip_length: int) -> Temporal:
        return cls(TopDown.from_info(skeleton, info), clip_length, str(info.get("crop", KEY)))

    def to_info(self) -> dict[str, Any]:
        return {**self.each.to_info(), "crop": self.crop}

    @property
    def joints(self) -> int:
        return self.each.joints

    @property
    def pixels(self) -> str:
        return self.each.pixels

    def with_boxes(self, boxes: Boxes, every: bool = False) -> NoReturn:
        raise UserError(f"{self.kind.why_no_boxes}; leave them out")

    def items(self, pictures: Pictures) -> int:
        return len(pictures.clips(self.clip_length))

    def train_batch(
        self, pictures: Pictures, size: Size, batch: int, seed: int, step: int, augment: Augment | None
    ) -> Batch:
        """Clips: every one once an epoch in a new order, all its frames changed by the same draws."""
        found, where = pictures.clips(self.clip_length), pictures.dataset.annotations
        if not found:
            raise UserError(
                f"{where}: no person is followed through {self.clip_length} frames in a row; a temporal network needs "
                "videos with tracks, such as `litepose-nas data toy FOLDER --subject video` draws"
            )
        samples = []
        for position, place in enumerate(range(step * batch, (step + 1) * batch)):
            clip = found[loader.shuffled(seed, place, len(found))]
            samples += self._cut(pictures, clip, size, augment, [loader.CHANGES, seed, step, position])
        return _clips(loader.collate(samples, size, self.joints, self.pixels), self.clip_length)

    def eval_batches(self, pictures: Pictures, size: Size, batch: int = 16) -> Iterator[Fitted]:
        """Yield clips that show everybody in every frame once: the first is a key frame, the last may come early."""
        if self.each.boxes is not None:
            raise UserError("a temporal network follows people: it takes the true boxes, which say who is who")
        of_length: dict[int, list[Clip]] = defaultdict(list)
        for clip in groups(pictures.dataset, self.clip_length):
            of_length[len(clip.images)].append(clip)
        for frames, found in sorted(of_length.items(), reverse=True):
            for first in range(0, len(found), batch):
                yield self._fitted(pictures, found[first : first + batch], frames, size)

    def views(self, picture: Size, size: Size, boxes: NDArray[np.float64] | None = None) -> list[View]:
        return self.each.views(picture, size, boxes)

    def target(
        self, outputs: Sequence[Tensor], joints: Tensor, masks: Tensor | None, size: Size, settings: LossSettings
    ) -> Loss:
        """The loss of the frames after the key frame, whose network does not learn any more."""
        folded = _later(joints).flatten(0, 1)[:, None]
        loss = self.each.target(_folded(outputs), folded, None, size, settings)
        return lambda outputs: loss(_folded(outputs))

    def distillation(self, outputs: Sequence[Tensor], teacher: Sequence[Tensor], settings: LossSettings) -> Tensor:
        return self.each.distillation(_folded(outputs), _folded(teacher), settings)

    def people(self, outputs: Sequence[Tensor], flipped: Sequence[Tensor] | None, size: Size) -> list[People]:
        """The one person in each frame of each clip, clip by clip."""

        def every(outputs: Sequence[Tensor]) -> list[Tensor]:
            return [output.flatten(0, -4) for output in outputs]

        return self.each.people(every(outputs), None if flipped is None else every(flipped), size)

    def gather(self, found: Sequence[PicturePeople]) -> list[PicturePeople]:
        """The people of each picture; a frame in which nobody asked for the person is left out."""
        return self.each.gather([one for one in found if one.image_id != NOBODY])

    def _cut(
        self, pictures: Pictures, clip: Clip, size: Size, augment: Augment | None, seeds: list[int]
    ) -> list[BatchItem]:
        whole, samples = _joints(pictures.dataset, clip), []
        for (index, person), (number, box) in zip(_places(clip), self._looks(pictures.dataset, clip), strict=True):
            rng = np.random.default_rng(seeds)  # anew for every frame: all are turned, scaled and coloured alike
            samples.append(cut_out(pictures, index, _people(person), box, whole[number], size, augment, rng))
        return samples

    def _looks(self, dataset: Dataset, clip: Clip) -> list[tuple[int, Box]]:
        """By which frame's box each frame is cut out, and the box."""
        found: list[tuple[int, Box]] = []
        boxes = [_box(dataset, index, person) for index, person in _places(clip)]
        known = next((number, box) for number, box in enumerate(boxes) if box is not None)
        for number in range(len(boxes)):
            if self.crop == PREVIOUS and number and (box := boxes[number - 1]) is not None:
                known = number - 1, box
            found.append(known)
        return found

    def _fitted(self, pictures: Pictures, found: list[Clip], frames: int, size: Size) -> Fitted:
        samples: list[BatchItem] = []
        warps: list[Matrix] = []
        for clip in found:
            for (index, person), (_, box) in zip(_places(clip), self._looks(pictures.dataset, clip), strict=True):
                view = View(box_.crop_warp(box_.padded(box, size), size), (*box, 1.0), _people(person))
                sample = loader.view_item(pictures, index, view, size)
                samples.append(sample if person >= 0 else sample._replace(image_id=NOBODY))
                warps.append(view.warp)
        return _clips(loader.collate(samples, size, self.joints, self.pixels), frames), warps


def as_group(task: Task) -> Temporal:
    """A task that sees one person at a time as one of clips: a network of single frames is a group of one."""
    if isinstance(task, TopDown):
        return Temporal(task, 1)
    if not isinstance(task, Temporal):
        raise UserError("this network sees whole pictures, not one person at a time; it cannot follow anybody")
    return task


def groups(dataset: Dataset, frames: int) -> Iterator[Clip]:
    """Yield clips of at most so many frames that hold every frame of every followed person once, keys where it is seen.

    A group ends where the video has a gap, and with the last frame in which its person is labelled.
    """
    videos: dict[str, list[int]] = defaultdict(list)
    for place, record in enumerate(dataset.records):
        if record.video and record.frame >= 0:
            videos[record.video].append(place)
    for places in videos.values():
        places.sort(key=lambda place: dataset.records[place].frame)
        tracks: dict[int, dict[int, int]] = defaultdict(dict)  # of a track: its person in each place of the video
        for at, place in enumerate(places):
            record = dataset.records[place]
            for person, track in enumerate([] if record.track_ids is None else record.track_ids.tolist()):
                if track >= 0 and _box(dataset, place, person) is not None:
                    tracks[track][at] = person
        for track, people in tracks.items():
            at, last = min(people), max(people)
            while at <= last:
                end = at + 1
                while end <= last and end < at + frames and _next(dataset, places[end - 1], places[end]):
                    end += 1
                while end - 1 not in people:
                    end -= 1
                shown = tuple(people.get(i, -1) for i in range(at, end))
                yield Clip(tuple(places[at:end]), shown, track)
                at = min((i for i in people if i >= end), default=last + 1)


def _next(dataset: Dataset, one: int, other: int) -> bool:
    return dataset.records[other].frame == dataset.records[one].frame + 1


def _box(dataset: Dataset, index: int, person: int) -> Box | None:
    record = dataset.records[index]
    return None if person < 0 else box_.clipped(record.boxes[person].tolist(), (record.height, record.width))


def _joints(dataset: Dataset, clip: Clip) -> list[NDArray[np.float32]]:
    """The person's joints in each frame, continuous; none labelled where nobody is."""
    nobody = np.zeros((len(dataset.skeleton.names), 3), np.float32)
    places = _places(clip)
    return [nobody if p < 0 else loader.continuous(dataset.records[i].joints[p]) for i, p in places]


def _places(clip: Clip) -> list[tuple[int, int]]:
    return list(zip(clip.images, clip.people, strict=True))


def _people(person: int) -> slice:
    return slice(person, person + 1) if person >= 0 else slice(0)


def _clips(batch: Batch, frames: int) -> Batch:
    images, joints = batch.images.unflatten(0, (-1, frames)), batch.joints[:, 0].unflatten(0, (-1, frames))
    return batch._replace(images=images, joints=joints, masks=None)


def _later(frames: Tensor) -> Tensor:
    """(B, F, ...) without the key frame, where there are others."""
    return frames[:, 1:] if frames.shape[1] > 1 else frames


def _folded(outputs: Sequence[Tensor]) -> list[Tensor]:
    return [_later(output).flatten(0, 1) for output in outputs]
