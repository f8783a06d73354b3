"""samples.json: networks of one or more spaces, and how many milliseconds each took in one runtime on one device."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from litepose_nas import files
from litepose_nas.errors import UserError
from litepose_nas.formats import json_file
from litepose_nas.formats.subnet_file import check_joints
from litepose_nas.latency import block_samples
from litepose_nas.latency.block_samples import BlockSample
from litepose_nas.latency.standalone.rounds import MOST_NOISE
from litepose_nas.latency.standalone.samples_format import KIND, VERSION, samples_text, tree_digest
from litepose_nas.space import Arch, Space
from litepose_nas.untrusted.display import short

LARGEST = 64 << 20  # bytes of such a file: a network takes about one thousand
EXPECTED = "a file that `litepose-nas latency measure` or a kit wrote"
RANDOM, EXTREME, ANCHOR = ROLES = ("random", "extreme", "anchor")


class LatencySample(NamedTuple):
    """One network, asked in several rounds for the time of one picture."""

    arch: Arch
    ms: float  # the least of all rounds
    median_ms: float
    rounds: int
    role: str  # an anchor is a network that is asked beside all others, to show drift
    cpu_ms: float | None = None  # processor time of a call, the least: what is left where others use the machine too


class LatencySamples(NamedTuple):
    """What was measured in one runtime on one device: never a mixture."""

    device: Mapping[str, Any]  # processor, cores, system, and what else is known
    runtime: str
    runtime_version: str
    threads: int
    dtype: str
    batch: int
    joints: int
    noise: float  # how far a second measurement would be off, relative; see standalone/rounds.py
    samples: Sequence[LatencySample]
    drift: float = 0.0  # by what share the anchors took longer in the last rounds than in the first
    conditions: Sequence[Mapping[str, Any]] = ()  # clocks, temperature and the like of each round, where known
    blocks: Sequence[BlockSample] = ()
    rewrites: tuple[str, ...] = ()  # in which ways the networks were rewritten before they were converted

    @property
    def spaces(self) -> dict[str, Space]:
        """The spaces of the networks by name, in the order in which they come."""
        return {sample.arch.space.name: sample.arch.space for sample in self.samples}

    @property
    def noisy(self) -> bool:
        """Whether the device was too restless for any promise."""
        return not self.noise <= MOST_NOISE

    def to_json(self) -> dict[str, Any]:
        spaces = self.spaces
        fields = self._asdict()
        rows, blocks = fields.pop("samples"), fields.pop("blocks")
        fields["device"] = dict(self.device)
        described = {name: tree_of(space) for name, space in spaces.items()}
        for key in ("conditions", "rewrites"):
            fields[key] = list(fields[key])
            if not fields[key]:
                del fields[key]
        lists = {
            "samples": list(map(_row, rows)),
            **({"blocks": list(map(block_samples.row, blocks))} if blocks else {}),
        }
        return {"kind": KIND, "version": VERSION, **fields, "spaces": described, **lists}


def digest(space: Space) -> str:
    """The fingerprint of a space's choices, whatever it is called and whatever is said about it."""
    return tree_digest(json.loads(space.source))


def write(path: str | Path, samples: LatencySamples) -> None:
    files.write(path, samples_text(samples.to_json()))


def read(path: str | Path) -> LatencySamples:
    return from_json(json_file.read(path, EXPECTED, LARGEST), str(path))


def from_json(data: Any, where: str) -> LatencySamples:
    """What the data of a samples.json says; `where` begins every error."""
    if not isinstance(data, dict) or data.get("kind") != KIND:
        found = data.get("kind") if isinstance(data, dict) else data
        raise UserError(f"{where}: expected {EXPECTED}, got {short(found)}")
    if data.get("version") != VERSION:
        version = short(data.get("version"))
        raise UserError(f"{where}: {KIND} of version {version}, this program reads {VERSION}; update one of the two")
    spaces = {name: space_of(name, tree, where) for name, tree in _of(data, "spaces", dict, where).items()}
    return LatencySamples(
        _of(data, "device", dict, where),
        _of(data, "runtime", str, where),
        _of(data, "runtime_version", str, where),
        _of(data, "threads", int, where),
        _of(data, "dtype", str, where),
        _of(data, "batch", int, where),
        check_joints(data.get("joints"), where),
        _number(data, "noise", where, least=0.0),
        [_sample(row, spaces, f"{where}: samples.{i}") for i, row in enumerate(_of(data, "samples", list, where))],
        _number(data, "drift", where, least=-1.0) if "drift" in data else 0.0,
        _conditions(_of(data, "conditions", list, where) if "conditions" in data else [], where),
        block_samples.from_rows(_of(data, "blocks", list, where) if "blocks" in data else [], spaces, where),
        rewrites_of(data, where),
    )


