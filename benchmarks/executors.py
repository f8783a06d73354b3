"""Evaluations a minute on each engine, and what they have in common: Ray with two actors against two processes.

    python benchmarks/executors.py [--seconds 1.0] [--jobs 16] [--rounds 3] [--supernet RUN] [--busy]

Evaluations that sleep tell what the engines themselves cost, whatever else the machine does; with --busy they use a
processor for so many seconds of its time; with --supernet the run of a trained supernet is searched for real. Engines
take turns, each warm: the time until its workers are ready is in a column of its own.
"""

from __future__ import annotations

import argparse
import functools
import random
import statistics
import time
from collections.abc import Callable
from contextlib import closing

from litepose_nas.executors.base import Executor
from litepose_nas.executors.open_executor import ExecutorOptions, open_executor
from litepose_nas.search.loop import ScoringJob
from litepose_nas.space import Space
from litepose_nas.steps.search_plan import WorkerSpec

CHOICES = (ExecutorOptions("local", 1), ExecutorOptions("local", 2), ExecutorOptions("ray", 2))


def pretending(seconds: float, busy: bool) -> Callable[[ScoringJob], dict[str, float]]:
    """Return an evaluation that takes so long and finds nothing."""

    def work(look: ScoringJob) -> dict[str, float]:
        if busy:
            end = time.process_time() + seconds
            while time.process_time() < end:
                pass
        else:
            time.sleep(seconds)
        return {"ap": 0.0, "loss": 1.0}

    return work


def measure(engine: Executor, looks: list[ScoringJob]) -> tuple[float, float]:
    """Return the seconds until all workers have done a job, and those for the looks."""
    start = time.perf_counter()
    run(engine, looks[: engine.workers])
    ready = time.perf_counter()
    run(engine, looks)
    return ready - start, time.perf_counter() - ready


def run(engine: Executor, looks: list[ScoringJob]) -> None:
    waiting, going = list(looks), 0
    while waiting or going:
        while waiting and engine.free:
            engine.submit(waiting.pop())
            going += 1
        engine.wait()
        going -= 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--jobs", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--supernet")
    parser.add_argument("--busy", action="store_true")
    args = parser.parse_args()
    make: Callable[[], Callable[[ScoringJob], object]] = functools.partial(pretending, args.seconds, args.busy)
    space = Space.load("litepose-tiny")
    if args.supernet:
        from litepose_nas.runs.run import Run
        from litepose_nas.search.scoring import Protocol

        settings = Run.open(args.supernet).settings
        space = Space.load(settings["space"])
        make = WorkerSpec({"": args.supernet}, settings["data"], "cpu", Protocol(), 500).work
    looks = [ScoringJob(number, space.sample(random.Random(number)).to_dict()) for number in range(args.jobs)]
    times: dict[ExecutorOptions, list[tuple[float, float]]] = {choice: [] for choice in CHOICES}
    for turn in range(args.rounds):
        for at in range(len(CHOICES)):
            choice = CHOICES[(at + turn) % len(CHOICES)]
            start = time.perf_counter()
            with closing(open_executor(choice, make(), make)) as engine:
                opened = time.perf_counter() - start
                first, rest = measure(engine, looks)
            times[choice].append((opened + first, rest))
    print(f"{args.jobs} evaluations, medians of {args.rounds} rounds in turn")
    print("| engine | workers | until the first are done, s | evaluations a minute | to two processes |")
    print("|---|---|---|---|---|")
    for choice, found in times.items():
        ratios = [other[1] / mine[1] for mine, other in zip(found, times[CHOICES[1]], strict=True)]
        speed = 60 * args.jobs / statistics.median(rest for _, rest in found)
        begun = statistics.median(begun for begun, _ in found)
        shown = f"{statistics.median(ratios):.3f} ({min(ratios):.3f}-{max(ratios):.3f})"
        print(f"| {choice.engine} | {choice.workers} | {begun:.1f} | {speed:.1f} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
