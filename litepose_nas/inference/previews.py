"""Pictures that a run leaves behind: what it trains on, and what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from litepose_nas.data.augment import HALF, Size
from litepose_nas.data.dataset import Dataset
from litepose_nas.data.draw import Captioned, draw_people, heatmap_overlay, side_by_side
from litepose_nas.data.images import load_picture, write_image
from litepose_nas.data.loader import Batch, Pictures, continuous, to_picture
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.inference.batches import Net, predict_batches
from litepose_nas.pose.people import DivergedError
from litepose_nas.pose.targets import gaussian_heatmaps, scale_joints
from litepose_nas.pose.task import Task

MOST = 8
FEW = 4  # pictures that are shown twice: with their people, and with those that were found
SURE = 0.3  # people below this score are not drawn: a net of minutes finds each person several times


def show_batch(batch: Batch, skeleton: Skeleton, sigma: float, path: Path) -> None:
    """Draw the first pictures of a training batch with their people, and the heatmaps that are asked for."""
    batch = batch.singles
    size = batch.images.shape[2], batch.images.shape[3]
    quarter = -(-size[0] // 4), -(-size[1] // 4)
    heat = gaussian_heatmaps(scale_joints(batch.joints, size, quarter), quarter, sigma).numpy()
    shown = []
    for number in range(min(MOST, len(batch.images))):
        picture, people = to_picture(batch.images[number], batch.pixels), batch.joints[number].numpy()
        people = people[(people[:, :, 2] > 0).any(1)]
        zoom = max(1.0, 256 / max(size))
        drawn = draw_people(picture, people, skeleton, hidden=people[:, :, 2] == 1, zoom=zoom)
        shown += [
            Captioned(drawn, f"image {batch.image_ids[number]}"),
            Captioned(heatmap_overlay(picture, heat[number], zoom)),
        ]
    write_image(path, side_by_side(shown, columns=4))


def show_predictions(net: Net, held: Pictures, task: Task, size: Size, path: Path) -> None:
    """Draw the first held-out pictures with their people, and beside them with those that a network finds."""
    few = Pictures(held.dataset._replace(records=held.dataset.records[:FEW]))
    try:
        results = predict_batches(net, task.eval_batches(few, size), task)
    except DivergedError:
        results = []  # the loss says so; a picture without people is what there is to see
    show_results(few.dataset, results, path)


def show_results(dataset: Dataset, results: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the first pictures of a dataset twice: with their people, and with the sure ones among COCO results."""
    shown = []
    for record in dataset.records[:FEW]:
        image, zoom = load_picture(record), max(1.0, 320 / max(record.width, record.height))
        truth, hidden = continuous(record.joints), record.joints[:, :, 2] == 1
        drawn = draw_people(image, truth, dataset.skeleton, hidden=hidden, zoom=zoom)
        shown.append(Captioned(drawn, f"image {record.image_id}: truth"))
        mine = [r for r in results if r["image_id"] == record.image_id and r["score"] >= SURE]
        people = np.array([r["keypoints"] for r in mine], np.float32).reshape(-1, len(dataset.skeleton.names), 3)
        people[..., :2] += HALF
        scores = [r["score"] for r in mine]
        shown.append(Captioned(draw_people(image, people, dataset.skeleton, scores, zoom=zoom), "found"))
    write_image(path, side_by_side(shown, columns=4))
