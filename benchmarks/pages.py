"""What the page of a search weighs and costs: bytes, opening it, the share of a search that refreshing takes.

    python benchmarks/pages.py

Opening needs playwright and a Chromium (`pip install 'litepose-nas[browser]'`); without them that figure is left out.
"""

from __future__ import annotations

import math
import random
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from litepose_nas import costs
from litepose_nas.budget import Budget
from litepose_nas.data.images import write_image
from litepose_nas.report import example_poses, page
from litepose_nas.report.example_poses import ExampleImage, ExamplePoses, key_of
from litepose_nas.report.pages import html
from litepose_nas.report.pages.html import PageContent
from litepose_nas.report.record import load_search
from litepose_nas.report.refresh import LEAST, SHARE
from litepose_nas.report.summary import Summary, summarise
from litepose_nas.runs.journal import Journal
from litepose_nas.search import random_search
from litepose_nas.search.journal import header
from litepose_nas.search.loop import run_search
from litepose_nas.search.problem import Problem, by_ap_or_loss
from litepose_nas.space import Space

SPACE, BUDGET = "litepose", "5GMAC"
COUNTS = (50, 200, 1000)
IMAGES, NETWORKS, PEOPLE = 12, 24, 4
INFO = {"supernet": {"path": "gone", "sha256": "0"}, "data": "people", "seed": 0, "recipe": {}}


def write_search(folder: Path, evals: int) -> None:
    """A search whose scores follow the cost, with some noise."""
    space, budget = Space.load(SPACE), Budget.of([BUDGET])
    problem = Problem(space, budget, costs.cost, by_ap_or_loss)
    rng = random.Random(0)

    def score(arch: object) -> dict[str, float]:
        ap = 0.05 * (math.log(costs.cost(arch).macs) - 15) + rng.gauss(0, 0.01)  # type: ignore[arg-type]
        return {"ap": ap, "loss": 1 - ap, "seconds": 0.1}

    notes = {"budget": [BUDGET], "convention": "exact", "families": {"": {"joints": 17, "info": INFO}}}
    more = {"objectives": problem.low, "method": "random", "rank": "auto"}
    journal = Journal(folder / "journal.jsonl", header({"": (space, "")}, 0, **more), notes)
    run_search(problem, random_search.searcher(problem, 0), score, journal, evals)


def store_poses(folder: Path, found: Summary) -> None:
    rng = np.random.default_rng(0)
    names = [f"{at}.jpg" for at in range(IMAGES)]
    for name in names:
        smooth = np.kron(rng.integers(0, 255, (24, 32, 3), np.uint8), np.ones((10, 10, 1), np.uint8))
        write_image(folder / example_poses.FOLDER / name, smooth, 80)

    def people() -> list[list[float | None]]:
        return [rng.uniform(0, 240, 34).round(1).tolist() for _ in range(PEOPLE)]

    images = [ExampleImage(name, 320, 240, name, people()) for name in names]
    networks = {("", key_of(one.arch.to_dict())): [people() for _ in images] for one in found.front[:NETWORKS]}
    example_poses.write(folder, ExamplePoses(images, [[0, 1]], networks))


def opening(path: Path) -> float | None:
    """Seconds until a page is drawn, the second time, in the browser's own clock."""
    sys.path.insert(0, str(Path(__file__).parent.parent))
    try:
        from tests.helpers.browser import opened

        with opened(path) as one:
            one.page.reload()
            script = "performance.getEntriesByType('navigation')[0].loadEventEnd"
            return float(one.page.evaluate(script)) / 1000
    except BaseException as error:  # pytest's skip is no Exception
        print(f"not opened: {str(error)[:80]}", file=sys.stderr)
        return None


def timed(folder: Path) -> tuple[float, float]:
    """Seconds that a page takes while the search lasts, and at its end, with models of the scores."""
    begun = time.perf_counter()
    page.write_live(summarise(load_search(folder)), folder / "live", LEAST)
    live = time.perf_counter() - begun
    begun = time.perf_counter()
    page.write(summarise(load_search(folder), models=True), folder / "report")
    return live, time.perf_counter() - begun


def main() -> None:
    print(
        "| evaluations | page, MB | opens in, s | an empty page, s | a refresh, s | every, s | share | at the end, s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as room:
        empty = Path(room) / "empty.html"
        html.write(empty, PageContent("empty", [], []))
        for count in COUNTS:
            folder = Path(room) / str(count)
            folder.mkdir()
            write_search(folder, count)
            store_poses(folder, summarise(load_search(folder)))
            live, end = timed(folder)
            every = max(LEAST, live / SHARE)
            path = folder / "report" / page.PAGE
            shown = " | ".join("" if took is None else f"{took:.2f}" for took in (opening(path), opening(empty)))
            size = path.stat().st_size / 1e6
            print(f"| {count} | {size:.2f} | {shown} | {live:.2f} | {every:.0f} | {live / every:.2%} | {end:.2f} |")


if __name__ == "__main__":
    main()
