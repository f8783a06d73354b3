"""What is trained: a supernet or a single network, each as a store of tensors and one step of gradients."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from litepose_nas import costs, devices
from litepose_nas.pose.bottomup import BottomUp
from litepose_nas.pose.task import Task
from litepose_nas.space import Arch, input_size
from litepose_nas.store import Store
from litepose_nas.supernet import Supernet
from litepose_nas.train.recipe import Recipe
from litepose_nas.train.sampling import drawn


class Trainee(Protocol):
    """What the loop needs to know of what it trains."""

    store: Store
    recipe: Recipe
    task: Task
    covers: bool  # whether the nets of every step reach all of the store

    def size(self, step: int) -> tuple[int, int]:
        """Height and width of the pictures of a step."""

    def work(self, step: int) -> float:
        """How much there is to compute in a step: a measure to compare steps by."""

    def backward(
        self, images: Tensor, joints: Tensor, masks: Tensor | None, step: int, scale: float = 1.0
    ) -> dict[str, Tensor]:
        """Add the gradients of one batch, times a scale, to the store; return the losses, `loss` among them."""


class SupernetTrainee:
    """A supernet: the widest net learns the truth, and in the same step others learn from both."""

    def __init__(
        self, supernet: Supernet, recipe: Recipe, steps: int, seed: int, size: tuple[int, int] | None = None,
        task: Task | None = None,
    ):  # fmt: skip
        self.task: Task = task or BottomUp(supernet.joints)
        self.store, self.recipe = supernet.store, recipe
        self.covers = recipe.sandwich and recipe.widest_every == 1 and supernet.has_every_block(supernet.space.widest)
        self._supernet, self._steps, self._seed, self._size = supernet, steps, seed, size

    def size(self, step: int) -> tuple[int, int]:
        """The resolution of the step, drawn once for all its nets: they could not be compared otherwise."""
        if self._size is not None:
            return self._size
        rng = random.Random(f"size {self._seed} {step}")
        return input_size(rng.choice(self._supernet.space.resolutions))

    def work(self, step: int) -> float:
        """The MACs of the networks of a step, for one picture."""
        high, wide = self.size(step)
        joints = self._supernet.joints
        macs = [costs.cost(arch, joints=joints).macs / math.prod(arch.input) for arch in self.archs(step)]
        return high * wide * sum(macs)

    def archs(self, step: int) -> list[Arch]:
        """The networks that learn in a step; where the widest is among them it comes first, and teaches the others."""
        space, recipe = self._supernet.space, self.recipe
        if not recipe.sandwich:
            return drawn(space, recipe.sampling, self._seed, step, 1)
        if step < recipe.widest_first * self._steps:
            return [space.widest]
        others = [space.smallest, *drawn(space, recipe.sampling, self._seed, step, recipe.random_nets)]
        return others if step % recipe.widest_every else [space.widest, *others]

    def backward(
        self, images: Tensor, joints: Tensor, masks: Tensor | None, step: int, scale: float = 1.0
    ) -> dict[str, Tensor]:
        first, *others = self.archs(step)
        outputs = self._supernet.subnet(first)(images)
        loss = self.task.target(outputs, joints, masks, (images.shape[-2], images.shape[-1]), self.recipe.loss)
        losses = loss(outputs)
        (scale * losses["total"]).backward()
        parts = {"loss": losses.pop("total"), **losses}
        share = self.recipe.distill if first == self._supernet.space.widest else 0.0
        smallest = self._supernet.space.smallest if self.recipe.sandwich else None
        if first == smallest:
            parts["smallest"] = parts["loss"]
        for arch in others:
            answer = self._supernet.subnet(arch)(images)
            truth = loss(answer)["total"]
            taught = self.task.distillation(answer, outputs, self.recipe.loss) if share else 0.0
            (scale * ((1 - share) * truth + share * taught)).backward()
            if arch == smallest:
                parts["smallest"] = truth
        return {name: value.detach() for name, value in parts.items()}


class NetTrainee:
    """A single network, with a teacher or without."""

    covers = True

    def __init__(
        self, net: nn.Module, recipe: Recipe, size: tuple[int, int], device: torch.device | str, joints: int,
        teacher: Callable[[Tensor], Sequence[Tensor]] | None = None, task: Task | None = None,
    ):  # fmt: skip
        where = torch.device(device)
        self.store, self.recipe = Store(net, where, devices.layout(where)), recipe
        self.task: Task = task or BottomUp(joints)
        self.net, self._size, self._teacher = net.train(), size, teacher

    def size(self, step: int) -> tuple[int, int]:
        return self._size

    def work(self, step: int) -> float:
        return 1.0

    def backward(
        self, images: Tensor, joints: Tensor, masks: Tensor | None, step: int, scale: float = 1.0
    ) -> dict[str, Tensor]:
        outputs = self.net(images)
        size = (images.shape[-2], images.shape[-1])
        losses = self.task.target(outputs, joints, masks, size, self.recipe.loss)(outputs)
        total = losses.pop("total")
        if self._teacher is not None and self.recipe.distill:
            with torch.no_grad():
                wanted = self._teacher(images)
            taught = self.task.distillation(outputs, wanted, self.recipe.loss)
            total = (1 - self.recipe.distill) * total + self.recipe.distill * taught
        (scale * total).backward()
        parts = {"loss": total, **losses}
        return {name: value.detach() for name, value in parts.items()}
