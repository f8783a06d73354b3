"""Where the time of a training step goes: data, forward, targets and loss, backward, optimizer.

    python benchmarks/training.py [--steps 6] [--widest]

One thread, CPU time (the clock of a shared machine lies). Rows: one network, litepose-xs at 256 px, batch 8, with ten
people a picture; a step of the sandwich (widest, smallest and two random networks with distillation) of litepose-tiny
at 128 px; with --widest the same of litepose at 256 px, which takes minutes. Targets and loss hold the way back from
the loss to the network's outputs as well. Data is what one picture after another costs; a training prepares batches
ahead in a thread of its own. The pieces are those of the trainees, and the gradients of both are compared.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

import litepose_nas as ln
from litepose_nas.data.loader import Batch, Pictures, train_batch
from litepose_nas.data.source import open_source
from litepose_nas.pose.bottomup import BottomUp
from litepose_nas.pose.losses import distillation_loss
from litepose_nas.resolve import resolve
from litepose_nas.store import Store
from litepose_nas.synthetic.dataset import write_toy
from litepose_nas.train.recipe import Recipe
from litepose_nas.train.trainee import NetTrainee, SupernetTrainee

PIECES = ("data", "forward", "targets and loss", "backward", "optimizer")


class Watch:
    """Adds up CPU seconds by name."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count the seconds of a block."""
        start = time.process_time()
        yield
        self.seconds[name] += time.process_time() - start


def gradients(watch: Watch, nets: Sequence[nn.Module], batch: Batch, recipe: Recipe, joints: int) -> None:
    """Add the gradients of a step's networks: the first learns the truth, the others from it too."""
    teacher = None
    for net in nets:
        with watch("forward"):
            outputs = net(batch.images)
        with watch("targets and loss"):
            if teacher is None:
                size = (batch.images.shape[2], batch.images.shape[3])
                truth = BottomUp(joints).target(outputs, batch.joints, batch.masks, size, recipe.loss)
            loss = truth(outputs)["total"]
            if teacher is not None:
                taught = distillation_loss(outputs, teacher, joints, recipe.loss)
                loss = (1 - recipe.distill) * loss + recipe.distill * taught
            back = torch.autograd.grad(loss, outputs)
        with watch("backward"):
            torch.autograd.backward(outputs, back)
        teacher = outputs if teacher is None else teacher


def optimizer_of(store: Store, recipe: Recipe) -> torch.optim.Optimizer:
    """Return AdamW on the flat store, as a training has it."""
    decayed, plain = store.parameters()
    return torch.optim.AdamW(
        [{"params": [decayed], "weight_decay": recipe.weight_decay}, {"params": [plain], "weight_decay": 0.0}],
        lr=1e-6,  # so that the network stays what it is
    )


def row(
    name: str, trainee: SupernetTrainee | NetTrainee, pictures: Pictures, size: int, people: int, steps: int
) -> str:
    """Return the row of a table: images a second, and the share of each piece."""
    recipe, watch = trainee.recipe, Watch()
    optimizer = optimizer_of(trainee.store, recipe)
    rng = torch.Generator().manual_seed(0)
    for step in range(steps + 1):
        if step == 1:
            watch = Watch()  # the first step warms up
        with watch("data"):
            batch = train_batch(pictures, (size, size), recipe.batch, 0, step, recipe.augment)
        if people:
            joints = torch.rand(recipe.batch, people, 17, 3, generator=rng) * torch.tensor([size, size, 3.0])
            joints[..., 2].floor_()
            batch = batch._replace(joints=joints)
        if isinstance(trainee, SupernetTrainee):
            nets: list[nn.Module] = [trainee._supernet.subnet(arch) for arch in trainee.archs(step)]
        else:
            nets = [trainee.net]
        gradients(watch, nets, batch, recipe, 17)
        if step == 0:
            check(trainee, batch, step)
        with watch("optimizer"):
            trainee.store.grad.mul_((recipe.clip / (trainee.store.grad.norm() + 1e-6)).clamp(max=1.0))
            optimizer.step()
            trainee.store.zero_grad()
    total = sum(watch.seconds.values())
    shares = " | ".join(f"{100 * watch.seconds[piece] / total:.1f} %" for piece in PIECES)
    return f"| {name} | {1e3 * total / steps:.0f} | {recipe.batch * steps / total:.1f} | {shares} |"


def check(trainee: SupernetTrainee | NetTrainee, batch: Batch, step: int) -> None:
    """Assert that what is measured is what a training does."""
    mine = trainee.store.grad.clone()
    trainee.store.zero_grad()
    trainee.backward(batch.images, batch.joints, batch.masks, step)
    torch.testing.assert_close(mine, trainee.store.grad, rtol=1e-3, atol=1e-4 * float(mine.abs().max()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--widest", action="store_true", help="the space litepose too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    random.seed(0)
    print(f"| step | ms | images/s | {' | '.join(PIECES)} |")
    print(f"|---|{'---|' * (2 + len(PIECES))}")
    sandwich = Recipe(widest_first=0.0)
    with tempfile.TemporaryDirectory() as folder:
        write_toy(Path(folder) / "small", train=64, val=1)
        write_toy(Path(folder) / "large", train=16, val=1, size=256, setting="hard")
        small, large = (Pictures(open_source(str(Path(folder) / name)).read("train")) for name in ("small", "large"))
        arch = resolve("litepose-xs").subnet.arch
        xs = NetTrainee(ln.build(arch), Recipe(batch=8), (256, 256), "cpu", 17)
        print(row("litepose-xs, 256 px, batch 8, 10 people", xs, large, 256, 10, options.steps), flush=True)
        spaces = [("litepose-tiny", small, 128, 16), *([("litepose", large, 256, 4)] if options.widest else [])]
        for name, pictures, size, batch in spaces:
            supernet = ln.Supernet(ln.Space.load(name), memory_format=torch.channels_last)
            recipe = Recipe(**{**sandwich.__dict__, "batch": batch})
            trainee = SupernetTrainee(supernet, recipe, options.steps, 0)
            label = f"{name}, sandwich of 4, {size} px, batch {batch}"
            print(row(label, trainee, pictures, size, 0, options.steps), flush=True)


if __name__ == "__main__":
    main()
