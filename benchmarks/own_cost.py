"""What a search itself takes for each evaluation, when evaluating takes no time.

    python benchmarks/own_cost.py [--evals 1000] [--methods guided nsga2 random]

Worlds of worlds.py, whose scores are known at once; the loop is the one of the command: proposals, prices, models, the
journal written to the disk after each evaluation, and scores among all so far. CPU time of one thread, in ms an
evaluation, for each fifth of the way; and the seconds that resuming takes, which makes the proposals of every round
again.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from pathlib import Path

import torch

from litepose_nas.runs.journal import Journal
from litepose_nas.search.journal import header
from litepose_nas.search.loop import run_search
from litepose_nas.search.methods import METHODS, searcher_of
from tests.helpers import worlds

PARTS = 5


def own_cost(space: str, method: str, evals: int, path: Path) -> tuple[list[float], float]:
    """Return the milliseconds an evaluation in each part of a search, and the seconds that resuming it takes."""
    world = worlds.world(space, "interacting", 0)
    problem = world.problem.remembering()
    scoring, moments = 0.0, [time.process_time()]

    def evaluate(arch):  # type: ignore[no-untyped-def]
        nonlocal scoring
        start = time.process_time()
        found = {**world.evaluate(arch, 0), "seconds": 0.0}
        scoring += time.process_time() - start
        return found

    def tell(_, number: int) -> None:  # type: ignore[no-untyped-def]
        if number % (evals // PARTS) == 0:
            moments.append(time.process_time() - scoring)

    def search(count: int) -> None:
        searcher = searcher_of(method, problem, 0, evals)
        run_search(problem, searcher, evaluate, Journal(path, header({"": (world.space, "")}, 0)), count, tell)

    search(evals)
    each = [1e3 * (b - a) / (evals // PARTS) for a, b in itertools.pairwise(moments)]
    start = time.process_time()
    search(evals + 1)
    return each, time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evals", type=int, default=1000)
    parser.add_argument("--spaces", nargs="*", default=["litepose", "litepose-blocks"])
    parser.add_argument("--methods", nargs="*", default=METHODS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    ends = [asked.evals * (part + 1) // PARTS for part in range(PARTS)]
    print(f"| space | search | {' | '.join(f'to {end}' for end in ends)} | all | resumed, s |")
    print(f"|---|---|{'---|' * (PARTS + 2)}")
    for space in asked.spaces:
        for method in asked.methods:
            with tempfile.TemporaryDirectory() as folder:
                each, again = own_cost(space, method, asked.evals, Path(folder) / "journal.jsonl")
            cells = " | ".join(f"{value:.1f}" for value in each)
            print(f"| {space} | {method} | {cells} | {sum(each) / PARTS:.1f} | {again:.1f} |", flush=True)


if __name__ == "__main__":
    main()
