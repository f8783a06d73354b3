"""What the evaluation of a candidate costs, beside the same done as LitePose's released search does it; with the split.

    python benchmarks/scoring.py RUN [--budget 40MMAC] [--nets 4] [--rounds 3]

RUN is the folder of a trained supernet, for instance runs/demo/demo/supernet of `litepose-nas demo`.

The released search, told in its own words from what it does: for each candidate it copies the whole supernet, builds
data sets and loaders anew (annotations and pictures are read from their files again), calibrates with gradients on,
looks at the held-out pictures one by one, decodes each at the size of the input with loops over people and joints,
writes a file of results, and lets pycocotools read it and the truth. Each row of the table leaves one of these out, on
top of those above it; the last is `scoring.SupernetScorer` in a search, which says the loss as well. Networks and
pictures are the same in every row, and every row's AP is printed beside its time: it changes where the assignment has
ties, which two solvers break in two ways, and where the maps change their size. One thread, CPU time, medians of
rounds in turn.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import functools
import io
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

import litepose_nas as ln
from litepose_nas.budget import Budget
from litepose_nas.data import augment as aug
from litepose_nas.data.dataset import Record
from litepose_nas.data.pixels import named_pixels
from litepose_nas.data.source import Source, open_source
from litepose_nas.inference.batches import predict_batches, to_files
from litepose_nas.metrics.coco import fast_ap
from litepose_nas.pose.bottomup_decode import combine
from litepose_nas.pose.grouping import joint_order
from litepose_nas.pose.task import Task
from litepose_nas.runs.run import Run
from litepose_nas.search.scoring import Protocol, Scorer
from litepose_nas.steps.common import read_data
from litepose_nas.steps.search_plan import WorkerSpec
from litepose_nas.supernet import Supernet, calibrate, extract
from tests.helpers import literal_pose

Size = tuple[int, int]
Views = tuple[Tensor, list[Record], list[np.ndarray]]  # some pictures as a network takes them, and their maps


PYTHON = literal_pose.hungarian


class Way(NamedTuple):
    """What of the released search's way an evaluation takes."""

    copied: bool = True  # the whole supernet, for each candidate
    read_again: bool = True  # annotations and pictures
    gradients: bool = True  # in calibration
    one_by_one: bool = True
    python_solver: bool = True  # of the assignment of joints to people
    literal_decode: bool = True
    at_input: bool = True  # peaks are sought in maps enlarged to the size of the input
    by_file: bool = True  # results go through a file to pycocotools, which reads the truth again


def ladder() -> list[tuple[str, Way]]:
    """Return the ways from the released one to ours, one step after the other."""
    steps = {
        "no copy of the supernet": "copied",
        "pictures and truth read once": "read_again",
        "calibrated without gradients": "gradients",
        "pictures in batches": "one_by_one",
        "scipy's assignment": "python_solver",
        "batched decode": "literal_decode",
        "peaks at half the input": "at_input",
        "fast evaluator, no file": "by_file",
    }
    ways = [("as released", Way())]
    for name, field in steps.items():
        ways.append((name, ways[-1][1]._replace(**{field: False})))
    return ways


class Made(NamedTuple):
    """A trained supernet, and the pictures it was trained on."""

    supernet: Supernet
    source: Source
    seed: int


def score(way: Way, made: Made, judge: Scorer, arch: ln.Arch, room: Path) -> float:
    """Return the AP of an architecture, found in this way."""
    if way.copied:
        copy.deepcopy(made.supernet.store.root)
    net, size = extract(made.supernet, arch).to(memory_format=torch.channels_last), arch.input
    if way.read_again:
        held = read_data(made.source, made.seed, len(judge.split.heldout)).split
        calibrating = [torch.stack(views) for views in literal_calibration(held.train.dataset.records, judge, size)]
        records = held.heldout.dataset.records
        loader = (
            (literal_view(record, size)[None], [record], [aug.fit_warp(shape(record), size)]) for record in records
        )
    else:
        calibrating, records = judge.calibration(size), judge.split.heldout.dataset.records
        loader = kept_views(judge, size)
    if way.gradients:
        with_gradients(net, calibrating)
    else:
        calibrate(net, calibrating)
    net.eval()
    task = judge.task._replace(decode_at_input=way.at_input)
    if way.literal_decode:
        views = loader if way.one_by_one else in_batches(loader, judge.protocol.batch)
        literal_pose.hungarian = PYTHON if way.python_solver else scipy_columns
        results = literal_results(net, views, task, size, judge.truth.category_id)
    else:
        results = predict_batches(net, judge._slice(size).batches, task, category_id=judge.truth.category_id)
    if way.by_file:
        return by_pycocotools(made, [record.image_id for record in records], results, room)
    return fast_ap(judge.truth, results)


def shape(record: Record) -> Size:
    """Return height and width of a picture."""
    return record.height, record.width


def literal_view(record: Record, size: Size) -> Tensor:
    """Return a picture as a network takes it, read from its file."""
    picture = cv2.cvtColor(cv2.imread(str(record.path)), cv2.COLOR_BGR2RGB)
    warped = aug.warp_picture(picture, aug.fit_warp(shape(record), size), size)
    pixels = named_pixels("imagenet")
    floats = (warped.astype(np.float32) / 255 - np.array(pixels.mean, np.float32)) / np.array(pixels.std, np.float32)
    return torch.from_numpy(floats.transpose(2, 0, 1).copy())


