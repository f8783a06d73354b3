"""What a figure was made under, which stands beside it: without that no two figures can be compared."""

from __future__ import annotations

from typing import Any, NamedTuple


class PredictionSettings(NamedTuple):
    """How predictions were made; None is unknown."""

    flip: bool | None = None  # the mirrored picture was used as well
    scales: tuple[float, ...] | None = None  # of the picture; (1.0,) is one look at the network's own size
    boxes: str | None = None  # where the people's boxes come from
    said: str | None = None  # all of it in the user's own words


class Conditions(NamedTuple):
    """What stands beside a figure: what predictions were compared with and how they were made."""

    pictures: int
    people: int  # who count
    made: PredictionSettings
    notes: tuple[str, ...] = ()  # rules that were applied, and what a figure does not say by itself
    who: str = "people"  # what those who count are called


def lines_of(conditions: Conditions) -> list[str]:
    made = conditions.made
    words = made.said
    if words is None:
        flip = {None: "flip not said", True: "flip on", False: "flip off"}[made.flip]
        scales = "not said" if made.scales is None else ", ".join(f"{scale:g}" for scale in made.scales)
        boxes = "boxes not said" if made.boxes is None else made.boxes
        words = f"{flip}, scale {scales}, {boxes}"
    return [f"{conditions.pictures:,} pictures, {conditions.people:,} {conditions.who}; {words}", *conditions.notes]


def fields_of(conditions: Conditions) -> dict[str, Any]:
    made = conditions.made._asdict()
    made["scales"] = None if conditions.made.scales is None else list(conditions.made.scales)
    return {
        "pictures": conditions.pictures,
        "people": conditions.people,
        **made,
        "notes": list(conditions.notes),
    }
