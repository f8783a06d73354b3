"""Searches in worlds of known truth: how much of the front each has found after so many evaluations.

The figure is the area under the true scores of the networks that a search takes for its front (it sees noisy scores
only), above the score of the smallest network and within the budget; in points of score times GMAC.
"""

from __future__ import annotations

import argparse
import functools
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from published import POPULATION, ROUNDS, evolution

from litepose_nas.optional import need
from litepose_nas.search import guided, nsga2, random_search
from litepose_nas.search.batched import BatchedSearcher
from litepose_nas.search.pareto import Point, front
from litepose_nas.search.problem import Evaluated, Problem
from litepose_nas.space import Arch
from tests.helpers import worlds
from tests.helpers.worlds import World

SPACES = ("litepose", "litepose-blocks")
AT = (50, 100, 150, 200, 500, 1000, 1640)
OURS = {"guided": guided.searcher, "nsga2": nsga2.searcher, "random": random_search.searcher}
PUBLISHED = {"published": True, "published, every gene": False}
SLOW = {"optuna NSGA-II", "optuna TPE"}  # with the first seeds only, as is what guided search does beyond ENOUGH
ENOUGH = 200
Found = list[tuple[Arch, float]]


def area(world: World, found: Found) -> float:
    """Return the area under the true scores of what a search takes for its front."""
    known = [Evaluated(arch, world.problem.cost(arch), {}, score) for arch, score in found]
    taken = front(known, world.problem.budget)
    points = [Point(world.true(one.arch), one.cost.macs) for one in taken]
    return worlds.hypervolume(points, world.true(world.space.smallest), world.problem.budget.limits[0].most) / 1e9


def ask_and_tell(
    world: World, make: Callable[[Problem, int], BatchedSearcher], evals: int, seed: int
) -> tuple[Found, float]:
    """Return what one of our searchers evaluates, and the processor seconds that it took itself."""
    searcher, found, spent = make(world.problem, seed), [], 0.0
    while len(found) < evals:
        begun = time.process_time()
        archs = searcher.ask(evals - len(found))
        spent += time.process_time() - begun
        for arch in archs:
            result = world.evaluate(arch, seed)
            begun = time.process_time()
            searcher.tell(arch, result)
            spent += time.process_time() - begun
            found.append((arch, result["score"]))
    return found, spent


def with_optuna(world: World, sampler: Any, evals: int, seed: int) -> tuple[Found, float]:
    """Return what a sampler of optuna evaluates; what it proposes beyond the budget is handed back and not counted."""
    optuna = need("optuna", "dev")
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    found, spent = [], 0.0
    while len(found) < evals:
        begun = time.process_time()
        trial = study.ask()
        chosen = {
            gene.path: gene.choices[trial.suggest_int(gene.path, 0, len(gene.choices) - 1)]
            for gene in world.space.genes
        }
        arch = world.space.arch(chosen)
        cost = world.problem.cost(arch)
        ok = world.problem.budget.ok(cost)
        score = world.evaluate(arch, seed)["score"]
        if ok:
            study.tell(trial, [score, cost.macs])
            found.append((arch, score))
        else:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        spent += time.process_time() - begun
    return found, spent


def remembering_world(space: str, kind: str, seed: int) -> World:
    """Return a world that counts each cost once."""
    world = worlds.world(space, kind, seed)
    return world._replace(problem=world.problem.remembering())


def length(name: str, seed: int, evals: int, slow_seeds: int) -> int:
    """Return how many evaluations a method is given with a seed; 0: none, for it is slow."""
    if name in PUBLISHED:
        return POPULATION * (ROUNDS + 1)
    if name == "optuna TPE":  # it takes a tenth of a second an evaluation, and more with each
        return min(evals, ENOUGH) if seed == 0 else 0
    if seed < slow_seeds or name not in {*SLOW, "guided"}:
        return evals
    return min(evals, ENOUGH) if name == "guided" else 0


def run(world: World, seed: int, name: str, evals: int) -> tuple[Found, float]:
    """Return what a method evaluates and its own seconds."""
    if name in OURS:
        return ask_and_tell(world, OURS[name], evals, seed)
    if name in PUBLISHED:
        begun = time.process_time()
        scored = evolution(world.problem, lambda arch: world.evaluate(arch, seed)["score"], seed, PUBLISHED[name])
        return list(scored), time.process_time() - begun
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = {"optuna NSGA-II": optuna.samplers.NSGAIISampler, "optuna TPE": optuna.samplers.TPESampler}[name]
    return with_optuna(world, sampler(seed=seed), evals, seed)