def rewrites_of(data: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """The rewrites that such a file names; one that says nothing of them has none."""
    found = data.get("rewrites", [])
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise UserError(f"{where}: rewrites: expected a list of names, got {short(found)}")
    return tuple(found)


def _row(sample: LatencySample) -> dict[str, Any]:
    arch = sample.arch
    measured = {key: value for key, value in sample._asdict().items() if key != "arch"}
    row = {"space": arch.space.name, "arch": arch.to_dict(), "input": list(arch.input), **measured}
    return {key: value for key, value in row.items() if value is not None}


def _sample(row: Any, spaces: Mapping[str, Space], where: str) -> LatencySample:
    if not isinstance(row, dict):
        raise UserError(f"{where}: expected a mapping, got {short(row)}")
    name = _of(row, "space", str, where)
    if name not in spaces:
        raise UserError(f"{where}: space {name!r} is not among `spaces` of the file; measure again")
    try:
        arch = spaces[name].arch(_of(row, "arch", dict, where))
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    if row.get("input") != list(arch.input):
        raise UserError(
            f"{where}: input is {short(row.get('input'))}, but its resolution means {list(arch.input)}; measure again"
        )
    role = _of(row, "role", str, where)
    if role not in ROLES:
        raise UserError(f"{where}: role: expected one of {', '.join(ROLES)}, got {short(role)}")
    return LatencySample(
        arch,
        _number(row, "ms", where),
        _number(row, "median_ms", where),
        _of(row, "rounds", int, where),
        role,
        None if row.get("cpu_ms") is None else _number(row, "cpu_ms", where, least=0.0),
    )


def _conditions(rounds: Sequence[Any], where: str) -> tuple[dict[str, Any], ...]:
    for i, one in enumerate(rounds):
        if not isinstance(one, dict) or not all(is_one(one[key]) for key, is_one in CONDITIONS.items() if key in one):
            raise UserError(f"{where}: conditions.{i}: expected what the device told in a round, got {short(one)}")
    return tuple(rounds)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_range(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_count, value))


CONDITIONS: Mapping[str, Callable[[Any], bool]] = {  # what standalone/conditions.py may have found
    "governor": lambda value: isinstance(value, str),
    "mhz": _is_range,
    "mhz_limits": _is_range,
    "celsius": lambda value: type(value) in (int, float),
    "cooling": _is_count,
    "throttle_count": _is_count,
    "pi_throttled": _is_count,
}


def tree_of(space: Space) -> dict[str, Any]:
    """A space as such files have it."""
    return {"tree": json.loads(space.source), "digest": digest(space)}


def space_of(name: str, described: Any, where: str) -> Space:
    """The space that such a file describes; `where` begins every error."""
    where = f"{where}: spaces.{short(name)[1:-1]}"
    if not isinstance(described, dict):
        raise UserError(f"{where}: expected a mapping with `tree` and `digest`, got {short(described)}")
    try:
        space = Space(_of(described, "tree", dict, where), name)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    if digest(space) != described.get("digest"):
        raise UserError(f"{where}: its choices are not those that were measured, for the digest differs; measure again")
    return space


def _of(data: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    value = data.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        words = {dict: "a mapping", list: "a list", str: "text", int: "a whole number"}[kind]
        raise UserError(f"{where}: {key}: expected {words}, got {short(value)}")
    return value


def _number(data: Mapping[str, Any], key: str, where: str, least: float = 1e-9) -> float:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (math.isfinite(value) and value >= least):
        raise UserError(f"{where}: {key}: expected a number above zero, got {short(value)}")
    return float(value)
