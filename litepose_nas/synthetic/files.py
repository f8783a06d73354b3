"""How drawn data is written, JPEG and JSON, the same bytes for the same content; and what it holds in numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from litepose_nas.errors import UserError

QUALITY = 92


class DrawnCounts(NamedTuple):
    people: int
    crowds: int
    joints: int
    hidden: int  # of the joints
    tracks: int = 0  # of videos


def write_jpeg(path: Path, image: np.ndarray) -> None:
    """Write a picture (H, W, 3) blue, green, red."""
    ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not ok:
        raise UserError("this build of OpenCV cannot write JPEG; install opencv-python-headless")
    path.write_bytes(data.tobytes())


def write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
