"""The page of measured milliseconds: each network, the device, and how well a profile predicts them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from litepose_nas import costs
from litepose_nas.formats import json_file
from litepose_nas.latency import profile as profile_file
from litepose_nas.latency import samples as samples_file
from litepose_nas.latency.fit import FitErrors
from litepose_nas.latency.profile import LatencyProfile, SpaceProfile
from litepose_nas.latency.samples import LatencySamples
from litepose_nas.latency.standalone import conditions
from litepose_nas.report.pages import html
from litepose_nas.report.pages.html import Block, PageContent

HEAD = ["of networks left out", "mean error", "within 5 %", "within 10 %", "worst", "bias", "tau"]


def page_of(path: Path) -> Path:
    """Where the page of a file of samples, or of a profile, lies: beside it."""
    return path.with_suffix(".html")


def write(path: Path, folder: Path | None = None) -> Path:
    """Write the page of a file that `latency measure` or `latency fit` wrote."""
    where = folder / page_of(path).name if folder else page_of(path)
    html.write(where, content(path))
    return where


def content(path: Path) -> PageContent:
    samples = profile_file.read_samples(path)
    profile = profile_file.read(path) if _is_profile(path) else None
    head = samples[0]
    threads = f"{head.threads} thread{'s' if head.threads > 1 else ''}"
    runtime = f"{head.runtime} {head.runtime_version}, {threads}, {head.dtype}"
    blocks: list[Block] = []
    for space in profile.spaces if profile else ():
        blocks += _fitted(profile, space, samples, str(path))  # type: ignore[arg-type]
    blocks.append(_measured(samples))
    said = [line for one in samples for line in conditions.complaints(one.conditions, one.drift, one.noise)]
    noise = ", ".join(f"{one.noise:.1%}" for one in samples)
    blocks.append({"is": "list", "title": "How far to trust it", "lines": [f"noise of a measurement: {noise}", *said]})
    rows = [[key, str(value)] for key, value in head.device.items()]
    blocks.append({"is": "table", "title": "The device", "head": ["", ""], "rows": rows})
    title = f"{'Latency profile' if profile else 'Measured latency'}: {head.device.get('processor', 'a device')}"
    networks = sum(len(one.samples) for one in samples)
    return PageContent(title, [f"{networks} networks in {runtime}, one image at a time. From {path}"], blocks)


def _is_profile(path: Path) -> bool:
    data = json_file.read(path, samples_file.EXPECTED, profile_file.LARGEST)
    return isinstance(data, dict) and data.get("kind") == profile_file.KIND


def _measured(samples: Sequence[LatencySamples]) -> Block:
    points: dict[str, list[Any]] = {}
    for one in samples:
        for sample in one.samples:
            macs = costs.cost(sample.arch, joints=one.joints).macs / 1e6
            size = "x".join(map(str, sample.arch.input))
            name = f"{sample.ms:.4g} ms: {macs:,.1f} MMAC at {size}, {sample.role}, {sample.rounds} rounds"
            points.setdefault(sample.arch.space.name, []).append([macs, sample.ms, name])
    groups = [{"name": name, "points": some} for name, some in points.items()]
    return {"is": "dots", "title": "Milliseconds over MACs", "x": "MMAC", "y": "ms", "groups": groups}


def _fitted(profile: LatencyProfile, space: SpaceProfile, samples: Sequence[LatencySamples], where: str) -> list[Block]:
    fit = space.fit
    rows = [_row("this model", fit.errors), _row("MACs alone", fit.baseline)]
    rows += [_row("ends of the space", fit.extremes)] if fit.extremes else []
    points = []
    for one in samples:
        for sample in one.samples:
            if samples_file.digest(sample.arch.space) == space.digest:
                clock = profile_file.clock(profile, where, sample.arch.space)
                ms, bound = profile_file.network_ms(clock, sample.arch, one.joints)
                macs = costs.cost(sample.arch, joints=one.joints).macs / 1e6
                name = f"{macs:,.1f} MMAC: predicted {ms:.4g} ms, at most {bound:.4g}; measured {sample.ms:.4g} ms"
                points.append([ms, sample.ms, name])
    said = (
        f"{fit.covered:.0%} of such networks take less than {fit.factor:.3f} times what is predicted; model: "
        f"{fit.model}, of {fit.networks} networks" + (f" and {fit.blocks} blocks alone" if fit.blocks else "")
    )
    return [
        {"is": "table", "title": space.space, "head": HEAD, "rows": rows},
        {"is": "text", "soft": True, "lines": [said]},
        {
            "is": "dots", "title": f"Predicted and measured, {space.space}", "x": "predicted ms", "y": "measured ms",
            "diagonal": True, "groups": [{"name": "networks that were measured", "points": points}],
        },
    ]  # fmt: skip


def _row(name: str, one: FitErrors) -> list[str]:
    shares = [f"{value:.1%}" for value in (one.mape, one.within_5, one.within_10, one.worst)]
    return [name, *shares, f"{one.bias:+.1%}", f"{one.tau:.3f}"]
