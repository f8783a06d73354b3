"""profile.json: what was measured on one device in one runtime, and how long other networks of those spaces take.

It answers for the spaces, the runtime and the batch that were measured, and for nothing else.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from litepose_nas import files
from litepose_nas.blocks.ops import Op
from litepose_nas.errors import UserError
from litepose_nas.formats import json_file
from litepose_nas.latency import features
from litepose_nas.latency import samples as samples_file
from litepose_nas.latency.features import FEATURES
from litepose_nas.latency.fit import FEWEST, ONE, FitErrors, LatencyFit, fit
from litepose_nas.latency.samples import MOST_NOISE, LatencySample, LatencySamples
from litepose_nas.space import Arch, Space
from litepose_nas.untrusted.display import short

KIND, VERSION = "latency profile", 1
EXPECTED = "a file that `litepose-nas latency fit` wrote"
LARGEST = 256 << 20  # bytes
MAKE = (
    "litepose-nas latency measure {space} --runtime {runtime} --out samples.json, then "
    "litepose-nas latency fit samples.json --out profile.json"
)
SAME = ("runtime", "runtime_version", "rewrites", "threads", "dtype", "batch")
SAME_DEVICE = ("processor", "cores", "system")


class SpaceProfile(NamedTuple):
    """What is known of the networks of one space."""

    space: str
    digest: str  # of its choices
    joints: int
    inputs: tuple[tuple[int, int], ...]  # the sizes that were measured
    fit: LatencyFit


class LatencyProfile(NamedTuple):
    device: Mapping[str, Any]
    runtime: str
    runtime_version: str
    threads: int
    dtype: str
    batch: int
    spaces: tuple[SpaceProfile, ...]
    samples: Sequence[Mapping[str, Any]]  # each samples.json as it was, so that nothing need be measured again
    processor_time: bool = False  # what calls took of the processor was fitted, and not of the clock
    rewrites: tuple[str, ...] = ()  # of the networks, before they were converted

    @property
    def words(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        rewritten = f" ({', '.join(self.rewrites)})" if self.rewrites else ""
        runtime = f"{self.runtime} {self.runtime_version}{rewritten}"
        return f"{runtime}, {threads}, {self.dtype}, on {self.device.get('processor', '?')}"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        fields = self._asdict()
        fields["rewrites"] = list(self.rewrites)
        for name in ("processor_time", "rewrites"):  # as in profiles from before they were known
            if not fields[name]:
                del fields[name]
        described = [one._asdict() | {"fit": _fit_to_json(one.fit)} for one in self.spaces]
        return {"kind": KIND, "version": VERSION, **fields, "device": dict(self.device), "spaces": described}


class LatencyClock(NamedTuple):
    """What knows how long the networks of one space take on one device; see `costs.TimesNetworks`."""

    fields: tuple[str, str]  # of a cost: the time expected, and its upper bound
    where: str  # the file that it comes from
    profile: LatencyProfile
    known: SpaceProfile

    def counts(self, ops: Sequence[Op]) -> tuple[Any, ...]:
        return features.counts(ops, [name for name in self.known.fit.weights if name != ONE])

    def times(self, counts: Any) -> tuple[Any, Any]:
        one = [1] if ONE in self.known.fit.weights else []
        ms = self.known.fit.ms([*one, *counts])
        return ms, ms * self.known.fit.factor

    def check_input(self, input: tuple[int, int]) -> None:
        """Refuse a size of picture beyond those measured."""
        sides = [h * w for h, w in self.known.inputs]
        if not min(sides) <= input[0] * input[1] <= max(sides):
            sizes = ", ".join(f"{h}x{w}" for h, w in self.known.inputs)
            raise UserError(
                f"{self.where}: measured with pictures of {sizes}, and {input[0]}x{input[1]} is beyond them"
            )

    def check_promise(self) -> None:
        """Refuse a budget where the device was too restless for any promise."""
        if not self.known.fit.noise <= MOST_NOISE:
            raise UserError(
                f"{self.where}: measured with {self.known.fit.noise:.1%} noise, so no budget can be promised to be "
                "kept; let nothing else run and measure again"
            )


def make(measured: Sequence[tuple[str, LatencySamples]], processor_time: bool = False) -> LatencyProfile:
    """Fit what was measured, named files of one device, to each space; `processor_time`: what a call took of that."""
    (first, head), *others = measured
    for where, one in others:
        for field in SAME:
            _same(first, where, field, getattr(head, field), getattr(one, field))
        for field in SAME_DEVICE:
            _same(first, where, field, head.device.get(field), one.device.get(field))
    groups: dict[str, list[tuple[str, LatencySamples, list[LatencySample]]]] = {}
    names: dict[str, str] = {}
    for where, one in measured:
        for name, space in one.spaces.items():
            found = samples_file.digest(space)
            if names.setdefault(name, found) != found:
                raise UserError(
                    f"{where}: its space {name} has other choices than that of {first}; fit them one by one"
                )
            own = [sample for sample in one.samples if sample.arch.space.name == name]
            groups.setdefault(found, []).append((where, one, own))
    spaces = tuple(_fitted(found, group, processor_time) for found, group in groups.items())
    raw = [one.to_json() for _, one in measured]
    version, threads, dtype, batch = head.runtime_version, head.threads, head.dtype, head.batch
    return LatencyProfile(
        head.device, head.runtime, version, threads, dtype, batch, spaces, raw, processor_time, head.rewrites
    )


def _fitted(
    found: str, group: Sequence[tuple[str, LatencySamples, list[LatencySample]]], processor_time: bool
) -> SpaceProfile:
    where, head, first = group[0]
    name = first[0].arch.space.name
    rows = [(sample, one.joints) for _, one, samples in group for sample in samples]
    if len(rows) < FEWEST:
        raise UserError(
            f"{where}: {len(rows)} networks of {name}, and a fit needs {FEWEST}; measure more: litepose-nas latency "
            f"measure {name} --nets 40"
        )
    if processor_time and any(sample.cpu_ms is None for sample, _ in rows):
        raise UserError(f"{where}: says no processor time; fit it without --processor-time")
    ms = [sample.cpu_ms if processor_time and sample.cpu_ms else sample.ms for sample, _ in rows]
    ends = [sample.role == samples_file.EXTREME for sample, _ in rows]
    noise = max(one.noise for _, one, _ in group)
    alone = [(block, one.joints) for _, one, _ in group for block in one.blocks if block.arch.space.name == name]
    blocks = [
        (
            features.part_features(block.arch, joints, block.part),
            block.cpu_ms if processor_time and block.cpu_ms else block.ms,
        )
        for block, joints in alone
    ]
    networks = [features.features(sample.arch, joints) for sample, joints in rows]
    fitted = fit(networks, ms, ends, noise, blocks=blocks)
    inputs = sorted({sample.arch.input for sample, _ in rows})
    return SpaceProfile(name, found, head.joints, tuple(inputs), fitted)


def _same(first: str, where: str, field: str, value: object, other: object) -> None:
    if value != other:
        raise UserError(
            f"{where}: measured with {field.replace('_', ' ')} {short(other)}, and {first} with {short(value)}; a "
            "profile is of one device, runtime, and number of threads: fit each file to a profile of its own"
        )


def clock(
    profile: LatencyProfile, where: str, space: Space, fields: tuple[str, str] = ("latency_ms", "latency_ms_bound")
) -> LatencyClock:
    """What times the networks of a space; refuse a space that was not measured, and batches."""
    if profile.batch != 1:
        raise UserError(
            f"{where}: measured with {profile.batch} pictures at once, and what is asked for is the time of one; "
            "measure one at a time"
        )
    wanted = samples_file.digest(space)
    for known in profile.spaces:
        if known.digest == wanted:
            return LatencyClock(fields, where, profile, known)
    same = [known.space for known in profile.spaces if known.space == space.name]
    have = f"another {same[0]}, whose choices differ" if same else ", ".join(known.space for known in profile.spaces)
    raise UserError(
        f"{where}: knows networks of {have}, and none of {space.name}; measure that too: "
        f"{MAKE.format(space=space.name, runtime=profile.runtime)}"
    )


def network_ms(
    clock: LatencyClock, arch: Arch, joints: int, input: tuple[int, int] | None = None
) -> tuple[float, float]:
    """The time expected of a network and its upper bound, in milliseconds."""
    clock.check_input(input or arch.input)
    found = features.features(arch, joints, input)
    ms, bound = clock.times([found[name] for name in clock.known.fit.weights if name != ONE])
    return ms, bound


def write(path: str | Path, profile: LatencyProfile) -> None:
    with files.replacing(path) as temporary:
        temporary.write_text(json.dumps(profile.to_json(), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read(path: str | Path) -> LatencyProfile:
    return from_json(json_file.read(path, EXPECTED, LARGEST), str(path))


def read_samples(path: str | Path) -> list[LatencySamples]:
    """What was measured: a samples.json, or those that a profile keeps."""
    data = json_file.read(path, samples_file.EXPECTED, LARGEST)
    if isinstance(data, dict) and data.get("kind") == KIND:
        kept = data.get("samples")
        if not isinstance(kept, list) or not kept:
            raise UserError(f"{path}: samples: expected a list, got {short(kept)}")
        return _kept_samples(kept, str(path))
    return [samples_file.from_json(data, str(path))]


def samples_of(profile: LatencyProfile, where: str) -> list[LatencySamples]:
    """What was measured for a profile; `where` begins every error."""
    return _kept_samples(profile.samples, where)


def _kept_samples(kept: Sequence[Any], where: str) -> list[LatencySamples]:
    return [samples_file.from_json(one, f"{where}: samples.{i}") for i, one in enumerate(kept)]


def from_json(data: Any, where: str) -> LatencyProfile:
    """What the data of a profile says; `where` begins every error."""
    if isinstance(data, dict) and data.get("kind") == samples_file.KIND:
        raise UserError(f"{where}: holds what was measured; fit it first: litepose-nas latency fit {where}")
    if not isinstance(data, dict) or data.get("kind") != KIND:
        found = data.get("kind") if isinstance(data, dict) else data
        raise UserError(f"{where}: expected {EXPECTED}, got {short(found)}")
    if data.get("version") != VERSION:
        version = short(data.get("version"))
        raise UserError(f"{where}: {KIND} of version {version}, this program reads {VERSION}; update one of the two")
    try:
        spaces = tuple(_space_from_json(one) for one in data["spaces"])
        profile = LatencyProfile(
            dict(data["device"]),
            str(data["runtime"]),
            str(data["runtime_version"]),
            int(data["threads"]),
            str(data["dtype"]),
            int(data["batch"]),
            spaces,
            list(data["samples"]),
            bool(data.get("processor_time", False)),
            samples_file.rewrites_of(data, where),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{where}: damaged ({error!r:.120}); fit again what was measured") from error
    if not spaces:
        raise UserError(f"{where}: no space in it; fit again what was measured")
    return profile


def _space_from_json(data: Mapping[str, Any]) -> SpaceProfile:
    inputs = tuple((int(h), int(w)) for h, w in data["inputs"])
    if not inputs:
        raise ValueError("no input size")
    return SpaceProfile(
        str(data["space"]), str(data["digest"]), int(data["joints"]), inputs, _fit_from_json(data["fit"])
    )


def _fit_to_json(one: LatencyFit) -> dict[str, Any]:
    errors = {key: value._asdict() for key, value in one._asdict().items() if isinstance(value, FitErrors)}
    return {**one._asdict(), **errors}


def _fit_from_json(data: Mapping[str, Any]) -> LatencyFit:
    weights = {str(name): _number(value) for name, value in data["weights"].items()}
    if unknown := weights.keys() - FEATURES.keys() - {ONE}:
        raise ValueError(f"unknown feature {min(unknown)}")
    errors, baseline = (FitErrors(**data[key]) for key in ("errors", "baseline"))
    extremes = FitErrors(**data["extremes"]) if data["extremes"] else None
    factor, covered, typical, noise = (_number(data[key]) for key in ("factor", "covered", "typical_ms", "noise"))
    networks, blocks = int(data["networks"]), int(data.get("blocks", 0))
    return LatencyFit(
        str(data["model"]), weights, factor, covered, networks, typical, errors, baseline, extremes, noise, blocks
    )


def _number(value: Any) -> float:
    number = float(value)
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{value!r} is no number from zero on")
    return number
