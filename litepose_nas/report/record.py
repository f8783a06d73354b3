"""A search as its journal tells it: each family's space, everything evaluated, and what was scored again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from litepose_nas.budget import TIMES, Budget, latency_fields, time_limits
from litepose_nas.costs import cost
from litepose_nas.errors import UserError
from litepose_nas.formats.subnet_file import Subnet, check_joints
from litepose_nas.runs import journal
from litepose_nas.runs.journal import DAMAGED, Record
from litepose_nas.runs.plain_files import check_plain
from litepose_nas.search.comparison import FamilyResults
from litepose_nas.search.finalists import repeats
from litepose_nas.search.journal import KIND, JournalView, evaluations, family_name, upgraded
from litepose_nas.search.loop import replay
from litepose_nas.search.measured import MEASURED, MeasuredBatch, batches, times_of
from litepose_nas.search.problem import Evaluated, Problem, score
from litepose_nas.search.ranking import RANKS, Result, ranked_by
from litepose_nas.search.workload import ONE_PERSON, Workload, workload_of
from litepose_nas.space import Arch, Space
from litepose_nas.untrusted.display import short

JOURNAL = "journal.jsonl"


class FamilyRecord(NamedTuple):
    """The part of a search that is of one family."""

    problem: Problem  # with the budget of one run of a network
    found: list[Evaluated]
    again: dict[Arch, list[Result]]
    by: str  # ap or loss: what the networks are ranked by
    joints: int
    info: dict[str, Any]  # goes into a subnet.json
    times: Mapping[Arch, Mapping[str, float]] = {}  # of networks that were measured at the end; see measured.Times

    def subnet(self, one: Evaluated) -> Subnet:
        result = one.result
        scored = {"ap": result.get("ap"), "loss": result.get("loss"), "ranked_by": self.by, "of": "inherited weights"}
        return Subnet(one.arch, self.joints, {"score": scored, **self.info})


class SearchRecord(NamedTuple):
    """A search of one supernet or of several."""

    journal: Path
    families: dict[str, FamilyRecord]  # those of which anything was evaluated
    several: bool  # families were searched, even if only one of them has results yet
    budget: Budget  # of an image; of one run of a network where one family was searched
    workload: Workload
    judged: Mapping[str, Any]  # how many images, where the number of people and the boxes come from
    ahead: Mapping[str, Any] | None  # the last comparison image by image
    cut: int  # bytes of a last line that was never finished
    times: Mapping[str, str] = {}  # what a time limits, where one is known; see `Limit.of`
    devices: Mapping[str, str] = {}  # what each latency profile was measured on, in words
    measured: Sequence[MeasuredBatch] = ()
    ops: str = ""  # the op set that all networks keep, in words

    @property
    def folder(self) -> Path:
        return self.journal.parent

    @property
    def needs_boxes(self) -> bool:
        """Whether any of several families sees one person at a time."""
        return self.several and any(one.problem.space.task.once_a_person for one in self.families.values())

    def results(self, budget: Budget) -> list[FamilyResults]:
        # Without objectives of their own, networks are cheap in MACs of the budget's convention.
        same = budget.convention == self.budget.convention
        return [
            FamilyResults(
                name,
                one.problem._replace(budget=budget, objectives=one.problem.objectives if same else ()),
                one.found,
                one.again,
                one.times,
            )
            for name, one in self.families.items()
        ]

    def family_of(self, one: Evaluated) -> str:
        return next(name for name, family in self.families.items() if family.problem.space == one.arch.space)

    def only(self, family: str) -> SearchRecord:
        """The search of one family as if it had been searched alone."""
        one = self.families[family]
        return self._replace(families={family: one}, several=False, budget=one.problem.budget, workload=ONE_PERSON)


def load_search(what: str | Path) -> SearchRecord:
    """Read the search of a run's folder, or of a journal; the files stay as they are."""
    path = Path(what)
    if path.is_dir():
        check_plain(path)
        path /= JOURNAL
    if not path.is_file():
        raise UserError(f"{path}: no such journal; name the folder of a search, such as runs/search/search")
    read = journal.read(path)
    with _understood(path):
        header = upgraded(read.header)
        if header.get("kind") != KIND:
            raise UserError(f"a journal of {header.get('kind', 'something else')}, and this reads one of a search")
        notes, workload = header["notes"], workload_of(header)
        times = time_limits(header.get("latency", {}))
        budget = Budget.of([str(text) for text in notes["budget"]], notes["convention"], True, times)
        names = [str(entry["name"]) for entry in header["families"]]
        several = len(names) > 1
        if several and (odd := [name for name in names if family_name(name) != name]):
            raise UserError(f"a family called {short(odd[0])}, which cannot be the name of a folder")
        first_look, devices = float(header.get("first_look", 1)), dict(notes.get("latency", {}))
        judged = {key: notes["judged"][key] for key in ("pictures", "people", "boxes")} if several else {}
        empty = [
            _family(header, entry, notes["families"][name], budget, workload)
            for name, entry in zip(names, header["families"], strict=True)
        ]
    ahead = None
    for line, record in enumerate(read.records, 2):
        if "ahead" in record:
            ahead = _comparison(record, path, line)
        elif several and MEASURED not in record and record.get("family") not in names:
            raise UserError(f"{path}: line {line} is of no family of this search: {', '.join(names)}")
    rank, pairs = header["rank"], zip(names, empty, strict=True)
    filled = {name: _filled(family, JournalView(read, name), rank, first_look) for name, family in pairs}
    measured = batches(read.records, path)
    bounds = {name: fields[1] for name, fields in latency_fields(header.get("latency", {})).items()}
    families = {
        name: family._replace(times=times_of(measured, bounds, name, family.problem.space))
        for name, family in filled.items()
        if family.found
    }
    if not families:
        raise UserError(f"{path}: nothing has been evaluated yet; go on with: litepose-nas search --resume")
    cut = max(path.stat().st_size - read.whole, 0)
    priced = next(iter(families.values())).found[0].cost
    times = times or (TIMES if hasattr(priced, TIMES[""]) else {})
    ops = str(notes.get("ops", ""))
    return SearchRecord(path, families, several, budget, workload, judged, ahead, cut, times, devices, measured, ops)


