"""The journal of a search read again: its space, everything that was evaluated, and what it was scored again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from litepose_nas.budget import Budget
from litepose_nas.costs import Cost, TimedCost
from litepose_nas.errors import UserError
from litepose_nas.formats.subnet_file import Subnet, check_joints
from litepose_nas.runs import journal
from litepose_nas.runs.journal import Read, Record
from litepose_nas.search import finalists
from litepose_nas.search.loop import KIND, replay
from litepose_nas.search.problem import RANKS, Evaluated, Problem, Result, ranked_by, score
from litepose_nas.space import Arch, Space

JOURNAL = "journal.jsonl"


class Past(NamedTuple):
    """A search as its journal tells it."""

    journal: Path
    problem: Problem  # with the budget of the search
    found: list[Evaluated]
    again: dict[Arch, list[Result]]
    by: str  # ap or loss: what the networks are ranked by
    joints: int
    info: dict[str, Any]  # goes into a subnet.json
    cut: int  # bytes of a last line that was never finished

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.journal.parent

    def subnet(self, one: Evaluated) -> Subnet:
        """Return the record of an evaluated network."""
        result = one.result
        scored = {"ap": result.get("ap"), "loss": result.get("loss"), "ranked_by": self.by, "of": "inherited weights"}
        return Subnet(one.arch, self.joints, {"score": scored, **self.info})


def reread(what: str | Path) -> Past:
    """Return the search of a run's folder, or of a journal; the files stay as they are."""
    path, read = open_journal(what)
    kind = read.header.get("kind", "something else")
    if kind != KIND:
        raise UserError(f"{path}: a journal of {kind}, and this reads one of a search")
    return past_of(path, read.header, read.header.get("notes") or {}, read.records, cut_of(path, read))


def open_journal(what: str | Path) -> tuple[Path, Read]:
    """Return the path of the journal of a run's folder, or of a journal, and what it holds."""
    path = Path(what)
    if path.is_dir():
        path /= JOURNAL
    if not path.is_file():
        raise UserError(f"{path}: no such journal; name the folder of a search, such as runs/search/search")
    return path, journal.read(path)


def cut_of(path: Path, read: Read) -> int:
    """Return how many bytes of a last line were never finished."""
    return max(path.stat().st_size - read.whole, 0)


def past_of(path: Path, header: Record, notes: Record, records: list[Record], cut: int) -> Past:
    """Return the search that the first line of a journal and its records tell."""
    with understood(path):
        space = Space(header["tree"], str(header["space"]))
        budget = Budget.of([str(text) for text in notes["budget"]], notes["convention"])
        joints, info = check_joints(notes["joints"], str(path)), dict(notes["info"])
        objectives, look = tuple(header["objectives"]), float(header.get("first_look", 1.0))
        rank, scores = header["rank"], RANKS[header["rank"]]
    costs = _costs(path, space, records)
    lines = _Lines(path, records)
    results = replay(space, None, lines)
    if not results:
        raise UserError(f"{path}: nothing has been evaluated yet; go on with: litepose-nas search --resume")
    by = ranked_by(list(results.values()), rank)
    if look != 1:  # an option of the past: some networks were scored on a part of the images only, and never chosen
        parts = [part for result in results.values() for part in result.get("looks", {}).values()]
        scores = RANKS[ranked_by([*results.values(), *parts], rank)]
        results = {arch: result for arch, result in results.items() if result.get("share", 1) == 1}
    problem = Problem(space, budget, costs.__getitem__, scores, objectives=objectives)
    again = finalists.repeats(problem, lines)
    return Past(path, problem, score(problem, results), again, by, joints, info, cut)


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Say of a first line that lacks something, or says what cannot be, that it is the journal's."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: its first line lacks what a report needs ({error!r}); it was begun by another version of this "
            "program, or from Python: search again"
        ) from error
    except UserError as error:
        raise UserError(f"{path}: its first line: {error}") from error


class _Lines(NamedTuple):
    """The records of a journal that is not opened for writing."""

    path: Path
    records: list[Record]


def _costs(path: Path, space: Space, records: list[Record]) -> dict[Arch, Cost]:
    """Return what each evaluated architecture costs, as the search itself counted."""
    costs: dict[Arch, Cost] = {}
    for line, record in enumerate(records, 2):
        if not record or "again" in record:
            continue
        try:
            costs[space.arch(record["arch"])] = _cost(record["cost"])
        except (KeyError, TypeError, ValueError, UserError) as error:
            raise UserError(f"{path}: line {line} is no evaluation of {space.name}: {error}") from error
    return costs


def _cost(values: Mapping[str, Any]) -> Any:
    return TimedCost(**values) if "latency_ms" in values else Cost(**values)
