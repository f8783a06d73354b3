"""Grouping: peaks of all joints of one picture become people by their tags (associative embedding, NeurIPS 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from litepose_nas.errors import UserError, nearest


class Grouping(NamedTuple):
    """The settings of the bottom-up decode; the defaults are the published ones."""

    detection_threshold: float = 0.1
    tag_threshold: float = 1.0
    max_people: int = 30
    nms_kernel: int = 5
    assignment: str = "reference"
    adjust: bool = True
    refine: bool = True


class Peaks(NamedTuple):
    """The peaks of one picture: joint-major, the best of a joint first."""

    joint: NDArray[np.int64]  # (N,)
    value: NDArray[np.float32]  # (N,)
    tag: NDArray[np.float64]  # (N, D)


def reference_cost(distance: NDArray[np.float64], value: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """The published price of peak i joining person k: the rounded tag distance first, the score second."""
    return np.round(distance) * 100 - value[:, None]


def capped_cost(distance: NDArray[np.float64], value: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """The published price, with one price for every pair that is too far apart to be joined."""
    # A pair beyond the threshold is undone after the assignment. If those pairs have prices of their own, the solver
    # gives up a good pair of one person to make a hopeless pair of another one a little less hopeless.
    beyond = 100.0 * (np.ceil(threshold) + 1)
    return np.where(distance < threshold, np.round(distance) * 100 - value[:, None], beyond)


ASSIGNMENTS = {"reference": reference_cost, "capped": capped_cost}


def joint_order(joints: int) -> list[int]:
    """The order in which the joints are visited: head and trunk before limbs for COCO and CrowdPose."""
    # The list was made for COCO. CrowdPose (14 joints) was published with the same indices, whose names differ there.
    coco = [0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16]
    return [joint for joint in coco if joint < joints] if joints in (14, 17) else list(range(joints))


def group(peaks: Peaks, order: Sequence[int], settings: Grouping) -> NDArray[np.int64]:
    """(P, J): the peak each person took for each joint, -1 for none; people in the order of their creation."""
    if settings.assignment not in ASSIGNMENTS:
        hint = nearest(settings.assignment, ASSIGNMENTS)
        raise UserError(f"the grouping knows no assignment {settings.assignment!r}: {hint}")
    price = ASSIGNMENTS[settings.assignment]
    capacity, dims = len(peaks.joint), peaks.tag.shape[1]
    taken = np.full((capacity, len(order)), -1, dtype=np.int64)
    tag_sum, tag_count = np.zeros((capacity, dims)), np.zeros((capacity, 1))
    starts = np.searchsorted(peaks.joint, np.arange(len(order) + 1))
    people = 0
    for joint in order:
        rows = np.arange(starts[joint], starts[joint + 1])
        known = min(people, settings.max_people)
        if known and len(rows):
            mean = tag_sum[:known] / tag_count[:known]
            distance = np.sqrt(((peaks.tag[rows, None] - mean) ** 2).sum(-1))
            cost = price(distance, peaks.value[rows].astype(np.float64), settings.tag_threshold)
            # More peaks than people: the solver must be free to leave the dearest rows out, at a price above any other.
            if len(rows) > known:
                cost = np.concatenate([cost, np.full((len(rows), len(rows) - known), 1e10)], axis=1)
            _, column = linear_sum_assignment(cost)
            inside = column < known
            near = np.zeros(len(rows), dtype=bool)
            near[inside] = distance[inside, column[inside]] < settings.tag_threshold
        else:
            near, column = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=np.int64)
        fresh = int((~near).sum())
        person = np.where(near, column, 0)
        person[~near] = np.arange(people, people + fresh)
        taken[person, joint] = rows
        tag_sum[person] += peaks.tag[rows]
        tag_count[person] += 1
        people += fresh
    return taken[:people]
