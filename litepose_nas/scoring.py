"""Scoring a candidate: extract, calibrate, look at a held-out slice. Nothing is read from disk after the first time."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from litepose_nas import devices
from litepose_nas.data.loader import Batch, Cached, Fitted, Pictures
from litepose_nas.errors import UserError
from litepose_nas.evaluation import predict_batches
from litepose_nas.metrics.coco import Truth, fast_ap, read_truth
from litepose_nas.metrics.results import Result
from litepose_nas.pose.decode import DivergedError
from litepose_nas.pose.task import Task
from litepose_nas.space import Arch
from litepose_nas.supernet import Supernet, calibrate, extract
from litepose_nas.train.recipe import Recipe


class Protocol(NamedTuple):
    """What every candidate is measured with; the batch size matters to calibration, so it is part of it."""

    calibration: int = 64  # pictures of the training rest, as they are, for the BN statistics
    batch: int = 16
    seed: int = 0


class Held(NamedTuple):
    """The pictures nets are judged by, and those they are calibrated with."""

    slice: Pictures  # split off the training pictures, never used for gradients
    rest: Pictures


class Judge:
    """Scores networks on the same pictures in the same way, at whatever size they take."""

    def __init__(
        self,
        held: Held,
        task: Task,
        recipe: Recipe,
        device: torch.device,
        protocol: Protocol,
        seeing: Task | None = None,
    ):
        """Take the pictures and what a network has to do with them; `seeing` is a task that looks elsewhere for the AP.

        Boxes that a detector found are such: the loss needs to know who is in them, so it takes the true ones.
        """
        self.held, self.task, self.recipe, self.device, self.protocol = held, task, recipe, device, protocol
        self.truth: Truth = read_truth(held.slice.dataset)
        self._seeing = seeing
        remember = functools.lru_cache(maxsize=8)
        self._slice = remember(functools.partial(self._read_slice, task))
        self._seen = remember(functools.partial(self._read_slice, seeing)) if seeing else self._slice
        self.calibration = functools.lru_cache(maxsize=8)(self._read_calibration)

    def __call__(self, net: nn.Module, size: tuple[int, int], calibrated: bool = False) -> dict[str, float]:
        """Return loss and AP of a network, calibrating it first unless told that it is."""
        net = devices.place(net, self.device) if calibrated else self.calibrated(net, size)
        net.eval()
        try:
            results, loss = self._found_and_missed(net, size)
            if self._seeing:  # who was found on the way was looked for in the wrong places
                results = self.found(net, size)
        except DivergedError:
            return {"ap": 0.0, "loss": float("inf")}
        return {"ap": fast_ap(self.truth, results), "loss": loss}

    def found(self, net: nn.Module, size: tuple[int, int]) -> list[Result]:
        """Return whom a calibrated network finds in the slice."""
        return predict_batches(net, self._seen(size).batches, self.task, category_id=self.truth.category_id)

    def calibrated(self, net: nn.Module, size: tuple[int, int], again: int = 0) -> nn.Module:
        """Return the network, calibrated; each `again` from 1 up shows it pictures in another order, or others."""
        net = devices.place(net, self.device)
        calibrate(net, self.calibration(size, again))
        return net

    def _found_and_missed(self, net: nn.Module, size: tuple[int, int]) -> tuple[list[Result], float]:
        """Return whom a network finds in the slice, and its mean loss there, from one look at each picture."""
        total, count, outputs = torch.zeros((), device=self.device), 0, ()

        def answer(images: Tensor) -> Sequence[Tensor]:
            nonlocal outputs
            outputs = net(images.to(self.device))
            return outputs

        def batches() -> Iterator[Fitted]:
            nonlocal total, count
            for batch, warps in self._slice(size).batches:
                yield batch, warps  # which lets `answer` be asked
                joints, masks = _truth_on(batch, self.device)
                loss = self.task.target(outputs, joints, masks, size, self.recipe.loss)
                total = total + loss(outputs)["total"] * len(batch.images)
                count += len(batch.images)

        results = predict_batches(answer, batches(), self.task, category_id=self.truth.category_id)
        return results, float(total) / count

    def _read_slice(self, task: Task, size: tuple[int, int]) -> Cached:
        found = Cached(task.eval_batches(self.held.slice, size, self.protocol.batch))
        if not len(found):
            raise UserError(
                f"{self.held.slice.dataset.annotations}: nobody to judge by in {len(self.held.slice)} held-out "
                "pictures; give more pictures with people"
            )
        return found

    def _read_calibration(self, size: tuple[int, int], again: int = 0) -> list[Tensor]:
        count = min(self.protocol.calibration, self.task.items(self.held.rest))
        batch, seed = min(self.protocol.batch, count), self.protocol.seed + again
        whole = [
            self.task.train_batch(self.held.rest, size, batch, seed, step, None).images
            for step in range(max(1, count // self.protocol.batch))
        ]
        return [images.to(self.device) for images in whole]


class Candidates:
    """Scores architectures of a supernet."""

    def __init__(self, supernet: Supernet, judge: Judge):
        self.supernet, self.judge = supernet, judge

    def __call__(self, arch: Arch, again: int = 0) -> dict[str, float]:
        """Return loss and AP of an architecture with the supernet's weights, at its own resolution.

        Each `again` from 1 up calibrates with other images.
        """
        net = self.judge.calibrated(extract(self.supernet, arch), arch.input, again)
        return self.judge(net, arch.input, calibrated=True)

    def found(self, arch: Arch) -> list[Result]:
        """Return whom an architecture finds in the slice; nobody, where its outputs are no numbers."""
        net = self.judge.calibrated(extract(self.supernet, arch), arch.input)
        try:
            return self.judge.found(net.eval(), arch.input)
        except DivergedError:
            return []


def _truth_on(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor | None]:
    masks = None if batch.masks is None else batch.masks.to(device)
    return batch.joints.to(device), masks
