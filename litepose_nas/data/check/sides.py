"""Left and right: do the pairs of a body agree on which side is which, and is it the body's own left?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.check.finding import NOTE, WARNING, DataFinding, finding
from litepose_nas.data.check.tolerant_reader import CheckedSplit, PeopleTable
from litepose_nas.data.skeleton import Skeleton

MIN_PEOPLE = 20  # people, before a share means something
FIRM_AGREEMENT = 0.6  # pairs that agree so much with the others show which way a body faces; wrists and ankles cross
AGAINST = -0.5
HABIT_SHARE = 0.1  # of the people; turned heads and hard pictures stay below
_EYES = ("left_eye", "right_eye")


class Sides(NamedTuple):
    """How the pairs of joints lie, over all people."""

    pairs: tuple[tuple[int, int], ...]
    agreement: tuple[float, ...]  # of each pair with the others, -1 to 1; 0 where they are hardly seen together
    facing: float  # the share of people whose left lies at the right of the picture, as in those who face us
    judged: int  # people in whom two firm pairs or more are well apart
    mixed: tuple[int, ...]  # those of them whose firm pairs contradict each other


def sides_of(people: PeopleTable, skeleton: Skeleton) -> Sides:
    pairs = skeleton.flip_pairs
    signs = _signs(people, pairs)
    counted = np.abs(signs).T @ np.abs(signs)
    together = np.where(counted >= MIN_PEOPLE, signs.T @ signs / np.maximum(counted, 1), 0)
    np.fill_diagonal(together, 0)
    # Of the ways to call each pair right or wrong way round, the one that most people agree with.
    weights = np.linalg.eigh(together)[1][:, -1] if pairs else np.zeros(0)
    weights = weights if weights.sum() >= 0 else -weights
    reach = np.abs(together).astype(bool) @ np.abs(weights)
    agreement = together @ weights / np.maximum(reach, 1e-9)
    firm = np.flatnonzero(np.abs(agreement) >= FIRM_AGREEMENT)
    seen = signs[:, firm] * np.sign(weights[firm])
    judged = (seen != 0).sum(1) >= 2
    mixed = judged & (seen > 0).any(1) & (seen < 0).any(1)
    total = signs.sum(1)
    facing = float((total > 0).sum() / max((total != 0).sum(), 1))
    return Sides(
        pairs, tuple(agreement.tolist()), facing, int(judged.sum()), tuple(np.flatnonzero(mixed & judged).tolist())
    )


def check_sides(split: CheckedSplit, skeleton: Skeleton, best: tuple[int, ...]) -> list[DataFinding]:
    people = split.people
    if not people.names:
        return []
    skeleton = skeleton._replace(mirror=best)  # a wrong pair has a finding of its own
    sides = sides_of(people, skeleton)
    inverted = [
        f"{skeleton.names[a]}, {skeleton.names[b]}: against the other pairs in {50 - 50 * value:.0f} % of them"
        for (a, b), value in zip(sides.pairs, sides.agreement, strict=True)
        if value <= AGAINST
    ]
    habit = sides.judged >= MIN_PEOPLE and len(sides.mixed) > HABIT_SHARE * sides.judged
    return [
        *finding("sides-inverted", split.name, inverted),
        *finding(
            "sides-mixed",
            split.name,
            (people.names[i] for i in sides.mixed),
            WARNING if habit else NOTE,
            sides.mixed,
        ),
        *finding("viewer-sides", split.name, _viewer(people, skeleton)),
    ]


def _signs(people: PeopleTable, pairs: tuple[tuple[int, int], ...]) -> NDArray[np.float64]:
    """For each person and pair (N, P): 1 where the first lies well to the right of the second, -1, or 0."""
    signs = np.zeros((len(people.names), len(pairs)))
    for column, (a, b) in enumerate(pairs):
        both = (people.joints[:, a, 2] > 0) & (people.joints[:, b, 2] > 0) & (people.boxes[:, 2:] > 0).all(1)
        if not both.any():
            continue
        size = people.boxes[both, 2:].max(1)
        apart = (people.joints[both, a, 0] - people.joints[both, b, 0]) / size
        usual = np.median(np.abs(apart))
        signs[both, column] = np.where(np.abs(apart) >= usual, np.sign(apart), 0)
    return signs


def _viewer(people: PeopleTable, skeleton: Skeleton) -> list[str]:
    """Name the faces, seen from the front, whose left eye is at the left, if they are the majority."""
    places = {name.lower(): joint for joint, name in enumerate(skeleton.names)}
    if not all(name in places for name in _EYES):
        return []
    left, right = (people.joints[:, places[name]] for name in _EYES)
    seen = (left[:, 2] == 2) & (right[:, 2] == 2) & (left[:, 0] != right[:, 0])
    wrong = np.flatnonzero(seen & (left[:, 0] < right[:, 0]))
    enough = seen.sum() >= MIN_PEOPLE and len(wrong) > seen.sum() / 2
    return [people.names[i] for i in wrong] if enough else []
