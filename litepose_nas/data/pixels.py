"""How the bytes of a picture become the numbers that a network takes: conventions by name, kept with the weights."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.errors import UserError, nearest

Colours = tuple[float, float, float]


class Pixels(NamedTuple):
    """A convention: values from 0 to 1, less a mean, over a deviation, each of red, green and blue."""

    mean: Colours = (0.0, 0.0, 0.0)
    std: Colours = (1.0, 1.0, 1.0)
    bgr: bool = False  # the network takes blue first


DEFAULT = "imagenet"
CONVENTIONS = {
    DEFAULT: Pixels((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "unit": Pixels(),
    "unit-bgr": Pixels(bgr=True),
}


def named_pixels(name: object) -> Pixels:
    if name not in CONVENTIONS:
        raise UserError(f"pixels: {name!r} is not a convention; {nearest(name, CONVENTIONS)}")
    return CONVENTIONS[str(name)]


def pixels_of(info: Mapping[str, Any]) -> str:
    """The convention that a file of weights names; those that name none have the default."""
    name = info.get("pixels", DEFAULT)
    named_pixels(name)
    return str(name)


@functools.cache
def table(name: str) -> NDArray[np.float32]:
    """The network's input for each value of a byte (3, 256): red, green, blue."""
    pixels = named_pixels(name)
    values = np.arange(256)[None] / 255
    return ((values - np.array(pixels.mean)[:, None]) / np.array(pixels.std)[:, None]).astype(np.float32)


def to_bytes(planes: NDArray[np.float32], name: str) -> NDArray[np.uint8]:
    """The picture (H, W, 3) of red, green and blue bytes that an input (3, H, W) was made of."""
    pixels = named_pixels(name)
    colours = planes[::-1] if pixels.bgr else planes
    values = colours.transpose(1, 2, 0) * np.array(pixels.std) + np.array(pixels.mean)
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def words(name: str) -> dict[str, Any]:
    """A convention in full, for other programs that run the network."""
    pixels = named_pixels(name)
    order = "BGR" if pixels.bgr else "RGB"
    return {"name": name, "order": order, "range": [0, 1], "mean": list(pixels.mean), "std": list(pixels.std)}
