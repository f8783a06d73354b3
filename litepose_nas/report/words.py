"""What a search across families found, in words and as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from litepose_nas.budget import in_words, is_time
from litepose_nas.report import times
from litepose_nas.report.summary import Summary, people_are
from litepose_nas.search import baselines
from litepose_nas.search.comparison import FamilyChoice, crossover_points
from litepose_nas.search.ranking import WORDS
from litepose_nas.search.workload import RUNS

HEAD = ("family", "sees", "AP", "a picture", "a run", "params")


def say(found: Summary, line: Callable[[str], None], lines: Callable[[Sequence[str], list[list[str]]], None]) -> None:
    """Print it, with what prints a line and what prints a table."""
    line(rule(found))
    lines(head(found), table(found))
    for text in [*times.in_words(found), *verdict(found)]:
        line(text)


def rule(found: Summary) -> str:
    """What an image costs and what the networks were judged by."""
    judged, workload = found.record.judged, found.workload
    said = [f"by AP on {judged['pictures']} held-out pictures"]
    if found.record.needs_boxes:
        detector, times = workload.detector_macs, "once" if workload.people == 1 else f"{workload.number} times"
        finding = f"plus {in_words('macs', detector)} to find them" if detector else "finding them is not counted"
        said.append(
            f"a network that sees one person at a time runs {times} a picture ({people_are(found)}), {finding}; "
            f"it looks into {judged['boxes']}"
        )
    return "; ".join(said)


def verdict(found: Summary) -> list[str]:
    """Who won, how sure that is, with how many people another would win, and what needed no search."""
    comparison, lines = found.comparison, []
    winner = comparison.winner
    came = {one.family for one in comparison.choices}
    missing = [name for name in found.record.families if name not in came]
    if missing:
        lines.append(f"of {', '.join(missing)} nothing that was evaluated fits")
    if comparison.mute:
        return [
            *lines,
            "no AP is above 0.02 yet, so nothing can be said of which family is better: train longer",
            f"taken for now: {winner.family}, the cheapest of those with the highest AP, {winner.ap:.3f}",
        ]
    lines.append(f"winner: {winner.family}, AP {winner.ap:.3f}" + _beside(found, winner))
    for one in found.ahead:
        turn = ", so others could turn it round" if one.low < 0 < one.high else ""
        lines.append(
            f"with other pictures of this kind its lead on {one.family} would be {one.low:+.3f} to {one.high:+.3f} AP "
            f"(95 %){turn}"
        )
    if found.people:
        lines.append(f"{crossover_points(found.people)} (of what was evaluated, the budget the same, APs as here)")
        searched = found.record.workload
        if searched.people > 1 and any(
            limit.field in RUNS or is_time(limit.field) for limit in found.record.budget.limits
        ):
            lines.append(
                f"with fewer than {searched.number} people, dearer top-down networks would fit than were looked at"
            )
    return [*lines, *baselines.in_words(found.baselines, "ap")]


def _beside(found: Summary, winner: FamilyChoice) -> str:
    others = [one for one in found.comparison.choices if one is not winner]
    if not others:
        return ""
    words = f", beside {others[0].ap:.3f} of {others[0].family}"
    return f"{words}, which noise cannot tell apart: the cheaper is chosen" if found.comparison.tied else words


def head(found: Summary) -> list[str]:
    return [*HEAD, *times.heads(found), "evaluated", "ranked by"]


def table(found: Summary) -> list[list[str]]:
    """The best of each family, a row each under the head."""
    rows = []
    field = "macs" if found.budget.convention == "exact" else "macs_litepose"
    for one in found.comparison.choices:
        family = found.record.families[one.family]
        sees = "one person" if family.problem.space.task.once_a_person else "pictures"
        costs = [in_words(field, getattr(cost, field)) for cost in (one.cost, one.one.cost)]
        ap = f"{one.ap:.3f}" + (f" ± {one.noise:.3f}" if one.noise is not None else "")
        took = times.cells(found, one.one._replace(cost=one.cost))
        evaluated = [str(len(family.found)), WORDS[family.by]]
        rows.append([one.family, sees, ap, *costs, f"{one.cost.params:,}", *took, *evaluated])
    return rows
