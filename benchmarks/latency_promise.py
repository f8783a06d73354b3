"""Is a budget in milliseconds kept? Each network that a search chooses is built and measured anew.

    python benchmarks/latency_promise.py TRUTH.jsonl profile.json [--budgets 20] [--seeds 3] [--evals 60] [--minutes 5]

Scores are those of a fitted world (fitted_world.py). Guided search runs under budgets spread evenly over what random
networks take, with each seed. A first measurement is that of the finalists, as `search` makes it: those over the budget
are dropped. A second, later one judges: the share of chosen networks that keep their budget, by prediction alone, and
after finalists were measured.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from fitted_world import FittedWorld, fitted_world

from litepose_nas import costs
from litepose_nas.budget import Budget
from litepose_nas.latency import profile as profile_file
from litepose_nas.latency.profiles import NamedProfile
from litepose_nas.search.methods import searcher_of
from litepose_nas.search.problem import Problem
from litepose_nas.space import Arch, Space
from litepose_nas.steps.measured_again import MeasuredAgain, measure_again

JOINTS, FINALISTS = 17, 5


class Promise(NamedTuple):
    most: float  # milliseconds
    finalists: list[Arch]  # within the budget by the bound, best first


def search(world: FittedWorld, named: NamedProfile, space: Space, most: float, seed: int, evals: int) -> Promise:
    clock = profile_file.clock(named.profile, named.where, space, ("latency_ms", "latency_ms_bound"))
    budget = Budget.of([f"{most}ms"], times={"": "latency_ms_bound"})
    many, price = costs.columns(space, JOINTS, [clock]), costs.timed_by([clock], JOINTS)
    problem = Problem(space, budget, price, many=many, objectives=("latency_ms",)).remembering()
    searcher, found = searcher_of("guided", problem, seed, evals), []
    while len(found) < evals and (archs := searcher.ask(evals - len(found))):
        for arch in archs:
            searcher.tell(arch, {"score": world.score(arch)})
        found += [arch for arch in archs if budget.ok(problem.cost(arch))]
    return Promise(most, sorted(found, key=world.score, reverse=True)[:FINALISTS])


def today(named: NamedProfile, archs: list[Arch], minutes: float) -> MeasuredAgain:
    with tempfile.TemporaryDirectory() as folder:
        return measure_again(named, archs, JOINTS, Path(folder) / "journal", minutes, print)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth", type=Path)
    parser.add_argument("profile")
    parser.add_argument("--budgets", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--evals", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=5.0, help="of measuring finalists; judging takes half as long")
    asked = parser.parse_args()
    world, named = fitted_world(asked.truth), NamedProfile(asked.profile, profile_file.read(asked.profile))
    space, rng = Space.load(named.profile.spaces[0].space), random.Random(0)
    clock = profile_file.clock(named.profile, named.where, space)
    typical = [profile_file.network_ms(clock, space.sample(rng), JOINTS)[0] for _ in range(200)]
    limits = np.geomspace(*np.quantile(typical, (0.05, 0.8)), asked.budgets)
    promises = []
    for seed in range(asked.seeds):
        for most in limits:
            promises.append(search(world, named, space, float(f"{most:.3g}"), seed, asked.evals))
        print(f"seed {seed}: {len(limits)} searches done", flush=True)
    archs = list(dict.fromkeys(arch for one in promises for arch in one.finalists))
    first = today(named, archs, asked.minutes)

    def kept(arch: Arch, most: float) -> bool:
        took = first.ms[arch]
        return took is not None and took / first.drift.scale <= most

    alone = [one.finalists[0] for one in promises]
    measured = [next((arch for arch in one.finalists if kept(arch, one.most)), None) for one in promises]
    judges = today(named, list(dict.fromkeys([*alone, *filter(None, measured)])), asked.minutes / 2)

    def share(chosen: list[Arch | None]) -> str:
        over = []
        for arch, one in zip(chosen, promises, strict=True):
            took = judges.ms[arch] if arch else None
            if took is not None:
                over.append(took / judges.drift.scale / one.most - 1)
        late = [value for value in over if value > 0]
        worst = f", the worst {max(late):.1%} over" if late else ""
        return f"{sum(value <= 0 for value in over)} of {len(chosen)} keep their budget{worst}"

    runtime, fit = named.profile.runtime, named.profile.spaces[0].fit
    print(f"\n{runtime}, {space.name}: {len(promises)} searches under {limits[0]:.3g} to {limits[-1]:.3g} ms")
    print(
        f"noise of the profile {fit.noise:.1%}, of the measurements {first.drift.noise:.1%}, {judges.drift.noise:.1%}"
    )
    print(f"speed beside the profile {first.drift.ratio:.3f}, {judges.drift.ratio:.3f}")
    print(f"by prediction alone: {share(list(alone))}")
    print(f"after finalists were measured: {share(measured)}")
    print(f"searches of which no finalist held: {sum(arch is None for arch in measured)}")


if __name__ == "__main__":
    main()
