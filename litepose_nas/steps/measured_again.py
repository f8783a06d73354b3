"""Networks measured on this machine beside some of a profile's own, which tell how fast it is today."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from litepose_nas.errors import UserError
from litepose_nas.exporters.conversion import Converter
from litepose_nas.exporters.measured import MEASURED_FORMATS, reading
from litepose_nas.latency import samples as samples_file
from litepose_nas.latency.drift import Drift, choose_anchors, drift
from litepose_nas.latency.measure import measure
from litepose_nas.latency.networks import Chosen
from litepose_nas.latency.profile import LatencyProfile, samples_of
from litepose_nas.latency.profiles import NamedProfile
from litepose_nas.latency.samples import ANCHOR, RANDOM, LatencySample
from litepose_nas.latency.standalone.children import Target
from litepose_nas.latency.standalone.conditions import describe_device
from litepose_nas.runs.journal import Journal
from litepose_nas.runtimes.table import runtime_of
from litepose_nas.space import Arch
from litepose_nas.steps.common import Say

SAME_DEVICE = ("processor", "cores")
Show = Callable[[float, float, str], None]  # seconds done, of how many, and a few words


class MeasuredAgain(NamedTuple):
    """What networks took today."""

    version: str  # of the runtime
    drift: Drift
    ms: dict[Arch, float | None]  # as the clock said; None: it does not run


def other_device(profile: LatencyProfile) -> str:
    """Why this machine is not the one of a profile; empty where it is."""
    here = describe_device()
    for key in SAME_DEVICE:
        then = profile.device.get(key)
        if then != here[key]:
            return f"measured on {then} {'cores' * (key == 'cores')}".rstrip() + f", and this is {here[key]}"
    return ""


def why_not_here(profile: LatencyProfile) -> str:
    """Why a profile's networks cannot be measured here as they were; empty where they can."""
    if why := other_device(profile):
        return why
    try:
        known = runtime_of(profile.runtime)
        known.check_installed()
        version = known.version()
    except (UserError, ImportError) as error:
        return str(error)
    if version != profile.runtime_version:
        return f"measured with {profile.runtime} {profile.runtime_version}, and {version} is installed"
    if profile.threads > (cores := _cores()):
        return f"measured with {profile.threads} threads, and this process has {cores} cores"
    return ""


def measure_again(
    named: NamedProfile,
    archs: Sequence[Arch],
    joints: int,
    path: Path,
    minutes: float,
    say: Say,
    show: Show = lambda done, total, text: None,
    python: str = "",
) -> MeasuredAgain:
    """Measure networks, with a journal at `path` that is gone on with; whoever has kept the result deletes it."""
    profile, where = named.profile, named.where
    known = reading(runtime_of(profile.runtime), profile.rewrites)
    python, digests = python or sys.executable, {samples_file.digest(arch.space) for arch in archs}
    anchors = choose_anchors(samples_of(profile, where), digests, without=archs)
    if not anchors:
        raise UserError(f"{where}: keeps none of its networks, so none can be measured again; measure and fit anew")
    of_anchor = {anchor.sample.arch: anchor.joints for anchor in anchors}
    networks = [*(Chosen(arch, ANCHOR) for arch in of_anchor), *(Chosen(arch, RANDOM) for arch in archs)]
    asked = [[each.arch.space.name, each.arch.to_dict(), each.role] for each in networks]
    with closing(Converter(known, python)) as converter:
        found = measure(
            networks,
            Target(known.name, known.path, known.pip, python, profile.threads),
            lambda arch, path: converter.write(arch, of_anchor.get(arch, joints), path),
            MEASURED_FORMATS[known.reads].suffix,
            Journal(path, {"measured_again": profile.sha256, "networks": asked}),
            minutes,
            joints,
            say,
            show,
            slow=bool(converter.slow([each.arch for each in networks], joints)),
        )
    today = {sample.arch: _ms(sample, profile) for sample in found.samples}
    then = {one.sample.arch: _ms(one.sample, profile) for one in anchors if one.sample.arch in today}
    if not then:
        raise UserError(f"none of {len(anchors)} networks of {where} ran; the reasons stand above")
    noise = max(one.fit.noise for one in profile.spaces)
    moved = drift(list(then.values()), [today[arch] for arch in then], noise, found.noise)
    return MeasuredAgain(found.runtime_version, moved, {arch: today.get(arch) for arch in archs})


def _ms(sample: LatencySample, profile: LatencyProfile) -> float:
    """A measurement in what the profile was fitted on."""
    return sample.cpu_ms if profile.processor_time and sample.cpu_ms else sample.ms


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1
