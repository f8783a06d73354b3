"""A search's journal: its first line, the records of one family, and the first lines of older versions.

Until 0.1.0 a search of one supernet and a search across several had kinds of their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from litepose_nas.costs import cost_of
from litepose_nas.errors import UserError
from litepose_nas.runs.journal import DAMAGED, Journal, Read, Record
from litepose_nas.search.measured import MEASURED
from litepose_nas.search.ranking import Result
from litepose_nas.search.workload import ONE_PERSON
from litepose_nas.space import Arch, Space

KIND, OLD_KIND = "search", "families"
RETIRED = {"first_look": 1.0, "eager": False}  # options that are gone, and their values where they were not used
PER_FAMILY = ("space", "tree", "supernet")
SCORES = ("ap", "loss", "score", "share")  # numbers in a result, where it has them
AnyJournal: TypeAlias = "Journal | JournalView"


def header(families: Mapping[str, tuple[Space, str]], seed: int, **more: Any) -> Record:
    """What a continued search must agree on: each family's space and hash of its supernet, the seed, whatever else."""
    named = [
        {"name": name, "space": space.name, "tree": json.loads(space.source), "supernet": sha256}
        for name, (space, sha256) in families.items()
    ]
    return {"kind": KIND, "families": named, "seed": seed, **more}


def upgraded(header: Record) -> Record:
    """The first line of an older version's search, as this version writes it."""
    new = {key: value for key, value in header.items() if key not in RETIRED or value != RETIRED[key]}
    if new.get("kind") == OLD_KIND:
        new["kind"] = KIND
    elif new.get("kind") == KIND and "families" not in new:
        name = family_name(new["space"])
        notes = dict(new.get("notes") or {})
        notes["families"] = {name: {key: notes.pop(key) for key in ("joints", "info") if key in notes}}
        family = {"name": name, **{key: new.pop(key) for key in PER_FAMILY if key in new}}
        new |= {"families": [family], **ONE_PERSON.plain(), "boxes": None, "notes": notes}
    return new


class Logged(NamedTuple):
    """An evaluation in a journal."""

    number: int
    arch: Arch
    result: Result
    again: int  # 0, or the number of a repetition
    cost: Any  # a Cost, with times or without; None: it was not written down


def evaluations(space: Space, journal: AnyJournal) -> Iterator[Logged]:
    """The evaluations of a family, in the order in which they ended."""
    for line, record in enumerate(journal.records, 2):
        if record:  # an empty one stands for what is another family's
            try:
                logged = _logged(space, record, line)
            except (*DAMAGED, UserError) as error:
                raise UserError(f"{journal.path}: line {line} is no evaluation of {space.name}: {error}") from error
            yield logged


def _logged(space: Space, record: Record, line: int) -> Logged:
    number, again = record.get("n", line), record.get("again", 0)
    if type(number) is not int or type(again) is not int:
        raise TypeError(f"n is {number!r:.40} and again is {again!r:.40}, and not whole numbers")
    cost, result = record.get("cost"), record["result"]
    if not isinstance(result, dict) or not isinstance(cost, dict | None):
        raise TypeError("its result, or its cost, is no mapping")
    if cost and not all(type(value) in (int, float) for value in cost.values()):
        raise TypeError("its cost is not numbers")
    for part in (result, *dict(result.get("looks") or {}).values()):
        for key in SCORES:
            if part.get(key) is not None:
                float(part[key])  # `inf` is a word in a journal
    return Logged(number, space.arch(record["arch"]), result, again, cost and cost_of(cost))


def family_name(space: str) -> str:
    """A name for a family, from its space, that can be the name of a folder."""
    return re.sub(r"[^\w.-]+", "-", Path(re.sub(r"\.ya?ml$", "", space)).name).lstrip(".") or "space"


class JournalView:
    """A journal that families share, as one of them sees it: records of others are empty lines."""

    def __init__(self, whole: Journal | Read, family: str):
        self._whole, self._family = whole, family

    @property
    def path(self) -> Path:
        return self._whole.path

    @property
    def records(self) -> list[Record]:
        """Its own records at the places of their lines, empty ones at those of others."""
        own, whole = self._family, self._whole.records
        # One without a family is of the only one; or it compares several, or holds times of some of each.
        return [one if not {"ahead", MEASURED} & one.keys() and one.get("family", own) == own else {} for one in whole]

    def append(self, record: Mapping[str, Any]) -> Record:
        assert isinstance(self._whole, Journal)
        return self._whole.append({"family": self._family, **record})
