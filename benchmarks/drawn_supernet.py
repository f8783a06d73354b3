"""A supernet trained on drawn people, for benchmarks: made once in a folder, and found there the next time."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from litepose_nas.data.source import open_source
from litepose_nas.demo.scale import FULL
from litepose_nas.runs.run import Run
from litepose_nas.steps import train_supernet
from litepose_nas.steps.train_supernet import WEIGHTS, TrainOptions
from litepose_nas.steps.training import begin_or_resume
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
    options = TrainOptions(
        wanted.space, changed(Recipe(), FULL.supernet), Length(steps=wanted.steps), wanted.seed, "cpu", "off"
    )
    run, training = begin_or_resume(
        train_supernet.VERB,
        trained,
        lambda: train_supernet.plan(options, source, print),
        lambda run: train_supernet.load(run, source, "cpu"),
    )
    with run:
        train_supernet.train(run, training)
        run.end()
    assert (trained / WEIGHTS).exists()
    return Run.open(trained)
