"""A supernet trained on drawn people, for benchmarks: made once in a folder, and found there the next time."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from litepose_nas.data.source import open_source
from litepose_nas.demo.scale import FULL
from litepose_nas.runs.run import Run
from litepose_nas.steps import train_supernet
from litepose_nas.steps.train_supernet import WEIGHTS, Wishes
from litepose_nas.synthetic.dataset import write_toy
from litepose_nas.train.recipe import Length, Recipe, changed


class Wanted(NamedTuple):
    """What to draw and for how long to train; recipe and people are the demo's."""

    space: str  # a name, or a file
    steps: int
    pictures: int = FULL.train
    pixels: int = FULL.size  # of a drawn picture's longer side
    seed: int = 0


def drawn_supernet(folder: Path, wanted: Wanted) -> Run:
    """Return the training in a folder, begun or gone on with if it has not ended; on one thread to begin with."""
    people, trained = folder / "people", folder / "supernet"
    if not people.exists():
        write_toy(people, wanted.pictures, 1, wanted.pixels, wanted.seed, FULL.setting)
    if (trained / "ended.json").exists():
        return Run.open(trained)
    source = open_source(str(people))
    if trained.exists():
        run = Run.resume(trained)
        ready = train_supernet.again(run, source, "cpu")
    else:
        recipe = changed(Recipe(), FULL.supernet)
        wishes = Wishes(wanted.space, recipe, Length(steps=wanted.steps), wanted.seed, "cpu", "off")
        ready = train_supernet.prepare(wishes, source, print)
        run = Run.create(train_supernet.VERB, settings=ready[3].settings, out=trained)
    with run:
        train_supernet.train(run, *ready)
        run.end()
    assert (trained / WEIGHTS).exists()
    return Run.open(trained)
