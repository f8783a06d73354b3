"""Seconds and memory with annotations of the size of COCO: 118,287 images, 262,465 people with outlines.

    python benchmarks/coco_size.py [--images 118287] [--rounds 1] [--only read stats ...]

The file is drawn, the same bytes every time. Each figure is of a fresh process: its processor time, without imports,
and the most memory beyond what the process had taken before. The goal: reading takes at most 2 times the seconds
and 1.3 times the memory of `json.load`.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import math
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

IMAGES, PEOPLE_AN_IMAGE = 118_287, 262_465 / 118_287
LABELLED = 0.57  # of the people: they have joints
TRUTH_IMAGES, RESULTS, EVALUATIONS = 5_000, 100_000, 20_000
JOINTS = 17


# ── drawn files ──


def person(rng: np.random.Generator, number: int, image: int) -> dict[str, Any]:
    left, top = rng.uniform(0, 400, 2).round(2).tolist()
    wide, high = rng.uniform(20, 220, 2).round(2).tolist()
    corners = int(rng.integers(12, 60))
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    outline = np.column_stack([left + wide / 2 * (1 + np.cos(angle)), top + high / 2 * (1 + np.sin(angle))])
    points = np.zeros((JOINTS, 3), int)
    if rng.random() < LABELLED:
        points[:, 0], points[:, 1] = rng.integers(0, 640, JOINTS), rng.integers(0, 480, JOINTS)
        points[:, 2] = rng.integers(0, 3, JOINTS)
        points[0, 2] = 2
        points[points[:, 2] == 0] = 0
    crowd = rng.random() < 0.01
    runs: Any = {"counts": [1000, 200, 306_000], "size": [480, 640]}
    return {
        "segmentation": runs if crowd else [outline.round(2).ravel().tolist()],
        "num_keypoints": int((points[:, 2] > 0).sum()),
        "area": round(0.53 * wide * high, 4),
        "iscrowd": int(crowd),
        "keypoints": points.ravel().tolist(),
        "image_id": image,
        "bbox": [left, top, wide, high],
        "category_id": 1,
        "id": number,
    }


def names() -> list[str]:
    from litepose_nas.data.dataset_yaml import known_skeleton

    return list(known_skeleton("coco").names)


def write_annotations(path: Path, images: int) -> None:
    """Write a file like COCO's, an annotation at a time."""
    rng = np.random.default_rng(0)
    ids = np.sort(rng.choice(581_929, images, replace=False)).tolist()
    with path.open("w", encoding="utf-8") as file:
        entries = [
            {"license": 3, "file_name": f"{number:012}.jpg", "coco_url": f"http://images/train2017/{number:012}.jpg"}
            | {"height": 480, "width": 640, "date_captured": "2013-11-14 11:18:45", "id": number}
            for number in ids
        ]
        file.write('{"images": ' + json.dumps(entries) + ', "annotations": [')
        for number in range(round(images * PEOPLE_AN_IMAGE)):
            file.write((", " if number else "") + json.dumps(person(rng, number + 1, ids[int(rng.integers(images))])))
        category = {"id": 1, "name": "person", "keypoints": names(), "skeleton": [[16, 14], [14, 12]]}
        file.write('], "categories": ' + json.dumps([category]) + "}")


def write_results(path: Path, truth: Path) -> None:
    """Write predictions near the people of a file, and far from them."""
    rng = np.random.default_rng(1)
    people = json.loads(truth.read_bytes())["annotations"]
    results = []
    for place in rng.integers(len(people), size=RESULTS).tolist():
        points = np.array(people[place]["keypoints"], float).reshape(JOINTS, 3)
        points[:, :2] += rng.normal(0, 8, (JOINTS, 2))
        result = {"image_id": people[place]["image_id"], "category_id": 1, "score": round(float(rng.random()), 4)}
        results.append({**result, "keypoints": points.round(2).ravel().tolist()})
    path.write_text(json.dumps(results), encoding="utf-8")