def _family(header: Record, entry: Record, notes: Record, budget: Budget, workload: Workload) -> FamilyRecord:
    """A family as the first line has it, with nothing evaluated."""
    space = Space(entry["tree"], str(entry["space"]))
    problem = Problem(
        space,
        workload.budget(budget, space.task),
        cost,
        RANKS[header["rank"]],
        objectives=tuple(header["objectives"]),
    )
    return FamilyRecord(problem, [], {}, "", check_joints(notes["joints"], entry["name"]), dict(notes["info"]))


def _filled(family: FamilyRecord, lines: JournalView, rank: str, first_look: float) -> FamilyRecord:
    """The family with what was evaluated of it, priced as the search itself counted."""
    found = [one for one in evaluations(family.problem.space, lines) if not one.again]
    costs = {one.arch: one.cost or cost(one.arch, joints=family.joints) for one in found}
    problem = family.problem._replace(cost=costs.__getitem__)
    results = replay(problem.space, None, lines)
    by = ranked_by(list(results.values()), rank)
    if first_look != 1:  # an option that is gone: some were scored on a part of the images only
        parts = [part for result in results.values() for part in (result.get("looks") or {}).values()]
        problem = problem._replace(scores=RANKS[ranked_by([*results.values(), *parts], rank)])
        results = {arch: result for arch, result in results.items() if result.get("share", 1) == 1}
    return family._replace(problem=problem, found=score(problem, results), again=repeats(problem, lines), by=by)


def _comparison(record: Record, path: Path, line: int) -> Record:
    """The record, if it is a comparison of families."""
    try:
        others = [
            {
                "family": str(one["family"]),
                "arch": dict(one["arch"]),
                **{end: float(one[end]) for end in ("low", "high")},
            }
            for one in record["ahead"]
        ]
        return {"winner": str(record["winner"]), "arch": dict(record["arch"]), "ahead": others}
    except DAMAGED as error:
        raise UserError(f"{path}: line {line} is no comparison of families: {error!r:.100}") from error


@contextmanager
def _understood(path: Path) -> Iterator[None]:
    """Say that an error is in the journal's first line."""
    try:
        yield
    except DAMAGED as error:
        raise UserError(
            f"{path}: its first line lacks what a report needs ({error!r}); it was begun by another version of this "
            "program, or from Python: search again"
        ) from error
    except UserError as error:
        raise UserError(f"{path}: its first line: {error}") from error
