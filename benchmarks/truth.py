"""Does a search find the best network where the score of every network is known, on a real supernet?

    python benchmarks/truth.py [--room runs/truth] [--steps 1000] [--seeds 10] [--evals 60]

A supernet of a space of 1,152 networks (truth.yaml) is trained on drawn people, and every network of it is calibrated
and scored on the same held-out pictures; the scores are kept in the room's truth.jsonl, where a run that was killed
goes on. Then searches are played on the table, each with so many evaluations: under three budgets, which leave a
quarter, a half and three quarters of the networks, ranked by the loss and by the AP, with so many seeds.

A search has found the best if the best score that it has seen is within noise of the best network's. Noise is the
standard deviation of that network's score over five calibrations with other pictures, in brackets the whole range of
these five. `gap` is the mean difference to the best, in units of the noise; `better` how many networks within the
budget are better than what was found, on average. The best of many noisy scores is best by luck too; `again` is the
mean gap between what guided search found and the best when both are scored by five further calibrations. One thread.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from drawn_supernet import Wanted, drawn_supernet

from litepose_nas import costs
from litepose_nas.budget import Budget, in_words
from litepose_nas.data.source import open_source
from litepose_nas.demo.scale import FULL
from litepose_nas.executors.base import run_all
from litepose_nas.executors.open_executor import ExecutorOptions, open_executor
from litepose_nas.runs.journal import Journal
from litepose_nas.search.journal import header
from litepose_nas.search.loop import ScoringJob
from litepose_nas.search.methods import searcher_of
from litepose_nas.search.problem import Problem
from litepose_nas.search.ranking import RANKS, Result
from litepose_nas.search.scoring import Protocol
from litepose_nas.space import Arch, Space
from litepose_nas.steps.search_plan import SearchContext, WorkerSpec, context_of, work_of

SPACE = Path(__file__).with_suffix(".yaml")
AGAIN = 5  # calibrations whose scores say what noise is
SHARES = (0.25, 0.5, 0.75)  # of the networks that the budgets leave
METHODS = ("guided", "nsga2", "random")


class Table(NamedTuple):
    """What is true of every network of a space."""

    space: Space
    results: Mapping[Arch, Result]
    macs: Mapping[Arch, int]


class Played(NamedTuple):
    """What a search found in a table."""

    gap: float  # from the best score within the budget
    better: int  # networks within the budget that are better
    arch: Arch


class Setting(NamedTuple):
    """A supernet, how its networks are scored, and the same for workers."""

    context: SearchContext
    worker: WorkerSpec


def setting_of(room: Path, wanted: Wanted, protocol: Protocol, in_slice: int) -> Setting:
    """Return a supernet that is trained in the room if it is not there, and how its networks are scored."""
    trained = drawn_supernet(room, wanted)
    source = open_source(trained.settings["data"])
    worker = WorkerSpec({"": str(trained.folder)}, source.name, "cpu", protocol, in_slice)
    return Setting(context_of(worker, trained, source), worker)


def journal_of(setting: Setting, path: Path) -> Journal:
    """Return the file in which the truth is kept."""
    more = {
        "protocol": setting.worker.protocol,
        "in_slice": setting.worker.most_in_slice,
        "supernet": setting.context.info["supernet"]["sha256"],
    }
    return Journal(path, {**header({"": (setting.context.problem.space, "")}, 0), **more, "kind": "truth"})


def evaluate_all(setting: Setting, journal: Journal, workers: int) -> Table:
    """Return the truth, evaluating what is not in the journal yet, in an order that tells nothing."""
    space, joints = setting.context.problem.space, setting.context.candidates.supernet.joints
    archs = sorted(set(space), key=lambda arch: arch.values)
    assert len(archs) == space.size
    random.Random(0).shuffle(archs)
    known = {space.arch(record["arch"]): record["result"] for record in journal.records if "again" not in record}
    jobs = [ScoringJob(number, arch.to_dict()) for number, arch in enumerate(archs) if arch not in known]
    crew = open_executor(
        ExecutorOptions(workers=workers), work_of({"": setting.context.candidates}), setting.worker.work, say=print
    )
    with closing(crew):
        for done in run_all(crew, jobs):
            record = {"arch": done.job.arch, "result": {**done.result, "seconds": done.seconds}}
            known[space.arch(done.job.arch)] = journal.append(record)["result"]
            if len(known) % 100 == 0:
                print(f"{len(known)} of {len(archs)}", flush=True)
    macs = costs.many(archs, joints)[:, 0]
    return Table(space, {arch: known[arch] for arch in archs}, dict(zip(archs, macs.tolist(), strict=True)))


def again(setting: Setting, journal: Journal, arch: Arch) -> list[Result]:
    """Return what further calibrations of a network find, kept in the journal as well."""
    space, candidates = setting.context.problem.space, setting.context.candidates
    known = {
        record["again"]: record["result"]
        for record in journal.records
        if "again" in record and space.arch(record["arch"]) == arch
    }
    for number in range(1, AGAIN + 1):
        if number not in known:
            record = {"arch": arch.to_dict(), "again": number, "result": candidates(arch, again=number)}
            known[number] = journal.append(record)["result"]
    return [known[number] for number in sorted(known)]


def problem_of(table: Table, most: float, rank: str, joints: int) -> Problem:
    """Return what a search is asked within so many MACs."""
    budget = Budget.of([f"{int(most)}MAC"])
    many = costs.columns(table.space, joints)
    return Problem(table.space, budget, lambda arch: costs.cost(arch, joints=joints), RANKS[rank], many).remembering()


def best_within(table: Table, problem: Problem) -> tuple[Arch, dict[Arch, float]]:
    """Return the best network within a budget, and the scores of all that are."""
    most = problem.budget.limits[0].most
    within = [arch for arch, macs in table.macs.items() if macs <= most]
    scores = dict(zip(within, problem.scores([table.results[arch] for arch in within]), strict=True))
    return max(within, key=lambda arch: scores[arch]), scores


def play(table: Table, problem: Problem, method: str, seed: int, evals: int) -> Played:
    """Return what a search of so many evaluations finds that looks scores up in the table."""
    best, scores = best_within(table, problem)
    searcher, seen = searcher_of(method, problem, seed, evals), []
    while len(seen) < evals and (archs := searcher.ask(evals - len(seen))):
        for arch in archs:
            seen.append(arch)
            searcher.tell(arch, table.results[arch])
    found = max(seen, key=lambda arch: scores[arch])
    return Played(scores[best] - scores[found], sum(score > scores[found] for score in scores.values()), found)


def noise_of(problem: Problem, results: Sequence[Result]) -> tuple[float, float]:
    """Return the standard deviation and the range of the scores of one network."""
    scores = problem.scores(results)
    return statistics.stdev(scores), max(scores) - min(scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--room", type=Path, default=Path("runs") / "truth", help="where pictures, weights and truth are kept"
    )
    parser.add_argument("--space", default=str(SPACE), help="a name, or a file; every network of it is scored")
    parser.add_argument("--steps", type=int, default=1000, help="of the supernet's training")
    parser.add_argument("--pictures", type=int, default=FULL.train, help="to draw")
    parser.add_argument("--pixels", type=int, default=FULL.size, help="of a drawn picture's longer side")
    parser.add_argument("--calibration", type=int, default=32, help="pictures to calibrate a network with")
    parser.add_argument("--in-slice", type=int, default=48, help="held-out pictures to score a network on")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--evals", type=int, default=60)
    parser.add_argument("--ranks", nargs="*", choices=("loss", "ap"), default=("loss", "ap"))
    parser.add_argument("--workers", type=int, default=1, help="processes that evaluate, for the truth")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    wanted = Wanted(asked.space, asked.steps, asked.pictures, asked.pixels)
    setting = setting_of(asked.room, wanted, Protocol(calibration=asked.calibration), asked.in_slice)
    journal = journal_of(setting, asked.room / "truth.jsonl")
    table = evaluate_all(setting, journal, asked.workers)
    seconds = statistics.fmean(float(result["seconds"]) for result in table.results.values())
    aps = [float(result["ap"]) for result in table.results.values()]
    joints, judged = setting.context.candidates.supernet.joints, len(setting.context.candidates.scorer.split.heldout)
    print(
        f"{len(table.results)} networks, {seconds:.2f} s each on {judged} pictures; AP {min(aps):.3f} to {max(aps):.3f}"
    )
    print(f"{asked.evals} evaluations, {asked.seeds} seeds; found: searches within noise of the best\n")
    print("| ranked by | budget | networks | best | noise (range) | method | found | gap | better | again |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for rank in asked.ranks:
        for share in SHARES:
            most = np.quantile(list(table.macs.values()), share)
            problem = problem_of(table, most, rank, joints)
            best, scores = best_within(table, problem)
            noise, spread = noise_of(problem, again(setting, journal, best))
            for method in METHODS:
                played = [play(table, problem, method, seed, asked.evals) for seed in range(asked.seeds)]
                found = sum(one.gap <= noise for one in played)
                gap, better = (statistics.fmean(values) for values in list(zip(*played, strict=True))[:2])
                truly = ""
                if method == METHODS[0]:
                    means = [statistics.fmean(problem.scores(again(setting, journal, one.arch))) for one in played]
                    top = statistics.fmean(problem.scores(again(setting, journal, best)))
                    truly = f"{(top - statistics.fmean(means)) / noise:.2f}"
                cells = [
                    *(rank, in_words("macs", most), len(scores)),
                    *(f"{abs(scores[best]):.4f}", f"{noise:.5f} ({spread:.5f})"),
                    *(method, f"{found} of {asked.seeds}", f"{gap / noise:.2f}", f"{better:.1f}", truly),
                ]
                print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