def literal_calibration(records: list[Record], judge: Scorer, size: Size) -> Iterator[list[Tensor]]:
    """Yield batches of the pictures that the judge calibrates with, each read from its file."""
    by_id = {record.image_id: record for record in records}
    for step in range(len(judge.calibration(size))):
        batch = judge.task.train_batch(judge.split.train, (8, 8), judge.protocol.batch, judge.protocol.seed, step, None)
        yield [literal_view(by_id[image_id], size) for image_id in batch.image_ids]


def kept_views(judge: Scorer, size: Size) -> Iterator[Views]:
    """Yield the held-out pictures that are ready in memory."""
    records = {record.image_id: record for record in judge.split.heldout.dataset.records}
    for batch, warps in judge._slice(size).batches:
        for image, image_id, warp in zip(batch.images, batch.image_ids, warps, strict=True):
            yield image[None], [records[image_id]], [warp]


def in_batches(views: Iterator[Views], count: int) -> Iterator[Views]:
    """Yield the same views, so many at a time."""
    found = list(views)
    for first in range(0, len(found), count):
        images, records, warps = zip(*found[first : first + count], strict=True)
        yield torch.cat(images), [*chain(*records)], [*chain(*warps)]


def with_gradients(net: nn.Module, batches: list[Tensor]) -> None:
    """Set the statistics that normalise to plain averages over batches, every activation kept for a backward pass."""
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    net.train()
    for batch in batches:
        net(batch)


def literal_results(net: nn.Module, views: Iterator[Views], task: Task, size: Size, category: int) -> list[dict]:
    """Return whom a network finds, by the published decode read literally."""
    order, results = joint_order(task.joints), []
    for images, records, warps in views:
        with torch.no_grad():
            heatmaps, tags = combine(net(images), task, None, size)
        scale = size[0] / heatmaps.shape[2]
        for maps, own_tags, record, warp in zip(heatmaps.numpy(), tags.numpy(), records, warps, strict=True):
            people, scores = literal_pose.literal_decode(maps, own_tags, order)
            points = to_files(people * np.array([scale, scale, 1], np.float32), warp)
            for person, value in zip(points, scores, strict=True):
                entry = {"image_id": record.image_id, "category_id": category, "keypoints": person.ravel().tolist()}
                results.append({**entry, "score": float(value)})
    return results


def scipy_columns(cost: list[list[float]]) -> list[int]:
    """Return each row's column by the solver that the batched decode uses."""
    return linear_sum_assignment(np.array(cost))[1].tolist()


def by_pycocotools(made: Made, image_ids: list[int], results: list[dict], room: Path) -> float:
    """Return the AP of results by way of a file, against a truth read from its file."""
    path = room / "results.json"
    path.write_text(json.dumps(results))
    if not results:
        return 0.0
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(made.source.split("train").annotations))
        judge = COCOeval(truth, truth.loadRes(str(path)), "keypoints")
        judge.params.imgIds = image_ids
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return float(judge.stats[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--nets", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--budget", default="40MMAC")
    parser.add_argument("--calibration", type=int, default=Protocol().calibration)
    parser.add_argument("--slice", type=int, default=64, help="held-out pictures")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    run, budget = Run.open(asked.run), Budget.of([asked.budget])
    protocol, source = Protocol(asked.calibration), open_source(run.settings["data"])
    candidates = WorkerSpec({}, source.name, "cpu", protocol, asked.slice).scorer(str(run.folder), source)
    judge, made = candidates.scorer, Made(candidates.supernet, source, run.settings["seed"])
    rng, archs = random.Random(0), []
    while len(archs) < asked.nets:
        arch = made.supernet.space.sample(rng)
        if budget.ok(ln.cost(arch)):
            archs.append(arch)
    with tempfile.TemporaryDirectory() as room:
        works = [(name, functools.partial(score, way, made, judge, room=Path(room))) for name, way in ladder()]
        works.append(("as a search does it, and the loss", lambda arch: candidates(arch)["ap"]))
        times, aps = measured(works, archs, asked.rounds)
    calibrating = sum(len(images) for images in judge.calibration(archs[0].input))
    macs = ", ".join(f"{ln.cost(arch).macs / 1e6:.1f}" for arch in archs)
    print(f"torch {torch.__version__}, 1 thread, CPU time, medians of {asked.rounds} rounds; {asked.run}")
    print(
        f"{calibrating} pictures to calibrate with, {len(judge.split.heldout)} to judge by; networks of {macs} MMAC\n"
    )
    print("| way | ms | saved by this, ms | as released / this | AP |\n|---|---|---|---|---|")
    for number, (name, _) in enumerate(works):
        saved = f"{times[number - 1] - times[number]:.0f}" if number else ""
        print(f"| {name} | {times[number]:.0f} | {saved} | {times[0] / times[number]:.1f}x | {aps[number]:.3f} |")


def measured(works: list, archs: list[ln.Arch], rounds: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds and the AP of each work, means over architectures of medians over rounds."""
    times: list[list[float]] = [[] for _ in works]
    aps: list[list[float]] = [[] for _ in works]
    for arch in archs:
        own: list[list[float]] = [[] for _ in works]
        for turn in range(rounds + 1):
            for place, (_, work) in enumerate(works):
                start = time.process_time()
                ap = work(arch)
                if turn:  # the first is a warm-up
                    own[place].append(time.process_time() - start)
                else:
                    aps[place].append(ap)
        for place, values in enumerate(own):
            times[place].append(1e3 * statistics.median(values))
    return [statistics.fmean(values) for values in times], [statistics.fmean(values) for values in aps]


if __name__ == "__main__":
    main()
