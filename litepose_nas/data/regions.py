"""Regions of a picture with unlabelled people, given as a box, as polygons or as run lengths."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

Segmentation = Any  # polygons [[x, y, ...], ...], or {"counts": ..., "size": [h, w]}; None where there is only a box


class IgnoredRegion(NamedTuple):
    """A region with unlabelled people: a crowd, or one person without joints."""

    box: tuple[float, float, float, float]
    segmentation: Segmentation
    crowd: bool


def region_fault(region: IgnoredRegion, height: int, width: int) -> str | None:
    """Say why a region's segmentation cannot be drawn, or return None."""
    segmentation = region.segmentation
    if isinstance(segmentation, dict):
        try:
            counts = segmentation["counts"]
            runs = counts if isinstance(counts, list) else run_lengths(counts)
            fits = min(runs, default=0) >= 0 and sum(runs) == height * width
        except (KeyError, TypeError, ValueError, AttributeError):
            return "it has no run lengths"
        return None if fits else "its run lengths do not sum up to the pixels"
    if segmentation is not None and not isinstance(segmentation, list):
        return "it is neither a list of polygons nor run lengths"
    for polygon in segmentation or []:
        if not isinstance(polygon, list) or len(polygon) % 2:
            return "a polygon is not a list of x and y in turn"
        for number in polygon:
            # Drawing walks along every edge: a corner a million pixels away would take all memory.
            if not isinstance(number, int | float) or not abs(number) <= 10 * (height + width):
                return "a corner is no number, or far outside"
    return None


def region_mask(region: IgnoredRegion, height: int, width: int) -> NDArray[np.bool_]:
    """The (H, W) mask of a region without fault."""
    segmentation = region.segmentation
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        return _unpack(counts if isinstance(counts, list) else run_lengths(counts), height, width)
    polygons = [polygon for polygon in segmentation or [] if len(polygon) >= 6]
    if polygons:
        merged = rle.merge(rle.frPyObjects(polygons, height, width))
        return _unpack(run_lengths(merged["counts"]), height, width)
    mask = np.zeros((height, width), bool)
    left, top, wide, high = region.box
    rows = slice(max(math.floor(top), 0), max(math.ceil(top + high), 0))
    mask[rows, max(math.floor(left), 0) : max(math.ceil(left + wide), 0)] = True
    return mask


def run_lengths(packed: str | bytes) -> list[int]:
    """The run lengths that COCO packs into text: five bits a character, every count less the last but one."""
    # pycocotools decodes them too, but warns about numpy 2 at every call.
    counts: list[int] = []
    value = shift = 0
    for character in packed.encode() if isinstance(packed, str) else packed:
        digit = character - 48
        value |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts


def _unpack(counts: list[int], height: int, width: int) -> NDArray[np.bool_]:
    flags = np.arange(len(counts)) % 2 == 1  # the first run lies outside
    return np.repeat(flags, counts).reshape(width, height).T
