"""What is trained: a supernet or a single network, each as a store of tensors and one step of gradients."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from litepose_nas import devices
from litepose_nas.pose.losses import bottomup_loss, distillation_loss
from litepose_nas.pose.targets import bottomup_targets
from litepose_nas.space import Arch, input_size
from litepose_nas.store import Store
from litepose_nas.supernet import Supernet
from litepose_nas.train.recipe import Recipe


class Trainee(Protocol):
    """What the loop needs to know of what it trains."""

    store: Store
    recipe: Recipe
    covers: bool  # whether the nets of every step reach all of the store

    def size(self, step: int) -> tuple[int, int]:
        """Return height and width of the pictures of a step."""

    def backward(
        self, images: Tensor, joints: Tensor, masks: Tensor | None, step: int, scale: float = 1.0
    ) -> dict[str, Tensor]:
        """Add the gradients of one batch, times a scale, to the store; return the losses, `loss` among them."""


class Target:
    """The truth of one batch, made once for every net of the step."""

    def __init__(self, outputs: Sequence[Tensor], joints: Tensor, masks: Tensor | None, image: Tensor, recipe: Recipe):
        first, second = ((output.shape[2], output.shape[3]) for output in outputs)
        sizes, size = (first, second), (image.shape[2], image.shape[3])
        self.recipe = recipe
        self.heatmaps, self.indices = bottomup_targets(joints, size, sizes, recipe.sigma, recipe.exact)
        self.masks: list[Tensor | None] = [None] * len(sizes)
        if masks is not None:
            floats = masks.float()[:, None]
            self.masks = [nn.functional.interpolate(floats, size, mode="nearest")[:, 0] for size in sizes]

    def loss(self, outputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return the loss of outputs against the truth, and its parts."""
        return bottomup_loss(outputs, self.heatmaps, self.masks, self.indices, self.recipe.loss)._asdict()


class SupernetTrainee:
    """A supernet: each step the widest net learns the truth, and others from it."""

    def __init__(self, supernet: Supernet, recipe: Recipe, steps: int, seed: int, size: tuple[int, int] | None = None):
        self.store, self.recipe, self.covers = supernet.store, recipe, recipe.sandwich
        self._supernet, self._steps, self._seed, self._size = supernet, steps, seed, size

    def size(self, step: int) -> tuple[int, int]:
        """Return the resolution of the step, drawn once for all its nets: they could not be compared otherwise."""
        if self._size is not None:
            return self._size
        rng = random.Random(f"size {self._seed} {step}")
        genes = [gene for gene in self._supernet.space.genes if gene.path == "resolution"]
        return input_size(rng.choice(genes[0].choices)) if genes else self._supernet.space.widest.input

    def archs(self, step: int) -> list[Arch]:
        """Return the architectures of the step."""
        space, rng = self._supernet.space, random.Random(f"archs {self._seed} {step}")
        if not self.recipe.sandwich:
            return [space.sample(rng)]
        if step < self.recipe.widest_first * self._steps:
            return [space.widest]
        return [space.widest, space.smallest, *(space.sample(rng) for _ in range(self.recipe.random_nets))]

    def backward(
        self, images: Tensor, joints: Tensor, masks: Tensor | None, step: int, scale: float = 1.0
    ) -> dict[str, Tensor]:
        """Add the gradients of every net of the step."""
        first, *others = self.archs(step)
        outputs = self._supernet.subnet(first)(images)
        target = Target(outputs, joints, masks, images, self.recipe)
        losses = target.loss(outputs)
        (scale * losses["total"]).backward()
        parts = {"loss": losses["total"], **{name: losses[name] for name in ("heatmap", "push", "pull")}}
        share = self.recipe.distill
        for number, arch in enumerate(others):
            answer = self._supernet.subnet(arch)(images)
            truth = target.loss(answer)["total"]
            taught = distillation_loss(answer, outputs, self._supernet.joints, self.recipe.loss) if share else 0.0
            (scale * ((1 - share) * truth + share * taught)).backward()
            if number == 0:
                parts["smallest"] = truth
        return {name: value.detach() for name, value in parts.items()}


class NetTrainee:
    """A single network, with a teacher or without."""

    covers = True

    def __init__(
        self, net: nn.Module, recipe: Recipe, size: tuple[int, int], device: torch.device | str, joints: int,
        teacher: nn.Module | None = None,
    ):  # fmt: skip
        where = torch.device(device)
        self.store, self.recipe = Store(net, where, devices.layout(where)), recipe
        self.net, self._size, self._joints, self._teacher = net.train(), size, joints, teacher

    def size(self, step: int) -> tuple[int, int]:
        """Return the network's own resolution."""
        return self._size

    def backward(
        self, images: Tensor, joints: Tensor, masks: Tensor | None, step: int, scale: float = 1.0
    ) -> dict[str, Tensor]:
        """Add the gradients of one batch."""
        outputs = self.net(images)
        losses = Target(outputs, joints, masks, images, self.recipe).loss(outputs)
        total = losses["total"]
        if self._teacher is not None and self.recipe.distill:
            with torch.no_grad():
                wanted = self._teacher(images)
            taught = distillation_loss(outputs, wanted, self._joints, self.recipe.loss)
            total = (1 - self.recipe.distill) * total + self.recipe.distill * taught
        (scale * total).backward()
        parts = {"loss": total, **{name: losses[name] for name in ("heatmap", "push", "pull")}}
        return {name: value.detach() for name, value in parts.items()}
