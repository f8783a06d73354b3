"""What an average image asks of a network: how many people to look at, and what finding their boxes costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar

from litepose_nas.budget import Budget, Limit, in_words, is_time
from litepose_nas.costs import Cost
from litepose_nas.errors import UserError
from litepose_nas.task_kind import TaskKind

RUNS = ("macs", "macs_litepose")  # fields of a Cost that every run of a network takes once more; so are times

AnyCost = TypeVar("AnyCost", bound=Cost)


class Workload(NamedTuple):
    """An average image: people to look at, and MACs of the detector where a network needs boxes."""

    people: Fraction
    detector_macs: int = 0
    detector_ms: float = 0.0

    def cost(self, cost: AnyCost, task: TaskKind) -> AnyCost:
        """Return the cost of an image from that of one run of a network, MACs rounded up; memory is that of a run."""
        if not task.once_a_person:
            return cost
        more: dict[str, Any] = {
            field: math.ceil(self.people * getattr(cost, field)) + self.detector_macs for field in RUNS
        }
        for field in filter(is_time, cost._fields):
            more[field] = self.time(getattr(cost, field), task)
        return cost._replace(**more)

    def time(self, ms: float, task: TaskKind) -> float:
        """Return the time of an image from that of one run of a network."""
        return float(self.people) * ms + self.detector_ms if task.once_a_person else ms

    def budget(self, budget: Budget, task: TaskKind) -> Budget:
        """Return the budget of one run that a network keeps exactly when an image keeps this one."""
        if not task.once_a_person or self == ONE_PERSON:
            return budget
        return budget._replace(limits=tuple(self._of_a_run(limit) for limit in budget.limits))

    def _of_a_run(self, limit: Limit) -> Limit:
        if is_time(limit.field):
            most = (limit.most - self.detector_ms) / float(self.people)
            if most <= 0:
                raise UserError(
                    f"budget {limit.text}: nothing is left of it, for finding boxes takes {self.detector_ms:g} ms; "
                    "allow more"
                )
            name, colon, _ = limit.text.rpartition(":")
            return limit._replace(most=most, text=f"{name}{colon}{most}ms")
        if limit.field not in RUNS:
            return limit
        whole = math.floor((Fraction(limit.most) - self.detector_macs) / self.people)
        if whole < 1:
            boxes = f", of which finding boxes takes {in_words('macs', self.detector_macs)}" * bool(self.detector_macs)
            raise UserError(
                f"budget {limit.text}: nothing is left of it for each of {self.number} people{boxes}; allow more"
            )
        return Limit(limit.field, whole, f"{whole}MAC")

    @property
    def number(self) -> str:
        return f"{float(self.people):.3g}"

    def plain(self) -> dict[str, Any]:
        """Return what JSON can hold; `workload_of` reads it."""
        found = {"people": str(self.people), "detector_macs": self.detector_macs}
        return {**found, "detector_ms": self.detector_ms} if self.detector_ms else found


ONE_PERSON = Workload(Fraction(1))


def workload_of(kept: Mapping[str, Any]) -> Workload:
    """Return the workload in the header of a journal or the settings of a run; one person an image if there is none."""
    try:
        people = Fraction(kept.get("people", 1))
    except ArithmeticError as error:
        raise ValueError(f"people is {kept['people']!r:.40}") from error
    macs, ms = kept.get("detector_macs", 0), float(kept.get("detector_ms", 0.0))
    if not people > 0 or type(macs) is not int or macs < 0 or not 0 <= ms < math.inf:
        raise ValueError(f"people is {people}, detector_macs is {macs!r}, detector_ms is {ms}")
    return Workload(people, macs, ms)
