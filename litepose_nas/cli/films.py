"""litepose-nas predict on videos."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from litepose_nas.cli import console
from litepose_nas.errors import UserError

if TYPE_CHECKING:
    from litepose_nas.video.loop import Filmed


class Wishes(NamedTuple):
    """The options of `predict`."""

    out: Path
    flip: bool
    boxes: Path | None
    min_box_score: float
    detector: Path | None
    every: int | None
    layout: str | None
    rate: float | None
    resume: bool
    device: str
    min_score: float


def sources_of(named: Sequence[str], video: bool) -> list[Path]:
    """Return the videos that are named, or nothing where pictures are."""
    from litepose_nas.data.frames import is_video

    found: list[Path] = []
    for name in named:
        matches = sorted(Path(match) for match in glob.glob(name, recursive=True))
        found += [Path(name)] if Path(name).exists() or not matches else matches
    films = [path for path in found if is_video(path)]
    if not films and not video:
        return []
    others = [path for path in found if not is_video(path)]
    if others and not video:
        raise UserError(
            f"{others[0]} is no video, and {films[0]} is; predict them one after the other, "
            "or add --video where a folder holds the frames of a video"
        )
    return found


def for_videos(wishes: Wishes) -> str:
    """Return an option that was given and is for videos alone, or nothing."""
    given = {
        "--detector": wishes.detector,
        "--every": wishes.every,
        "--layout": wishes.layout,
        "--rate": wishes.rate,
        "--resume": wishes.resume,
    }
    return next((name for name, value in given.items() if value), "")


def predict_films(target: str, sources: Sequence[Path], wishes: Wishes) -> None:
    """Follow people through videos, one after the other, and say what was written."""
    from litepose_nas.data.frames import open_frames
    from litepose_nas.prediction import overlay_names
    from litepose_nas.steps import films as step
    from litepose_nas.train.stopping import between_steps
    from litepose_nas.video.loop import ended, left_over, predict_film

    ready = step.prepare(
        target, wishes.device, wishes.flip, wishes.boxes, wishes.min_box_score, wishes.detector, wishes.every,
        wishes.min_score,
    )  # fmt: skip
    for line in ready.notes:
        console.out(line)
    opened = [open_frames(path) for path in sources]  # a wrong name is said before hours of work
    names = [Path(name).stem for name in overlay_names([Path(f"{frames.name}.jpg") for frames in opened])]
    if wishes.resume and not any(left_over(wishes.out, name) or ended(wishes.out, name) for name in names):
        raise UserError(f"--resume: nothing was begun in {wishes.out}; leave it out, or name the folder with --out")
    for frames, name in zip(opened, names, strict=True):
        if wishes.resume and ended(wishes.out, name):
            console.step(f"{frames.source}: done before")
            continue
        settings = {"video": str(frames.source.absolute()), **ready.settings}
        with between_steps() as stop, console.progress(f"looking at {frames.name}", "frames/s") as bar:
            made = predict_film(
                ready.follower(frames), frames, ready.loaded.skeleton, wishes.out, wishes.layout or "coco", settings,
                wishes.resume, bar, lambda: stop.asked, name, wishes.rate,
            )  # fmt: skip
        _say(made, wishes.out)
    console.out(f"next: litepose-nas export {target}")


def _say(made: Filmed, out: Path) -> None:
    if made.warning:
        console.error(made.warning)
    found = f"{made.people} people in {made.frames} frames, {made.tracks} tracks"
    words = f"{found}; {made.overlay.name} and {made.poses.name} in {out}"
    if made.stopped:
        raise console.StoppedError(f"stopped: {words}; the same command with --resume goes on")
    console.out(words)
