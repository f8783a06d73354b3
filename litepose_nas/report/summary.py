"""Everything that a report says of a search, as data: the front, the choice, what they are to be compared with."""

from __future__ import annotations

from typing import Any, NamedTuple

from litepose_nas.budget import Budget, Limit, in_words
from litepose_nas.errors import UserError
from litepose_nas.report.genes import Fitted, Matter, fitted
from litepose_nas.report.reread import Past
from litepose_nas.runs.journal import plain
from litepose_nas.search.baselines import Baselines, baselines
from litepose_nas.search.finalists import Selection, select
from litepose_nas.search.pareto import front
from litepose_nas.search.problem import Evaluated


class Summary(NamedTuple):
    """A search within a budget, which may be another than the one it was made for."""

    past: Past
    budget: Budget
    front: list[Evaluated]
    selection: Selection
    compared: Baselines
    models: Fitted | None  # None: too little was evaluated

    @property
    def chosen(self) -> Evaluated:
        """The network of choice."""
        return self.selection.chosen


def summarise(past: Past, budget: Budget | None = None) -> Summary:
    """Return what a search found within its own budget or another; nothing is evaluated."""
    budget = budget or past.problem.budget
    # Without objectives of their own, networks are cheap in MACs of the budget's convention.
    objectives = past.problem.objectives if budget.convention == past.problem.budget.convention else ()
    problem = past.problem._replace(budget=budget, objectives=objectives)
    selection = select(problem, past.found, past.again)
    if selection is None:
        raise UserError(_nothing(past, budget))
    if selection.noise is None:  # nothing within this budget was scored twice: what was, tells how much scores vary
        within_own = select(past.problem, past.found, past.again)
        selection = selection._replace(noise=within_own.noise if within_own else None)
    return Summary(
        past,
        budget,
        front(past.found, budget, objectives),
        selection,
        baselines(past.found, selection, budget),
        fitted(past.problem, past.found),
    )


def beyond(past: Past, budget: Budget) -> list[str]:
    """Return in words which limits of a budget reach past what the search looked at."""
    searched = {limit.field: limit for limit in past.problem.budget.limits}
    said = []
    for limit in budget.limits:
        most = max(getattr(one.cost, limit.field) for one in past.found)
        if limit.most > most:
            own = searched.get(limit.field)
            kept = f"the search kept to {own.text}" if own else "the search went no further"
            said.append(
                f"{limit.text}: the dearest evaluated network has {in_words(limit.field, most)}, for {kept}; "
                f"for the rest: litepose-nas search --budget {limit.text}"
            )
    return said


def to_json(found: Summary) -> dict[str, Any]:
    """Return a summary as JSON can hold it."""
    past, models = found.past, found.models
    expected = models.expected if models else {}
    number = {one.arch: at for at, one in enumerate(past.found)}

    def line(one: Evaluated) -> dict[str, Any]:
        at = number[one.arch]
        return {
            "n": at + 1,
            **one.cost._asdict(),
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
    out = {
        "space": past.problem.space.name,
        "evaluated": len(past.found),
        "ranked_by": past.by,
        "budget": [limit.text for limit in found.budget.limits],
        "mac_convention": found.budget.convention,
        "noise": found.selection.noise,
        "chosen": line(found.chosen),
        "front": [line(one) for one in found.front],
        "baselines": found.compared.plain(),
        "model": model,
    }
    return dict(plain(out))


def _nothing(past: Past, budget: Budget) -> str:
    """Return why nothing was found, with what the cheapest evaluated network takes."""
    least: list[str] = []
    limit: Limit
    for limit in budget.limits:
        fewest = min(getattr(one.cost, limit.field) for one in past.found)
        if fewest > limit.most:
            least.append(f"{limit.text} is less than the cheapest of them takes: {in_words(limit.field, fewest)}")
    why = "; ".join(least) or "none that could be scored keeps all limits"
    return (
        f"{past.journal}: none of {len(past.found)} evaluated networks to choose: {why}; "
        f"give more, or search there: litepose-nas search {' '.join(f'--budget {one.text}' for one in budget.limits)}"
    )
