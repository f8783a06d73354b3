"""Pictures a second of the training batches beside the plain loop: read, decode, warp, draw targets, one by one.

    python benchmarks/loader.py [--sizes 256 512] [--batch 16] [--rounds 5] [--data SOURCE]

Both do the same work for a picture: the same map, a colour change, the network's numbers; the loop draws heatmaps of 17
joints at a quarter and a half of the input. Ours hands out joints, of which the training's device makes the targets;
`+ targets` is with these made on the same core. `cached` has every picture in memory already, `fresh` none. `decode` is
the share of a fresh picture's time in which OpenCV reads and decodes its JPEG, which no loader can save, and `limit`
the ratio if all else took no time. `step` is one forward and backward pass of the published XS network a picture, and
`share` what the data add to it when nothing is prepared ahead. The pictures are drawn, crowded JPEGs of 640 pixels, or
those of a dataset. One thread; everything is CPU time (the clock of a shared machine lies), ratios come from runs in
turn. Below the table are decoding at half the size, for pictures that are shrunk by two or more, and what judging
costs.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from timing import ratio, seconds

from litepose_nas.data import augment as aug
from litepose_nas.data.augment import Augment
from litepose_nas.data.dataset import Dataset
from litepose_nas.data.images import load_picture
from litepose_nas.data.layouts.toy import toy_split
from litepose_nas.data.loader import CachedBatches, Pictures, eval_batches, train_batch
from litepose_nas.data.pixels import CONVENTIONS, DEFAULT
from litepose_nas.data.source import open_source
from litepose_nas.metrics.coco import bootstrap_ap, coco_ap, read_truth
from litepose_nas.network import build
from litepose_nas.pose.targets import bottomup_targets
from litepose_nas.resolve import resolve
from litepose_nas.synthetic.dataset import write_toy
from tests.helpers.coco_file import read_coco

SIGMA = 2.0


def literal_batch(dataset: Dataset, size: int, batch: int, step: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return images and heatmaps of a batch, as a loop over pictures and people would write it."""
    usual = CONVENTIONS[DEFAULT]
    images, maps = [], [np.zeros((batch, 17, size // by, size // by), np.float32) for by in (4, 2)]
    for position in range(batch):
        record = dataset.records[(step * batch + position) % len(dataset.records)]
        rng = np.random.default_rng([step, position])
        picture = cv2.cvtColor(cv2.imread(str(record.path)), cv2.COLOR_BGR2RGB)
        warp, flipped = aug.draw_warp(rng, picture.shape[:2], (size, size), Augment())
        picture = cv2.warpAffine(picture, warp, (size, size), flags=cv2.INTER_LINEAR, borderValue=aug.BORDER)
        picture = picture.astype(np.float32) * np.float32(rng.uniform(0.8, 1.2))
        picture = (picture / 255 - np.array(usual.mean, np.float32)) / np.array(usual.std, np.float32)
        images.append(torch.from_numpy(picture.transpose(2, 0, 1).copy()))
        for points in record.joints:
            for joint, (x, y, flag) in enumerate(points):
                if flag:
                    there = dataset.skeleton.mirror[joint] if flipped else joint
                    place = warp @ (x + 0.5, y + 0.5, 1)
                    for heatmaps, by in zip(maps, (4, 2), strict=True):
                        draw(heatmaps[position, there], place / by)
    return torch.stack(images), [torch.from_numpy(heatmaps) for heatmaps in maps]


def draw(heatmap: np.ndarray, place: np.ndarray) -> None:
    """Draw a Gaussian around a place, as far as three sigmas."""
    reach, side = int(3 * SIGMA + 1), len(heatmap)
    left, top = (max(int(value) - reach, 0) for value in place)
    right, bottom = (min(int(value) + reach + 1, side) for value in place)
    if left < right and top < bottom:
        across = (np.arange(left, right) + 0.5 - place[0]) ** 2
        down = (np.arange(top, bottom) + 0.5 - place[1]) ** 2
        bump = np.exp(-(down[:, None] + across[None]) / (2 * SIGMA**2))
        heatmap[top:bottom, left:right] = np.maximum(heatmap[top:bottom, left:right], bump)


def our_batch(pictures: Pictures, size: int, batch: int, step: int, targets: bool = False) -> object:
    """Return a batch of the loader, with the heatmaps of the task if told."""
    made = train_batch(pictures, (size, size), batch, 0, step)
    sizes = ((size // 4, size // 4), (size // 2, size // 2))
    return made.images, bottomup_targets(made.joints, (size, size), sizes, SIGMA, True) if targets else made.joints


def decode_batch(dataset: Dataset, batch: int, step: int) -> None:
    """Read and decode the pictures of a batch with OpenCV, nothing else."""
    for position in range(batch):
        cv2.imread(str(dataset.records[(step * batch + position) % len(dataset.records)].path))


def half_size(dataset: Dataset) -> str:
    """Return what decoding at half the size saves, and how far it is from the mean of two by two exact pixels."""
    files = [np.frombuffer(record.path.read_bytes(), np.uint8) for record in dataset.records[:24]]
    whole, half = (
        1e3 * statistics.mean(cpu_seconds(functools.partial(cv2.imdecode, data, how)) for data in files)
        for how in (cv2.IMREAD_COLOR, cv2.IMREAD_REDUCED_COLOR_2)
    )
    errors = []
    for data in files:
        small = cv2.imdecode(data, cv2.IMREAD_REDUCED_COLOR_2)
        exact = cv2.resize(cv2.imdecode(data, cv2.IMREAD_COLOR), small.shape[1::-1], interpolation=cv2.INTER_AREA)
        errors.append(small.astype(np.float32) - exact)
    apart, most = np.sqrt(np.mean([np.square(e).mean() for e in errors])), max(np.abs(e).max() for e in errors)
    return (
        f"decoding {whole:.2f} ms a picture, at half the size {half:.2f} ms ({whole / half:.2f}x), "
        f"pixels {apart:.1f} of 255 apart (root mean square), {most:.0f} at most"
    )


def cpu_in_turn(runs: list[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Return the CPU seconds of each function over rounds in which every one runs once."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds + 1):
        for some, run in zip(times, runs, strict=True):
            start = time.process_time()
            run()
            some.append(time.process_time() - start)
    return [some[1:] for some in times]


def cpu_seconds(run: Callable[[], object]) -> float:
    """Return the CPU time of a call, the least of three."""
    times = []
    for _ in range(3):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def training_step(size: int, batch: int = 4) -> float:
    """Return the CPU seconds a picture of a forward and backward pass of XS."""
    net = build(resolve("litepose-xs", joints=17).subnet.arch, 17)
    images = torch.randn(batch, 3, size, size)
    return cpu_seconds(lambda: sum(output.square().mean() for output in net(images)).backward()) / batch


def numbered(run: Callable[[int], object]) -> Callable[[], object]:
    """Return a function without arguments that runs step after step."""
    steps = iter(range(10**9))
    return lambda: run(next(steps))


def row(dataset: Dataset, size: int, batch: int, rounds: int) -> str:
    """Return one line of the table."""
    kept, fresh = Pictures(dataset), Pictures(dataset, cache_bytes=0)
    for index in range(len(kept)):
        kept.get(index)
    runs = [
        numbered(lambda step: literal_batch(dataset, size, batch, step)),
        *(
            numbered(lambda step, pictures=pictures, targets=targets: our_batch(pictures, size, batch, step, targets))
            for targets in (False, True)
            for pictures in (kept, fresh)
        ),
        numbered(lambda step: decode_batch(dataset, batch, step)),
    ]
    literal, *ours, decode = cpu_in_turn(runs, rounds)
    speeds = "".join(f"{batch / statistics.median(some):9.0f}" for some in (literal, *ours[:2]))
    ratios = "".join(f"{ratio(literal, some)[0]:10.1f}x" for some in ours)
    limits = f"{100 * ratio(decode, ours[1])[0]:9.0f} %{ratio(literal, decode)[0]:7.1f}x"
    step = training_step(size)
    share = statistics.median(ours[0]) / batch / step
    return f"{size:5}{speeds}{ratios}{limits}{1e3 * step:10.1f}{100 * share:8.2f} %"


def judging(dataset: Dataset) -> str:
    """Return what judging costs."""
    rng, results = np.random.default_rng(0), []
    for record in dataset.records:
        for person in record.joints:
            noisy = person + np.append(rng.normal(0, 2, (17, 2)), np.zeros((17, 1)), 1)
            points = noisy.ravel().tolist()
            results.append({"image_id": record.image_id, "category_id": 1, "keypoints": points, "score": rng.random()})
    truth = read_truth(dataset)
    reading = seconds(lambda: read_truth(dataset))
    numbers = seconds(lambda: coco_ap(truth, results))
    draws = seconds(lambda: bootstrap_ap(truth, results))
    fitting = seconds(lambda: CachedBatches(eval_batches(Pictures(dataset), (128, 128))))
    return (
        f"{len(dataset.records)} pictures, {len(results)} people: truth {reading:.2f} s, ten numbers {numbers:.2f} s, "
        f"200 resamples {draws:.1f} s; decoded and fitted to 128 px {fitting:.2f} s"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", help="a dataset whose training pictures take the place of the drawn ones")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as room:
        if args.data:
            dataset = open_source(args.data).read("train")
        else:
            write_toy(Path(room) / "large", train=48, val=1, size=640, setting="hard")
            dataset = read_coco(*toy_split(Path(room) / "large", "train"))
        some = dataset.records[:48]
        pixels = statistics.mean(load_picture(record).size / 3 for record in some)
        kilobytes = statistics.mean(record.path.stat().st_size for record in some) / 1024
        print(f"{len(dataset.records)} pictures of {pixels / 1e6:.2f} megapixels and {kilobytes:.0f} KiB; images/s:")
        heads = ("cached", "fresh") * 3
        print(f"{'':32}  over literal:         + targets:")
        print("input  literal" + "".join(f"{head:>{9 if k < 2 else 11}}" for k, head in enumerate(heads)), end="")
        print("   decode   limit   step ms   share")
        for size in args.sizes:
            print(row(dataset, size, args.batch, args.rounds), flush=True)
        print(half_size(dataset))
        write_toy(Path(room) / "val", train=1, val=150)
        print(judging(read_coco(*toy_split(Path(room) / "val", "val"))))


if __name__ == "__main__":
    main()
