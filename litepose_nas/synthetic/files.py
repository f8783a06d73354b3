"""How drawn data is written: JPEG, JSON and the data.yaml, the same bytes for the same content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from litepose_nas.errors import UserError

QUALITY = 92


def write_jpeg(path: Path, image: np.ndarray) -> None:
    """Write a picture (H, W, 3) blue, green, red."""
    ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not ok:
        raise UserError("this build of OpenCV cannot write JPEG; install opencv-python-headless")
    path.write_bytes(data.tobytes())


def write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")


def write_yaml(path: Path, tree: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=120), encoding="utf-8")
