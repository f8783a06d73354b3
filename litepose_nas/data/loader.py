"""Batches: decoded pictures, augmented or fitted, as tensors. A training batch depends only on seed and step."""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from litepose_nas.data import augment as aug
from litepose_nas.data import boxes as box_
from litepose_nas.data import pixels as pixels_
from litepose_nas.data.augment import Augment, Image, Matrix, Size
from litepose_nas.data.clips import Clip, clips
from litepose_nas.data.dataset import Dataset, Record
from litepose_nas.data.images import ignored_mask, load_picture
from litepose_nas.data.prefetch import work_ahead

CACHE_BYTES = 2**30
# First words of the seeds of the two kinds of draws.
_ORDER, CHANGES = 0, 1


class Batch(NamedTuple):
    """Pictures as a network takes them, with their people; continuous coordinates, see augment.py."""

    images: Tensor  # (B, 3, H, W) float32
    # (B, P, J, 3) float32: x, y in pixels of the input, flag; P >= 1, rows that only fill up are zero. Of clips, whose
    # images are (B, F, 3, H, W), a row is one person in a frame, and ids and boxes are those of B * F views.
    joints: Tensor
    masks: Tensor | None  # (B, H, W) bool: False on unlabelled people; None if there are none
    image_ids: tuple[int, ...] = ()
    boxes: NDArray[np.float64] | None = None  # (B, 5): left, top, width, height, score; None: pictures are whole
    pixels: str = pixels_.DEFAULT  # what the numbers of the images mean, a name in pixels.py

    def to(self, device: torch.device | str) -> Batch:
        """The batch on a device; a copy to a GPU does not wait for what the GPU is doing."""
        pin = torch.device(device).type == "cuda"

        def move(tensor: Tensor) -> Tensor:
            return (tensor.pin_memory() if pin else tensor).to(device, non_blocking=pin)

        masks = None if self.masks is None else move(self.masks)
        return self._replace(images=move(self.images), joints=move(self.joints), masks=masks)

    @property
    def singles(self) -> Batch:
        """The same views, frames of clips as pictures on their own."""
        if self.images.dim() == 4:
            return self
        return self._replace(images=self.images.flatten(0, 1), joints=self.joints.flatten(0, 1)[:, None])


Fitted = tuple[
    Batch, list[Matrix]
]  # pictures or cut-outs, and the map of each from the picture's pixels to the input's


class BatchItem(NamedTuple):
    image: Image
    joints: NDArray[np.float32]
    mask: NDArray[np.bool_] | None  # True where the loss counts
    image_id: int
    box: tuple[float, ...] | None = None


class View(NamedTuple):
    """What a network is shown of a picture: all of it, or a box with one person."""

    warp: Matrix
    box: tuple[float, ...] | None = None  # left, top, width, height, score
    people: slice = slice(None)  # those of the picture whose joints are wanted


class CachedBatches:
    """Views made ready once, to score many networks with; kept as bytes, a quarter of what a network takes."""

    def __init__(self, fitted: Iterable[Fitted]):
        self._kept = [(batch._replace(images=_packed(batch)), warps) for batch, warps in fitted]

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def batches(self) -> Iterator[Fitted]:
        """The batches, in their order, as often as one likes."""
        for batch, warps in self._kept:
            images = to_input(list(batch.images.flatten(0, -4).numpy()), batch.pixels)
            yield batch._replace(images=images.unflatten(0, batch.images.shape[:-3])), warps


