"""Pictures a second of the training batches beside the plain loop: read, decode, warp, one picture after another.

    python benchmarks/loader.py [--sizes 128 256 512] [--batch 16] [--rounds 5]

Both do the same work for a picture: the same map, a colour change, the network's numbers. People are drawn (160 px, and
512 px for inputs of 512). `cached` has every picture in memory already, `uncached` none; `step` is one forward and
backward pass of the published XS network a picture, and `share` is what the data add to it when nothing is prepared
ahead, both in CPU time (the clock of a shared machine lies). One thread; the ratio comes from runs in turn. The last
line is what judging costs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from timing import in_turn, ratio, seconds

from litepose_nas.data import augment as aug
from litepose_nas.data import toy
from litepose_nas.data.augment import Augment
from litepose_nas.data.coco import Dataset, read_coco
from litepose_nas.data.loader import Pictures, cached, train_batch
from litepose_nas.metrics.coco import bootstrap_ap, coco_ap, read_truth
from litepose_nas.network import build
from litepose_nas.target import resolve


def literal_batch(dataset: Dataset, size: int, batch: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images and joints of a batch, as a loop over pictures would write it."""
    images, joints = [], np.zeros((batch, 30, 17, 3), np.float32)
    for position in range(batch):
        record = dataset.records[(step * batch + position) % len(dataset.records)]
        rng = np.random.default_rng([step, position])
        picture = cv2.cvtColor(cv2.imread(str(record.path)), cv2.COLOR_BGR2RGB)
        warp, flipped = aug.draw_warp(rng, picture.shape[:2], (size, size), Augment())
        picture = cv2.warpAffine(picture, warp, (size, size), flags=cv2.INTER_LINEAR, borderValue=aug.BORDER)
        picture = picture.astype(np.float32) * np.float32(rng.uniform(0.8, 1.2))
        picture = (picture / 255 - np.array(aug.MEAN, np.float32)) / np.array(aug.STD, np.float32)
        images.append(torch.from_numpy(picture.transpose(2, 0, 1).copy()))
        for person, points in enumerate(record.joints[:30]):
            for joint, (x, y, flag) in enumerate(points):
                if flag:
                    there = dataset.skeleton.mirror[joint] if flipped else joint
                    joints[position, person, there] = (*(warp @ (x + 0.5, y + 0.5, 1)), flag)
    return torch.stack(images), torch.from_numpy(joints)


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
        numbered(lambda step: train_batch(kept, (size, size), batch, 0, step)),
        numbered(lambda step: train_batch(fresh, (size, size), batch, 0, step)),
    ]
    times = in_turn(runs, rounds)
    speeds = "".join(f"{batch / statistics.median(some):10.0f}" for some in times)
    step = training_step(size)
    share = cpu_seconds(runs[1]) / batch / step
    return f"{size:5}{speeds}{1 / ratio(times[1], times[0])[0]:17.1f}x{1e3 * step:10.1f}{100 * share:8.2f} %"


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
    fitting = seconds(lambda: cached(Pictures(dataset), (128, 128)))
    return (
        f"{len(dataset.records)} pictures, {len(results)} people: truth {reading:.2f} s, ten numbers {numbers:.2f} s, "
        f"200 resamples {draws:.1f} s; decoded and fitted to 128 px {fitting:.2f} s"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    print("images/s")
    print("input   literal    cached  uncached   cached/literal   step ms   share")
    with tempfile.TemporaryDirectory() as room:
        for size in args.sizes:
            side = 512 if size >= 512 else 160
            folder = Path(room) / str(side)
            if not folder.exists():
                toy.write_toy(folder, train=64, val=1, size=side)
            print(row(read_coco(*toy.toy_split(folder, "train")), size, args.batch, args.rounds))
        toy.write_toy(Path(room) / "val", train=1, val=150)
        print(judging(read_coco(*toy.toy_split(Path(room) / "val", "val"))))


if __name__ == "__main__":
    main()
