"""How far an exported file is from torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from litepose_nas.errors import UserError
from litepose_nas.runtimes.base import Session
from litepose_nas.runtimes.torch import TorchSession

TOLERANCE = 1e-4
Comparer = Callable[[NDArray[Any], NDArray[Any]], tuple[float, float]]  # how far apart, and the largest value compared


class Parity(NamedTuple):
    """The largest difference from torch by batch size, and the largest value compared."""

    difference: dict[int, float]
    scale: float

    def check(self, path: object, runtime: str, tolerance: float = TOLERANCE) -> None:
        worst = _largest(self.difference.values())
        if not worst <= tolerance * max(1.0, self.scale):
            raise UserError(
                f"{path}: not written, for {runtime} differs from torch by {worst:.1e} on outputs up to "
                f"{self.scale:.1e}; please report the architecture"
            )


def shape_of(input: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a picture of (height, width), or of a clip of (frames, height, width)."""
    return *input[:-2], 3, *input[-2:]


def compare(net: nn.Module, session: Session, input: tuple[int, ...], batches: Sequence[int] = (1, 3)) -> Parity:
    """Run both on random pictures."""
    draw = np.random.default_rng(0)
    return compare_on(net, session, [draw.standard_normal((batch, *shape_of(input)), np.float32) for batch in batches])


def largest_difference(one: NDArray[Any], other: NDArray[Any]) -> tuple[float, float]:
    return float(np.abs(one - other).max()), float(np.abs(other).max())


def compare_on(
    net: nn.Module, session: Session, batches: Sequence[NDArray[Any]], first: Comparer = largest_difference
) -> Parity:
    """Run both on these pictures; `first` says how far the first outputs are apart."""
    reference = TorchSession(net)
    difference, scale = {}, 0.0
    for image in batches:
        batch, wanted = len(image), reference(image)
        if not all(np.isfinite(output).all() for output in wanted):
            raise UserError(
                "the network's outputs are not finite numbers; are its weights from a training that diverged?"
            )
        pairs = zip(session(image), wanted, strict=True)
        apart = [(largest_difference if i else first)(*pair) for i, pair in enumerate(pairs)]
        difference[batch] = _largest(far for far, _ in apart)
        scale = max(scale, *(largest for _, largest in apart))
    return Parity(difference, scale)


def joints_apart(one: NDArray[Any], other: NDArray[Any]) -> tuple[float, float]:
    """By the largest difference of values, and the median ones of places and tags, of joints (..., 3 or more).

    On noise two pixels are nearly equal, and a last bit decides which of them is the joint: single places say nothing.
    Places are compared as shares of the largest, for values and tags are small.
    """
    far, largest = largest_difference(one[..., 2:3], other[..., 2:3])
    # Of 30 peaks many may be none; of joints each is one, and few.
    counts = (other[..., 2] > 0) | (other.shape[-1] == 3)
    if not counts.any():
        return far, largest
    x, y, _, *tags = np.median(np.abs(one - other)[counts], axis=0)
    largest_place = max(1.0, other[..., :2].max())
    return _largest([far, x / largest_place, y / largest_place, *tags]), float(np.abs(other[..., 2:]).max())


def _largest(numbers: Iterable[float]) -> float:
    """NaN where one of them is, which `max` may pass over."""
    return float(np.max(list(numbers)))


def output_names(net: nn.Module, input: tuple[int, int], names: Sequence[str]) -> tuple[str, ...]:
    """The names of the outputs that a network has: some networks of a family leave out the last ones."""
    return tuple(names[: len(TorchSession(net)(np.zeros((1, 3, *input), np.float32)))])
