"""Which layers stay in floating point: those that hurt most, until a network in int8 loses no more than it may.

Layers are ordered by what each does to the outputs on calibration images where it alone is in int8. How many stay in
floating point is decided by the figure of the data on further training images; neither is judged on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.exporters.int8 import Inputs, Quantiser

SHOWN = 16  # calibration images on which layers are ordered
Answers = Callable[[NDArray[Any]], Sequence[NDArray[Any]]]


class Damage(NamedTuple):
    layer: str
    error: float  # of the outputs, as a share of their size


class KeptLayer(NamedTuple):
    """A layer in floating point, and what it costs where it alone is in int8."""

    layer: str
    error: float
    points: float


def order_by_damage(
    quantiser: Quantiser,
    open_file: Callable[[Path], Answers],
    inputs: Inputs,
    folder: Path,
    show: Callable[[int, int], None] = lambda done, total: None,
) -> list[Damage]:
    """The layers, the one first that hurts most."""
    names = [layer.name for layer in quantiser.layers]
    path, shown = folder / "one.onnx", inputs[:SHOWN]
    quantiser.write(path, names)
    wanted = _all(open_file(path), shown)
    found = []
    for done, name in enumerate(names):
        show(done, len(names))
        quantiser.write(path, [other for other in names if other != name])
        found.append(Damage(name, relative_error(_all(open_file(path), shown), wanted)))
    return sorted(found, key=lambda one: -one.error)


def relative_error(found: Sequence[NDArray[Any]], wanted: Sequence[NDArray[Any]]) -> float:
    """The root of the squared errors as a share of the outputs' spread, the largest of the outputs."""
    shares = [
        float(np.sqrt(np.mean((one - other) ** 2)) / max(float(np.std(other)), 1e-12))
        for one, other in zip(found, wanted, strict=True)
    ]
    return max(math.inf if share != share else share for share in shares)


def fewest(meets: Callable[[int], bool], most: int) -> int:
    """The least count from 0 to `most` that meets, where more meet whenever fewer do; `most` is taken to meet."""
    low, high = -1, 0
    while high < most and not meets(high):
        low, high = high, min(most, max(1, 2 * high))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if meets(middle) else (middle, high)
    return high


def choose_kept(
    order: Callable[[], Sequence[Damage]], points_lost: Callable[[Collection[str]], float], most_points: float
) -> list[Damage]:
    """The layers to keep in floating point, worst first; they are put in order only if int8 throughout loses more."""
    if points_lost(()) <= most_points:
        return []
    ordered = list(order())
    known = {0: False}

    def meets(count: int) -> bool:
        if count not in known:
            known[count] = points_lost([one.layer for one in ordered[:count]]) <= most_points
        return known[count]

    return ordered[: fewest(meets, len(ordered))]


def _all(answer: Answers, inputs: Inputs) -> list[NDArray[Any]]:
    answers = [answer(each) for each in inputs]
    return [np.concatenate(outputs) for outputs in zip(*answers, strict=True)]
