"""What the demo ends with: a table, a comparison with an interval, predictions beside truth, and a picture of all."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from litepose_nas.data.dataset import Dataset
from litepose_nas.demo import networks
from litepose_nas.demo.contenders import SCALED, SEARCHED, label
from litepose_nas.demo.scale import DemoScale
from litepose_nas.files import replacing
from litepose_nas.formats import subnet_file
from litepose_nas.metrics.coco import bootstrap_ap, coco_ap, read_truth
from litepose_nas.report import plots

Row = dict[str, Any]


def table(folders: Mapping[str, Path], scale: DemoScale) -> list[Row]:
    """What each network costs and finds on the validation pictures, the cheapest first."""
    rows = []
    for name, folder in folders.items():
        subnet = subnet_file.read(folder / "subnet.json")
        before, after = (networks.read(folder, file)["scores"] for file in (networks.INHERITED, networks.FINETUNED))
        rows.append(
            {
                "name": name,
                "network": label(name, scale.budgets),
                "input": list(subnet.input),
                "macs": subnet.cost.macs,
                "macs_litepose": subnet.cost.macs_litepose,
                "params": subnet.cost.params,
                "ap_inherited": before["ap"],
                "ap_finetuned": after["ap"],
                "ap50_finetuned": after["ap50"],
            }
        )
    return sorted(rows, key=lambda row: row["macs"])


def compare(folders: Mapping[str, Path], val: Dataset, scale: DemoScale) -> dict[str, float]:
    """How far the searched network is ahead of the scaled one, and the middle 95 % of that over the bootstrap.

    Both meet the same draws of pictures, so what makes a draw hard for either cancels.
    """
    truth = read_truth(val)
    found = [networks.read(folders[name], networks.FINETUNED)["results"] for name in (SEARCHED, SCALED)]
    one, other = (bootstrap_ap(truth, results, resamples=scale.resamples) for results in found)
    low, high = np.quantile(one - other, [0.025, 0.975]).tolist()
    one_ap, other_ap = (coco_ap(truth, results).ap for results in found)
    return {"difference": one_ap - other_ap, "low": low, "high": high, "resamples": scale.resamples}


def write_csv(rows: Sequence[Row], path: Path) -> None:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "input": "x".join(map(str, row["input"]))} for row in rows)


def front(rows: Sequence[Row], search_csv: Path) -> str:
    """A picture of AP over MACs: all that was searched as dots, the table's networks before and after tuning."""
    with search_csv.open(encoding="utf-8", newline="") as file:
        dots = [(int(line["macs"]) / 1e6, float(line["ap"])) for line in csv.DictReader(file)]
    aps = [ap for _, ap in dots] + [row[key] for row in rows for key in ("ap_inherited", "ap_finetuned")]
    macs = [x for x, _ in dots] + [row["macs"] / 1e6 for row in rows]
    x = plots.scale(min(macs), max(macs), plots.LEFT, plots.WIDTH - plots.RIGHT)
    y = plots.scale(min(aps), max(aps), plots.HEIGHT - plots.BOTTOM, plots.TOP)
    marks = plots.axes(x, y, "MMAC", "AP")
    marks += [
        f'<circle cx="{x.at(at)}" cy="{y.at(ap)}" r="3" fill="{plots.GREY}" class="evaluated"/>' for at, ap in dots
    ]
    labels = []
    for row in rows:
        at, before, after = x.at(row["macs"] / 1e6), y.at(row["ap_inherited"]), y.at(row["ap_finetuned"])
        colour = plots.RED if row["name"].startswith("searched") else plots.BLUE
        marks.append(f'<path d="M{at} {before}V{after}" stroke="{colour}" stroke-dasharray="3 3"/>')
        marks.append(f'<circle cx="{at}" cy="{before}" r="4" fill="white" stroke="{colour}" stroke-width="2"/>')
        marks.append(f'<circle cx="{at}" cy="{after}" r="5" fill="{colour}" class="finetuned"/>')
        labels.append(plots.Label(at, after, row["network"], colour))
    marks += plots.labels(labels)
    marks.append(plots.text(plots.LEFT, 22, "What was searched, and what became of it", "start", "#111", 16))
    keys = (
        (plots.GREY, "● candidates, held-out training pictures"),
        ("#333", "○ inherited, ● fine-tuned, validation pictures"),
    )
    for number, (colour, words) in enumerate(keys):
        marks.append(plots.text(plots.LEFT + 340 * number, 42, words, "start", colour))
    return plots.svg(marks)
