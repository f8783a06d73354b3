"""Is it worth spreading computation over frames? Temporal groups against the same MACs spent evenly, on drawn videos.

    python benchmarks/temporal.py OUT [--seeds 0 1] [--scale 1.0] [--setting easy] [--options]

People in drawn videos, 64x48 pixels, groups of a key frame and three later ones. For each seed: a key network is
trained on single frames; a temporal supernet with it, frozen; then, at equal total MACs of four frames,

- `searched`: the group that a search finds among all (fusion, depths, widths, kernels of each later frame its own),
- `uniform`: the best of as many evaluated groups whose later frames are all alike,
- `small`: a smaller network of single frames on every frame,

each trained on for equally long, by the truth and by the key network's answers on every frame, and judged on videos
that nobody trained on. Beside them the key network on every frame, and the ablation: one uniform group with no fusion
and with each way to join heatmaps after its second stage, all trained on alike. With `--options` also that group from
scratch, with other options of space and training. Every stage leaves a file in OUT, so that a run that was stopped goes
on where it was.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml

import litepose_nas as ln
from litepose_nas import devices, resources, weights
from litepose_nas.budget import Budget
from litepose_nas.data.loader import Pictures, batches
from litepose_nas.data.source import open_source
from litepose_nas.evaluation import predict_batches
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.metrics.coco import fast_ap, read_truth
from litepose_nas.pose.make_task import make_task
from litepose_nas.pose.temporal import Temporal
from litepose_nas.resolve import subnet_of
from litepose_nas.runs.journal import Journal
from litepose_nas.runs.run import Run
from litepose_nas.search import guided
from litepose_nas.search.loop import header, run_search
from litepose_nas.search.problem import Problem, by_loss
from litepose_nas.search.scoring import Protocol, Scorer, SupernetScorer
from litepose_nas.space import Arch, Space
from litepose_nas.steps.common import Data, describe, read_data
from litepose_nas.steps.keyframe import load_key, space_with_key
from litepose_nas.supernet import Supernet, calibrate, extract
from litepose_nas.synthetic.dataset import write_toy
from litepose_nas.task_kind import TaskKind
from litepose_nas.train.loop import Every, fit
from litepose_nas.train.recipe import TOPDOWN, Recipe
from litepose_nas.train.trainee import NetTrainee, SupernetTrainee, Trainee

SIZE, LATER, CPU = (64, 48), 3, torch.device("cpu")
# Minutes are few steps: small batches, and pictures that are hardly changed, for none comes often.
RECIPE = dataclasses.replace(
    TOPDOWN, batch=16, rotation=0.0, scale=(0.9, 1.1), translate=0.03, colour=0.1, half_body=0.0
)
CLIPS = dataclasses.replace(RECIPE, batch=8)  # of four frames, of which each later network sees one
ON = dataclasses.replace(CLIPS, lr=3e-3, widest_first=0.0)
KEY = {"resolution": "64x48", "stem": 8, "stages": [(1, 16), (2, 24), (2, 48)], "kernel": 5, "expand": 4, "head": 24}
# A network of single frames, which sets the budget: four times its MACs.
SMALL = {"resolution": "64x48", "stem": 8, "stages": [(1, 16), (1, 24), (1, 32)], "kernel": 3, "expand": 3, "head": 16}
# The later frames, smaller still: a group has to afford its key network.
FUSIONS = [f"{stage}.{way}" for stage in (1, 2, 3) for way in ("add", "mul", "cat")]
FRAMES = {
    "fuse": ["none", *FUSIONS],
    "stem": [4, 8],
    "stages": [
        {"depth": [1, 2], "width": [8, 16], "kernel": [3, 5], "expand": [2, 3]},
        {"depth": [1, 2], "width": [16, 24], "kernel": [3, 5], "expand": [2, 3]},
        {"depth": [1, 2, 3], "width": [24, 32, 48], "kernel": [3, 5], "expand": [2, 3]},
    ],
    "head": [{"width": [8, 16]}, {"width": [8, 16]}],
}
UNIFORM = {"stem": 4, "stages": [(1, 8), (1, 16), (1, 32)], "kernel": 3, "expand": 2, "head": 16}  # of the ablation


class Size(NamedTuple):
    """How much of everything."""

    videos: tuple[int, int] = (50, 14)
    key_steps: int = 1300
    small_steps: int = 1300  # no network of a group learns for longer
    supernet_steps: int = 200
    on_steps: int = 900
    evals: int = 100


class Room(NamedTuple):
    """Where a seed keeps its files, and what it learns from and is judged by."""

    folder: Path
    seed: int
    size: Size
    stills: Data
    clips: Data
    val: Pictures  # with the frames that nobody labelled


def tree(values: dict[str, Any], genes: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return genes of a network from a short description."""
    made = {"stem": values["stem"], "head.0.width": values["head"], "head.1.width": values["head"]}
    for i, (depth, width) in enumerate(values["stages"]):
        stage = {"depth": depth, "width": width, "kernel": values["kernel"], "expand": values["expand"]}
        made |= {f"stages.{i}.{key}": value for key, value in stage.items()}
    made |= genes
    return {f"{prefix}{key}": value for key, value in made.items()}


