"""Pictures of what gain.py found: the test figure over the cost, and poses of searched and scaled networks.

    python benchmarks/gain_pictures.py faces ROOM --out docs/pictures

Poses are drawn without the photographs, whose rights are not ours; with `--photographs` over them, for your eyes.
"""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import cv2
import numpy as np
import real_pictures
import rows
from contest import PUBLISHED, RANDOM, SCALED, SEARCHED
from gain_table import FIGURES, LESS_IS_BETTER
from real_pictures import Subject

from litepose_nas import files
from litepose_nas.data.dataset import Record
from litepose_nas.data.images import load_picture
from litepose_nas.report.plots import (
    BLUE,
    BOTTOM,
    GREEN,
    GREY,
    HEIGHT,
    LEFT,
    RED,
    RIGHT,
    SHAPES,
    TOP,
    WIDTH,
    axes,
    scale,
    svg,
    text,
)  # fmt: skip

SUBJECTS = {"faces": real_pictures.faces, "drawn": real_pictures.drawn, "lspet": real_pictures.poses}
STYLES = {
    SEARCHED: (RED, SHAPES[0]),
    SCALED: (BLUE, SHAPES[1]),
    PUBLISHED: (GREEN, SHAPES[2]),
    RANDOM: (GREY, SHAPES[4]),
}
NAMES = {"nme": "NME (less is better)", "pck": "PCK", "ap": "AP"}
SIDE, GAP = 220, 12  # of a picture in the strip
Found = list[dict[str, str]]


def front(found: Found, figure: str, title: str) -> str:
    """Return every fine-tuned network as a small mark, and the mean of each kind at each budget as a large one."""
    own = [row for row in found if row["kind"] in STYLES]
    macs, values = [int(row["macs"]) / 1e6 for row in own], [float(row[f"test {figure}"]) for row in own]
    x = scale(min(macs), max(macs), LEFT, WIDTH - RIGHT)
    best_up = figure not in LESS_IS_BETTER
    ends = (HEIGHT - BOTTOM, TOP) if best_up else (TOP, HEIGHT - BOTTOM)
    y = scale(min(values), max(values), *ends)
    marks = [text(LEFT, 24, title, "start", "#111", 16), *axes(x, y, "MMAC", f"{NAMES[figure]}, test pictures")]
    for place, (kind, (colour, shape)) in enumerate(STYLES.items()):
        here = [row for row in own if row["kind"] == kind]
        for row in here:
            at = x.at(int(row["macs"]) / 1e6), y.at(float(row[f"test {figure}"]))
            marks.append(f'<path d="{shape}" transform="translate{at}" fill="{colour}" fill-opacity="0.45"/>')
        middles = []
        for budget in sorted({row["budget"] for row in here}, key=float):
            there = [row for row in here if row["budget"] == budget]
            cost, value = (
                fmean(int(row["macs"]) / 1e6 for row in there),
                fmean(float(row[f"test {figure}"]) for row in there),
            )
            middles.append((x.at(cost), y.at(value)))
        line = " L".join(f"{left} {up}" for left, up in middles)
        if middles:
            marks.append(f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
            marks += [
                f'<path d="{shape}" transform="translate({left} {up}) scale(2)" fill="{colour}" stroke="white" '
                'stroke-width="0.6"/>'
                for left, up in middles
            ]
            left = LEFT + 110 * place
            marks.append(f'<path d="{shape}" transform="translate({left + 6} 40) scale(1.4)" fill="{colour}"/>')
            marks.append(text(left + 18, 44, kind, "start", colour))
    return svg(marks)


def strip(subject: Subject, room: Path, found: Found, photographs: bool) -> str:
    """The first test pictures: the truth in grey, below it what the scaled and the searched network find."""
    records = subject.read_test().records
    own = [row for row in found if row["seed"] == "0" and row["number"] == "0"]
    budget = min((row["budget"] for row in own), key=float)
    family = own[0]["family"]
    kinds = (SCALED, SEARCHED)
    names = [f"{subject.name}-{family}-0-{budget}-{kind}-0.json".replace(" ", "-") for kind in kinds]
    results = [json.loads((room / "found" / name).read_text(encoding="utf-8")) for name in names]
    shown = sorted({one["image_id"] for one in results[0]})
    chosen = [record for record in records if record.image_id in shown]
    wide = len(chosen) * (SIDE + GAP) + GAP
    marks = []
    for line, (kind, those) in enumerate(zip(kinds, results, strict=True)):
        top = line * (SIDE + GAP + 18) + 24
        marks.append(text(GAP, top - 6, f"{kind}, {budget} MMAC; the truth in grey", "start", "#111", 13))
        for place, record in enumerate(chosen):
            mine = [one["keypoints"] for one in those if one["image_id"] == record.image_id]
            marks += _posed(subject, record, mine, STYLES[kind][0], (GAP + place * (SIDE + GAP), top), photographs)
    return svg(marks, wide, 2 * (SIDE + GAP + 18) + 24)


def _posed(
    subject: Subject,
    record: Record,
    people: Sequence[Sequence[float]],
    colour: str,
    at: tuple[int, int],
    photograph: bool,
) -> list[str]:
    zoom = SIDE / max(record.width, record.height)
    place = f'<g transform="translate({at[0]} {at[1]}) scale({zoom:.4f})">'
    back = f'<rect width="{record.width}" height="{record.height}" fill="#f6f7f9"/>'
    if photograph:
        _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(load_picture(record), cv2.COLOR_RGB2BGR))
        data = base64.b64encode(jpeg.tobytes()).decode()
        back = f'<image width="{record.width}" height="{record.height}" href="data:image/jpeg;base64,{data}"/>'
    truth = [mark for joints in record.joints for mark in _person(joints, subject, GREY, zoom)]
    found = [np.array(keypoints, float).reshape(-1, 3) for keypoints in people]
    return [place, back, *truth, *(mark for joints in found for mark in _person(joints, subject, colour, zoom)), "</g>"]


def _person(joints: np.ndarray, subject: Subject, colour: str, zoom: float) -> list[str]:
    marks = [
        f'<path d="M{joints[one][0]:.1f} {joints[one][1]:.1f}L{joints[other][0]:.1f} {joints[other][1]:.1f}" '
        f'stroke="{colour}" stroke-width="{2 / zoom:.2f}"/>'
        for one, other in subject.dataset.skeleton.limbs
        if joints[one][2] > 0 and joints[other][2] > 0
    ]
    radius = (1.6 if len(joints) > 30 else 3) / zoom
    return marks + [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.2f}" fill="{colour}"/>' for x, y, seen in joints if seen > 0
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", choices=SUBJECTS)
    parser.add_argument("room", type=Path, help="of gain.py")
    parser.add_argument("--family", default="vipnas")
    parser.add_argument("--out", type=Path, default=Path("."))
    parser.add_argument("--photographs", action="store_true")
    asked = parser.parse_args()
    subject = SUBJECTS[asked.pictures](asked.room)
    found = [
        row
        for row in rows.read(asked.room / "gain.csv")
        if (row["pictures"], row["family"]) == (subject.name, asked.family)
    ]
    asked.out.mkdir(parents=True, exist_ok=True)
    figure = FIGURES[subject.name][0]
    name = f"{asked.pictures}-{asked.family}"
    files.write(
        asked.out / f"gain-{name}.svg", front(found, figure, f"{subject.name}: {asked.family}, fine-tuned alike")
    )
    files.write(asked.out / f"poses-{name}.svg", strip(subject, asked.room, found, asked.photographs))


if __name__ == "__main__":
    main()
