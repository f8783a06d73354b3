"""The files of a split as a layout's reader gets them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class LayoutFiles(NamedTuple):
    annotations: Path
    images: Path | None = None  # the folder of the pictures; None: nothing is asked of it, and sizes may be missing
    truth: Path | None = None  # MPII's ground truth in MATLAB's format
    people: bool = True  # False: annotations may be missing
    unlabelled: bool = False  # True: unlabelled video frames get their sizes too