class Pictures:
    """A dataset whose decoded pictures are kept in memory, as far as a number of bytes goes; threads may share it."""

    def __init__(self, dataset: Dataset, cache_bytes: int = CACHE_BYTES):
        self.dataset = dataset
        self.free_bytes = cache_bytes
        self._kept: dict[int, tuple[Image, NDArray[np.bool_] | None]] = {}
        self._lock = threading.Lock()
        self._clips: dict[int, list[Clip]] = {}

    def __len__(self) -> int:
        return len(self.dataset.records)

    @functools.cached_property
    def people(self) -> NDArray[np.int64]:
        """The places (picture, person) of all people with joints and a box in the picture."""
        places = [
            (index, person)
            for index, record in enumerate(self.dataset.records)
            for person, box in enumerate(record.boxes.tolist())
            if box_.clipped(box, (record.height, record.width)) is not None
        ]
        return np.array(places, np.int64).reshape(-1, 2)

    def clips(self, length: int) -> list[Clip]:
        """The clips of this length: one for each person with a box in the first frame."""
        if length not in self._clips:
            found = clips(self.dataset, length)
            seen = {(index, person) for index, person in self.people.tolist()}
            self._clips[length] = [clip for clip in found if (clip.images[0], clip.people[0]) in seen]
        return self._clips[length]

    def get(self, index: int) -> tuple[Image, NDArray[np.bool_] | None]:
        """A picture and its mask of unlabelled people (None if all are labelled); do not write into them."""
        found = self._kept.get(index)
        if found is None:
            record = self.dataset.records[index]
            image = load_picture(record)
            mask = ignored_mask(record) if record.ignored else None
            found = image, mask
            size = image.nbytes + (0 if mask is None else mask.nbytes)
            with self._lock:
                if index not in self._kept and size <= self.free_bytes:
                    self.free_bytes -= size
                    self._kept[index] = found
        return found


def train_batch(
    pictures: Pictures,
    size: Size,
    batch: int,
    seed: int,
    step: int,
    augment: Augment | None = Augment(),  # noqa: B008
    pixels: str = pixels_.DEFAULT,
) -> Batch:
    """The batch of a step: every picture once an epoch in a new order, each changed by its own draws.

    Without `augment` the whole pictures are shown as they are. An epoch may end inside a batch.
    """
    places = range(step * batch, (step + 1) * batch)
    samples = [
        _changed(pictures, shuffled(seed, place, len(pictures)), size, augment, [CHANGES, seed, step, position])
        for position, place in enumerate(places)
    ]
    return collate(samples, size, len(pictures.dataset.skeleton.names), pixels)


def batches(
    pictures: Pictures,
    size: Size | Callable[[int], Size],
    batch: int,
    seed: int,
    augment: Augment | None = Augment(),  # noqa: B008
    start: int = 0,
    stop: int | None = None,
    ahead: int | None = None,
    workers: int = 1,
    make_batch: Callable[..., Batch] = train_batch,
) -> Iterator[tuple[int, Batch, float]]:
    """Yield (step, its training batch, seconds waited for it) from a step on, prepared ahead by threads.

    `size` may depend on the step; `make_batch` is a task's. The stream is the same for any `ahead`, which is two more
    than the workers unless given, and any `workers`; without workers each batch is made when it is asked for.
    """

    def make(step: int) -> Batch:
        return make_batch(pictures, size(step) if callable(size) else size, batch, seed, step, augment)

    steps = itertools.count(start) if stop is None else range(start, stop)
    return work_ahead(make, steps, workers + 2 if ahead is None else ahead, workers)


def eval_batches(
    pictures: Pictures,
    size: Size,
    batch: int = 16,
    workers: int = 1,
    pixels: str = pixels_.DEFAULT,
) -> Iterator[Fitted]:
    """Yield whole pictures in the order of the dataset, each with its map to the input."""
    shots = [(i, View(aug.fit_warp(_size(record), size))) for i, record in enumerate(pictures.dataset.records)]
    return view_batches(pictures, shots, size, batch, workers, pixels)


def view_batches(
    pictures: Pictures,
    shots: Sequence[tuple[int, View]],
    size: Size,
    batch: int,
    workers: int = 1,
    pixels: str = pixels_.DEFAULT,
) -> Iterator[Fitted]:
    """Yield views of pictures, each (place in the dataset, view), in their order."""

    def make(part: Sequence[tuple[int, View]]) -> Fitted:
        samples = [view_item(pictures, index, view, size) for index, view in part]
        return collate(samples, size, len(pictures.dataset.skeleton.names), pixels), [view.warp for _, view in part]

    parts = [shots[first : first + batch] for first in range(0, len(shots), batch)]
    return (fitted for _, fitted, _ in work_ahead(make, parts, workers=workers))