def write_journal(path: Path) -> None:
    from litepose_nas import costs
    from litepose_nas.budget import Budget
    from litepose_nas.runs import journal
    from litepose_nas.search.encoding import Genome
    from litepose_nas.search.journal import header
    from litepose_nas.search.problem import Problem
    from litepose_nas.search.ranking import by_ap_or_loss
    from litepose_nas.space import Space

    space = Space.load("litepose")
    genome = Genome(space)
    archs = [genome.arch(row) for row in genome.draw(EVALUATIONS, np.random.default_rng(0), 1.0)]
    problem = Problem(space, Budget.of(["2GMAC"]), costs.cost, by_ap_or_loss)
    first = header({"": (space, "")}, 0, objectives=problem.low, method="random", rank="auto")
    notes = {"budget": ["2GMAC"], "convention": "exact", "families": {"": {"joints": JOINTS, "info": {"seed": 0}}}}
    lines = [journal.line_of(journal.plain({"journal": journal.VERSION, **first, "notes": notes}))]
    for number, arch in enumerate(dict.fromkeys(archs), 1):
        ap = 0.1 * (math.log(costs.cost(arch).macs) - 14)
        result = {"ap": ap, "loss": 1 - ap, "seconds": 0.1}
        record = {"n": number, "arch": arch.to_dict(), "result": result, "cost": costs.cost(arch)._asdict()}
        lines.append(journal.line_of(journal.plain(record)))
    path.write_bytes(b"".join(lines))


# ── what is measured: each imports what it needs, and gives back the work alone ──


def json_load(folder: Path) -> Callable[[], object]:
    def work() -> object:
        with open(folder / "train.json", encoding="utf-8") as file:
            return json.load(file)

    return work


def pycoco(folder: Path) -> Callable[[], object]:
    from pycocotools.coco import COCO

    return lambda: COCO(str(folder / "train.json"))


def read(folder: Path) -> Callable[[], object]:
    from litepose_nas.data.source import open_source

    return lambda: open_source(str(folder / "train.json")).read("train", pictures=False)


def command(*words: str) -> Callable[[Path], Callable[[], object]]:
    """A command of the program, in the folder."""

    def ready(folder: Path) -> Callable[[], object]:
        for name in ("data.check.checkup", "data.convert", "report.page", "report.summary"):
            importlib.import_module(f"litepose_nas.{name}")
        from litepose_nas import cli

        os.chdir(folder)
        sys.argv = ["litepose-nas", *words]

        def work() -> None:
            with contextlib.suppress(SystemExit):
                cli.main()

        return work

    return ready


def start(folder: Path) -> Callable[[], object]:
    """What a training does before its first step, but for the network; and the order of an epoch."""
    from litepose_nas.data.dataset import split
    from litepose_nas.data.loader import Pictures, shuffled
    from litepose_nas.data.source import open_source
    from litepose_nas.metrics.coco import read_truth

    def work() -> object:
        whole = open_source(str(folder / "train.yaml")).read("train")
        rest, slice_ = split(whole, 0.02)
        pictures = Pictures(rest)
        order = [shuffled(0, place, len(pictures)) for place in range(len(pictures))]
        return len(pictures.people), order, read_truth(slice_)

    return work


def evaluate(folder: Path) -> Callable[[], object]:
    from litepose_nas.metrics.from_files import PredictionFiles, judge

    return lambda: judge("coco", PredictionFiles(folder / "results.json", str(folder / "val.json")))


def pycoco_evaluate(folder: Path) -> Callable[[], object]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def work() -> None:
        truth = COCO(str(folder / "val.json"))
        judge = COCOeval(truth, truth.loadRes(str(folder / "results.json")), "keypoints")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()

    return work


