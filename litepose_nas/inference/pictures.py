"""Prediction: skeletons drawn on a user's own pictures, and their numbers in poses.json."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import inference_mode

from litepose_nas import files
from litepose_nas.data import zipped
from litepose_nas.data.augment import HALF, Image, Size, warp_picture
from litepose_nas.data.draw import draw_people
from litepose_nas.data.images import read_image, write_image
from litepose_nas.data.loader import to_input
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.errors import UserError
from litepose_nas.inference.batches import Net, evaluating, find_people, in_picture
from litepose_nas.pose.task import Task

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
SMALL = 480  # pixels: smaller pictures are enlarged by whole times to about this
QUALITY = 92  # of overlays that are JPEGs
BATCH = 16  # views of a picture that are looked at together
COORDINATES = "pixels of the upright picture; the middle of its first pixel is 0, 0, as in COCO"

Progress = Callable[[int, int], None]


class Predicted(NamedTuple):
    poses: Path
    overlays: tuple[Path, ...]
    people: int
    warnings: tuple[str, ...]  # one for each file that could not be read


def predict(
    net: Net,
    task: Task,
    skeleton: Skeleton,
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    size: Size,
    out: str | os.PathLike[str],
    flip: bool = False,
    least_score: float = 0.1,
    progress: Progress | None = None,
    boxes: Callable[[Path, Image], NDArray[np.float64]] | None = None,
) -> Predicted:
    """Look for people in pictures, one at a time, and write overlays and poses.json into a folder.

    A picture that cannot be read is left out and named in the warnings; progress(done, total) follows each. People
    below `least_score` are in neither: noise, to a reader. A top-down network looks into the `boxes` (N, 5) of a
    picture, or takes each picture for one person.
    """
    if task.joints != len(skeleton.names):
        raise UserError(f"the network has {task.joints} joints and the skeleton {len(skeleton.names)}; give its own")
    paths, folder = find_pictures(sources), Path(out)
    names = overlay_names(paths)
    own = {path.resolve() for path in paths}
    if clash := [name for name in names if (folder / name).resolve() in own]:
        raise UserError(f"the overlay would take the place of {folder / clash[0]} itself; choose another folder for it")
    entries: list[dict[str, Any]] = []
    overlays: list[Path] = []
    warnings: list[str] = []
    with evaluating(net), inference_mode():
        for done, (path, name) in enumerate(zip(paths, names, strict=True), start=1):
            try:
                image = read_image(path, upright=True)
            except UserError as error:
                warnings.append(str(error))
            else:
                own_boxes = None if boxes is None else boxes(path, image)
                people = predict_image(net, task, image, size, flip, least_score, own_boxes)
                entries.append({"file": str(path), "width": image.shape[1], "height": image.shape[0], "people": people})
                overlays.append(folder / name)
                write_image(overlays[-1], overlay(image, people, skeleton), QUALITY)
            if progress is not None:
                progress(done, len(paths))
    if not entries:
        raise UserError(f"none of {len(paths)} pictures could be read; the first: {warnings[0]}")
    document = {
        "coordinates": COORDINATES,
        "keypoints": list(skeleton.names),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.limbs],  # COCO counts joints from one here
        "pictures": entries,
        "unreadable": warnings,
    }
    poses = folder / "poses.json"
    files.write(poses, json.dumps(document, indent=1) + "\n")
    return Predicted(poses, tuple(overlays), sum(len(entry["people"]) for entry in entries), tuple(warnings))


def predict_image(
    net: Net,
    task: Task,
    image: Image,
    size: Size,
    flip: bool,
    least_score: float,
    boxes: NDArray[np.float64] | None = None,
) -> list[dict[str, Any]]:
    """The people of one picture, the surest first, as poses.json holds them."""
    views = task.views((image.shape[0], image.shape[1]), size, boxes)
    if not views:
        return []
    seen = []
    for part in (views[first : first + BATCH] for first in range(0, len(views), BATCH)):
        inputs = to_input([warp_picture(image, view.warp, size) for view in part], task.pixels)
        for view, people in zip(part, find_people(net, inputs, task, flip), strict=True):
            seen.append(in_picture(people, view.warp, size, 0, None if view.box is None else np.array(view.box)))
    (found,) = task.gather(seen)
    places = found.keypoints
    return [
        {"score": round(float(found.scores[person]), 4), "keypoints": np.round(places[person], 3).tolist()}
        for person in np.argsort(-found.scores, kind="stable")
        if found.scores[person] >= least_score
    ]


def overlay(image: Image, people: Sequence[dict[str, Any]], skeleton: Skeleton) -> Image:
    """A picture with people who were found in it; one who has a track keeps a colour, a small picture is enlarged."""
    zoom = float(max(1, round(SMALL / max(image.shape[:2]))))
    joints = np.array([person["keypoints"] for person in people], np.float32).reshape(-1, len(skeleton.names), 3)
    joints[..., :2] += HALF
    scores, tracks = ([person[key] for person in people if key in person] for key in ("score", "track"))
    return draw_people(image, joints, skeleton, scores, zoom=zoom, tracks=tracks or None)


def find_pictures(sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Path]:
    """The pictures that paths name: files, folders and zips (not folders inside them), patterns like *.jpg."""
    given = [sources] if isinstance(sources, str | os.PathLike) else sources
    found: dict[Path, None] = {}
    for source in given:
        for path in _of_source(Path(source)):
            found[path] = None
    if not found:
        raise UserError("no pictures were named; give a file, a folder or a pattern")
    return list(found)


def overlay_names(paths: Iterable[Path]) -> list[str]:
    """A file name for the overlay of each picture, all different."""
    taken: set[str] = set()
    names = []
    for path in paths:
        suffix = ".png" if path.suffix.lower() == ".png" else ".jpg"
        name, count = path.stem + suffix, 1
        while name.lower() in taken:  # some systems do not tell A.jpg from a.jpg
            count += 1
            name = f"{path.stem}-{count}{suffix}"
        taken.add(name.lower())
        names.append(name)
    return names


def _of_source(path: Path) -> list[Path]:
    if zipped.is_folder(path):
        named = (path / name for name in zipped.names_in(path))
        inside = sorted(file for file in named if file.suffix.lower() in SUFFIXES and zipped.is_file(file))
        if not inside:
            raise UserError(f"{path} holds no pictures ({', '.join(SUFFIXES)}); name another folder")
        return inside
    if zipped.is_file(path):
        return [path]
    matches = sorted(Path(name) for name in glob.glob(str(path), recursive=True))
    if not matches:
        raise UserError(
            f"there is no {path}, and no file matches it as a pattern; name a picture, a folder or a pattern"
        )
    return [match for match in matches if match.is_file() and match.suffix.lower() in SUFFIXES]
