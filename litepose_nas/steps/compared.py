"""At the end of fine-tuning: the network before and after, joint by joint, and the images where it fails."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from litepose_nas.metrics import oks, pck
from litepose_nas.metrics.coco import fast_ap, found_of, labels_of
from litepose_nas.metrics.results import Result
from litepose_nas.pose.people import DivergedError
from litepose_nas.report import before_after
from litepose_nas.report.before_after import FOLDER, BeforeAfter, NetworkFigures, WorstImage
from litepose_nas.runs.run import Run
from litepose_nas.search.scoring import Scorer
from litepose_nas.steps.stored_poses import people_of, store_image

WORST = 10  # images
WITHIN = 0.1  # of the longer side of a person's box: what the figures of each joint are
SHARES = [round(0.01 * at, 2) for at in range(1, 31)]


def compare(run: Run, scorer: Scorer, before: nn.Module, after: nn.Module, size: tuple[int, int]) -> None:
    """Store it in the run; both networks come calibrated."""
    dataset = scorer.split.heldout.dataset
    labels, names = labels_of(scorer.truth), dataset.skeleton.names
    results = [_found(scorer, net, size) for net in (before, after)]
    before_figures, after_figures = (_figures(scorer, labels, found, names) for found in results)
    worst: list[WorstImage] = []
    for place, similarity in _worst(scorer, labels, results[1]):
        image_id = sorted(scorer.truth.image_ids)[place]
        record = next(one for one in dataset.records if one.image_id == image_id)
        image = store_image(run.folder / FOLDER / f"{len(worst)}.jpg", record)
        alone = dataset._replace(records=(record,))
        first, second = (people_of(found, alone)[0] for found in results)
        worst.append(WorstImage(image, similarity, first, second))
    limbs = [list(limb) for limb in dataset.skeleton.limbs]
    counted = int((~labels.ignored).sum())
    count = len(dataset.records)
    before_after.write(
        run.folder,
        BeforeAfter(count, counted, list(names), limbs, SHARES, WITHIN, before_figures, after_figures, worst),
    )


def _found(scorer: Scorer, net: nn.Module, size: tuple[int, int]) -> list[Result]:
    try:
        with torch.no_grad():
            return scorer.found(net.eval(), size)
    except DivergedError:
        return []


def _figures(scorer: Scorer, labels: oks.Labels, results: Sequence[Result], names: Sequence[str]) -> NetworkFigures:
    errors = pck.errors_of(labels, found_of(scorer.truth, results), names)
    curve: list[float | None] = [pck.mean_pck(errors, share) for share in SHARES]
    _, pixels = pck.median_error(errors)
    return NetworkFigures(
        fast_ap(scorer.truth, results),
        curve,
        pck.pck(errors, WITHIN).tolist(),
        pixels.tolist(),
        pck.people_found(errors),
    )


def _worst(scorer: Scorer, labels: oks.Labels, results: Sequence[Result]) -> list[tuple[int, float]]:
    """The places of the images whose labelled people are found worst, and the mean similarity of those.

    Somebody whom nobody is taken for counts 0; who is found without being labelled counts nothing.
    """
    _, person, similarity = oks.close_pairs(labels, found_of(scorer.truth, results), 0.0)
    best = np.zeros(len(labels.image))
    np.maximum.at(best, person, similarity)
    counted = ~labels.ignored
    means = {int(place): float(best[counted & (labels.image == place)].mean()) for place in set(labels.image[counted])}
    return sorted(means.items(), key=lambda pair: pair[1])[:WORST]
