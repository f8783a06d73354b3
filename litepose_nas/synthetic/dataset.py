"""Drawn people, robot arms or videos of people as a dataset: pictures and annotations, the same bytes for a seed."""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path
from typing import NamedTuple

from litepose_nas.data.layouts.toy import DRAWN, MARKER, WHAT, toy_settings
from litepose_nas.data.source import Source, open_source
from litepose_nas.errors import UserError, nearest
from litepose_nas.files import new_folder
from litepose_nas.synthetic.files import write_json
from litepose_nas.synthetic.picture_dataset import MAX_PICTURES, Progress, picture_rng, write_pictures
from litepose_nas.synthetic.scene import SETTINGS
from litepose_nas.synthetic.video import draw_video
from litepose_nas.synthetic.video_dataset import write_videos
from litepose_nas.synthetic.video_scene import VIDEO_CONFIGS

SIZES = {"easy": 160, "standard": 160, "hard": 512}  # pixels, if not given
SMALLEST, LARGEST = 48, 4096
VIDEO_SIZES = {"easy": 192, "standard": 224, "hard": 512}  # of videos
NUMBERS = {"people": (1500, 150), "arm": (1500, 150), "video": (40, 10)}  # train and val, if not given
FRAMES = 24  # of a video, if not given
MAX_FRAMES = 9999
SUBJECTS = ("people", "arm", "video")
SKELETONS = ("coco", "mpii")


class ToySummary(NamedTuple):
    """What was written; counts are (train, val)."""

    folder: Path
    pictures: tuple[int, int]
    people: tuple[int, int]
    crowds: tuple[int, int]
    hidden: tuple[float, float]  # the share of labelled joints that something hides
    seconds: float
    tracks: tuple[int, int] = (0, 0)  # of videos


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
    boxes; or video: then `train` and `val` count videos of `frames` frames, in PoseTrack18's layout. People have the
    joints and the layout of COCO or of MPII.
    """
    for what, name, known in (
        ("skeleton", skeleton, SKELETONS),
        ("subject", subject, SUBJECTS),
        ("setting", setting, tuple(SETTINGS)),
    ):
        if name not in known:
            raise UserError(f"drawn pictures: {what} {name!r} is not one; {nearest(name, known)}")
    if skeleton != "coco" and subject != "people":
        raise UserError(f"drawn pictures: skeleton {skeleton!r} is one of people; leave it out for {subject}")
    if subject == "arm" and setting != "standard":
        raise UserError(f"drawn arms: setting {setting!r} is one of people; leave it out")
    if frames is not None and subject != "video":
        raise UserError(f"drawn pictures: {frames} frames are for videos; add --subject video, or leave them out")
    videos, (default_train, default_val) = subject == "video", NUMBERS[subject]
    train, val = default_train if train is None else train, default_val if val is None else val
    size = (VIDEO_SIZES if videos else SIZES)[setting] if size is None else size
    frames = FRAMES if frames is None else frames
    _check_numbers(train, val, size, seed, frames)
    target = Path(folder).absolute()
    _check_target(target, force)
    settings = {
        "what": WHAT,
        "version": 1,
        "train": train,
        "val": val,
        "size": size,
        "seed": seed,
        "setting": setting,
        **({} if subject == "people" else {"subject": subject}),
        **({"frames": frames} if videos else {}),
        **({} if skeleton == "coco" else {"skeleton": skeleton}),
    }
    started = time.perf_counter()
    with new_folder(target, replace=True) as partial:
        if videos:
            draw = functools.partial(draw_video, size=size, frames=frames, config=VIDEO_CONFIGS[setting])
            rng_of = functools.partial(picture_rng, seed)
            counts = write_videos(partial, (train, val), frames, draw, rng_of, progress)
        else:
            counts = write_pictures(partial, (train, val), size, seed, setting, subject, skeleton, progress)
        write_json(partial / MARKER, settings)
    times = frames if videos else 1
    people, crowds, joints, hidden, tracks = zip(*counts, strict=True)
    shares = (hidden[0] / max(joints[0], 1), hidden[1] / max(joints[1], 1))
    seconds = time.perf_counter() - started
    return ToySummary(target, (train * times, val * times), people, crowds, shares, seconds, tracks)


def open_or_draw(what: str | None, progress: Progress | None = None) -> Source:
    """The dataset that `what` names; None and `toy` mean people who are drawn once, into a folder of runs/."""
    if what in (None, "toy", str(DRAWN)):
        if toy_settings(DRAWN) is None:
            write_toy(DRAWN, progress=progress)
        what = "toy"
    return open_source(what)


def _check_numbers(train: int, val: int, size: int, seed: int, frames: int) -> None:
    for name, number, low, high in (
        ("frames", frames, 1, MAX_FRAMES),
        ("train", train, 1, MAX_PICTURES),
        ("val", val, 1, MAX_PICTURES),
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