def earlier(path: Path) -> dict[tuple[str, ...], tuple[dict[int, float], float]]:
    """Return the areas and milliseconds of each run in an earlier output, by seed, world and method."""
    found = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        if line.startswith("seed ") and line.endswith(" ms an evaluation)"):
            seed, cell, name, *numbers, cost = line.split("  ")
            areas = {int(at): float(value) for at, value in (number.split(": ") for number in numbers)}
            found[seed.split()[1], cell, name] = areas, float(cost[1:].split()[0])
    return found


def row(areas: list[dict[int, float]], most: int) -> str:
    """Return the cells of a method: mean and standard error at each number of evaluations."""
    cells = []
    for at in AT:
        values = [one[at] for one in areas if at in one]
        error = stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
        few = "" if len(values) == len(areas) else f" ({len(values)})"
        cells.append(f"{fmean(values):.1f} ±{error:.1f}{few}" if values and at <= most else "")
    return " | ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--slow-seeds", type=int, default=3, help="seeds for what is slow")
    parser.add_argument("--evals", type=int, default=1000)
    parser.add_argument("--spaces", nargs="*", default=SPACES)
    parser.add_argument("--kinds", nargs="*", default=list(worlds.KINDS), help="of worlds")
    parser.add_argument("--methods", nargs="*", default=[*OURS, *PUBLISHED, "optuna NSGA-II", "optuna TPE"])
    parser.add_argument(
        "--earlier", type=Path, default=Path("nowhere"), help="an output that was cut short: go on from it"
    )
    asked = parser.parse_args()
    known = earlier(asked.earlier)
    warnings.simplefilter("ignore")
    methods = list(asked.methods)
    try:
        import optuna

        print(f"optuna {optuna.__version__}")
    except ImportError:
        methods = [name for name in methods if not name.startswith("optuna")]
        print("left out: optuna's samplers (pip install optuna)")
    print(f"budget 4 GMAC; scores spread by {worlds.SPREAD} at one cost, an evaluation by {worlds.NOISE}; 1 thread\n")
    cells = [(space, kind) for space in asked.spaces for kind in asked.kinds]
    areas: dict[tuple[str, str], dict[str, list[dict[int, float]]]] = {cell: defaultdict(list) for cell in cells}
    spent: dict[str, list[float]] = defaultdict(list)
    shares: dict[tuple[str, str], list[float]] = defaultdict(list)
    for seed in range(asked.seeds):
        for cell in cells:
            here = functools.cache(functools.partial(remembering_world, *cell, seed))  # built where it is wanted
            if seed < max(1, asked.slow_seeds):
                shares[cell].append(worlds.interaction_share(here(), seed))
            for name in methods:
                evals = length(name, seed, asked.evals, asked.slow_seeds)
                numbers, cost = known.get((str(seed), " ".join(cell), name), ({}, 0.0))
                if evals and max(numbers, default=0) < evals:
                    found, seconds = run(here(), seed, name, evals)
                    numbers = {at: area(here(), found[:at]) for at in AT if at <= len(found)}
                    cost = 1e3 * seconds / len(found)
                if not evals:
                    continue
                areas[cell][name].append(numbers)
                spent[name].append(cost)
                shown = "  ".join(f"{at}: {value:.2f}" for at, value in numbers.items())
                print(f"seed {seed}  {' '.join(cell)}  {name}  {shown}  ({cost:.1f} ms an evaluation)", flush=True)
    for cell in cells:
        print(f"\n{cell[0]}, {cell[1]}: {fmean(shares[cell]):.0%} of the variance at one cost from interactions\n")
        print(f"| search | {' | '.join(map(str, AT))} |\n|---|{'---|' * len(AT)}")
        for name, found in areas[cell].items():
            print(f"| {name} | {row(found, max(max(one) for one in found))} |")
        ours = areas[cell].get("guided", [])
        for other, own_at, at in (("nsga2", 200, 1000), ("published", 150, 1640), ("published, every gene", 150, 1640)):
            pairs = [
                (a[own_at], b[at])
                for a, b in zip(ours, areas[cell].get(other, []), strict=False)
                if own_at in a and at in b
            ]
            if pairs:
                ahead = sum(a >= b for a, b in pairs)
                means = fmean(a for a, _ in pairs), fmean(b for _, b in pairs)
                compared = f"guided at {own_at}: {means[0]:.1f}; {other} at {at}: {means[1]:.1f}"
                print(f"{compared}; ahead in {ahead} of {len(pairs)} worlds")
    print(
        "\nown processor time, ms an evaluation: ", ", ".join(f"{name} {fmean(ms):.1f}" for name, ms in spent.items())
    )


if __name__ == "__main__":
    main()
