"""Small bar charts as SVG text, to stand inside an HTML page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from litepose_nas.untrusted.display import in_html

WIDTH, HEIGHT = 300, 150
LEFT, BOTTOM, TOP = 8, 22, 26
BLUE, PALE = "#1f6fb4", "#a9cbe8"
NAMES = 110  # pixels for the names of joints
ROW = 17


def histogram(values: NDArray[np.float64], edges: Sequence[float], title: str, unit: str = "") -> str:
    """How many values lie between edges; the last bar holds what is above as well."""
    heights = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] if len(values) else np.zeros(len(edges) - 1)
    step = (WIDTH - 2 * LEFT) / len(heights)
    most = max(heights.max(), 1)
    marks = [_text(LEFT, 16, title, size=13)]
    for place, height in enumerate(heights):
        high = (HEIGHT - TOP - BOTTOM) * float(height) / most
        left, top = LEFT + place * step, HEIGHT - BOTTOM - high
        hint = f"{edges[place]:g} to {edges[place + 1]:g}{unit}: {int(height):,}"
        marks.append(
            f'<rect x="{left + 1:.1f}" y="{top:.1f}" width="{step - 2:.1f}" height="{high:.1f}" fill="{BLUE}">'
            f"<title>{in_html(hint)}</title></rect>"
        )
    marks.append(f'<path d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - LEFT}" stroke="#888"/>')
    for place in range(0, len(edges), -(-len(edges) // 6)):
        anchor = "start" if place == 0 else "end" if place == len(edges) - 1 else "middle"
        marks.append(_text(LEFT + place * step, HEIGHT - 7, f"{edges[place]:g}{unit}", anchor))
    return _svg(marks, WIDTH, HEIGHT)


def joint_bars(names: Sequence[str], seen: NDArray[np.float64], hidden: NDArray[np.float64], title: str) -> str:
    """For each joint the share of people in whom it is seen, and beside it hidden."""
    marks = [_text(0, 16, title, size=13)]
    wide = WIDTH + 60 - NAMES
    for row, (name, clear, veiled) in enumerate(zip(names, seen, hidden, strict=True)):
        top = TOP + row * ROW
        marks.append(_text(NAMES - 6, top + 12, name if len(name) < 17 else name[:15] + "…", "end"))
        for left, share, colour, word in ((0.0, clear, BLUE, "seen"), (clear, veiled, PALE, "hidden")):
            marks.append(
                f'<rect x="{NAMES + wide * left:.1f}" y="{top + 2}" width="{wide * share:.1f}" height="{ROW - 4}" '
                f'fill="{colour}"><title>{in_html(name)}: {100 * share:.0f} % {word}</title></rect>'
            )
    return _svg(marks, WIDTH + 60, TOP + ROW * len(names) + 4)


def _svg(marks: Sequence[str], wide: int, high: int) -> str:
    # Inside HTML an SVG needs no namespace.
    return f'<svg width="{wide}" height="{high}" viewBox="0 0 {wide} {high}">{"".join(marks)}</svg>'


def _text(x: float, y: float, words: str, anchor: str = "start", size: int = 11) -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-size="{size}">{in_html(words)}</text>'
