"""What a search across families found, in words, as a table, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litepose_nas.budget import in_words
from litepose_nas.report.across import Summary
from litepose_nas.runs.journal import plain
from litepose_nas.search import baselines
from litepose_nas.search.comparison import Comparison, FamilyChoice, crossover_points
from litepose_nas.search.problem import Evaluated
from litepose_nas.search.workload import RUNS

HEAD = ("family", "sees", "AP", "a picture", "a run", "params", "evaluated", "ranked by")


def rule(found: Summary) -> str:
    """Return in words what a picture costs and what the networks were judged by."""
    judged, picture, people = found.across.judged, found.picture, people_are(found)
    said = [f"by AP on {judged['pictures']} held-out pictures"]
    if found.across.needs_boxes:
        detector, times = picture.detector_macs, "once" if picture.people == 1 else f"{picture.number} times"
        finding = f"plus {in_words('macs', detector)} to find them" if detector else "finding them is not counted"
        said.append(
            f"a network that sees one person at a time runs {times} a picture ({people}), {finding}; "
            f"it looks into {judged['boxes']}"
        )
    return "; ".join(said)


def people_are(found: Summary) -> str:
    """Return in words where the number of people in a picture comes from."""
    same = found.picture.people == found.across.picture.people
    return str(found.across.judged["people"]) if same else "as asked for"


def verdict(found: Summary) -> list[str]:
    """Return in words who won, how sure that is, with how many people another would, and what needed no search."""
    comparison, lines = found.comparison, []
    winner, others = comparison.winner, [one for one in comparison.choices if one is not comparison.winner]
    came = {one.family for one in comparison.choices}
    missing = [name for name in found.across.pasts if name not in came]
    if missing:
        lines.append(f"of {', '.join(missing)} nothing that was evaluated fits")
    if comparison.mute:
        return [
            *lines,
            "no AP is above 0.02 yet, so nothing can be said of which family is better: train longer",
            f"taken for now: {winner.family}, the cheapest of those with the highest AP, {winner.ap:.3f}",
        ]
    lines.append(f"winner: {winner.family}, AP {winner.ap:.3f}" + _beside(comparison, others))
    for one in found.ahead:
        turn = ", so others could turn it round" if one.low < 0 < one.high else ""
        lines.append(
            f"with other pictures of this kind its lead on {one.family} would be {one.low:+.3f} to {one.high:+.3f} AP "
            f"(95 %){turn}"
        )
    if found.people:
        lines.append(f"{crossover_points(found.people)} (of what was evaluated, the budget the same, APs as here)")
        if found.across.picture.people > 1 and any(limit.field in RUNS for limit in found.across.budget.limits):
            searched = found.across.picture.number
            lines.append(f"with fewer than {searched} people, dearer top-down networks would fit than were looked at")
    return [*lines, *baselines.in_words(found.compared, "ap")]


def _beside(comparison: Comparison, others: Sequence[FamilyChoice]) -> str:
    if not others:
        return ""
    second = others[0]
    words = f", beside {second.ap:.3f} of {second.family}"
    if comparison.tied:
        return f"{words}, which noise cannot tell apart: the cheaper is chosen"
    return words


def table(found: Summary) -> list[list[str]]:
    """Return the best of each family, a row each under HEAD."""
    rows = []
    field = "macs" if found.budget.convention == "exact" else "macs_litepose"
    for one in found.comparison.choices:
        past = found.across.pasts[one.family]
        sees = "one person" if past.problem.space.task.once_a_person else "pictures"
        costs = [in_words(field, getattr(cost, field)) for cost in (one.cost, one.one.cost)]
        ap = f"{one.ap:.3f}" + (f" ± {one.noise:.3f}" if one.noise is not None else "")
        rows.append([one.family, sees, ap, *costs, f"{one.cost.params:,}", str(len(past.found)), past.by])
    return rows


def to_json(found: Summary) -> dict[str, Any]:
    """Return a summary as JSON can hold it."""
    across = found.across

    def line(one: Evaluated) -> dict[str, Any]:
        own = across.pasts[across.family_of(one)].problem.cost(one.arch)
        loss = one.result.get("loss")
        return {
            "family": across.family_of(one),
            **one.cost._asdict(),
            "macs_of_a_run": own.macs,
            "ap": one.score,
            "loss": loss,
            "arch": one.arch.to_dict(),
        }

    def sent(one: FamilyChoice) -> dict[str, Any]:
        past = across.pasts[one.family]
        return {
            "family": one.family,
            "task": past.problem.space.task,
            "ap": one.ap,
            "noise": one.noise,
            **one.cost._asdict(),
            "macs_of_a_run": one.one.cost.macs,
            "evaluated": len(past.found),
            "ranked_by": past.by,
            "arch": one.one.arch.to_dict(),
        }

    out = {
        "budget": [limit.text for limit in found.budget.limits],
        "mac_convention": found.budget.convention,
        "people": float(found.picture.people),
        "detector_macs": found.picture.detector_macs,
        "people_are": people_are(found),
        "pictures": across.judged["pictures"],
        "boxes": across.judged["boxes"],
        "evaluated": len(found.found),
        "winner": found.comparison.winner.family,
        "tied": found.comparison.tied,
        "mute": found.comparison.mute,
        "families": [sent(one) for one in found.comparison.choices],
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
        "baselines": found.compared.plain(),
    }
    return dict(plain(out))
