"""Which way of sharing weights between numbers of groups ranks networks best? A tiny top-down space on drawn people.

    python benchmarks/groups.py [--folder DIR] [--nets 16] [--seeds 2] [--truths 2] [--steps 250] [--alone 150]

Three bottlenecks whose widths, kernels and groups are elastic, trained as a supernet once with each rule, the
same steps and seeds; networks from all strata of the cost are scored with what they inherit, on a held-out slice, and
trained alone as truth. Alone, the rules are one network in other arrangements, so the truth is trained once. Every
result is a line in the folder; the same command goes on where it was stopped.

- lanes: parts of one weight between lanes of channels, what this project uses (litepose_nas/blocks/groups.py).
- contiguous: blocks on the diagonal of one dense weight, the channels of each width dealt anew, side by side.
- head: the head of the axes of torch's own grouped weight; the groups of another number read other channels by it.
- own: a weight for each number of groups, shared between widths and kernels alone.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import litepose_nas as ln
from litepose_nas.blocks import Part
from litepose_nas.blocks.bottleneck import Bottleneck
from litepose_nas.blocks.deconv import Answer
from litepose_nas.blocks.entry import Entry, MaxPool
from litepose_nas.blocks.groups import deal
from litepose_nas.data.augment import Augment
from litepose_nas.data.loader import Batch
from litepose_nas.data.source import open_source
from litepose_nas.layers.conv import conv_bn, dense
from litepose_nas.pose.make_task import make_task
from litepose_nas.pose.task import Task
from litepose_nas.search.rank_correlation import audit, between
from litepose_nas.search.scoring import Protocol, Scorer, SupernetScorer
from litepose_nas.space import Arch, Space
from litepose_nas.steps.common import read_data
from litepose_nas.supernet import Supernet, window
from litepose_nas.synthetic.dataset import write_toy
from litepose_nas.train.recipe import Recipe, changed, named
from litepose_nas.train.trainee import NetTrainee, SupernetTrainee, Trainee

RULES = ("lanes", "contiguous", "head", "own")
LANES, FEWEST, GROUPS, WIDTHS, KERNELS = 8, 2, (8, 4, 2), (16, 32, 48), (3, 5)
SIZE = (64, 48)
CPU = torch.device("cpu")
AUGMENT = Augment(rotation=20.0, scale=(0.85, 1.2), translate=0.05, flip=0.5, colour=0.1)


# ── the other rules ──


class Grouped(NamedTuple):
    """A bottleneck without lanes, whose spatial weight is shared by another rule."""

    rule: int
    groups: int
    cin: int
    width: int
    kernel: int
    project: bool

    def ops(self, h: int, w: int) -> list[Any]:
        """Return what the same bottleneck with lanes does."""
        each = self.width // LANES
        dealt = deal(self.groups, LANES, FEWEST, each, each)
        return Bottleneck(*dealt, self.cin, each, self.width, self.kernel, 1, self.project, 0).ops(h, w)

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return the output's shape."""
        return self.width, h, w

    def build(self) -> nn.Module:
        """Return the module."""
        return GroupedNet(self, (self.groups,), self.width // self.groups)

    def store(self) -> nn.Module:
        """Return the module that a supernet keeps."""
        rule = RULES[self.rule]
        dense_input = self.width if rule == "contiguous" else self.width // FEWEST
        return GroupedNet(self, GROUPS if rule == "own" else (FEWEST,), dense_input)


class SharedConv(nn.Module):
    """A grouped convolution with a weight as torch has it, and a rule for where that lies in a larger one."""

    def __init__(self, rule: str, groups: int, width: int, each: int, kernel: int):
        super().__init__()
        self.rule, self.groups, self.width = rule, groups, width
        self.weight = nn.Parameter(torch.empty(width, each, kernel, kernel))
        nn.init.kaiming_normal_(self.weight)

    def window(self, key: str, big: Tensor) -> Tensor:
        """Return where the weight lives."""
        kernel, each = self.weight.shape[-1], self.width // self.groups
        if self.rule != "contiguous":
            return window(big, (self.width, each, kernel, kernel), (2, 3))
        big = window(big, (self.width, self.width, kernel, kernel), (2, 3))
        blocks = big.unflatten(1, (self.groups, -1)).unflatten(0, (self.groups, -1)).diagonal(dim1=0, dim2=2)
        return blocks.movedim(-1, 0).unsqueeze(2)  # groups, out, 1, in, kernel, kernel


class BlockConv(SharedConv):
    """The same with an axis for groups, as windows onto a dense weight need it; the store has a single group."""

    def __init__(self, groups: int, width: int, each: int, kernel: int):
        super().__init__("contiguous", groups, width, each, kernel)
        # Six axes: torch would bring five into a memory layout for pictures.
        shape = (width, each, kernel, kernel) if each == width else (groups, width // groups, 1, each, kernel, kernel)
        self.weight = nn.Parameter(self.weight.detach().reshape(shape))


class GroupedNet(nn.Module):
    """1x1, grouped KxK, 1x1."""

    def __init__(self, block: Grouped, groups: tuple[int, ...], each: int):
        super().__init__()
        width, rule = block.width, RULES[block.rule]
        self.groups, self.projects = block.groups, block.project
        self.reduce = conv_bn(dense(block.cin, width), width)
        spatial: list[nn.Module] = []
        for count in groups:
            own = width // count if rule == "own" else each
            if rule == "contiguous":
                spatial.append(BlockConv(count, width, each, block.kernel))
            else:
                spatial.append(SharedConv(rule, count, width, own, block.kernel))
        self.spatial = nn.ModuleDict({str(n if rule == "own" else 0): s for n, s in zip(groups, spatial, strict=True)})
        self.bn = nn.BatchNorm2d(width)
        self.restore = conv_bn(dense(width, width), width)
        if block.project:
            self.project = conv_bn(dense(block.cin, width), width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the new feature."""
        (conv,) = self.spatial.values()
        weight = conv.weight.flatten(0, -4)
        y = F.conv2d(F.relu(self.reduce(x)), weight, None, 1, weight.shape[-1] // 2, 1, self.groups)
        y = self.restore(F.relu(self.bn(y)))
        return F.relu(y + (self.project(x) if self.projects else x))


# ── the space ──


def space(rule: str) -> Space:
    """Return the space with one of the rules; its genes are the same for all of them."""

    def plan(tree: Any, joints: int) -> Iterator[Part]:
        yield Part("stem", 1, Entry(16, 3, False))
        yield Part("pool", 2, MaxPool(16))
        cin = 16
        for i, stage in enumerate(tree.stages):
            each = stage.width // LANES
            block: Any = Grouped(RULES.index(rule), stage.groups, cin, stage.width, stage.kernel, True)
            if rule == "lanes":
                dealt = deal(stage.groups, LANES, FEWEST, each, each)
                block = Bottleneck(*dealt, cin, each, stage.width, stage.kernel, 1, True, 0)
            yield Part(f"stages.{i}", 4, block)
            cin = stage.width
        yield Part("heatmaps", 4, Answer(cin, joints))

    def forward(net: Any, image: Any) -> tuple[Any, ...]:
        x = net.pool(net.stem(image))
        for block in net.stages.children():
            x = block(x)
        return (net.heatmaps(x),)

    stage = {"width": list(WIDTHS), "groups": list(GROUPS), "kernel": list(KERNELS)}
    tree = {"resolution": ["64x48"], "stages": [dict(stage) for _ in range(3)]}
    family: Any = SimpleNamespace(plan=plan, forward=forward, TASK="topdown", OUTPUTS=("heatmaps",))
    return Space(tree, name=f"groups {rule}", family=family)


def spread(every: Space, count: int) -> list[dict[str, Any]]:
    """Return networks, as many from each part of the costs: most costs are of the groups, not of the depth."""
    rng = random.Random(0)
    drawn = sorted({every.sample(rng) for _ in range(600)}, key=lambda arch: (ln.cost(arch).macs, arch.values))
    return [rng.choice(drawn[len(drawn) * i // count : len(drawn) * (i + 1) // count]).to_dict() for i in range(count)]


# ── training ──


def train(trainee: Trainee, pictures: list[Batch], steps: int, seed: int) -> None:
    """Train on pictures that were drawn before, in an order of the seed."""
    recipe, order = trainee.recipe, random.Random(seed)
    optimizer = torch.optim.AdamW(trainee.store.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    for step in range(steps):
        batch = order.choice(pictures)
        trainee.store.zero_grad()
        trainee.backward(batch.images, batch.joints, batch.masks, step)
        grad = trainee.store.grad
        grad.mul_(min(1.0, recipe.clip / (float(grad.norm()) + 1e-12)))
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step, steps)
        optimizer.step()


class Bench(NamedTuple):
    """What every training and every score share."""

    task: Task
    recipe: Recipe
    judge: Scorer
    pictures: list[Batch]
    joints: int


def make_bench(room: Path) -> Bench:
    """Draw the people, and cut out and change as many as the trainings will see again and again."""
    write_toy(room / "people", train=360, val=1, size=96)
    data = read_data(open_source(str(room / "people")), 0, 96)
    recipe = changed(named("default", "topdown"), ("batch=16", "lr=0.005", "widest_first=0.1"), "topdown")
    task = make_task(data.skeleton, recipe.task_info, "topdown")
    pictures = [task.train_batch(data.split.train, SIZE, recipe.batch, 0, step, AUGMENT) for step in range(48)]
    return Bench(task, recipe, Scorer(data.split, task, recipe, CPU, Protocol()), pictures, data.joints)


def supernet_losses(bench: Bench, rule: str, archs: list[dict[str, Any]], steps: int, seed: int) -> list[float]:
    """Return the losses that networks inherit from a supernet with this rule."""
    torch.manual_seed(seed)
    supernet = Supernet(space(rule), bench.joints)
    trainee = SupernetTrainee(supernet, bench.recipe, steps, seed, SIZE, bench.task)
    train(trainee, bench.pictures, steps, seed)
    candidates = SupernetScorer(supernet, bench.judge)
    return [candidates(supernet.space.arch(values))["loss"] for values in archs]


def alone_loss(bench: Bench, arch: Arch, steps: int, seed: int) -> float:
    """Return the loss of a network that was trained alone."""
    torch.manual_seed(seed)
    net = ln.build(arch, bench.joints)
    train(NetTrainee(net, bench.recipe, SIZE, CPU, bench.joints, task=bench.task), bench.pictures, steps, seed)
    return bench.judge(net, SIZE)["loss"]


def main() -> None:
    """Train what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("groups-benchmark"))
    parser.add_argument("--nets", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=2, help="supernets of each rule")
    parser.add_argument("--truths", type=int, default=2, help="trainings of each network alone")
    parser.add_argument("--steps", type=int, default=250, help="of each supernet")
    parser.add_argument("--alone", type=int, default=150, help="steps of each network alone")
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.folder.mkdir(parents=True, exist_ok=True)
    path = asked.folder / f"{asked.nets}-{asked.steps}-{asked.alone}.jsonl"
    known = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(line["what"], line["seed"]): line for line in known}
    archs = spread(space("lanes"), asked.nets)
    with tempfile.TemporaryDirectory() as room:
        bench = make_bench(Path(room))
        wanted = [(rule, seed) for seed in range(asked.seeds) for rule in asked.rules]
        wanted += [(f"net {i}", seed) for seed in range(asked.truths) for i in range(len(archs))]
        for what, seed in wanted:
            if (what, seed) in done:
                continue
            start = time.process_time()
            if what in RULES:
                losses = supernet_losses(bench, what, archs, asked.steps, seed)
            else:
                losses = [alone_loss(bench, space("lanes").arch(archs[int(what.split()[1])]), asked.alone, seed)]
            seconds = round(time.process_time() - start, 1)
            done[what, seed] = {"what": what, "seed": seed, "losses": losses, "seconds": seconds}
            with path.open("a") as file:
                file.write(json.dumps(done[what, seed]) + "\n")
            print(f"{what}, seed {seed}: {seconds} s", flush=True)
    report(done, archs, asked.rules, asked.seeds, asked.truths)


def report(
    done: dict[tuple[str, int], Any], archs: list[dict[str, Any]], rules: list[str], seeds: int, truths: int
) -> None:
    """Print how well each rule ranks, over all networks and inside strata of the cost."""
    alone = [[-done[f"net {i}", seed]["losses"][0] for i in range(len(archs))] for seed in range(truths)]
    truth = np.mean(alone, axis=0).tolist()
    macs = [ln.cost(space("lanes").arch(values)).macs for values in archs]
    scores = {f"{rule}, seed {s}": [-x for x in done[rule, s]["losses"]] for rule in rules for s in range(seeds)}
    for rule in rules:
        scores[rule] = np.mean([scores[f"{rule}, seed {s}"] for s in range(seeds)], axis=0).tolist()
    scores["cost"] = [float(m) for m in macs]
    found = audit(scores, truth, macs, base=rules[0])
    print("\n| score | tau | tau inside strata of the cost | ahead of the first rule | mean inherited loss |")
    print("|---|---|---|---|---|")
    for name, agreement in found.agreements.items():
        ahead = found.ahead.get(name, {}).get("tau", "-")
        loss = "-" if name == "cost" else f"{-np.mean(scores[name]):.4f}"
        print(f"| {name} | {agreement.tau} | {agreement.tau_inside} | {ahead} | {loss} |")
    if truths > 1:
        print(f"\ntrained alone, one seed against another: tau {between(alone, macs).tau}")
    print(f"loss of the networks trained alone: {-np.mean(truth):.4f}; CPU seconds: {total(done):.0f}")


def total(done: dict[tuple[str, int], Any]) -> float:
    """Return the seconds of all trainings."""
    return sum(line["seconds"] for line in done.values())


if __name__ == "__main__":
    main()
