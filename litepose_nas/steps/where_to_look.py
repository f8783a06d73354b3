"""Where a network that sees one person at a time looks: in boxes, around detections, or everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.augment import Image
from litepose_nas.data.boxes import boxes_of_file, read_boxes
from litepose_nas.errors import UserError
from litepose_nas.inference.following import finder, without_doubles
from litepose_nas.steps.evaluate import Loaded, check_box_score, load, no_boxes

BoxesOf = Callable[[Path, Image], NDArray[np.float64]]


class WhereToLook(NamedTuple):
    """What a user says; at most one of `boxes`, `detector` and `whole`."""

    boxes: Path | None = None
    min_box_score: float = 0.0
    detector: Path | None = None
    whole: bool = False

    def check(self, loaded: Loaded) -> None:
        check_box_score(self.boxes, self.min_box_score)
        given = {"--boxes": self.boxes, "--detector": self.detector, "--whole": self.whole or None}
        named = [(option, value) for option, value in given.items() if value is not None]
        if named and not loaded.task.kind.one_person:
            option, value = named[0]
            raise no_boxes(loaded.task.kind, option, "" if value is True else str(value))
        if len(named) > 1:
            raise UserError(f"{named[0][0]} and {named[1][0]} both say where people are; give one of them")


def boxes_in_pictures(loaded: Loaded, where: WhereToLook, device: str) -> BoxesOf | None:
    """What says where people are in a picture; None where all of it is looked at."""
    where.check(loaded)
    if where.boxes is not None:
        known = read_boxes(where.boxes, where.min_box_score)
        return lambda path, image: boxes_of_file(known, path)
    if where.detector is not None:
        find = detector(where.detector, device)
        return lambda path, image: without_doubles(find(image, 0))
    return None


def detector(target: Path, device: str) -> Callable[[Image, int], NDArray[np.float64]]:
    loaded = load(str(target), device)
    if loaded.task.kind.one_person:
        raise UserError(f"--detector {target}: sees one person at a time and finds nobody; give a bottom-up network")
    return finder(loaded.net.eval(), loaded.task, loaded.size)
