"""litepose-nas predict on videos."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from litepose_nas.cli import console
from litepose_nas.errors import UserError

if TYPE_CHECKING:
    from litepose_nas.inference.video import PredictedVideo
    from litepose_nas.steps.videos import PredictOptions


def sources_of(named: Sequence[str], video: bool) -> list[Path]:
    """Return the videos that are named, or nothing where pictures are."""
    from litepose_nas.data.video_frames import is_video

    found: list[Path] = []
    for name in named:
        matches = sorted(Path(match) for match in glob.glob(name, recursive=True))
        found += [Path(name)] if Path(name).exists() or not matches else matches
    videos = [path for path in found if is_video(path)]
    if not videos and not video:
        return []
    others = [path for path in found if not is_video(path)]
    if others and not video:
        raise UserError(
            f"{others[0]} is no video, and {videos[0]} is; predict them one after the other, "
            "or add --video where a folder holds the frames of a video"
        )
    return found


def video_option(options: PredictOptions) -> str:
    """Return an option that was given and is for videos alone, or nothing."""
    return next((f"--{name}" for name in ("every", "layout", "rate", "resume") if getattr(options, name)), "")


def predict_videos(target: str, sources: Sequence[Path], options: PredictOptions) -> None:
    from litepose_nas.data.dataset import subjects
    from litepose_nas.data.video_frames import open_frames
    from litepose_nas.inference.pictures import overlay_names
    from litepose_nas.inference.video import ended, left_over, predict_video
    from litepose_nas.steps import videos as step
    from litepose_nas.train.stopping import between_steps

    ready = step.load_network(target, options)
    for line in ready.notes:
        console.out(line)
    opened = [open_frames(path) for path in sources]  # a wrong name is said before hours of work
    names = [Path(name).stem for name in overlay_names([Path(f"{frames.name}.jpg") for frames in opened])]
    if options.resume and not any(left_over(options.out, name) or ended(options.out, name) for name in names):
        raise UserError(f"--resume: nothing was begun in {options.out}; leave it out, or name the folder with --out")
    for frames, name in zip(opened, names, strict=True):
        if options.resume and ended(options.out, name):
            console.step(f"{frames.source}: done before")
            continue
        settings = {"video": str(frames.source.absolute()), **ready.settings}
        with between_steps() as stop, console.progress(f"looking at {frames.name}", "frames/s") as bar:
            made = predict_video(
                ready.follower(frames), frames, ready.loaded.skeleton, options.out, options.layout or "coco", settings,
                options.resume, bar, lambda: stop.asked, name, options.rate,
            )  # fmt: skip
        _say(made, options.out, subjects(ready.loaded.net.meta.get("category", "person")))
    console.out(f"next: litepose-nas export {target}")


def _say(made: PredictedVideo, out: Path, who: str) -> None:
    if made.warning:
        console.error(made.warning)
    found = f"{made.people} {who} in {made.frames} frames, {made.tracks} tracks"
    words = f"{found}; {made.overlay.name} and {made.poses.name} in {out}"
    if made.stopped:
        raise console.StoppedError(f"stopped: {words}; the same command with --resume goes on")
    console.out(words)
