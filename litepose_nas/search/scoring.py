"""Scoring a candidate: extract, calibrate, evaluate on held-out images, which are read from disk once."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from litepose_nas import devices
from litepose_nas.data.loader import CachedBatches, Fitted, Pictures
from litepose_nas.errors import UserError
from litepose_nas.inference.batches import predict_batches
from litepose_nas.metrics.coco import Truth, fast_ap, read_truth
from litepose_nas.metrics.results import Result
from litepose_nas.pose.people import DivergedError
from litepose_nas.pose.task import Task
from litepose_nas.space import Arch
from litepose_nas.supernet import Supernet, calibrate, extract
from litepose_nas.train.recipe import Recipe


class Protocol(NamedTuple):
    """How every candidate is scored; calibration depends on the batch size."""

    calibration: int = 64  # training images, not augmented, for the BatchNorm statistics
    batch: int = 16
    seed: int = 0


class Split(NamedTuple):
    """The training images, divided by image id."""

    train: Pictures  # for gradients and calibration
    heldout: Pictures  # networks are scored on these


class Scorer:
    """Scores networks on the same images in the same way, at each network's own resolution."""

    def __init__(
        self,
        split: Split,
        task: Task,
        recipe: Recipe,
        device: torch.device,
        protocol: Protocol,
        seeing: Task | None = None,
    ):
        """`seeing` is the task that the AP is measured with, if another: with a detector's boxes.

        The loss needs ground truth in its boxes, so it always takes the true ones.
        """
        self.split, self.task, self.recipe, self.device, self.protocol = split, task, recipe, device, protocol
        self.truth: Truth = read_truth(split.heldout.dataset)
        self.seen_by = seeing or task  # what the AP is measured with
        self._seeing = seeing
        remember = functools.lru_cache(maxsize=8)
        self._slice = remember(functools.partial(self._read_slice, task))
        self._seen = remember(functools.partial(self._read_slice, seeing)) if seeing else self._slice
        self.calibration = functools.lru_cache(maxsize=8)(self._read_calibration)

    def __call__(self, net: nn.Module, size: tuple[int, int], calibrated: bool = False) -> dict[str, float]:
        """Return loss and AP of a network, calibrating it first unless `calibrated`."""
        net = devices.place(net, self.device) if calibrated else self.calibrated(net, size)
        net.eval()
        try:
            results, loss = self._found_and_missed(net, size)
            if self._seeing:  # the loss pass used ground-truth boxes; AP needs the detector's
                results = self.found(net, size)
        except DivergedError:
            return {"ap": 0.0, "loss": float("inf")}
        return {"ap": fast_ap(self.truth, results), "loss": loss}

    def found(self, net: nn.Module, size: tuple[int, int]) -> list[Result]:
        """Return what a calibrated network finds in the held-out images."""
        return predict_batches(net, self._seen(size).batches, self.task, category_id=self.truth.category_id)

    def calibrated(self, net: nn.Module, size: tuple[int, int], again: int = 0) -> nn.Module:
        """Return the network, calibrated; each `again` from 1 up takes other images, or another order."""
        net = devices.place(net, self.device)
        calibrate(net, self.calibration(size, again))
        return net

    def _found_and_missed(self, net: nn.Module, size: tuple[int, int]) -> tuple[list[Result], float]:
        """Return results and mean loss on the held-out images, from one pass."""
        total, count, outputs = torch.zeros((), device=self.device), 0, ()

        def answer(images: Tensor) -> Sequence[Tensor]:
            nonlocal outputs
            outputs = net(images)
            return outputs

        def batches() -> Iterator[Fitted]:
            nonlocal total, count
            for fitted, warps in self._slice(size).batches:
                batch = fitted.to(self.device)
                yield batch, warps  # which lets `answer` be asked
                loss = self.task.target(outputs, batch.joints, batch.masks, size, self.recipe.loss)
                total = total + loss(outputs)["total"] * len(batch.images)
                count += len(batch.images)

        results = predict_batches(answer, batches(), self.task, category_id=self.truth.category_id)
        return results, float(total) / count

    def _read_slice(self, task: Task, size: tuple[int, int]) -> CachedBatches:
        found = CachedBatches(task.eval_batches(self.split.heldout, size, self.protocol.batch))
        if not len(found):
            raise UserError(
                f"{self.split.heldout.dataset.annotations}: nobody to judge by in {len(self.split.heldout)} held-out "
                "pictures; give more pictures with people"
            )
        return found

    def _read_calibration(self, size: tuple[int, int], again: int = 0) -> list[Tensor]:
        count = min(self.protocol.calibration, self.task.items(self.split.train))
        batch, seed = min(self.protocol.batch, count), self.protocol.seed + again
        whole = [
            self.task.train_batch(self.split.train, size, batch, seed, step, None).images
            for step in range(max(1, count // self.protocol.batch))
        ]
        return [images.to(self.device) for images in whole]


class SupernetScorer:
    """Scores architectures with the supernet's weights."""

    def __init__(self, supernet: Supernet, scorer: Scorer):
        self.supernet, self.scorer = supernet, scorer

    def __call__(self, arch: Arch, again: int = 0) -> dict[str, float]:
        """Return loss and AP of an architecture with the supernet's weights, and the pixels of its own resolution.

        Each `again` from 1 up calibrates with other images.
        """
        net = self.scorer.calibrated(extract(self.supernet, arch), arch.input, again)
        return {**self.scorer(net, arch.input, calibrated=True), "pixels": arch.input[0] * arch.input[1]}

    def found(self, arch: Arch) -> list[Result]:
        """Return what an architecture finds in the held-out images; nothing where its outputs are not finite."""
        net = self.scorer.calibrated(extract(self.supernet, arch), arch.input)
        try:
            return self.scorer.found(net.eval(), arch.input)
        except DivergedError:
            return []
