"""Everything that a report says of a search, as data: the choice, the front, what they are to be compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from litepose_nas.budget import Budget, in_words, is_bound, is_time, measured_field
from litepose_nas.errors import UserError
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.report.genes import Fitted, Matter, fitted
from litepose_nas.report.record import SearchRecord
from litepose_nas.runs.journal import plain
from litepose_nas.search.baselines import Baselines, baselines
from litepose_nas.search.comparison import Comparison, FamilyChoice, by_people, compare, together
from litepose_nas.search.finalists import Finalist, Selection, select
from litepose_nas.search.pareto import front
from litepose_nas.search.problem import Evaluated
from litepose_nas.search.workload import Workload


class Ahead(NamedTuple):
    """By how much AP the winner is ahead of another family's network, had the images been others of their kind."""

    family: str
    low: float  # the middle 95 % of the bootstrap
    high: float


class Summary(NamedTuple):
    """A search within a budget and for a number of people that may be others than its own.

    A family alone is ranked by its own rank; several are compared by AP, and costs are those of an image.
    """

    record: SearchRecord
    budget: Budget
    workload: Workload
    comparison: Comparison
    found: list[Evaluated]  # of all families
    front: list[Evaluated]
    selection: Selection  # of the winner
    baselines: Baselines
    people: list[tuple[int, Comparison | None]]  # who would win with 1, 2, 3 ... people; empty: it makes no difference
    ahead: list[Ahead]
    models: Fitted | None  # of the scores of a family alone; None: not asked for, or too little was evaluated

    @property
    def chosen(self) -> Evaluated:
        return self.selection.chosen

    @property
    def by(self) -> str:
        """What `found` is scored by: ap or loss."""
        return "ap" if self.record.several else self.record.families[self.comparison.winner.family].by

    def subnet(self, one: Evaluated) -> Subnet:
        """The record of an evaluated network; among several families with what an image costs."""
        family = self.record.family_of(one)
        found = self.record.families[family].subnet(one)
        if not self.record.several:
            return found
        score = {**found.info["score"], "ranked_by": "ap"}
        cost = self.workload.cost(found.cost, one.arch.space.task)
        more = {**self.workload.plain(), "macs": cost.macs, "macs_litepose": cost.macs_litepose}
        return found._replace(info={**found.info, "score": score, "family": family, "picture": more})

    def measured(self, one: Evaluated) -> dict[str, float]:
        """What one of `found` takes as measured, by the field with its upper bound; infinity: it does not run."""
        times = self.record.families[self.record.family_of(one)].times.get(one.arch, {})
        return {field: self.workload.time(ms, one.arch.space.task) for field, ms in times.items()}

    def of_family(self, family: str) -> Summary:
        task = self.record.families[family].problem.space.task
        return summarise(self.record.only(family), self.workload.budget(self.budget, task), models=True)


def summarise(
    record: SearchRecord, budget: Budget | None = None, workload: Workload | None = None, models: bool = False
) -> Summary:
    """What a search found within its own budget and workload or others; nothing is evaluated."""
    budget, workload = budget or record.budget, workload or record.workload
    families = record.results(budget)
    found = together(families, workload) if record.several else list(families[0].found)
    comparison = compare(families, budget, workload)
    if comparison is None:
        raise UserError(_nothing(record, found, budget, workload))
    winner = comparison.winner
    family = record.families[winner.family]
    if record.several:
        chosen = next(one for one in found if one.arch == winner.one.arch)
        selection = Selection(chosen, [Finalist(chosen, winner.aps)], winner.noise)
    else:
        selection = winner.selection
        if selection.noise is None:  # nothing within this budget was scored twice; within the search's own it was
            own = select(family.problem, family.found, family.again)
            selection = selection._replace(noise=own.noise if own else None)
    return Summary(
        record,
        budget,
        workload,
        comparison,
        found,
        front(found, budget, families[0].problem.objectives),
        selection,
        baselines(found, selection, budget),
        by_people(families, budget, workload) if record.needs_boxes else [],
        _ahead(record.ahead, comparison),
        fitted(family.problem, family.found) if models and not record.several else None,
    )


def beyond(record: SearchRecord, budget: Budget) -> list[str]:
    searched = {limit.field: limit for limit in record.budget.limits}
    found = [one for family in record.families.values() for one in family.found]
    said = []
    for limit in budget.limits:
        most = max(getattr(one.cost, limit.field) for one in found)
        if limit.most > most:
            own = searched.get(limit.field)
            kept = f"the search kept to {own.text}" if own else "the search went no further"
            said.append(
                f"{limit.text}: the dearest evaluated network has {in_words(limit.field, most)}, for {kept}; "
                f"for the rest: litepose-nas search --budget {limit.text}{' --latency PROFILE' * is_time(limit.field)}"
            )
    return said


def to_json(found: Summary) -> dict[str, Any]:
    told = _several_to_json(found) if found.record.several else _one_to_json(found)
    if found.record.measured:
        told["measured"] = [
            {"profile": one.profile, "networks": len(one.networks), **one.drift._asdict(), "doubt": one.drift.doubt}
            for one in found.record.measured
        ]
    return dict(plain(told))


