"""What the networks of a family are shown, as far as that matters without torch; pose/ has what a task computes."""

from __future__ import annotations

from enum import Enum


class TaskKind(str, Enum):
    """One of the tasks, equal to its name in recipes, reports and files of weights."""

    BOTTOMUP = "bottomup"  # whole pictures
    TOPDOWN = "topdown"  # one person at a time
    TEMPORAL = "temporal"  # one person through a clip

    __str__ = str.__str__  # what Python prints otherwise differs between 3.10 and 3.12

    @property
    def words(self) -> str:
        return {"bottomup": "bottom-up", "topdown": "top-down"}.get(self.value, self.value)

    @property
    def items(self) -> str:
        """What an epoch is counted in."""
        return {"bottomup": "pictures", "topdown": "crops", "temporal": "clips"}[self.value]

    @property
    def one_person(self) -> bool:
        """Whether a network is shown one person at a time, in a picture or through a clip: its cost is that of one."""
        return self is not TaskKind.BOTTOMUP

    @property
    def clips(self) -> bool:
        """Whether a network is shown clips; some of their frames may be unlabelled."""
        return self is TaskKind.TEMPORAL

    @property
    def once_a_person(self) -> bool:
        """Whether a network runs once for each person of a picture, in the true boxes or in those of a detector."""
        return self is TaskKind.TOPDOWN

    @property
    def why_no_boxes(self) -> str:
        """Why a network has no use for boxes that a detector found, in an error message."""
        if self.one_person:
            return "boxes carry no track ids, which this temporal network needs"
        return "this network sees whole pictures and needs none"
