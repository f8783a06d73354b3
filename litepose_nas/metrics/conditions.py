"""What a figure was made under, which stands beside it: without that no two figures can be compared."""

from __future__ import annotations

from typing import Any, NamedTuple


class Conditions(NamedTuple):
    """How predictions were made and what they were compared with; None is what nobody said."""

    pictures: int
    people: int  # who count
    flip: bool | None = None  # the mirrored picture was looked at as well
    scales: tuple[float, ...] | None = None  # of the picture; (1.0,) is one look at its own size
    boxes: str | None = None  # where the people's boxes come from; "none" for a network that needs none
    said: str | None = None  # in the user's own words
    notes: tuple[str, ...] = ()  # rules that were applied, and what a figure does not say by itself


def lines_of(conditions: Conditions) -> list[str]:
    """Return the conditions as lines for people."""
    if conditions.said is not None:
        made = conditions.said
    else:
        flip = {None: "flip not said", True: "flip on", False: "flip off"}[conditions.flip]
        scales = conditions.scales
        many = "scales not said" if scales is None else f"scale {', '.join(f'{scale:g}' for scale in scales)}"
        made = f"{flip}, {many}, boxes {'not said' if conditions.boxes is None else conditions.boxes}"
    return [f"{conditions.pictures:,} pictures, {conditions.people:,} people; {made}", *conditions.notes]


def fields_of(conditions: Conditions) -> dict[str, Any]:
    """Return the conditions as fields for machines."""
    fields = conditions._asdict()
    return {
        **fields,
        "scales": None if conditions.scales is None else list(conditions.scales),
        "notes": list(conditions.notes),
    }
