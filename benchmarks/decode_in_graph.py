"""What `export --decode` costs a bottom-up network in ONNX Runtime, and whether the people are as good.

    python benchmarks/decode_in_graph.py NET [--data D] [--split val] [--input HxW] [--rounds 30]

NET is a .safetensors file of a bottom-up network, or a published architecture, whose random weights have only a speed.
Three files are written: raw outputs, peaks, peaks with maps. They run in turn on one thread, on pictures of the split
or on noise; CPU time is told, and the median of the ratios to the raw file in the same round, with its quarter points.
Then the time of finding people: by the project's own decoder in torch from raw outputs, by numpy from peaks. With
--data follows the AP of all four: our decoder without and with refine, and people grouped from either file. No mirrored
pictures.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.timing import ratio
from litepose_nas import network
from litepose_nas.data.loader import Pictures
from litepose_nas.data.source import open_source
from litepose_nas.exporters.checked import export
from litepose_nas.exporters.table import FORMATS
from litepose_nas.inference.batches import predict_batches
from litepose_nas.metrics.coco import coco_ap, read_truth
from litepose_nas.pose.bottomup import BottomUp
from litepose_nas.pose.grouping import Grouping
from litepose_nas.pose.people import People
from litepose_nas.pose.standalone.group_people import group_people
from litepose_nas.resolve import resolve
from litepose_nas.runtimes.base import Session
from litepose_nas.runtimes.onnxruntime import open_session
from litepose_nas.space import input_size
from litepose_nas.steps.evaluate import load
from litepose_nas.steps.export import exported

Size = tuple[int, int]
FILES = {"raw": (False, False), "peaks": (True, False), "peaks and maps": (True, True)}  # decode, maps
PLAIN = Grouping(refine=False)


class FromFile:
    """People as an app has them: a file's outputs, grouped in numpy."""

    def people(self, outputs: Sequence[Tensor], flipped: None, size: Size) -> list[People]:
        pictures = zip(*(output.numpy() for output in outputs), strict=True)
        return [People(*group_people(*each, size if len(each) > 1 else None)) for each in pictures]

    def gather(self, found: Sequence[Any]) -> list[Any]:
        return list(found)


def cpu_ms(runs: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Return the CPU time of each function over rounds in which every one runs once, the first place going round."""
    times: list[list[float]] = [[] for _ in runs]
    for turn in range(-1, rounds):  # the first round is the warm-up
        for i in range(len(runs)):
            which = (i + turn) % len(runs)
            start = time.process_time()
            runs[which]()
            if turn >= 0:
                times[which].append(1e3 * (time.process_time() - start))
    return times


def speed(sessions: dict[str, Session], task: BottomUp, images: np.ndarray, size: Size, rounds: int) -> None:
    """Print the times of the files, and of finding people in what they answer with."""
    at = dict.fromkeys(sessions, 0)

    def run(name: str) -> Callable[[], object]:
        def once() -> object:
            at[name] += 1
            return sessions[name](images[at[name] % len(images)][None])

        return once

    times = cpu_ms([run(name) for name in sessions], rounds)
    for name, each in zip(sessions, times, strict=True):
        middle, low, high = ratio(each, times[0])
        print(f"  {name:15s} {statistics.median(each):8.2f} ms   {middle:.3f} of raw ({low:.3f} to {high:.3f})")
    answers = {name: session(images[:1]) for name, session in sessions.items()}
    raw = [torch.from_numpy(output) for output in answers["raw"]]
    plain, bare = task._replace(grouping=PLAIN), FromFile()
    grouped = {name: [torch.from_numpy(output) for output in answers[name]] for name in list(sessions)[1:]}
    names = ("our decoder, refine off", "our decoder", "grouping, from peaks", "grouping, from peaks and maps")
    runs = [lambda: plain.people(raw, None, size), lambda: task.people(raw, None, size)]
    runs += [lambda outputs=outputs: bare.people(outputs, None, size) for outputs in grouped.values()]
    for name, each in zip(names, cpu_ms(runs, rounds), strict=True):
        print(f"  {name:29s} {statistics.median(each):8.2f} ms")


def quality(sessions: dict[str, Session], task: BottomUp, pictures: Pictures, size: Size) -> None:
    """Print the AP of each way from pictures to people."""
    truth = read_truth(pictures.dataset)
    ways = (
        ("our decoder, refine off", "raw", task._replace(grouping=PLAIN)),
        ("from peaks", "peaks", FromFile()),
        ("our decoder", "raw", task),
        ("from peaks and maps", "peaks and maps", FromFile()),
    )
    for name, file, way in ways:

        def net(images: Tensor, session: Session = sessions[file]) -> list[Tensor]:
            return [torch.from_numpy(output) for output in session(images.numpy())]

        results = predict_batches(net, task.eval_batches(pictures, size), way, category_id=truth.category_id)
        print(f"  {name:25s} AP {coco_ap(truth, results).ap:.4f}   {len(results)} people", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net")
    parser.add_argument("--data")
    parser.add_argument("--split", default="val")
    parser.add_argument("--input", type=input_size)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = resolve(options.net)
    subnet = found.subnet
    size = options.input or subnet.input
    if found.weights:
        net, task, *_ = load(options.net, "cpu")
    else:
        net, task = network.build(subnet.arch, subnet.joints), BottomUp(subnet.joints)
    with tempfile.TemporaryDirectory() as folder:
        sessions = {}
        for name, (decode, maps) in FILES.items():
            path = Path(folder) / f"{name.replace(' ', '-')}.onnx"
            export(exported(net, subnet, size, found.weights is None, decode, maps=maps), path, FORMATS["onnx"])
            sessions[name] = open_session(path, threads=1)
    print(f"{options.net}, {size[0]}x{size[1]}, {subnet.joints} joints, ONNX Runtime, one thread, CPU time")
    if not options.data:
        speed(sessions, task, np.random.default_rng(0).standard_normal((4, 3, *size), np.float32), size, options.rounds)
        return
    pictures = Pictures(open_source(options.data).read(options.split))
    (first, _), *_ = task.eval_batches(pictures, size)
    speed(sessions, task, first.images.numpy(), size, options.rounds)
    quality(sessions, task, pictures, size)


if __name__ == "__main__":
    main()
