"""One entry of a file's list of images: checked, its regions to ignore, its place in a video."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from litepose_nas.data.fields import is_id, numbers, path_inside
from litepose_nas.data.picture_header import MAX_PIXELS
from litepose_nas.data.regions import IgnoredRegion
from litepose_nas.errors import UserError
from litepose_nas.untrusted.display import short

MAX_SIDE = 100_000  # pixels


def check_image(path: Path, image: Any, sizes: bool = True) -> None:
    """Refuse what is no whole entry of a list of images; without `sizes` it may lack them."""
    wanted = ("id", "file_name", "width", "height") if sizes else ("id", "file_name")
    missing = [key for key in wanted if not isinstance(image, dict) or key not in image]
    if missing:
        raise UserError(f"{path}: image {short(image)} has no {missing[0]!r}; write it into the file")
    sides = [image[key] for key in ("width", "height") if key in image]
    if not is_id(image["id"]) or not all(is_id(side) and 0 < side <= MAX_SIDE for side in sides):
        raise UserError(
            f"{path}: image {short(image['id'], 40)}: 'id', 'width' and 'height' must be whole numbers; mend them"
        )
    if len(sides) == 2 and sides[0] * sides[1] > MAX_PIXELS:
        raise UserError(
            f"{path}: image {image['id']}: {sides[0]}x{sides[1]} pixels, and more than {MAX_PIXELS // 10**6} million "
            "are not decoded; make it smaller, or remove it"
        )
    if not isinstance(image["file_name"], str) or not image["file_name"] or "\0" in image["file_name"]:
        raise UserError(f"{path}: image {image['id']} has no file name, but {short(image['file_name'], 40)}; mend it")
    path_inside(f"{path}: image {image['id']}", image["file_name"])


def is_labelled(image: Mapping[str, Any]) -> bool:
    """False for the frames of a video that were not annotated."""
    return bool(image.get("is_labeled", True))


def place_in_video(image: dict[str, Any]) -> tuple[str, int]:
    """The video, and the frame's number in it: PoseTrack's file names are these numbers."""
    if "vid_id" not in image:
        return "", -1
    stem = Path(image["file_name"]).stem
    return str(image["vid_id"]), int(stem) if stem.isascii() and stem.isdigit() and len(stem) < 19 else -1


def ignored_regions(path: Path, image: dict[str, Any]) -> list[IgnoredRegion]:
    """The polygons of a picture whose people are not labelled."""
    regions = image.get("ignore_regions") or []
    if not isinstance(regions, list):
        raise UserError(f"{path}: image {image['id']}: 'ignore_regions' must be a list of polygons; mend it")
    return [_ignored_region(path, image["id"], region) for region in regions]


def _ignored_region(path: Path, image_id: int, region: Any) -> IgnoredRegion:
    flat = numbers(f"{path}: image {image_id}", "ignore_regions", region).ravel()
    if len(flat) < 6 or len(flat) % 2:
        raise UserError(f"{path}: image {image_id}: a polygon in 'ignore_regions' needs three corners or more; mend it")
    left, top, right, bottom = flat[0::2].min(), flat[1::2].min(), flat[0::2].max(), flat[1::2].max()
    box = float(left), float(top), float(right - left), float(bottom - top)
    return IgnoredRegion(box, [flat.tolist()], True)