def _costs(found: Summary, one: Evaluated) -> dict[str, Any]:
    """The costs of a network, and its times as measured where a profile predicts them."""
    measured = found.measured(one)
    return one.cost._asdict() | {
        measured_field(field): measured.get(field) for field in one.cost._fields if is_bound(field)
    }


def _one_to_json(found: Summary) -> dict[str, Any]:
    models = found.models
    expected = models.expected if models else {}
    number = {one.arch: at for at, one in enumerate(found.found)}

    def line(one: Evaluated) -> dict[str, Any]:
        at = number[one.arch]
        return {
            "n": at + 1,
            **_costs(found, one),
            "score": one.score,
            "expected": expected.get(at),
            **{key: one.result.get(key) for key in ("ap", "loss")},
            "arch": one.arch.to_dict(),
        }

    def matter(one: Matter) -> dict[str, Any]:
        effects = {str(value): effect for value, effect in one.effects}
        return {"name": one.name, "gained": one.gained, "lost": one.lost, **({"effects": effects} if effects else {})}

    model = None
    if models:
        model = {
            "model": models.model,
            "tau_left_out_cost_apart": models.tau,
            "explained": models.explained,
            "explained_by_cost": models.by_cost,
            "kinds": [matter(one) for one in models.kinds],
            "genes": [matter(one) for one in models.genes],
        }
    return {
        "space": found.chosen.arch.space.name,
        "evaluated": len(found.found),
        "ranked_by": found.by,
        "budget": [limit.text for limit in found.budget.limits],
        "mac_convention": found.budget.convention,
        "noise": found.selection.noise,
        "chosen": line(found.chosen),
        "front": [line(one) for one in found.front],
        "baselines": found.baselines.plain(),
        "model": model,
    }


def _several_to_json(found: Summary) -> dict[str, Any]:
    record = found.record

    def line(one: Evaluated) -> dict[str, Any]:
        family = record.family_of(one)
        return {
            "family": family,
            **_costs(found, one),
            "macs_of_a_run": record.families[family].problem.cost(one.arch).macs,
            "ap": one.score,
            "loss": one.result.get("loss"),
            "arch": one.arch.to_dict(),
        }

    def best(one: FamilyChoice) -> dict[str, Any]:
        family = record.families[one.family]
        return {
            "family": one.family,
            "task": family.problem.space.task,
            "ap": one.ap,
            "noise": one.noise,
            **one.cost._asdict(),
            "macs_of_a_run": one.one.cost.macs,
            "evaluated": len(family.found),
            "ranked_by": family.by,
            "arch": one.one.arch.to_dict(),
        }

    return {
        "budget": [limit.text for limit in found.budget.limits],
        "mac_convention": found.budget.convention,
        "people": float(found.workload.people),
        "detector_macs": found.workload.detector_macs,
        "people_are": people_are(found),
        "pictures": record.judged["pictures"],
        "boxes": record.judged["boxes"],
        "evaluated": len(found.found),
        "winner": found.comparison.winner.family,
        "tied": found.comparison.tied,
        "mute": found.comparison.mute,
        "families": [best(one) for one in found.comparison.choices],
        "ahead": [one._asdict() for one in found.ahead],
        "by_people": [
            {
                "people": people,
                "winner": comparison.winner.family if comparison else None,
                "ap": {one.family: one.ap for one in comparison.choices} if comparison else {},
            }
            for people, comparison in found.people
        ],
        "front": [line(one) for one in found.front],
        "baselines": found.baselines.plain(),
    }


def people_are(found: Summary) -> str:
    same = found.workload.people == found.record.workload.people
    return str(found.record.judged["people"]) if same else "as asked for"


def _ahead(record: Mapping[str, Any] | None, comparison: Comparison) -> list[Ahead]:
    """What a comparison image by image says, where it is of just these networks."""
    arch = {one.family: one.one.arch.to_dict() for one in comparison.choices}
    winner = comparison.winner.family
    if record is None or record["winner"] != winner or record["arch"] != arch[winner]:
        return []
    same = [each for each in record["ahead"] if arch.get(each["family"]) == each["arch"]]
    return [Ahead(each["family"], each["low"], each["high"]) for each in same]


def _nothing(record: SearchRecord, found: list[Evaluated], budget: Budget, workload: Workload) -> str:
    """Why nothing fits, with what the cheapest evaluated network takes."""
    least = []
    for limit in budget.limits:
        fewest = min(getattr(one.cost, limit.field) for one in found)
        if fewest > limit.most:
            least.append(f"{limit.text} is less than the cheapest of them takes: {in_words(limit.field, fewest)}")
    why = "; ".join(least) or "none that could be scored keeps all limits"
    people = f" for an image of {workload.number} people" if record.several else ""
    return (
        f"{record.journal}: none of {len(found)} evaluated networks to choose{people}: {why}; "
        f"give more, or search there: litepose-nas search {' '.join(f'--budget {one.text}' for one in budget.limits)}"
    )
