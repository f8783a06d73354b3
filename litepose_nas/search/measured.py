"""The end of a search with latency profiles: whose times were measured, who is too slow, who is measured next.

A time that was measured decides in place of its prediction's upper bound.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from litepose_nas.budget import Budget, Limit, predicted_field
from litepose_nas.errors import UserError
from litepose_nas.latency.drift import Drift
from litepose_nas.runs.journal import DAMAGED, Record
from litepose_nas.search.problem import Evaluated
from litepose_nas.space import Arch, Space

MEASURED = "measured"  # what a record of a batch has, and no other
# Milliseconds of a run, by the field of a cost with their prediction's upper bound; infinity: it does not run.
Times = Mapping[Arch, Mapping[str, float]]


class MeasuredNetwork(NamedTuple):
    family: str
    arch: dict[str, Any]
    ms: float | None  # by today's clock; None: it does not run


class MeasuredBatch(NamedTuple):
    """Networks that were measured together in one runtime, beside some of its profile's own."""

    profile: str
    number: int  # 0: finalists and front; from 1 on: the next best, for nothing before kept the budget
    drift: Drift
    networks: tuple[MeasuredNetwork, ...]

    def to_record(self) -> Record:
        networks = [one._asdict() for one in self.networks]
        return {MEASURED: self.profile, "batch": self.number, "drift": self.drift._asdict(), "networks": networks}


def batches(records: Iterable[Record], where: object) -> list[MeasuredBatch]:
    """The batches of a journal; `where` begins every error."""
    found = []
    for line, record in enumerate(records, 2):
        if MEASURED in record:
            try:
                drift = Drift(**{key: float(value) for key, value in record["drift"].items()})
                networks = tuple([_network(**one) for one in record["networks"]])
                found.append(MeasuredBatch(str(record[MEASURED]), int(record["batch"]), drift, networks))
            except DAMAGED as error:
                raise UserError(f"{where}: line {line} is no measurement of networks: {error!r}") from error
    return found


def _network(family: str, arch: dict[str, Any], ms: float | None) -> MeasuredNetwork:
    return MeasuredNetwork(str(family), dict(arch), None if ms is None else float(ms))


def times_of(some: Iterable[MeasuredBatch], fields: Mapping[str, str], family: str, space: Space) -> Times:
    """What a family's networks take, in the milliseconds of their profiles; `fields` of a cost by profile.

    What was measured on a day that cannot be compared with the profile's is left out.
    """
    found: dict[Arch, dict[str, float]] = {}
    for batch in some:
        for one in batch.networks if not batch.drift.doubt and batch.profile in fields else ():
            if one.family == family:
                ms = math.inf if one.ms is None else one.ms / batch.drift.scale
                found.setdefault(space.arch(one.arch), {})[fields[batch.profile]] = ms
    return found


class _Sorted(NamedTuple):
    """Networks within a budget by prediction, by what is known of their times."""

    asked: list[Limit]  # those on times that any of the networks was measured by
    holding: list[Evaluated]
    slow: list[Evaluated]
    unknown: list[Evaluated]


def eligible(within: Sequence[Evaluated], budget: Budget, times: Times) -> list[Evaluated]:
    """Those that may be chosen of networks within a budget by prediction, in their order.

    That is those that kept it when they were measured; where none did, those not measured; of nothing but slow ones,
    the nearest to the budget.
    """
    known = _sorted(within, budget, times)
    nearest = sorted(known.slow, key=lambda one: _excess(known.asked, times[one.arch]))[:1]
    return known.holding or known.unknown or nearest


def next_candidates(
    within: Sequence[Evaluated], budget: Budget, times: Times, finalists: Container[Arch], count: int
) -> list[Evaluated]:
    """Whom to measure next, of networks within a budget by prediction, the best score first.

    Nobody, unless all finalists were too slow. Then those that would be better than the best that kept the budget, if
    their predictions are as far off as those of the slow ones; and the nearest to that while none kept it.
    """
    known = _sorted(within, budget, times)
    if not known.slow or any(one.arch in finalists for one in known.holding):
        return []
    off = {}
    for limit in known.asked:
        pairs = [(times[one.arch].get(limit.field, math.inf), _predicted(one, limit)) for one in known.slow]
        off[limit.field] = statistics.median([ms / predicted for ms, predicted in pairs if ms < math.inf] or [1.0])

    def expected(one: Evaluated) -> float:
        return _excess(known.asked, {limit.field: _predicted(one, limit) * off[limit.field] for limit in known.asked})

    if known.holding:
        best = max(one.score for one in known.holding)
        return [one for one in known.unknown if one.score > best and not expected(one)][:count]
    return sorted(known.unknown, key=expected)[:count]  # stable: of those that are alike the best score comes first


def too_slow(one: Evaluated, budget: Budget, times: Times) -> bool:
    """Whether a network was measured to take longer than a budget allows."""
    return _excess(budget.limits, times.get(one.arch, {})) > 0


def _sorted(within: Sequence[Evaluated], budget: Budget, times: Times) -> _Sorted:
    asked = [limit for limit in budget.limits if any(limit.field in times.get(one.arch, {}) for one in within)]
    found = _Sorted(asked, [], [], [])
    for one in within:
        whole = asked and all(limit.field in times.get(one.arch, {}) for limit in asked)
        kind = found.slow if too_slow(one, budget, times) else found.holding if whole else found.unknown
        kind.append(one)
    return found


def _excess(limits: Iterable[Limit], ms: Mapping[str, float]) -> float:
    return sum(max(ms[limit.field] / limit.most - 1, 0.0) for limit in limits if limit.field in ms)


def _predicted(one: Evaluated, limit: Limit) -> float:
    return float(getattr(one.cost, predicted_field(limit.field)))
