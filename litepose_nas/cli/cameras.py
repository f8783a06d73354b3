"""litepose-nas predict on a camera or a stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from litepose_nas.cli import console
from litepose_nas.errors import UserError

if TYPE_CHECKING:
    from litepose_nas.inference.live import LiveState
    from litepose_nas.steps.videos import PredictOptions

EVERY = 5.0  # seconds between two lines of progress


def camera_of(named: Sequence[str]) -> str | None:
    """The camera that is named, or nothing where images or videos are."""
    from litepose_nas.data.camera import is_camera

    cameras = [name for name in named if is_camera(name)]
    if cameras and len(named) > 1:
        raise UserError(f"{cameras[0]}: a camera is looked at alone; name nothing beside it")
    return cameras[0] if cameras else None


def watch_camera(
    context: typer.Context, target: str, source: str, options: PredictOptions, host: str | None, port: int | None
) -> None:
    """Look at a camera until Ctrl-C; files are written where --out was given."""
    from litepose_nas.data.camera import LiveCamera
    from litepose_nas.inference import live
    from litepose_nas.inference.live_page import HOST, PORT, LivePage
    from litepose_nas.steps import videos as step
    from litepose_nas.train.stopping import between_steps

    for name, option in (("boxes", "--boxes"), ("layout", "--layout"), ("rate", "--rate"), ("resume", "--resume")):
        if getattr(options, name):
            raise UserError(f"{option}: is not for cameras; leave it out")
    given = context.get_parameter_source("out")
    keep = given is not None and given.name == "COMMANDLINE"
    ready = step.load_network(target, options)
    for line in ready.notes:
        console.out(line)
    with LiveCamera(source) as camera, LivePage(host or HOST, PORT if port is None else port) as page:
        kept = live.LiveFiles(Path(options.out), camera.rate) if keep else None
        console.out(f"{source}: see {page.address}; Ctrl-C ends it")
        console.flush()
        with between_steps() as stop:
            state = live.watch(
                camera, ready.follower(None), ready.loaded.skeleton, page.show, _teller(), lambda: stop.asked, kept
            )
        if kept:
            kept.close()
    console.out(f"ended after {_words(state)}" + (f"; {live.POSES} and {live.VIDEO} in {options.out}" if keep else ""))


def _teller() -> Callable[[LiveState], None]:
    """What says now and then how it goes."""
    due = time.perf_counter() + EVERY

    def tell(state: LiveState) -> None:
        nonlocal due
        if time.perf_counter() >= due:
            due = time.perf_counter() + EVERY
            console.step(_words(state))

    return tell


def _words(state: LiveState) -> str:
    return (
        f"{state.frames:,} frames, {state.dropped:,} dropped; {state.per_second:.1f} frames/s, latency "
        f"{state.latency_ms:.0f} ms, {state.people} people"
    )
