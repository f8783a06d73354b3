"""Pictures that a run leaves behind: what it trains on, and what it finds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from litepose_nas.data.loader import Batch, to_picture
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.errors import UserError
from litepose_nas.files import replacing
from litepose_nas.pose.draw import Captioned, draw_people, heatmap_overlay, side_by_side
from litepose_nas.pose.targets import gaussian_heatmaps, scale_joints

MOST = 8


def show_batch(batch: Batch, skeleton: Skeleton, sigma: float, path: Path) -> None:
    """Draw the first pictures of a training batch with their people, and the heatmaps that are asked for."""
    size = batch.images.shape[2], batch.images.shape[3]
    quarter = -(-size[0] // 4), -(-size[1] // 4)
    heat = gaussian_heatmaps(scale_joints(batch.joints, size, quarter), quarter, sigma).numpy()
    shown = []
    for number in range(min(MOST, len(batch.images))):
        picture, people = to_picture(batch.images[number]), batch.joints[number].numpy()
        people = people[(people[:, :, 2] > 0).any(1)]
        zoom = max(1.0, 256 / max(size))
        drawn = draw_people(picture, people, skeleton, hidden=people[:, :, 2] == 1, zoom=zoom)
        shown += [
            Captioned(drawn, f"image {batch.image_ids[number]}"),
            Captioned(heatmap_overlay(picture, heat[number], zoom)),
        ]
    write(side_by_side(shown, columns=4), path)


def write(image: np.ndarray, path: Path) -> None:
    """Write a picture."""
    ok, data = cv2.imencode(path.suffix, image[..., ::-1])  # imwrite would not say that the disk is full
    if not ok:
        raise UserError(f"{path}: this build of OpenCV cannot write {path.suffix} files")
    with replacing(path) as temporary:
        temporary.write_bytes(data.tobytes())
