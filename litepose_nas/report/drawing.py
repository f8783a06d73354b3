"""A drawing of an architecture: each block a box, as wide as it has channels and as high as its picture is large."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from litepose_nas import costs
from litepose_nas.blocks.block import Part
from litepose_nas.costs import Row
from litepose_nas.report.plots import GREY, RED, svg, text
from litepose_nas.space import Arch
from litepose_nas.untrusted.display import in_html

LEFT, TOP, GAP = 24, 96, 12  # margins, and room between boxes for an arrow
LOW, HIGH = 26.0, 170.0  # of boxes: the smallest and the largest picture
THIN, WIDE = 15.0, 58.0  # the fewest and the most channels
SHARE = 40  # how high the bar of the block with the most MACs is
# Of kernels of 1, 3, 5, 7, 9, 11 and more: told apart by lightness alone.
SHADES = ("#eef3f8", "#d3e3f1", "#a9c9e6", "#6fa3d2", "#2f74b5", "#174a80")


class Box(NamedTuple):
    """A block in the drawing."""

    part: Part
    row: Row
    x: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """Where arrows meet it."""
        return self.x + self.width / 2


def drawing(arch: Arch, joints: int, title: str = "") -> str:
    """Return an architecture as an SVG: its blocks from left to right, who reads whom, and each one's share of MACs."""
    boxes = arranged(arch, joints)
    base = TOP + HIGH  # where boxes stand
    right = boxes[-1].x + boxes[-1].width + LEFT
    cost, (h, w) = costs.cost(arch, joints=joints), arch.input
    words = f"{h}x{w}, {cost.macs:,} MACs, {cost.params:,} parameters, {len(boxes)} blocks"
    marks = [text(16, 24, title or arch.space.name, "start", "#111", 16), text(16, 42, words, "start", GREY)]
    marks += _legend(boxes)
    by_name = {box.part.name: box for box in boxes}
    for before, box in zip([None, *boxes], boxes, strict=False):
        for name in box.part.reads or ((before.part.name,) if before else ()):
            if name:
                marks.append(_arrow(by_name[name], box, base, straight=before is by_name[name]))
    total, most = max(cost.macs, 1), max(1, *(box.row.macs for box in boxes))
    for box in boxes:
        marks += _drawn(box, base)
        share, tall = box.row.macs / total, SHARE * box.row.macs / most
        marks.append(
            f'<rect x="{box.x:g}" y="{base + 44:g}" width="{box.width:g}" height="{tall:.1f}" fill="{RED}" '
            f'class="share"><title>{share:.1%} of the MACs</title></rect>'
        )
        if share >= 0.05:
            marks.append(text(box.middle, base + 44 + tall + 12, f"{share:.0%}", "middle", "#333", 10))
    marks += _groups(boxes, base)
    marks.append(text(16, base + 44 + SHARE + 30, "red: share of the MACs", "start", GREY, 11))
    return svg(marks, max(right, 420), base + 44 + SHARE + 44)


def arranged(arch: Arch, joints: int) -> list[Box]:
    plan, rows = arch.plan(joints), costs.table(arch, joints=joints)
    channels, sides = [row.out[0] for row in rows], [math.sqrt(row.out[1] * row.out[2]) for row in rows]
    boxes, x = [], float(LEFT)
    for part, row, count, side in zip(plan, rows, channels, sides, strict=True):
        width = THIN + (WIDE - THIN) * _place(math.sqrt(count), list(map(math.sqrt, channels)))
        height = LOW + (HIGH - LOW) * _place(math.log(side), list(map(math.log, sides)))
        boxes.append(Box(part, row, round(x, 1), round(width, 1), round(height, 1)))
        x += width + GAP
    return boxes


def _drawn(box: Box, base: float) -> list[str]:
    block, (channels, height, width) = box.part.block, box.row.out
    kernel = getattr(block, "kernel", None)
    y = base - box.height
    hint = f"<title>{in_html(f'{box.part.name}: {box.row.block}, out {channels} x {height}x{width}')}</title>"
    style = f'fill="{_shade(kernel)}" stroke="#35506b" rx="2" class="block"'
    marks = [f'<rect x="{box.x}" y="{y:g}" width="{box.width}" height="{box.height}" {style}>{hint}</rect>']
    marks.append(text(box.middle, base + 13, str(channels), "middle", "#333", 10))
    side = f"{height}" if height == width else f"{height}x{width}"
    marks.append(text(box.middle, base + 25, side, "middle", GREY, 9))
    if kernel is not None:
        colour = "white" if _number(kernel) >= 4 else "#222"
        marks.append(text(box.middle, base - 7, str(int(kernel)), "middle", colour, 10))
    return marks


def _arrow(one: Box, other: Box, base: float, straight: bool) -> str:
    """Return the way from a block to one that reads it: a stroke to the next, an arc over all that lie between."""
    if straight:
        y = base - min(one.height, other.height) / 2
        start, end = one.x + one.width, other.x
        return f'<path d="M{start:g} {y:g}H{end:g}m-4 -3l4 3l-4 3" fill="none" stroke="#35506b" class="read"/>'
    top = TOP - 14 - min(24, (other.middle - one.middle) / 24)
    from_y, to_y = base - one.height, base - other.height
    way = f"M{one.middle:g} {from_y:g}C{one.middle:g} {top:g} {other.middle:g} {top:g} {other.middle:g} {to_y:g}"
    return f'<path d="{way}" fill="none" stroke="{GREY}" stroke-dasharray="4 3" class="read"/>'


def _groups(boxes: Sequence[Box], base: float) -> list[str]:
    groups: dict[str, list[Box]] = {}
    for box in boxes:
        name, _, last = box.part.name.rpartition(".")
        groups.setdefault(name if name and last.isdigit() else box.part.name, []).append(box)
    marks = []
    for name, inside in groups.items():
        apart = any(b.x - a.x > a.width + 2 * GAP for a, b in itertools.pairwise(inside))
        parts = {box.part.name.partition(".")[2]: [box] for box in inside} if apart else {name: inside}
        for words, several in parts.items():
            start, end = several[0].x, several[-1].x + several[-1].width
            marks.append(f'<path d="M{start:g} {base + 31:g}H{end:g}" stroke="{GREY}"/>')
            marks.append(text((start + end) / 2, base + 41, words, "middle", "#333", 9))
    return marks


def _legend(boxes: Sequence[Box]) -> list[str]:
    kernels = sorted({int(kernel) for box in boxes if (kernel := getattr(box.part.block, "kernel", None)) is not None})
    marks = [text(16, 62, "width: channels, height: size of the picture, shade: kernel", "start", GREY, 11)]
    for at, kernel in enumerate(kernels):
        x = 356 + 34 * at
        marks.append(f'<rect x="{x}" y="52" width="12" height="12" fill="{_shade(kernel)}" stroke="#35506b"/>')
        marks.append(text(x + 16, 62, str(kernel), "start", "#333", 11))
    return marks


def _shade(kernel: int | None) -> str:
    return "#ffffff" if kernel is None else SHADES[_number(kernel)]


def _number(kernel: int) -> int:
    return min(max((int(kernel) + 1) // 2 - (int(kernel) % 2), 0), len(SHADES) - 1)


def _place(value: float, of: Sequence[float]) -> float:
    low, high = min(of), max(of)
    return (value - low) / (high - low) if high > low else 0.5
