"""The layouts of annotation files. A new one is a function that reads it, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from litepose_nas.data.dataset import Document
from litepose_nas.data.layouts import coco, crowdpose, mpii, posetrack18
from litepose_nas.data.layouts.building import LayoutFiles


class AnnotationLayout(NamedTuple):
    read: Callable[[LayoutFiles], Document]
    marks: tuple[bytes, ...] = ()  # found only in its files; a search for them is 100 times faster than parsing


LAYOUTS: Mapping[str, AnnotationLayout] = {
    "coco": AnnotationLayout(coco.read),
    "crowdpose": AnnotationLayout(crowdpose.read, (b'"crowdIndex"',)),
    "posetrack18": AnnotationLayout(posetrack18.read, (b'"ignore_regions_x"', b'"bbox_head"')),
    "humanart": AnnotationLayout(coco.read_humanart, (b'"keypoints_21"',)),
    "halpe": AnnotationLayout(coco.read_halpe),
    "jhmdb": AnnotationLayout(coco.read_jhmdb),
    "mpii": AnnotationLayout(mpii.read),
    "mpii_trb": AnnotationLayout(coco.read_mpii_trb),
    "ochuman": AnnotationLayout(coco.read_ochuman),
}


def layout_of(annotations: bytes) -> str:
    if annotations.lstrip()[:1] == b"[":
        return "mpii"
    return next((name for name, one in LAYOUTS.items() if any(mark in annotations for mark in one.marks)), "coco")
