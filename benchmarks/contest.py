"""Who competes at one budget: networks that a search finds, and those that an engineer takes without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from real_pictures import Subject
from trained_alone import scorer_of

from litepose_nas import costs
from litepose_nas.budget import Budget
from litepose_nas.demo.contenders import scaled
from litepose_nas.resolve import resolve
from litepose_nas.runs.journal import Journal
from litepose_nas.search.encoding import Genome
from litepose_nas.search.finalists import finalists
from litepose_nas.search.loop import run_search
from litepose_nas.search.methods import searcher_of
from litepose_nas.search.problem import Problem
from litepose_nas.search.ranking import by_loss
from litepose_nas.search.scoring import SupernetScorer
from litepose_nas.space import Arch, Space, Value
from litepose_nas.supernet import Supernet
from litepose_nas.train.recipe import Recipe

SEARCHED, SCALED, RANDOM, PUBLISHED = "searched", "scaled", "random", "published"
NEAR = 0.95  # random networks have at least this share of the budget
GROWS = ("width", "depth")  # what scaling changes of a published network; the resolution too


class Contender(NamedTuple):
    kind: str
    number: int  # of its kind, the best first where they are ranked
    arch: Arch


class Contest(NamedTuple):
    """What is the same for all at one budget."""

    supernet: Supernet
    subject: Subject
    recipe: Recipe
    mmac: float  # asked for; the limit is what the network scaled to it takes
    seed: int
    evals: int
    journal: Path

    @property
    def space(self) -> Space:
        return self.supernet.space

    @property
    def by_hand(self) -> Arch:
        return scaled(self.space, round(self.mmac * 1e6), self.subject.joints)

    @property
    def limit(self) -> int:
        return self.macs(self.by_hand)

    def macs(self, arch: Arch) -> int:
        return costs.cost(arch, joints=self.subject.joints).macs


def searched(contest: Contest, count: int) -> Iterator[Contender]:
    """Yield the best networks that a guided search finds, by inherited loss, and that take no more than the limit."""
    scorer = SupernetScorer(contest.supernet, scorer_of(contest.subject, contest.space, contest.recipe))
    joints, budget = contest.subject.joints, Budget.of([f"{contest.limit}MAC"])
    problem = Problem(
        contest.space,
        budget,
        lambda arch: costs.cost(arch, joints=joints),
        by_loss,
        lambda archs: costs.many(archs, joints),
    )
    journal = Journal(contest.journal, {"limit": contest.limit, "seed": contest.seed, "evals": contest.evals})
    searcher = searcher_of("guided", problem, contest.seed, contest.evals)
    found = run_search(problem, searcher, scorer, journal, contest.evals)
    for number, one in enumerate(finalists(found, budget, count)):
        yield Contender(SEARCHED, number, one.arch)


def others(contest: Contest, names: tuple[str, ...], random: int) -> Iterator[Contender]:
    """Yield the scaled network, published ones scaled to the limit, and random ones just within it."""
    yield Contender(SCALED, 0, contest.by_hand)
    for number, name in enumerate(names):
        held = shape(contest.space, resolve(name).subnet.arch)
        yield Contender(PUBLISHED, number, scaled(contest.space, contest.limit, contest.subject.joints, held))
    genome, rng, count = Genome(contest.space), np.random.default_rng(contest.seed), 0
    while count < random:
        arch = genome.arch(genome.draw(1, rng)[0])
        if NEAR * contest.limit <= contest.macs(arch) <= contest.limit:
            yield Contender(RANDOM, count, arch)
            count += 1


def shape(space: Space, published: Arch) -> dict[str, Value]:
    """Return what a published network chooses, but for its size: kernels, expansions, groups, attention.

    Where a space lacks a choice, its nearest stands in.
    """
    held: dict[str, Value] = {}
    for gene in space.genes:
        chosen = published.to_dict().get(gene.path)
        if chosen is None or gene.path == "resolution" or gene.path.rpartition(".")[2] in GROWS or gene.path == "stem":
            continue
        if chosen in gene.choices:
            held[gene.path] = chosen
        elif isinstance(chosen, int):
            held[gene.path] = min(gene.choices, key=lambda choice: abs(choice - chosen))
    return held
