"""Refine: the place where a person's missing joint most likely is, found exactly without looking at every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 8  # side of the squares the refine step searches; 8 makes the bound tight and the list of squares short
ROWS = 256  # searches done together
PAIRS = 4096  # squares whose pixels are looked at together


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


def rounded_distance_(differences: Sequence[Tensor]) -> Tensor:
    """The rounded Euclidean length of a vector given by its components, which are overwritten."""
    if len(differences) == 1:
        return differences[0].abs_().round_()  # sqrt(x * x) is |x| to the bit in binary arithmetic
    square = differences[0].square_()
    for difference in differences[1:]:
        square += difference.square_()
    return square.sqrt_().round_()


def best_pixels(heat: Tensor, tag: Tensor, of_map: Tensor, wanted: Tensor) -> Tensor:
    """For each row r the first pixel with the largest heat[m] - round(|tag[m] - wanted[r]|), m = of_map[r].

    heat (M, H, W), tag (D, M, H, W), of_map (R,), wanted (R, D). The answer is exact: the most promising squares of a
    row are looked at first, then only those that could hold a larger value than was found.
    """
    tiles = cut(heat, tag)
    # In parts, so that a large batch with many missing joints does not need gigabytes for its bounds.
    parts = zip(of_map.split(ROWS), wanted.split(ROWS), strict=True)
    return torch.cat([search(tiles, heat.shape[-2], heat.shape[-1], *part) for part in parts])


def search(tiles: Tiles, height: int, width: int, of_map: Tensor, wanted: Tensor) -> Tensor:
    goals = wanted.T[..., None]
    gaps = [
        torch.maximum(low[of_map].sub_(goal), (goal - high[of_map])).clamp_(min=0)
        for low, high, goal in zip(tiles.low, tiles.high, goals, strict=True)
    ]
    # Rounded arithmetic keeps order, so this bound holds to the last bit and not only on paper.
    bound = tiles.top[of_map].sub_(rounded_distance_(gaps))
    count, device = bound.shape[1], bound.device
    square = torch.arange(count, device=device)
    corner = (square // tiles.across) * TILE * width + (square % tiles.across) * TILE
    inside = torch.arange(TILE * TILE, device=device)
    offset = (inside // TILE) * width + inside % TILE
    best = torch.full((len(of_map),), -torch.inf, device=device)
    pixel = torch.full((len(of_map),), height * width, device=device)

    def visit(row: Tensor, square: Tensor) -> None:
        """Look at every pixel of a square for each (row, square) and keep the best so far."""
        at_map = of_map[row]
        difference = [tag[at_map, square].sub_(goal[row]) for tag, goal in zip(tiles.tag, goals, strict=True)]
        value = tiles.heat[at_map, square].sub_(rounded_distance_(difference))
        before = best.clone()
        best.scatter_reduce_(0, row, value.amax(1), "amax")
        pixel[best > before] = height * width
        # The first of equal pixels wins, as in a search over the whole map; equals are few, so only they are looked up.
        pair, which = (value == best[row, None]).nonzero(as_tuple=True)
        pixel.scatter_reduce_(0, row[pair], corner[square[pair]] + offset[which], "amin")

    row = torch.arange(len(of_map), device=device)
    for visits in (2, 8):
        promising = bound.topk(min(visits, count), dim=1).indices
        visit(row.repeat_interleave(promising.shape[1]), promising.flatten())
        bound.scatter_(1, promising, -torch.inf)
        again = (bound.amax(1) >= best[row]).nonzero().squeeze(1)
        row, bound = row[again], bound[again]
    # What is left is visited without further order. An equal bound matters only if it begins before the pixel found.
    goal_value, goal_pixel = best[row, None], pixel[row, None]
    hopeful = (bound > goal_value) | ((bound == goal_value) & (corner < goal_pixel) & (bound > -torch.inf))
    line, left = hopeful.nonzero(as_tuple=True)
    for some_lines, some_squares in zip(line.split(PAIRS), left.split(PAIRS), strict=True):
        visit(row[some_lines], some_squares)
    return pixel
