"""Two runs on one machine: OpenMP threads that spin while they wait take the cores that the other run needs.

    python benchmarks/spinning.py [--steps 20] [--rounds 3] [--space litepose-tiny] [--batch 8]

Trains the same few steps alone, and twice at the same time, with each way to wait; the ways take turns. GOMP_SPINCOUNT
says how often a waiting thread of GNU's OpenMP, which torch's Linux wheels bring, looks before it goes to sleep.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WAYS: dict[str, dict[str, str]] = {
    "torch's default": {},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "GOMP_SPINCOUNT=100": {"GOMP_SPINCOUNT": "100"},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
OWN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
# Straight to the library: the command line would set its own way to wait.
TRAIN = "import sys; from litepose_nas.cli import app; app(sys.argv[1:])"


def seconds(folder: Path, runs: int, way: dict[str, str], train: list[str]) -> float:
    """How long so many trainings take that begin together."""
    env = {name: value for name, value in os.environ.items() if name not in OWN} | way
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=folder) as out:
        going = [
            subprocess.Popen(
                [sys.executable, "-c", TRAIN, *train, "--out", f"{out}/{number}"],
                cwd=folder, env=env, stdout=subprocess.DEVNULL,
            )
            for number in range(runs)
        ]  # fmt: skip
        if max([one.wait() for one in going]):
            raise SystemExit("a training failed")
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--space", default="litepose-tiny")
    parser.add_argument("--batch", type=int, default=8)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        toy = ["-m", "litepose_nas", "data", "toy", "people", "--train", "60", "--val", "12", "--size", "96"]
        subprocess.run([sys.executable, *toy], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        train = ["train-supernet", "--space", asked.space, "--data", "people"]
        train += ["--steps", str(asked.steps), f"batch={asked.batch}"]
        seconds(folder, 1, {}, train)  # warm-up
        took: dict[str, tuple[list[float], list[float]]] = {way: ([], []) for way in WAYS}
        for number in range(asked.rounds):
            for way, env in WAYS.items():
                for runs in (1, 2):
                    took[way][runs - 1].append(seconds(folder, runs, env, train))
                    print(
                        f"round {number + 1}: {way}, {runs} at once: {took[way][runs - 1][-1]:.1f} s", file=sys.stderr
                    )
    print(
        f"{asked.space}, {asked.steps} steps of {asked.batch}, {os.cpu_count()} cores, {asked.rounds} rounds, medians\n"
    )
    print("| how threads wait | alone, s | two at once, s |\n|---|---|---|")
    for way, (alone, beside) in took.items():
        print(f"| {way} | {statistics.median(alone):.1f} | {statistics.median(beside):.1f} |")


if __name__ == "__main__":
    main()
