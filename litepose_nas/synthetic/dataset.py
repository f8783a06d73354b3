"""Drawn people, robot arms or videos of people as a dataset: pictures and annotations, the same bytes for a seed."""

from __future__ import annotations

import functools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import yaml

from litepose_nas.data.dataset_yaml import plain_words
from litepose_nas.data.layouts.building import category_for
from litepose_nas.data.layouts.toy import ANNOTATIONS, DRAWN, MARKER, SPLITS, WHAT, YAML, toy_settings, toy_split
from litepose_nas.data.source import Source, open_source
from litepose_nas.errors import UserError, nearest
from litepose_nas.synthetic import mpii as toy_mpii
from litepose_nas.synthetic import robot_arm
from litepose_nas.synthetic.figure import JOINTS, LIMBS
from litepose_nas.synthetic.scene import SETTINGS, DrawnCrowd, DrawnPerson, Picture, draw_picture
from litepose_nas.synthetic.video import draw_film
from litepose_nas.synthetic.video_dataset import write_films
from litepose_nas.synthetic.video_labels import Annotated
from litepose_nas.synthetic.video_scene import FILMS

SIZES = {"easy": 160, "standard": 160, "hard": 512}  # pixels, if not given
SMALLEST, LARGEST = 48, 4096
FILM_SIZES = {"easy": 192, "standard": 224, "hard": 512}  # of videos
NUMBERS = {"people": (1500, 150), "arm": (1500, 150), "video": (40, 10)}  # train and val, if not given
FRAMES = 24  # of a video, if not given
MOST_FRAMES = 9999
MOST_PICTURES = 1_000_000  # a split: the ids of val begin above those of train
QUALITY = 92
SUBJECTS = ("people", "arm", "video")
SKELETONS = ("coco", "mpii")
_BOXES = "annotations/boxes_{}.json"

Progress = Callable[[int, int], None]


class ToySummary(NamedTuple):
    """What was written; counts are (train, val)."""

    folder: Path
    pictures: tuple[int, int]
    people: tuple[int, int]
    crowds: tuple[int, int]
    hidden: tuple[float, float]  # the share of labelled joints that something hides
    seconds: float
    tracks: tuple[int, int] = (0, 0)  # of videos


class Drawn(NamedTuple):
    """What was drawn in a split."""

    people: int
    crowds: int
    hidden: float
    tracks: int = 0