def to_picture(image: Tensor, pixels: str = pixels_.DEFAULT) -> Image:
    """One (3, H, W) of a batch as the picture it was made of."""
    return pixels_.to_bytes(image.detach().cpu().float().numpy(), pixels)


def _packed(batch: Batch) -> Tensor:
    views = [to_picture(image, batch.pixels) for image in batch.images.flatten(0, -4)]
    return torch.from_numpy(np.stack(views)).unflatten(0, batch.images.shape[:-3])


def to_input(images: Sequence[Image], pixels: str = pixels_.DEFAULT) -> Tensor:
    """Pictures of one size as a network takes them, (B, 3, H, W)."""
    height, width = images[0].shape[:2]
    out = np.empty((len(images), 3, height, width), np.float32)
    tables, bgr = pixels_.table(pixels), pixels_.named_pixels(pixels).bgr
    for planes, image in zip(out, images, strict=True):
        for plane, values, table in zip(planes[::-1] if bgr else planes, cv2.split(image), tables, strict=True):
            cv2.LUT(values, table, plane)
    return torch.from_numpy(out)


@functools.lru_cache(maxsize=4)
def _epoch(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng([_ORDER, seed, epoch]).permutation(count)


def shuffled(seed: int, place: int, count: int) -> int:
    """Which of `count` things stands at a place in the stream of epochs."""
    epoch, item = divmod(place, count)
    return int(_epoch(seed, epoch, count)[item])


def _size(record: Record) -> Size:
    return record.height, record.width


def _changed(pictures: Pictures, index: int, size: Size, augment: Augment | None, seeds: list[int]) -> BatchItem:
    record = pictures.dataset.records[index]
    if augment is None:
        return view_item(pictures, index, View(aug.fit_warp(_size(record), size)), size)
    rng = np.random.default_rng(seeds)
    warp, flipped = aug.draw_warp(rng, _size(record), size, augment)
    mirror = pictures.dataset.skeleton.mirror if flipped else None
    sample = view_item(pictures, index, View(warp), size, mirror)
    return sample._replace(image=aug.change_colours(sample.image, aug.draw_colours(rng, augment)))


def view_item(pictures: Pictures, index: int, view: View, size: Size, mirror: Sequence[int] | None = None) -> BatchItem:
    """A view of a picture; `mirror` says which joint each becomes, where the view mirrors."""
    record = pictures.dataset.records[index]
    image, ignored = pictures.get(index)
    # Beyond the picture's edge there are no people, so the loss counts there. A box belongs to one person.
    mask = None if ignored is None or view.box is not None else ~aug.warp_mask(ignored, view.warp, size)
    return BatchItem(
        aug.warp_picture(image, view.warp, size),
        aug.warp_joints(continuous(record.joints[view.people]), view.warp, mirror),
        mask,
        record.image_id,
        view.box,
    )


def continuous(joints: NDArray[np.float32]) -> NDArray[np.float32]:
    """Joints (P, J, 3) of a COCO file in the program's coordinates."""
    return joints + np.array([aug.HALF, aug.HALF, 0], np.float32)


def collate(samples: list[BatchItem], size: Size, count: int, pixels: str = pixels_.DEFAULT) -> Batch:
    people = max(1, *(len(sample.joints) for sample in samples))
    joints = np.zeros((len(samples), people, count, 3), np.float32)
    for row, sample in zip(joints, samples, strict=True):
        row[: len(sample.joints)] = sample.joints
    masks = None
    if any(sample.mask is not None and not sample.mask.all() for sample in samples):
        whole = np.ones(size, bool)
        masks = torch.from_numpy(np.stack([whole if sample.mask is None else sample.mask for sample in samples]))
    images = to_input([sample.image for sample in samples], pixels)
    image_ids = tuple(sample.image_id for sample in samples)
    boxes = [sample.box for sample in samples if sample.box is not None]
    return Batch(images, torch.from_numpy(joints), masks, image_ids, np.array(boxes) if boxes else None, pixels)
