"""What a search by milliseconds wins over one by MACs, where both reach the same score.

    python benchmarks/latency_wins.py TRUTH.jsonl profile.json ... [--seeds 3] [--evals 200] [--minutes 4]

Scores are those of a fitted world (fitted_world.py, without noise), so that only the costs differ. For each profile and
seed, guided search once keeps MACs low and once the predicted milliseconds, both below so many MACs. At levels of score
that both reach, the cheapest network of each, in its own currency, is measured here; the ratio of measured milliseconds
is what was won. 95 % intervals are of 2,000 draws of the pairs.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from fitted_world import FittedWorld, fitted_world

from litepose_nas import costs
from litepose_nas.budget import Budget
from litepose_nas.latency import profile as profile_file
from litepose_nas.latency.profiles import NamedProfile
from litepose_nas.search import guided
from litepose_nas.search.problem import Problem
from litepose_nas.space import Arch, Space
from litepose_nas.steps.measured_again import measure_again

LEVELS = 6
JOINTS = 17


def searched(world: FittedWorld, problem: Problem, seed: int, evals: int) -> list[Arch]:
    """Every network that a guided search evaluates."""
    searcher, found = guided.searcher(problem.remembering(), seed), []
    while len(found) < evals:
        archs = searcher.ask(evals - len(found))
        for arch in archs:
            searcher.tell(arch, {"score": world.score(arch)})
        found += archs
    return found


def cheapest(archs: Sequence[Arch], problem: Problem, world: FittedWorld, least: float) -> Arch:
    within = [arch for arch in archs if world.score(arch) >= least]
    return min(within, key=lambda arch: problem.objectives_of(problem.cost(arch)))


def pairs(world: FittedWorld, named: NamedProfile, space: Space, budget: str, seed: int, evals: int):
    """At each level the network that a search by MACs takes, and the one of a search by milliseconds."""
    clock = profile_file.clock(named.profile, named.where, space)
    many, price = costs.columns(space, JOINTS, [clock]), costs.timed_by([clock], JOINTS)
    found = []
    for low in ("macs", "latency_ms"):
        problem = Problem(space, Budget.of([budget]), price, many=many, objectives=(low,)).remembering()
        found.append((searched(world, problem, seed, evals), problem))
    tops = [sorted(map(world.score, archs)) for archs, _ in found]
    lowest, highest = max(top[len(top) // 2] for top in tops), min(top[-1] for top in tops)
    for level in np.linspace(lowest, highest, LEVELS):
        yield tuple(cheapest(archs, problem, world, level) for archs, problem in found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth", type=Path)
    parser.add_argument("profiles", nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--evals", type=int, default=200)
    parser.add_argument("--budget", default="4GMAC")
    parser.add_argument("--minutes", type=float, default=4.0, help="of measuring, for each profile")
    asked = parser.parse_args()
    world = fitted_world(asked.truth)
    print(f"points of AP for e times as much: {', '.join(f'{one:.2f}' for one in world.weights)}", flush=True)
    print(f"{world.explained:.0%} of the variance of the truth\n")
    head = ("runtime", "pairs", "measured ms by MACs / by ms", "95 %", "predicted", "drift", "noise")
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for path in asked.profiles:
        named = NamedProfile(path, profile_file.read(path))
        space = Space.load(named.profile.spaces[0].space)
        clock = profile_file.clock(named.profile, path, space)
        chosen = [
            pair for seed in range(asked.seeds) for pair in pairs(world, named, space, asked.budget, seed, asked.evals)
        ]
        archs = list(dict.fromkeys(arch for pair in chosen for arch in pair))
        with tempfile.TemporaryDirectory() as folder:
            found = measure_again(named, archs, JOINTS, Path(folder) / "journal", asked.minutes, print)
        ms = {arch: took for arch, took in found.ms.items() if took}
        ratios = np.log([ms[a] / ms[b] for a, b in chosen if a in ms and b in ms])
        guesses = {arch: profile_file.network_ms(clock, arch, JOINTS)[0] for arch in archs}
        expected = np.exp(np.mean([np.log(guesses[a] / guesses[b]) for a, b in chosen]))
        draws = np.random.default_rng(0).choice(ratios, (2000, len(ratios))).mean(axis=1)
        low, high = np.exp(np.quantile(draws, (0.025, 0.975)))
        cells = [
            *(f"{named.profile.runtime} {named.profile.runtime_version[:12]}", len(ratios)),
            *(f"{np.exp(ratios.mean()):.2f}", f"{low:.2f} to {high:.2f}", f"{expected:.2f}"),
            *(f"{found.drift.ratio:.3f}", f"{found.drift.noise:.1%}"),
        ]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