def single(values: dict[str, Any]) -> Arch:
    """Return a network of single frames."""
    return Space.load("topdown-tiny").arch(tree(values, {"resolution": values["resolution"]}))


def group_space(key: Path, **options: str) -> Space:
    """Return the temporal space with a key network and other options, if wanted, in groups of four."""
    text = resources.find("t_vipnas-tiny", "search_spaces", ".yaml").read_text(encoding="utf-8")
    made = yaml.safe_load(text)
    made["frames"] = {"family": "simple_topdown", "depth": LATER, "blocks": FRAMES}
    return space_with_key(Space({**made, **options}, name="t_vipnas-tiny"), str(key))


def alike(space: Space, values: dict[str, Any]) -> Arch:
    """Return the group whose later frames all have these values."""
    return space.arch({f"frames.blocks.{i}.{key}": value for i in range(LATER) for key, value in values.items()})


def train(folder: Path, trainee: Trainee, data: Data, recipe: Recipe, steps: int, seed: int) -> None:
    """Train, or go on."""

    def stream(start: int):  # type: ignore[no-untyped-def]
        make = trainee.task.train_batch
        return batches(
            data.split.train, SIZE, recipe.batch, seed, recipe.augment, start, steps, workers=0, make_batch=make
        )

    run = Run.resume(folder) if (folder / "config.yaml").exists() else Run.create("temporal", out=folder)
    with run:
        fit(trainee, stream, run, steps, every=Every(report=max(1, steps // 10), check=steps, save=max(1, steps // 5)))


def judge_of(room: Room, arch: Arch, recipe: Recipe) -> Scorer:
    """Return what scores networks of this kind on the slice."""
    data = room.clips if arch.clip_length > 1 else room.stills
    task = make_task(data.skeleton, recipe.task_info, arch.space.task, arch.clip_length)
    return Scorer(data.split, task, recipe, CPU, Protocol(calibration=64, batch=16))


class Everywhere(torch.nn.Module):
    """The key network on every frame of a clip, or on single frames: the teacher of all others."""

    def __init__(self, key: Path):
        super().__init__()
        self.key = devices.place(weights.load(key), CPU).requires_grad_(False)

    def forward(self, clips: torch.Tensor) -> tuple[torch.Tensor]:
        """Return the heatmaps of every frame."""
        return (self.key(clips.flatten(0, -4))[0].unflatten(0, clips.shape[:-3]),)


def network(
    room: Room,
    name: str,
    arch: Arch,
    recipe: Recipe,
    steps: int,
    start: Callable[[], torch.nn.Module],
    teacher: torch.nn.Module | None = None,
) -> Path:
    """Train a network for so many steps, once, and return the file of its calibrated weights."""
    path = room.folder / f"{name}.safetensors"
    if not path.exists():
        torch.manual_seed(room.seed)
        judge, data = judge_of(room, arch, recipe), room.clips if arch.clip_length > 1 else room.stills
        net = devices.place(start(), CPU)
        trainee = NetTrainee(net, recipe, SIZE, CPU, data.joints, teacher, judge.task)
        train(room.folder / name, trainee, data, recipe, steps, room.seed)
        calibrate(net, judge.calibration(SIZE))
        weights.save(net, path, Subnet(arch, data.joints, describe(data.skeleton, judge.task)))
    return path


def answer(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what a file holds, which is made if it is not there."""
    if not path.exists():
        start, cpu = time.perf_counter(), time.process_time()
        found = make()
        seconds = {"seconds": round(time.perf_counter() - start, 1), "cpu": round(time.process_time() - cpu, 1)}
        path.write_text(json.dumps({**found, **seconds}) + "\n")
        print(f"{path.name}: {json.dumps({**found, **seconds})[:200]}", flush=True)
    return json.loads(path.read_text())


def on_videos(room: Room, path: Path, recipe: Recipe = CLIPS) -> dict[str, Any]:
    """Return the figures of a network on the videos of val, all frames of a group cut out by its key frame's box."""

    def look() -> dict[str, Any]:
        net = weights.load(path)
        arch = subnet_of(path).arch
        task = make_task(room.clips.skeleton, recipe.task_info, "temporal", 1 + LATER)
        assert isinstance(task, Temporal)
        truth = read_truth(room.val.dataset)
        found = {"macs": ln.cost(arch).macs * (1 if arch.clip_length > 1 else 1 + LATER)}
        if arch.clip_length > 1:
            found["ap"] = fast_ap(truth, predict_batches(net, task.eval_batches(room.val, SIZE), task))
            return found

        def every(clips: torch.Tensor) -> tuple[torch.Tensor]:
            return (net(clips.flatten(0, 1))[0].unflatten(0, clips.shape[:2]),)

        found["ap"] = fast_ap(truth, predict_batches(every, task.eval_batches(room.val, SIZE), task))
        # The same network cut out by each frame's own true box, which a group does not have.
        alone = task.each
        found["ap_own_boxes"] = fast_ap(truth, predict_batches(net, alone.eval_batches(room.val, SIZE), alone))
        return found

    return answer(room.folder / f"{path.stem}-val.json", look)


def search_alike(room: Room, supernet: Supernet, budget: int) -> dict[str, Any]:
    """Return the best group of those drawn whose later frames are alike."""
    space, rng = supernet.space, random.Random(room.seed)
    looked: dict[Arch, Any] = {}
    candidates = SupernetScorer(supernet, judge_of(room, space.widest, CLIPS))
    while len(looked) < room.size.evals:
        drawn = space.sample(rng).to_dict()
        values = {key.removeprefix("frames.blocks.0."): v for key, v in drawn.items() if ".blocks.0." in key}
        arch = alike(space, values)
        # The best are dear: what takes less than most of the budget is left out, as a search learns to do.
        if arch not in looked and 0.85 * budget <= ln.cost(arch, joints=supernet.joints).macs <= budget:
            looked[arch] = candidates(arch)
    return _best(list(looked.items()))


def search_all(room: Room, supernet: Supernet, budget: int, known: list[Any]) -> dict[str, Any]:
    """Return the best group of all: the search knows half as many that are alike, and looks at as many others."""
    space, candidates = supernet.space, SupernetScorer(supernet, judge_of(room, supernet.space.widest, CLIPS))
    problem = Problem(space, Budget.of([f"{budget}MAC"]), lambda arch: ln.cost(arch, joints=supernet.joints), by_loss)
    half = room.size.evals // 2
    searcher = guided.searcher(problem, room.seed, start=6, round=5)
    first = [(space.arch(arch), result) for arch, result in known[:half]]
    for arch, result in first:
        searcher.tell(arch, result)
    journal = Journal(room.folder / "search.jsonl", header(space, room.seed, budget=budget))
    found = run_search(problem, searcher, candidates, journal, room.size.evals - half)
    return _best([*first, *((one.arch, one.result) for one in found if one.arch not in dict(first))])


def _best(looked: list[tuple[Arch, Any]]) -> dict[str, Any]:
    arch, result = min(looked, key=lambda pair: pair[1]["loss"])  # with so few people an AP says less
    every = [[one.to_dict(), {key: found[key] for key in ("ap", "loss")}] for one, found in looked]
    return {
        "macs": ln.cost(arch).macs,
        "ap": result["ap"],
        "loss": result["loss"],
        "arch": arch.to_dict(),
        "all": every,
    }


def room_of(out: Path, seed: int, size: Size, setting: str) -> Room:
    """Draw the videos, and read them."""
    folder, films = out / f"seed-{seed}", out / "films"
    folder.mkdir(parents=True, exist_ok=True)
    if not films.exists():
        write_toy(films, *size.videos, size=128, subject="video", frames=20, setting=setting)
    source = open_source(str(films))
    stills, clips = read_data(source, seed), read_data(source, seed, task=TaskKind.TEMPORAL)
    return Room(folder, seed, size, stills, clips, Pictures(source.read("val", unlabelled=True)))


def measure(room: Room) -> dict[str, dict[str, Any]]:
    """Return the figures of every contender of a seed."""
    size, joints = room.size, room.stills.joints
    key = network(room, "key", single(KEY), RECIPE, size.key_steps, lambda: ln.build(single(KEY), joints))
    rows = {"key network on every frame": on_videos(room, key)}
    arch = single(SMALL)
    small = network(room, "small", arch, RECIPE, size.small_steps, lambda: ln.build(arch, joints), Everywhere(key))
    rows["small network on every frame"] = on_videos(room, small)
    budget = ln.cost(single(SMALL)).macs * (1 + LATER)
    space = group_space(key)
    supernet = _supernet(room, space, key)
    same = answer(room.folder / "uniform.json", lambda: search_alike(room, supernet, budget))
    other = answer(room.folder / "searched.json", lambda: search_all(room, supernet, budget, same["all"]))
    for name, found in (("searched", other), ("uniform", same)):
        rows[name] = on_videos(room, _trained_on(room, name, supernet, space.arch(found["arch"])))
    return rows


def measure_fusions(room: Room) -> dict[str, dict[str, Any]]:
    """Return the figures of a uniform group with no fusion, and with each way of it."""
    key, rows = room.folder / "key.safetensors", {}
    space = group_space(key)
    supernet = _supernet(room, space, key)
    for fuse in ("none", "2.add", "2.mul", "2.cat"):
        arch = alike(space, tree(UNIFORM, {"fuse": fuse}))
        rows[f"fusion {fuse}"] = on_videos(room, _trained_on(room, f"fuse-{fuse}", supernet, arch))
    return rows


def _trained_on(room: Room, name: str, supernet: Supernet, arch: Arch) -> Path:
    teacher = Everywhere(room.folder / "key.safetensors")
    return network(room, name, arch, ON, room.size.on_steps, lambda: extract(supernet, arch), teacher)


def measure_options(room: Room) -> dict[str, dict[str, Any]]:
    """Return the figures of a uniform group, trained from scratch with one option changed at a time."""
    key, rows = room.folder / "key.safetensors", {}
    changes: dict[str, tuple[dict[str, str], str]] = {
        "as they are": ({}, "key"),
        "gradient through": ({"gradient": "through"}, "key"),
        "crop previous": ({}, "previous"),
        "answer added": ({"answer": "added"}, "key"),
        "no teacher": ({}, "key"),
    }
    for name, (options, crop) in changes.items():
        space, recipe = group_space(key, **options), dataclasses.replace(CLIPS, crop=crop)
        arch = alike(space, tree(UNIFORM, {"fuse": "2.add"}))

        def start(space: Space = space, arch: Arch = arch) -> torch.nn.Module:
            supernet = Supernet(space, room.clips.joints)
            load_key(supernet, str(key))
            return extract(supernet, arch)

        teacher = None if name == "no teacher" else Everywhere(key)
        path = network(room, f"option-{name.replace(' ', '-')}", arch, recipe, room.size.on_steps, start, teacher)
        rows[f"options: {name}"] = on_videos(room, path, recipe)
    return rows


def _supernet(room: Room, space: Space, key: Path) -> Supernet:
    path = room.folder / "supernet.safetensors"
    if path.exists():
        return weights.load_supernet(path, memory_format=devices.layout(CPU))
    torch.manual_seed(room.seed)
    supernet = Supernet(space, room.clips.joints, memory_format=devices.layout(CPU))
    load_key(supernet, str(key))
    task = make_task(room.clips.skeleton, CLIPS.task_info, space.task, space.widest.clip_length)
    trainee = SupernetTrainee(supernet, CLIPS, room.size.supernet_steps, room.seed, SIZE, task)
    train(room.folder / "supernet", trainee, room.clips, CLIPS, room.size.supernet_steps, room.seed)
    weights.save_supernet(supernet, path)
    return supernet


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--options", action="store_true")
    parser.add_argument(
        "--setting", choices=("easy", "standard", "hard"), default="easy", help="of the videos, if drawn"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="times all steps and evaluations")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    whole = Size()
    scaled = {key: max(2, round(asked.scale * value)) for key, value in whole._asdict().items() if key != "videos"}
    size = whole._replace(**scaled)
    rooms = {seed: room_of(asked.out, seed, size, asked.setting) for seed in asked.seeds}
    parts = [measure, measure_fusions, *([measure_options] if asked.options else [])]
    tables: dict[int, dict[str, dict[str, Any]]] = {seed: {} for seed in rooms}
    for part in parts:
        for seed, room in rooms.items():
            tables[seed] |= part(room)
    print("\n| | MMAC a frame | " + " | ".join(f"AP, seed {seed}" for seed in tables) + " |")
    print("|---|---|" + "---|" * len(tables))
    for name in next(iter(tables.values())):
        rows = [table[name] for table in tables.values()]
        macs = " ".join(dict.fromkeys(f"{row['macs'] / 4e6:.2f}" for row in rows))
        cells = [
            f"{row['ap']:.3f}" + (f" (own boxes {row['ap_own_boxes']:.3f})" if "ap_own_boxes" in row else "")
            for row in rows
        ]
        print(f"| {name} | {macs} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
