"""Top-down or bottom-up? Two small supernets on drawn people, one search across both, and where the winner flips.

    python benchmarks/families.py [--folder families-benchmark] [--steps 1000] [--evals 48] [--budget 60MMAC]

People, recipe and the bottom-up space are the demo's; the top-down one is the small space that comes along. It runs
what a user would type, in a folder that stays: killed, the same line goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import yaml
from audit import command, run

from litepose_nas.demo.scale import FULL
from litepose_nas.space import Space

# One resolution each, as the demo; and a Gaussian of two pixels would be as wide as a person on heatmaps of 24x18.
TOPDOWN, RESOLUTION, OWN = "topdown-tiny", "96x72", ("half_body=0", "sigma=1")
LONGER = 2  # so many of its steps take the time of one of the bottom-up supernet
PEOPLE = (1, 2, 4, 8)  # in a picture, for which the report chooses again


def narrowed(folder: Path, name: str, resolutions: Sequence[int | str]) -> str:
    """Write a space with these resolutions alone into a folder; return the name of the file."""
    tree = {**json.loads(Space.load(name).source), "resolution": list(resolutions)}
    path = folder / f"{name}-{resolutions[0]}.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return path.name


def main() -> None:
    """Draw people, train two supernets, search across them, tell it again for other numbers of people."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("families-benchmark"))
    parser.add_argument("--steps", type=int, default=1000, help="of the bottom-up supernet; the other trains as long")
    parser.add_argument("--evals", type=int, default=48)
    parser.add_argument("--budget", default="60MMAC", help="of a picture with all its people")
    asked = parser.parse_args()
    folder: Path = asked.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "people").exists():
        pictures = ("--train", str(FULL.train), "--val", "1", "--size", str(FULL.size), "--setting", FULL.setting)
        command(folder, "data", "toy", "people", *pictures)
    common = ("--data", "people", "--device", "cpu", *FULL.supernet)
    space = narrowed(folder, FULL.space, FULL.resolutions)
    run(folder, "bottomup", "train-supernet", "--space", space, "--steps", str(asked.steps), *common)
    space = narrowed(folder, TOPDOWN, [RESOLUTION])
    run(folder, "topdown", "train-supernet", "--space", space, "--steps", str(LONGER * asked.steps), *common, *OWN)
    searching = ("--budget", asked.budget, "--evals", str(asked.evals), "--device", "cpu")
    run(folder, "search", "search", "bottomup", "topdown", *searching)
    for people in PEOPLE:
        print(f"## {people} people a picture", flush=True)
        command(folder, "report", "search", "--people", str(people), "--out", f"report-{people}")
    print("## the pictures as they are", flush=True)
    command(folder, "report", "search")
    told = json.loads((folder / "search" / "report" / "front.json").read_text(encoding="utf-8"))
    print("| family | MMAC a picture | of a run | params | AP |\n|---|---|---|---|---|")
    for line in told["front"]:
        macs = (f"{line[key] / 1e6:.1f}" for key in ("macs", "macs_of_a_run"))
        print("|", " | ".join([line["family"], *macs, f"{line['params']:,}", f"{line['ap']:.3f}"]), "|")


if __name__ == "__main__":
    main()
