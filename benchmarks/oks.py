"""Time of the fast OKS evaluation against pycocotools, on the same drawn pictures in the same run.

    python benchmarks/oks.py [--images 5000] [--people 4] [--rounds 3]

One thread, CPU time, medians of rounds in turn. Both begin with the list of results, as an inner loop has it; one ends
with ten numbers, ours with the AP. AP, AP50 and AP75 must be equal to 1e-9; the truth is read once and for all
before. pycocotools runs by itself; ours checks the results as well. The bootstrap's two hundred draws are compared, on
a twentieth of the pictures, with what pycocotools takes to add up as many.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pycocotools.cocoeval import COCOeval

from litepose_nas.data.skeleton import sigmas_of
from litepose_nas.metrics.coco import Truth, bootstrap_ap, coco_ap, fast_ap, found_of, judged, labels_of, truth_of
from litepose_nas.metrics.results import Result
from tests.helpers.drawn_results import JOINTS, drawn_pair
from tests.helpers.pycoco import three_numbers


def seconds(works: list[Callable[[], object]], rounds: int) -> list[float]:
    """Return the median CPU time of each work, all of them done in turn."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, own in zip(works, times, strict=True):
            start = time.process_time()
            work()
            own.append(time.process_time() - start)
    return [statistics.median(own) for own in times]


def by_pycocotools(truth: Truth, results: list[Result]) -> None:
    """Let pycocotools make the ten numbers, with nothing of ours around it."""
    with contextlib.redirect_stdout(io.StringIO()):
        judge = COCOeval(truth.coco, truth.coco.loadRes([dict(result) for result in results]), "keypoints")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--people", type=int, default=4, help="at most so many in a picture")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    document, results = drawn_pair(0, options.images, 17, options.people)
    truth = truth_of(document, Path("drawn"), sigmas_of(JOINTS))
    labels = labels_of(truth)
    slow, fast = coco_ap(truth, results), three_numbers(labels, found_of(truth, results))
    gap = np.abs(np.subtract(slow[:3], fast)).max()
    print(f"{options.images} pictures, {len(document['annotations'])} people, {len(results)} results, AP {slow.ap:.4f}")
    print(f"largest difference of the APs: {gap:g}")
    works: list[Callable[[], object]] = [
        lambda: by_pycocotools(truth, results),
        lambda: fast_ap(truth, results),
        lambda: labels_of(truth),
    ]
    judge, ap, once = seconds(works, options.rounds)
    print("| what | seconds | pycocotools / this |")
    print("|---|---|---|")
    for name, value in (("pycocotools", judge), ("AP alone, truth to arrays each time", ap)):
        print(f"| {name} | {value:.3f} | {judge / value:.1f} |")
    print(f"(truth to arrays, once: {once:.3f} s)")
    few, some = drawn_pair(1, max(1, options.images // 20), 17, options.people)
    part = truth_of(few, Path("drawn"), sigmas_of(JOINTS))
    evaluation = judged(part, some)

    def add_up() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.accumulate()

    adding, draws = seconds([add_up, lambda: bootstrap_ap(part, some)], options.rounds)
    print(f"bootstrap, {len(part.image_ids)} pictures, 200 draws: {draws:.2f} s; {200 * adding:.2f} s by pycocotools")


if __name__ == "__main__":
    main()
