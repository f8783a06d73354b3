"""A network on a video, online: each frame is looked at once, drawn, written down and forgotten.

While it goes, NAME.frames.jsonl holds the people of each frame, and NAME.state.npz what is remembered of them; whoever
goes on draws the frames before anew from the former, so that the overlay is the same however often it was stopped.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from litepose_nas import files
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.data.video_frames import VideoFrames
from litepose_nas.errors import UserError, nearest
from litepose_nas.inference.following import Follower, FramePerson
from litepose_nas.inference.pictures import overlay
from litepose_nas.inference.video_results import LAYOUTS, document_of
from litepose_nas.inference.video_writer import SUFFIX, VideoWriter
from litepose_nas.untrusted import json_text
from litepose_nas.untrusted.archives import check_stored
from litepose_nas.untrusted.opening import open_regular, read_text

# What comes out where a file holds something else than was written there.
DAMAGED = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    zipfile.BadZipFile,
)
MAX_JOURNAL = 1 << 29  # bytes of people
SAVE = 25  # frames between two times that all is saved

Progress = Callable[[int, int], None]


class PredictedVideo(NamedTuple):
    overlay: Path
    poses: Path
    frames: int
    people: int  # of all frames together
    tracks: int
    stopped: bool  # before the end, because somebody asked for it
    warning: str = ""


class _Files(NamedTuple):
    overlay: Path
    poses: Path
    journal: Path
    state: Path


def predict_video(
    follower: Follower,
    frames: VideoFrames,
    skeleton: Skeleton,
    out: Path,
    layout: str = "coco",
    settings: dict[str, Any] | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
    name: str = "",
    rate: float | None = None,
) -> PredictedVideo:
    """Follow people through a video, and write the overlay and the poses into a folder, named after the video.

    Asked to `stop`, it ends after the frame in hand; with `resume` it goes on where it was stopped or killed, if the
    `settings` are the same.
    """
    if layout not in LAYOUTS:
        raise UserError(f"layout {layout!r} of the poses is not one; {nearest(layout, LAYOUTS)}")
    places = _places(out, name or frames.name)
    if places.overlay.resolve() == frames.source.resolve():
        raise UserError(f"the overlay would take the place of {frames.source} itself; choose another folder with --out")
    known = _journal(places, settings or {}, follower, len(skeleton.names)) if resume else []
    people, size, stopped = known, (0, 0), False
    if not known:
        for path in (places.poses, places.journal, places.state):  # of an earlier time
            path.unlink(missing_ok=True)
    since: list[str] = []
    with VideoWriter(places.overlay, rate or frames.rate) as writer:
        for place, image in enumerate(frames.images()):
            size = image.shape[1], image.shape[0]
            if place >= len(people):
                people.append(follower.step(image, place))
                since.append(_line(people[-1]))
            writer.add(overlay(image, [one._asdict() for one in people[place]], skeleton))
            if progress is not None:
                progress(place + 1, max(frames.length, place + 1))
            stopped = stop()
            if len(since) >= SAVE or (stopped and since):
                _save(places, since, len(people), settings or {}, follower)
                since = []
            if stopped:
                break
    if not people:
        raise UserError(f"{frames.source}: no frame could be read, it is empty or damaged; fetch the video again")
    document = document_of(layout, frames, size, people, skeleton)
    files.write(places.poses, json.dumps(document, separators=(",", ":")) + "\n")
    if not stopped:
        places.journal.unlink(missing_ok=True)
        places.state.unlink(missing_ok=True)
    warning = "" if stopped else _early_end(frames, len(people))
    tracks = {one.track for found in people for one in found}
    count = sum(map(len, people))
    return PredictedVideo(places.overlay, places.poses, len(people), count, len(tracks), stopped, warning)


def left_over(out: Path, name: str) -> bool:
    return _places(out, name).state.is_file()


def ended(out: Path, name: str) -> bool:
    return _places(out, name).poses.is_file() and not left_over(out, name)


def _places(out: Path, name: str) -> _Files:
    return _Files(*(out / f"{name}{end}" for end in (SUFFIX, ".json", ".frames.jsonl", ".state.npz")))


def _line(people: list[FramePerson]) -> str:
    return json.dumps([[one.track, one.score, np.asarray(one.keypoints).tolist()] for one in people]) + "\n"


def _save(places: _Files, lines: list[str], frames: int, settings: dict[str, Any], follower: Follower) -> None:
    """Write down the last frames, then what is remembered: the state is never of a frame that is not written down."""
    places.journal.parent.mkdir(parents=True, exist_ok=True)
    files.append(places.journal, "".join(lines).encode())
    with files.replacing(places.state) as temporary:
        kept: dict[str, Any] = {f"kept.{key}": value for key, value in follower.remember().items()}
        np.savez(temporary, frames=frames, settings=json.dumps(settings, sort_keys=True), **kept)


def _journal(places: _Files, settings: dict[str, Any], follower: Follower, joints: int) -> list[list[FramePerson]]:
    """Let a follower go on where it was saved, and return the people of the frames before; none where it never was."""
    if not places.state.is_file():
        return []
    try:
        with open_regular(places.state) as file, np.load(file, allow_pickle=False) as kept:
            check_stored(kept.zip)
            arrays = {key: kept[key] for key in kept.files}
        frames, told = int(arrays["frames"]), dict(json_text.load(str(arrays["settings"])))
        lines = read_text(places.journal, MAX_JOURNAL).splitlines()[:frames]
        people = [list(_people(line, joints)) for line in lines]
        if len(people) < frames:
            raise ValueError(f"{len(people)} of {frames} frames are written down")
    except DAMAGED as error:
        raise _damaged(places, error) from error
    for key in sorted({*settings, *told}):
        if settings.get(key) != told.get(key):
            raise UserError(
                f"{places.overlay.stem} was begun with {key} = {told.get(key)}, not {settings.get(key)}; "
                "go on as it was begun, or begin again without --resume"
            )
    try:
        follower.recall({key.removeprefix("kept."): value for key, value in arrays.items() if key.startswith("kept.")})
    except DAMAGED as error:
        raise _damaged(places, error) from error
    text = "".join(_line(found) for found in people)  # frames after the state are looked at again
    files.write(places.journal, text)
    return people


def _damaged(places: _Files, error: Exception) -> UserError:
    return UserError(
        f"{places.state}: damaged, or {places.journal.name} beside it is ({error}); begin again without --resume"
    )


def _people(line: str, joints: int) -> Iterator[FramePerson]:
    for track, score, keypoints in json_text.load(line):
        found = np.array(keypoints, float).reshape(joints, 3)
        if type(track) is not int or not np.isfinite([*found.ravel(), float(score)]).all():
            raise ValueError(f"somebody of track {track!r:.20} is not where people are")
        yield FramePerson(track, found, float(score))


def _early_end(frames: VideoFrames, read: int) -> str:
    """A warning where a file says that it has more frames than could be read; it may be wrong by a few."""
    if frames.length - read <= max(2, frames.length // 50):
        return ""
    return f"{frames.source}: {read} frames could be read, and it says that it has {frames.length}: it may be cut off"
