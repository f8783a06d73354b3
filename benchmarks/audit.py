"""Does a supernet rank networks as training them alone does? On drawn people, at one resolution, on a processor.

    python benchmarks/audit.py [--folder audit-benchmark] [--nets 24] [--seeds 2] [--alone 1500] [--steps 3000]

People and recipe are the demo's, and so is the small space, here at 96 px alone. It runs what a user would type, in a
folder that stays: killed, the same line goes on where it was. `--estimate` says how long the audit would take, after
ten steps of the supernet in a folder of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from litepose_nas.demo.scale import FULL
from litepose_nas.runs.run import ENDED, ENV
from litepose_nas.space import Space

ROOT = Path(__file__).resolve().parent.parent
RESOLUTION = 96


def command(folder: Path, *words: str) -> None:
    """Run a command to its end in a folder, with one thread, so that figures can be repeated."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "litepose_nas", *words], cwd=folder, env=environment, check=True)


def run(folder: Path, out: str, verb: str, *words: str) -> None:
    """Begin a run, or go on with it; one that has ended stays as it is."""
    if (folder / out / ENV).is_file():
        if not (folder / out / ENDED).is_file():
            command(folder, verb, "--resume", "--out", out)
    else:
        command(folder, verb, *words, "--out", out)


def main() -> None:
    """Draw people, train the supernet, audit it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("audit-benchmark"))
    parser.add_argument("--nets", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--alone", type=int, default=1500, help="steps of each training alone")
    parser.add_argument("--steps", type=int, default=FULL.supernet_steps, help="of the supernet")
    parser.add_argument("--people", type=int, default=FULL.train, help="pictures")
    parser.add_argument("--estimate", action="store_true")
    asked = parser.parse_args()
    folder: Path = asked.folder
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "people").exists():
        pictures = ("--train", str(asked.people), "--val", "1", "--size", str(FULL.size), "--setting", FULL.setting)
        command(folder, "data", "toy", "people", *pictures)
    tree = {**json.loads(Space.load(FULL.space).source), "resolution": [RESOLUTION]}
    (folder / "space.yaml").write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    trained, steps = ("estimate", 10) if asked.estimate else ("supernet", asked.steps)
    learning = ("--space", "space.yaml", "--data", "people", "--steps", str(steps), "--device", "cpu", *FULL.supernet)
    run(folder, trained, "train-supernet", *learning)
    auditing = (trained, "--nets", str(asked.nets), "--seeds", str(asked.seeds), "--steps", str(asked.alone))
    if asked.estimate:
        command(folder, "audit", *auditing, "--device", "cpu", "--dry-run")
        return
    run(folder, "audit", "audit", *auditing, "--device", "cpu")
    print((folder / "audit" / "audit.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
