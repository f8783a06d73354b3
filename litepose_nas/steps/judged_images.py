"""Some images of a split, made ready once, on which a network and its exported files are judged alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor

from litepose_nas.data.dataset import Dataset
from litepose_nas.data.loader import CachedBatches, Pictures
from litepose_nas.data.source import Source
from litepose_nas.errors import UserError
from litepose_nas.inference.batches import Net, check_joints, predict_batches
from litepose_nas.metrics.paired import PairedFigure, figure_of
from litepose_nas.metrics.results import Result
from litepose_nas.pose.task import Task
from litepose_nas.steps.evaluate import Loaded

BATCH = 16


class JudgedImages:
    """Images, their people, and the figure of their data."""

    def __init__(self, loaded: Loaded, dataset: Dataset, metric: str | None = None):
        check_joints(loaded.task, dataset)
        self.dataset, self.task = dataset, loaded.task
        self.figure: PairedFigure = figure_of(dataset, metric)
        self._views = CachedBatches(loaded.task.eval_batches(Pictures(dataset), loaded.size, BATCH))
        if not len(self._views):
            raise UserError(f"{dataset.annotations}: no view of anybody in these images; give images with people")

    def __len__(self) -> int:
        return len(self.dataset.records)

    def results(self, net: Net, task: Task | None = None) -> list[Result]:
        """What a network finds; `task` reads its outputs, if another than that of the images."""
        return predict_batches(net, self._views.batches, task or self.task)

    @property
    def views(self) -> Iterator[Tensor]:
        """What networks are shown, one after another, each a batch of one."""
        for batch, _ in self._views.batches:
            yield from batch.images.split(1)


def choose(loaded: Loaded, source: Source, split: str, counts: Sequence[int]) -> list[Dataset]:
    """Groups of images of a split, drawn at random and disjoint; of clips they are frames in their order."""
    whole = source.read(split, unlabelled=loaded.task.kind.clips)
    check_joints(loaded.task, whole)
    count = len(whole.records)
    order = np.arange(count) if loaded.task.kind.clips else np.random.default_rng(0).permutation(count)
    groups, begin = [], 0
    for wanted in counts:
        records = tuple(whole.records[place] for place in sorted(order[begin : begin + wanted]))
        groups.append(whole._replace(records=records))
        begin += wanted
    if any(not group.records for group in groups):
        raise UserError(
            f"{source.name}, {split}: {count} images, and {sum(counts[:-1]) + 1} or more are needed; give more images"
        )
    return groups
