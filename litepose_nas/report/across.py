"""A search across families told again from its journal: who came, who won, who would with more people, the front."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from litepose_nas.budget import Budget, in_words
from litepose_nas.errors import UserError
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.report.reread import Past, cut_of, open_journal, past_of, understood
from litepose_nas.runs import journal
from litepose_nas.search import baselines as baseline
from litepose_nas.search.allocation import KIND, own
from litepose_nas.search.baselines import Baselines
from litepose_nas.search.comparison import Comparison, FamilyResults, by_people, compare, together
from litepose_nas.search.finalists import Finalist, Selection
from litepose_nas.search.pareto import front
from litepose_nas.search.problem import Evaluated
from litepose_nas.search.workload import Workload, workload_of


class Ahead(NamedTuple):
    """By how much AP the winner is ahead of another family's network, had the pictures been others of their kind."""

    family: str
    low: float  # the middle 95 % of the bootstrap
    high: float


class Across(NamedTuple):
    """A search across families as its journal tells it."""

    journal: Path
    pasts: dict[str, Past]  # those of which anything was evaluated, each a search of its own
    budget: Budget  # of a picture
    picture: Workload
    judged: Mapping[str, Any]  # how many pictures, where the number of people and the boxes come from
    compared: Mapping[str, Any] | None  # the last comparison picture by picture
    cut: int

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.journal.parent

    @property
    def families(self) -> list[FamilyResults]:
        """The families as they meet."""
        return [FamilyResults(name, past.problem, past.found, past.again) for name, past in self.pasts.items()]

    @property
    def needs_boxes(self) -> bool:
        """Whether any of the networks see one person at a time."""
        return any(past.problem.space.task.once_a_person for past in self.pasts.values())

    def family_of(self, one: Evaluated) -> str:
        """Return the family that a network is of."""
        return next(name for name, past in self.pasts.items() if past.problem.space == one.arch.space)


class Summary(NamedTuple):
    """What a search across families found, for a budget and a number of people that may be others than its own."""

    across: Across
    budget: Budget
    picture: Workload
    comparison: Comparison
    found: list[Evaluated]  # of all families: AP for a score, the cost of a picture
    front: list[Evaluated]
    people: list[
        tuple[int, Comparison | None]
    ]  # who would win with 1, 2, 3 ... in a picture; none: it makes no difference
    compared: Baselines
    ahead: list[Ahead]

    def subnet(self, one: Evaluated) -> Subnet:
        """Return the record of an evaluated network; its own cost is in it, of a picture or of one person."""
        family = self.across.family_of(one)
        found = self.across.pasts[family].subnet(one)
        score = {**found.info["score"], "ranked_by": "ap"}
        cost = self.picture.cost(found.cost, one.arch.space.task)
        more = {**self.picture.plain(), "macs": cost.macs, "macs_litepose": cost.macs_litepose}
        return found._replace(info={**found.info, "score": score, "family": family, "picture": more})


def is_across(what: str | Path) -> bool:
    """Return whether a run's folder, or a journal, is of a search across families."""
    return open_journal(what)[1].header.get("kind") == KIND


def reread_across(what: str | Path) -> Across:
    """Return the search across families of a run's folder, or of a journal; the files stay as they are."""
    path, read = open_journal(what)
    return _told(path, read, cut_of(path, read))


def _told(path: Path, read: journal.Read, cut: int) -> Across:
    header, notes = read.header, read.header.get("notes") or {}
    if header.get("kind") != KIND:
        raise UserError(f"{path}: a journal of {header.get('kind', 'something else')}, not of a search across families")
    with understood(path):
        picture = workload_of(header)
        budget = Budget.of([str(text) for text in notes["budget"]], notes["convention"])
        known = {
            str(entry["name"]): ({**header, **entry}, notes["families"][entry["name"]]) for entry in header["families"]
        }
        judged = dict(notes["judged"])
        _ = judged["pictures"], judged["people"], judged["boxes"]
    compared = None
    for line, record in enumerate(read.records, 2):
        if "ahead" in record:
            compared = record
        elif record.get("family") not in known:
            raise UserError(f"{path}: line {line} is of no family of this search: {', '.join(known)}")
    pasts = {}
    for name, (head, note) in known.items():
        records = own(read.records, name)
        if any(records):
            pasts[name] = past_of(path, head, note, records, cut)
    if not pasts:
        raise UserError(f"{path}: nothing has been evaluated yet; go on with: litepose-nas search --resume")
    return Across(path, pasts, budget, picture, judged, compared, cut)


def summarise_across(across: Across, budget: Budget | None = None, picture: Workload | None = None) -> Summary:
    """Return what a search across families found, within another budget or for other pictures if told."""
    budget, picture, families = budget or across.budget, picture or across.picture, across.families
    comparison = compare(families, budget, picture)
    found = together(families, picture)
    if comparison is None:
        least = min(budget.macs(one.cost) for one in found)
        limits = ", ".join(limit.text for limit in budget.limits)
        raise UserError(
            f"{across.journal}: none of {len(found)} evaluated networks to choose within {limits} for a picture of "
            f"{picture.number} people; the cheapest takes {in_words('macs', least)}; give more, or search there"
        )
    objectives = families[0].problem.objectives if budget.convention == across.budget.convention else ()
    chosen = next(one for one in found if one.arch == comparison.winner.one.arch)
    selection = Selection(chosen, [Finalist(chosen, comparison.winner.aps)], comparison.winner.noise)
    return Summary(
        across,
        budget,
        picture,
        comparison,
        found,
        front(found, budget, objectives),
        by_people(families, budget, picture) if across.needs_boxes else [],
        baseline.baselines(found, selection, budget),
        _ahead(across.compared, comparison),
    )


def _ahead(record: Mapping[str, Any] | None, comparison: Comparison) -> list[Ahead]:
    """Return what a comparison says, where it is of just these networks."""
    arch = {one.family: one.one.arch.to_dict() for one in comparison.choices}
    winner = comparison.winner.family
    if record is None or record["winner"] != winner or record["arch"] != arch[winner]:
        return []
    same = [each for each in record["ahead"] if arch.get(each["family"]) == each["arch"]]
    return [Ahead(each["family"], each["low"], each["high"]) for each in same]
