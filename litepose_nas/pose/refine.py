"""Refine: the place where a person's missing joint most likely is, found exactly without looking at every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 8  # side of the squares the refine step searches; 8 makes the bound tight and the list of squares short
ROWS = 1024  # searches done together


class Tiles(NamedTuple):
    """Maps cut into squares, with what each square can at best hold."""

    heat: Tensor  # (M, N, TILE * TILE)
    tag: Tensor  # (D, M, N, TILE * TILE)
    top: Tensor  # (M, N)
    low: Tensor  # (D, M, N)
    high: Tensor  # (D, M, N)
    across: int


def cut(heat: Tensor, tag: Tensor) -> Tiles:
    """Cut maps (M, H, W) and tags (D, M, H, W) into squares."""
    height, width = heat.shape[-2:]
    down, across = -(-height // TILE), -(-width // TILE)
    margin = (0, across * TILE - width, 0, down * TILE - height)

    def squares(maps: Tensor, fill: float) -> Tensor:
        maps = F.pad(maps, margin, value=fill) if any(margin) else maps
        shape = (*maps.shape[:-2], down, TILE, across, TILE)
        return maps.reshape(shape).transpose(-3, -2).reshape(*maps.shape[:-2], down * across, TILE * TILE)

    heat_squares, tag_squares = squares(heat, -torch.inf), squares(tag, 0.0)
    top, low, high = heat_squares.amax(-1), tag_squares.amin(-1), tag_squares.amax(-1)
    return Tiles(heat_squares, tag_squares, top, low, high, across)


def rounded_distance(differences: Sequence[Tensor]) -> Tensor:
    """Return the rounded Euclidean length of a vector given by its components."""
    square = differences[0] * differences[0]
    for difference in differences[1:]:
        square = square + difference * difference
    return square.sqrt().round()


def best_pixels(heat: Tensor, tag: Tensor, of_map: Tensor, wanted: Tensor) -> Tensor:
    """Return for each row r the first pixel with the largest heat[m] - round(|tag[m] - wanted[r]|), m = of_map[r].

    heat (M, H, W), tag (D, M, H, W), of_map (R,), wanted (R, D). The answer is exact: squares are visited from the
    most to the least promising and the search ends when no square left can hold a larger value.
    """
    tiles = cut(heat, tag)
    # In parts, so that a large batch with many missing joints does not need gigabytes for its bounds.
    parts = zip(of_map.split(ROWS), wanted.split(ROWS), strict=True)
    return torch.cat([search(tiles, heat.shape[-2], heat.shape[-1], *part) for part in parts])


def search(tiles: Tiles, height: int, width: int, of_map: Tensor, wanted: Tensor) -> Tensor:
    """Return best_pixels for maps that have been cut."""
    gaps = [
        torch.maximum(low[of_map] - goal[:, None], goal[:, None] - high[of_map]).clamp(min=0)
        for low, high, goal in zip(tiles.low, tiles.high, wanted.T, strict=True)
    ]
    # Rounded arithmetic keeps order, so this bound holds to the last bit and not only on paper.
    bound = tiles.top[of_map] - rounded_distance(gaps)
    count, device = bound.shape[1], bound.device
    square = torch.arange(count, device=device)
    corner = (square // tiles.across) * TILE * width + (square % tiles.across) * TILE
    inside = torch.arange(TILE * TILE, device=device)
    offset = (inside // TILE) * width + inside % TILE

    best = torch.full((len(of_map),), -torch.inf, device=device)
    pixel = torch.full((len(of_map),), height * width, device=device)
    row = torch.arange(len(of_map), device=device)
    visits = 2
    while len(row):
        chosen = bound.topk(min(visits, count), dim=1).indices
        at_map = of_map[row, None]
        difference = [t[at_map, chosen] - goal[row, None, None] for t, goal in zip(tiles.tag, wanted.T, strict=True)]
        value = (tiles.heat[at_map, chosen] - rounded_distance(difference)).flatten(1)
        where = (corner[chosen][:, :, None] + offset).flatten(1)
        top = value.amax(1, keepdim=True)
        first = where.masked_fill(value < top, height * width).amin(1)
        top = top.squeeze(1)
        better = (top > best[row]) | ((top == best[row]) & (first < pixel[row]))
        best[row], pixel[row] = torch.where(better, top, best[row]), torch.where(better, first, pixel[row])
        bound = bound.scatter(1, chosen, -torch.inf)
        # A square with an equal bound matters only if it begins before the pixel found: the first of equals wins.
        goal_value, goal_pixel = best[row, None], pixel[row, None]
        hopeful = ((bound > goal_value) | ((bound == goal_value) & (corner < goal_pixel))) & (bound > -torch.inf)
        again = hopeful.any(1)
        row, bound = row[again], bound[again]
        visits = min(visits * 4, max(64, visits))
    return pixel
