"""Elastic groups: channels come in lanes, and how the lanes are dealt to groups leaves every channel where it is.

A feature of L lanes with n channels each has channel i of lane l at l * n + i. A narrower one keeps the first channels
of every lane. One group a lane, or one for several neighbouring lanes, or one for each channel: all are parts of the
same weight between all lanes, in the order in which torch deals channels to groups, so nothing is ever shuffled.

The numbers of a grouping, everywhere:

    groups_min       the fewest groups in the space: it owns an axis, for no weight joins them
    lanes_per_group  lanes in each of these; groups_min x lanes_per_group are all lanes
    group_split      groups made of each of the fewest
    lane_split       groups made of each lane, where there are as many groups as channels; else 1
"""

from __future__ import annotations

from typing import Any, NamedTuple

from litepose_nas.errors import UserError


class LaneGroups(NamedTuple):
    """How a convolution deals lanes to groups."""

    groups_min: int
    lanes_per_group: int
    group_split: int
    lane_split: int

    @property
    def lanes(self) -> int:
        return self.groups_min * self.lanes_per_group

    @property
    def groups(self) -> int:
        return self.groups_min * self.group_split * self.lane_split


def group_lanes(groups: Any, lanes: int, groups_min: int, cin: Any, cout: Any) -> LaneGroups:
    """How at most so many groups are made of lanes with cin channels going in and cout coming out.

    More groups than lanes mean one for each channel, where as many come out as go in; elsewhere one for each lane.
    Numbers may be columns of numbers, as when a whole search round is priced at once.
    """
    apart = groups > lanes
    split = (apart * lanes + (1 - apart) * groups) // groups_min
    return LaneGroups(groups_min, lanes // groups_min, split, 1 + apart * (cin == cout) * (cout - 1))


def check_lanes(where: str, width: Any, lanes: int) -> None:
    """Refuse a width that does not fill all lanes equally."""
    if isinstance(width, int) and width % lanes:
        raise UserError(f"{where}: {width} is no multiple of {lanes}, the number of lanes that the space deals it to")


def check_groups(where: str, groups: Any, lanes: int, groups_min: int) -> None:
    """Refuse a number of groups to which lanes cannot be dealt."""
    if lanes % groups_min:
        raise UserError(f"fewest_groups: {groups_min} is no divisor of {lanes}, the number of lanes")
    if isinstance(groups, int) and groups < lanes and (lanes % groups or groups % groups_min):
        fitting = [n for n in range(groups_min, lanes + 1) if lanes % n == 0 and n % groups_min == 0]
        raise UserError(f"{where}: {groups} groups cannot be made of {lanes} lanes; choose from {fitting} or more")