def write_toy(
    folder: str | os.PathLike[str],
    train: int | None = None,
    val: int | None = None,
    size: int | None = None,
    seed: int = 0,
    setting: str = "standard",
    force: bool = False,
    progress: Progress | None = None,
    subject: str = "people",
    frames: int | None = None,
    skeleton: str = "coco",
) -> ToySummary:
    """Draw a dataset and put it into a folder, whole or not at all; progress(done, total) is called after each picture.

    A picture depends on the seed, its split, its place in it, size and setting (easy, standard or hard): more pictures
    begin with the same ones. An earlier drawn dataset is replaced; anything else only with force. The subject is
    people; or arms of robots, which have one setting, a data.yaml that says what their joints are, and files of their
    boxes; or video: then `train` and `val` count videos of so many frames, in PoseTrack18's layout. People have the
    joints and the layout of COCO or of MPII.
    """
    if skeleton not in SKELETONS:
        raise UserError(f"drawn people: skeleton {skeleton!r} is not one; {nearest(skeleton, SKELETONS)}")
    if skeleton != "coco" and subject != "people":
        raise UserError(f"drawn pictures: skeleton {skeleton!r} is one of people; leave it out for {subject}")
    if subject not in SUBJECTS:
        raise UserError(f"drawn pictures: subject {subject!r} is not one; {nearest(subject, SUBJECTS)}")
    if subject == "arm" and setting != "standard":
        raise UserError(f"drawn arms: setting {setting!r} is one of people; leave it out")
    if setting not in SETTINGS:
        raise UserError(f"drawn people: setting {setting!r} is not one; {nearest(setting, SETTINGS)}")
    if frames is not None and subject != "video":
        raise UserError(f"drawn pictures: {frames} frames are for videos; add --subject video, or leave them out")
    films, (many, few) = subject == "video", NUMBERS[subject]
    train, val = many if train is None else train, few if val is None else val
    size = (FILM_SIZES if films else SIZES)[setting] if size is None else size
    frames = FRAMES if frames is None else frames
    _check_numbers(train, val, size, seed, frames)
    target = Path(folder).absolute()
    _check_target(target, force)
    started = time.perf_counter()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.partial-", dir=target.parent))
        try:
            partial.chmod(0o777 & ~_umask())
            if films:
                draw = functools.partial(draw_film, size=size, frames=frames, filming=FILMS[setting])
                rng_of = functools.partial(picture_rng, seed)
                counts = [_summed(part) for part in write_films(partial, (train, val), frames, draw, rng_of, progress)]
            else:
                counts = _write_splits(partial, (train, val), size, seed, setting, subject, skeleton, progress)
            settings = {
                "what": WHAT,
                "version": 1,
                "train": train,
                "val": val,
                "size": size,
                "seed": seed,
                "setting": setting,
                **({} if subject == "people" else {"subject": subject}),
                **({"frames": frames} if films else {}),
                **({} if skeleton == "coco" else {"skeleton": skeleton}),
            }
            _write_json(partial / MARKER, settings)
            _move_into_place(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise UserError(
            f"cannot write drawn people to {target}: {error.strerror or error}; "
            "nothing was changed there: free some space or name another folder"
        ) from error
    drawn_train, drawn_val = counts
    times = frames if films else 1
    return ToySummary(
        target,
        (train * times, val * times),
        (drawn_train.people, drawn_val.people),
        (drawn_train.crowds, drawn_val.crowds),
        (drawn_train.hidden, drawn_val.hidden),
        time.perf_counter() - started,
        (drawn_train.tracks, drawn_val.tracks),
    )


def picture_rng(seed: int, split: str, index: int) -> np.random.Generator:
    """Return the generator that draws one picture: no picture depends on how many are drawn beside it."""
    return np.random.default_rng([seed, SPLITS.index(split), index])


def open_or_draw(what: str | None, progress: Progress | None = None) -> Source:
    """Return the dataset that `what` names; None and `toy` mean people who are drawn once, into a folder of runs/."""
    if what in (None, "toy", str(DRAWN)):
        if toy_settings(DRAWN) is None:
            write_toy(DRAWN, progress=progress)
        what = "toy"
    return open_source(what)


def _check_numbers(train: int, val: int, size: int, seed: int, frames: int) -> None:
    for name, number, low, high in (
        ("frames", frames, 1, MOST_FRAMES),
        ("train", train, 1, MOST_PICTURES),
        ("val", val, 1, MOST_PICTURES),
        ("size", size, SMALLEST, LARGEST),
        ("seed", seed, 0, 2**63 - 1),
    ):
        if not low <= number <= high:
            raise UserError(f"drawn people: {name} = {number} is outside {low} to {high}; choose a number inside")


def _check_target(target: Path, force: bool) -> None:
    here, home = Path.cwd(), Path.home()
    if target.resolve() in (here, *here.parents, home, *home.parents):
        raise UserError(
            f"cannot put drawn people into {target}: you stand in it or live in it; name a new folder inside"
        )
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise UserError(
            f"cannot put drawn people into {target}: it is a link or a file, not a folder; name another place"
        )
    if not target.exists() or force or not os.listdir(target) or toy_settings(target) is not None:
        return
    raise UserError(
        f"{target} holds something other than drawn people and stays as it is; "
        "name another folder, or force the replacement"
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _move_into_place(partial: Path, target: Path) -> None:
    if not target.exists():
        partial.rename(target)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.old-", dir=target.parent))
    old = aside / target.name
    try:
        target.rename(old)
        partial.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_splits(
    folder: Path,
    pictures: tuple[int, int],
    size: int,
    seed: int,
    setting: str,
    subject: str,
    skeleton: str,
    progress: Progress | None,
) -> list[Drawn]:
    done, total, arms, mpii = 0, sum(pictures), subject == "arm", skeleton == "mpii"
    counts = []
    (folder / "annotations").mkdir()
    for split, count in zip(SPLITS, pictures, strict=True):
        (folder / split).mkdir()
        images, annotations, people = [], [], []
        for index in range(count):
            rng = picture_rng(seed, split, index)
            picture = robot_arm.draw_picture(rng, size) if arms else draw_picture(rng, size, SETTINGS[setting])
            image_id = 1 + index + SPLITS.index(split) * MOST_PICTURES
            name = f"{image_id:012d}.jpg"
            (folder / split / name).write_bytes(_jpeg(picture))
            height, width = picture.image.shape[:2]
            images.append({"id": image_id, "file_name": name, "width": width, "height": height})
            annotations += _annotations(picture, image_id)
            people += [(name, person) for person in picture.people]
            done += 1
            if progress is not None:
                progress(done, total)
        if mpii:
            toy_mpii.write_people(folder, split, people)
            counts.append(_counted(0, [toy_mpii.mpii_joints(person)[:, 2] for _, person in people]))
            continue
        description = f"{'Arms' if arms else 'People'} drawn by litepose-nas: {split}, seed {seed}, {setting}"
        document = {
            "info": {"description": description, "version": "1"},
            "licenses": [],
            "images": images,
            "annotations": annotations,
            "categories": [category_for(robot_arm.SKELETON, name="robot arm") if arms else _category()],
        }
        _write_json(toy_split(folder, split)[0], document)
        counts.append(_count(annotations))
        if arms:  # as a detector would give them that is always right
            boxes = [{key: a[key] for key in ("image_id", "category_id", "bbox")} | {"score": 1.0} for a in annotations]
            (folder / _BOXES.format(split)).write_text(json.dumps(boxes), encoding="utf-8")
    if arms:
        _write_yaml(folder / YAML)
    if mpii:
        toy_mpii.write_yaml(folder / YAML)
    return counts


def _write_yaml(path: Path) -> None:
    places = {
        split: {
            "images": split,
            "annotations": ANNOTATIONS.format(split),
            "detections": _BOXES.format(split),
        }
        for split in SPLITS
    }
    tree = {**places, **plain_words(robot_arm.SKELETON)}
    path.write_text(yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=120), encoding="utf-8")


def _count(annotations: list[dict[str, Any]]) -> Drawn:
    people = [a for a in annotations if not a["iscrowd"]]
    return _counted(len(annotations) - len(people), [np.array(person["keypoints"][2::3]) for person in people])


def _counted(crowds: int, people: list[np.ndarray]) -> Drawn:
    """Return what there is of people with these flags of joints."""
    flags = np.concatenate(people) if people else np.zeros(0)
    return Drawn(len(people), crowds, int((flags == 1).sum()) / max(int((flags > 0).sum()), 1))


def _summed(videos: list[Annotated]) -> Drawn:
    people, tracks, regions, joints, hidden = (
        sum(getattr(video, name) for video in videos) for name in ("people", "tracks", "regions", "joints", "hidden")
    )
    return Drawn(people, regions, hidden / max(joints, 1), tracks)


def _jpeg(picture: Picture) -> bytes:
    ok, data = cv2.imencode(".jpg", picture.image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not ok:
        raise UserError("this build of OpenCV cannot write JPEG; install opencv-python-headless")
    return data.tobytes()


def _category() -> dict[str, Any]:
    skeleton = [[a + 1, b + 1] for a, b in LIMBS]  # COCO counts joints from one here
    return {"id": 1, "name": "person", "supercategory": "person", "keypoints": list(JOINTS), "skeleton": skeleton}


def _annotations(picture: Picture, image_id: int) -> list[dict[str, Any]]:
    height, width = picture.image.shape[:2]
    found = [_person(person) for person in picture.people]
    if picture.crowd is not None:
        found.append(_crowd(picture.crowd, height, width))
    return [{"id": image_id * 100 + k, "image_id": image_id, "category_id": 1, **a} for k, a in enumerate(found)]


def _person(person: DrawnPerson) -> dict[str, Any]:
    keypoints: list[float] = []
    for x, y, flag in person.joints.tolist():
        keypoints += [round(x, 2), round(y, 2), int(flag)]
    left, top, wide, high = person.box
    corners = [left, top, left + wide, top, left + wide, top + high, left, top + high]
    return {
        "iscrowd": 0,
        "num_keypoints": int((person.joints[:, 2] > 0).sum()),
        "keypoints": keypoints,
        "bbox": list(person.box),
        "area": person.area,
        "segmentation": person.polygons or [corners],
    }


def _crowd(crowd: DrawnCrowd, height: int, width: int) -> dict[str, Any]:
    return {
        "iscrowd": 1,
        "num_keypoints": 0,
        "keypoints": [0] * (3 * len(JOINTS)),
        "bbox": list(crowd.box),
        "area": crowd.area,
        "segmentation": {"counts": crowd.counts, "size": [height, width]},
    }


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
