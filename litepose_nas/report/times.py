"""Milliseconds in a report: what was predicted, and beside it what was measured at the end of the search."""

from __future__ import annotations

import math
from collections.abc import Sequence

from litepose_nas.budget import field_name, is_bound, is_time, latency_in_words, predicted_field
from litepose_nas.report.summary import Summary
from litepose_nas.search.finalists import finalists
from litepose_nas.search.measured import too_slow
from litepose_nas.search.problem import Evaluated
from litepose_nas.space import Arch

Table = tuple[Sequence[str], list[list[str]]]  # head and lines


def axis(found: Summary) -> str:
    """The time that a picture of the front is drawn over: its upper bound where there is one; empty: it is the MACs.

    A time is drawn that is kept low, or that the budget limits alone.
    """
    low = found.record.families[found.comparison.winner.family].problem.low[0]
    fields = [limit.field for limit in found.budget.limits]
    limited = [] if any(field.startswith("macs") for field in fields) else list(filter(is_time, fields))
    if not is_time(low):
        return limited[0] if limited else ""
    bound = low.replace("latency_ms", "latency_ms_bound", 1)
    return bound if hasattr(found.chosen.cost, bound) else low


def measured_by(found: Summary, field: str) -> dict[Arch, float]:
    """The times of all networks that were measured in place of this upper bound."""
    pairs = [(one.arch, found.measured(one).get(field)) for one in found.found] if field else []
    return {arch: ms for arch, ms in pairs if ms is not None}


def measured_bounds(found: Summary) -> list[str]:
    """The upper bounds in the costs in place of which anything was measured."""
    known = {field for family in found.record.families.values() for one in family.times.values() for field in one}
    return [field for field in found.chosen.cost._fields if field in known]


def heads(found: Summary) -> list[str]:
    """The columns of times in a table: what was predicted, and what was measured."""
    fields = list(filter(is_time, found.chosen.cost._fields))
    return [f"ms, {name}" for name in (*map(field_name, fields), *map(measured_name, measured_bounds(found)))]


def cells(found: Summary, one: Evaluated) -> list[str]:
    """The times of a network under those columns."""
    measured = found.measured(one)
    predicted = [f"{getattr(one.cost, field):.4g}" for field in one.cost._fields if is_time(field)]
    return [*predicted, *(shown(measured.get(field)) for field in measured_bounds(found))]


def measured_name(bound: str) -> str:
    return field_name(predicted_field(bound)).replace("latency", "measured", 1)


def shown(ms: float | None) -> str:
    """A measured time in a table; nothing where it was not measured."""
    return "" if ms is None else f"{ms:.4g}" if ms < math.inf else "does not run"


def of_network(found: Summary, one: Evaluated) -> str:
    """The times of a network after commas, predicted and measured."""
    measured = found.measured(one)
    took = "".join(f", {measured_name(field)} {shown(ms)} ms" for field, ms in measured.items())
    return f"{latency_in_words(one.cost)}{took}"


def alone(found: Summary) -> str:
    """What one run of the chosen network takes: as measured, else as predicted."""
    one = found.comparison.winner.one
    measured = found.record.families[found.comparison.winner.family].times.get(one.arch, {})
    said = []
    for field in filter(is_bound, one.cost._fields):
        ms = measured.get(field, math.inf)
        device = field_name(field).rpartition(" on ")[2]
        where = f" on {device}" if " on " in field_name(field) else ""
        kind = "measured" if ms < math.inf else "predicted"
        said.append(f"{ms if ms < math.inf else getattr(one.cost, predicted_field(field)):.3g} ms{where}, {kind}")
    return ", ".join(said)


def in_words(found: Summary) -> list[str]:
    """What was measured again, how fast the device was that day, and who was dropped for it."""
    lines = []
    for batch in found.record.measured:
        drift = batch.drift
        what = f"{len(batch.networks)} networks" if not batch.number else f"the {len(batch.networks)} next best"
        line = (
            f"measured again on {batch.profile}: {what}; the profile's own take {drift.ratio:.3f} times as long as "
            f"then, noise {drift.noise:.1%}"
        )
        if drift.doubt:
            line += f"; not used, for {drift.doubt}"
        elif drift.moved:
            line += "; that is more than noise, so times are divided by it"
        lines.append(line)
    for name in found.record.families:
        lines += _dropped(found, name)
    return lines


def _dropped(found: Summary, name: str) -> list[str]:
    """Which finalists of a family were too slow, and who was chosen where all were."""
    family = found.record.families[name]
    budget = found.workload.budget(found.budget, family.problem.space.task)
    within = finalists(family.found, budget, len(family.found))
    slow = [one for one in within if too_slow(one, budget, family.times)]
    if not slow:
        return []
    whose = f" of {name}" if found.record.several else ""
    limits = ", ".join(limit.text for limit in found.budget.limits if is_time(limit.field))
    again = [one for one in within if one.arch in family.again]
    late = [one for one in again if one in slow]
    lines = [f"{len(late)} of {len(again)} finalists{whose} take longer than {limits} and are dropped"] if late else []
    choice = next((one.one for one in found.comparison.choices if one.family == name), None)
    if choice in slow:
        lines.append(f"none of all networks{whose} within {limits} kept it: the nearest is taken; search for less")
    elif choice and choice.arch not in family.times:
        lines.append(f"none of {len(slow)} measured networks{whose} kept {limits}: the choice is by prediction alone")
    return lines


def table(found: Summary) -> Table:
    """The finalists of each family, and whoever was measured in their place; nothing where nothing was measured."""
    record = found.record
    if not measured_bounds(found):
        return [], []
    late = [one for batch in record.measured if batch.number for one in batch.networks]
    late_archs = {record.families[one.family].problem.space.arch(one.arch) for one in late}
    rows = []
    for number, one in enumerate(found.found, 1):
        name = record.family_of(one)
        family = record.families[name]
        if one.arch not in family.again and one.arch not in late_archs and one.arch != found.chosen.arch:
            continue
        own = next(each for each in family.found if each.arch == one.arch)
        slow = too_slow(own, found.workload.budget(found.budget, own.arch.space.task), family.times)
        first = [name] if record.several else []
        mark = "chosen" if one.arch == found.chosen.arch else "too slow" if slow else ""
        rows.append([*first, str(number), f"{one.score:.4f}", *cells(found, one), mark])
    return [*(["family"] if record.several else []), "evaluation", "score", *heads(found), ""], rows