MEASURED: dict[str, tuple[str, Callable[[Path], Callable[[], object]]]] = {
    "json": ("`json.load`", json_load),
    "pycocotools": ("pycocotools' `COCO`", pycoco),
    "read": ("reading", read),
    "stats": ("`data stats`", command("data", "stats", "train.json")),
    "check": ("`data check --no-images`", command("data", "check", "train.yaml", "--no-images")),
    "split": ("`data split`", command("data", "split", "train.yaml", "--out", "divided")),
    "start": ("the start of a training, and an epoch's order", start),
    "evaluate": ("COCO's figures of 5,000 images and 100,000 results", evaluate),
    "pycoco-evaluate": ("the same by pycocotools alone", pycoco_evaluate),
    "report": ("`report` of a journal of 20,000 evaluations", command("report", "journal.jsonl", "--out", "report")),
}


def megabytes() -> float:
    """The most memory that this process has taken."""
    status = Path("/proc/self/status")
    if status.exists():  # elsewhere what the process took counts that began this one, too
        return int(re.findall(r"VmHWM:\s*(\d+)", status.read_text())[0]) / 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def measure(name: str, folder: Path) -> None:
    """Print seconds, megabytes and lines printed, in this process."""
    work = MEASURED[name][1](folder)
    before, begun, out = megabytes(), time.process_time(), io.StringIO()
    with contextlib.redirect_stdout(out):
        kept = work()
    seconds = time.process_time() - begun
    print(json.dumps([seconds, megabytes() - before, len(out.getvalue().splitlines())]))
    del kept


def measured(name: str, folder: Path, rounds: int) -> Iterator[list[float]]:
    for _ in range(rounds):
        subprocess.run(["rm", "-rf", str(folder / "divided"), str(folder / "report")], check=True)
        words = [sys.executable, __file__, "--measure", name, "--folder", str(folder)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{name}: {done.stderr[-2000:]}")
        yield json.loads(done.stdout.splitlines()[-1])


def make(folder: Path, images: int) -> None:
    """Write the files that are missing; pictures are empty, for nothing here opens one."""
    folder.mkdir(parents=True, exist_ok=True)
    writers: dict[str, Callable[[Path], object]] = {
        "train.json": lambda path: write_annotations(path, images),
        "val.json": lambda path: write_annotations(path, TRUTH_IMAGES),
        "results.json": lambda path: write_results(path, folder / "val.json"),
        "journal.jsonl": write_journal,
        "train": lambda path: write_pictures(path, folder / "train.json"),
        "train.yaml": lambda path: path.write_text(
            "train: {images: train, annotations: train.json}\n", encoding="utf-8"
        ),
    }
    for name, write in writers.items():
        if not (folder / name).exists():
            write(folder / f"{name}.half")
            (folder / f"{name}.half").rename(folder / name)


def write_pictures(folder: Path, annotations: Path) -> None:
    folder.mkdir(exist_ok=True)
    for image in json.loads(annotations.read_bytes())["images"]:
        (folder / image["file_name"]).touch()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=MEASURED, default=list(MEASURED))
    parser.add_argument("--folder", type=Path, help="Where the files are kept; a temporary folder if not given.")
    parser.add_argument("--measure", choices=MEASURED, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        measure(asked.measure, asked.folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        make(folder, asked.images)
        size = (folder / "train.json").stat().st_size / 1e6
        print(f"{asked.images:,} images, {round(asked.images * PEOPLE_AN_IMAGE):,} people, {size:.0f} MB\n")
        print("| what | seconds | MB | times json.load's seconds | its MB | lines printed |\n|---|---|---|---|---|---|")
        base: list[float] = []
        for name in asked.only:
            found = list(measured(name, folder, asked.rounds))
            seconds, taken, lines = (min(values) for values in zip(*found, strict=True))
            base = base or [seconds, taken]
            ratios = f"{seconds / base[0]:.2f} | {taken / base[1]:.2f}"
            print(f"| {MEASURED[name][0]} | {seconds:.1f} | {taken:.0f} | {ratios} | {lines:.0f} |", flush=True)


if __name__ == "__main__":
    main()
