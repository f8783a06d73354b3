"""The page of the demo: its networks, what became of them, and the pages of the runs inside it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from litepose_nas.errors import UserError
from litepose_nas.report.pages.html import FOLDER, PAGE, Block, PageContent, picture
from litepose_nas.runs.journal import DAMAGED
from litepose_nas.runs.run import Run
from litepose_nas.untrusted import json_text
from litepose_nas.untrusted.opening import read_bytes, read_text

STAGES = ("threads", "people", "supernet", "search", "networks", "export", "ending")
LARGEST_IMAGE, LARGEST_TABLE = 4 << 20, 16 << 20  # bytes


def content(run: Run) -> PageContent:
    folder = run.folder
    try:
        stages = {name: found for name in STAGES if (found := _stage(folder, name))}
        blocks = _ending(folder, stages["ending"]) if "ending" in stages else []
        rows = [[name, str(found["line"]), f"{float(found['seconds']):,.0f} s"] for name, found in stages.items()]
    except DAMAGED as error:
        raise UserError(f"{folder}/stages: damaged ({error!r:.80}); run the demo again") from error
    blocks.append({"is": "table", "title": "Stages", "head": ["stage", "", "took"], "rows": rows})
    links = [[str(path.relative_to(folder)), f"../{path.relative_to(folder).as_posix()}/{FOLDER}/{PAGE}"]
             for path in _inside(folder)]  # fmt: skip
    if links:
        blocks.append({"is": "links", "title": "Its runs", "head": ["page"], "rows": links})
    about = [f"{len(stages)} of {len(STAGES)} stages are done. From {folder}"]
    return PageContent("Demo: from drawn people to a network", about, blocks)


def _inside(folder: Path) -> list[Path]:
    """The runs of the demo that have a page."""
    runs = [folder / "supernet", folder / "search", *sorted((folder / "networks").glob("*/finetune"))]
    return [run for run in runs if (run / FOLDER / PAGE).is_file()]


def _stage(folder: Path, name: str) -> dict[str, Any] | None:
    path = folder / "stages" / f"{name}.json"
    return dict(json_text.load(read_text(path))) if path.is_file() else None


def _ending(folder: Path, found: dict[str, Any]) -> list[Block]:
    rows, ahead = found["rows"], found["searched_against_scaled"]
    table = [
        [
            row["network"],
            "x".join(map(str, row["input"])),
            f"{row['macs'] / 1e6:,.1f}",
            f"{row['params']:,}",
            *(f"{row[key]:.3f}" for key in ("ap_inherited", "ap_finetuned", "ap50_finetuned")),
        ]
        for row in rows
    ]
    head = ["network", "input", "MMAC", "params", "AP inherited", "AP fine-tuned", "AP50"]
    groups = [
        {"name": "searched, held-out training images", "points": _searched(folder / "search" / "front.csv")},
        *(
            {
                "name": f"{word}, validation images",
                "points": [
                    [row["macs"] / 1e6, row[key], f"{row['network']}: {word} AP {row[key]:.3f}"] for row in rows
                ],
            }
            for key, word in (("ap_inherited", "inherited"), ("ap_finetuned", "fine-tuned"))
        ),
    ]
    said = (
        f"Searched against scaled to the same cost, fine-tuned: {ahead['difference']:+.3f} AP; of {ahead['resamples']} "
        f"bootstrap draws 95 % lie between {ahead['low']:+.3f} and {ahead['high']:+.3f}."
    )
    blocks: list[Block] = [
        {"is": "table", "title": "What was found", "head": head, "rows": table},
        {"is": "text", "lines": [said]},
        {"is": "dots", "title": "AP over cost", "x": "MMAC", "y": "AP", "groups": groups},
    ]
    image = folder / "predictions.jpg"
    if image.is_file():
        steps = [{"label": "validation images", "src": picture(read_bytes(image, LARGEST_IMAGE))}]
        blocks.append({"is": "pictures", "title": "The truth, and what the searched network finds", "steps": steps})
    return blocks


def _searched(path: Path) -> list[list[Any]]:
    if not path.is_file():
        return []
    lines = csv.DictReader(read_text(path, LARGEST_TABLE).splitlines())
    return [
        [int(line["macs"]) / 1e6, float(line["ap"]), f"{int(line['macs']) / 1e6:,.1f} MMAC: AP {line['ap']}"]
        for line in lines
    ]
