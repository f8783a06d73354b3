"""The parsers of search spaces, architectures, op sets, weights, checkpoints, and what was measured."""

from __future__ import annotations

import json
import random
from functools import cache, partial
from pathlib import Path

from litepose_nas.formats import subnet_file
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.latency import profile as profile_file
from litepose_nas.latency import samples as samples_file
from litepose_nas.space import Space
from litepose_nas.targets import op_set_file
from tests.helpers.commands import ROOT
from tests.helpers.devices import SimulatedDevice
from tests.helpers.fuzz.target import Target

SPACES = sorted(path.stem for path in (ROOT / "search_spaces").glob("*.yaml"))


def _shipped(folder: str, suffix: str, _: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((ROOT / folder).glob(f"*{suffix}"))]


def _read_space(path: Path) -> None:
    space = Space.load(str(path))
    arch = space.sample(random.Random(0))
    subnet = subnet_file.checked(Subnet(arch, 17), str(path))
    subnet_file.from_json(json.loads(json.dumps(subnet.to_json())), str(path))
    _ = space.size, list(space.neighbours(arch))


def _make_subnets(_: Path) -> list[bytes]:
    made = []
    for name in SPACES:
        space = Space.load(name)
        made.append(Subnet(space.sample(random.Random(1)), 17).to_json())
        own = Space(json.loads(space.source), "own")
        made.append(Subnet(own.sample(random.Random(2)), 17, {"score": {"ap": 0.5}}).to_json())
    return [json.dumps(one).encode() for one in made]


def _read_subnet(path: Path) -> None:
    for joints in (None, 14):
        subnet = subnet_file.read(path, joints)
        json.dumps(subnet.to_json(), allow_nan=False)


@cache
def _archs() -> list[object]:
    return [Space.load(name).sample(random.Random(0)) for name in ("litepose", "s_vipnas_res50", "levitpose")]


def _read_op_set(path: Path) -> None:
    op_set = op_set_file.load(str(path))
    for arch in _archs():
        list(map(str, op_set.violations(arch)))


@cache
def _measured() -> samples_file.LatencySamples:
    found = SimulatedDevice().samples(Space.load("litepose-tiny"), 24)
    told = ({"governor": "ondemand", "mhz": [600, 1800], "celsius": 61.5}, {"celsius": 70, "pi_throttled": 5})
    return found._replace(conditions=told)


def _make_samples(_: Path) -> list[bytes]:
    few = _measured()._replace(samples=_measured().samples[:4])
    return [json.dumps(few.to_json()).encode()]


def _read_samples(path: Path) -> None:
    found = samples_file.read(path)
    _ = found.noisy, json.dumps(found.to_json())


def _make_profiles(_: Path) -> list[bytes]:
    made = profile_file.make([("samples.json", _measured())]).to_json()
    made["samples"][0]["samples"] = made["samples"][0]["samples"][:3]
    return [json.dumps(made).encode()]


def _read_profile(path: Path) -> None:
    profile = profile_file.read(path)
    _ = profile.words, profile.sha256
    space = Space.load("litepose-tiny")
    clock = profile_file.clock(profile, str(path), space)
    clock.check_promise()
    profile_file.network_ms(clock, space.smallest, 17)
    profile_file.read_samples(path)


TARGETS = (
    Target("space", "space.yaml", "yaml", partial(_shipped, "search_spaces", ".yaml"), _read_space, turns=4),
    Target("subnet", "subnet.json", "json", _make_subnets, _read_subnet, turns=3),
    Target("mobile-config", "net.json", "json", partial(_shipped, "mobile_configs", ".json"), _read_subnet, turns=2),
    Target("op-set", "ops.yaml", "yaml", partial(_shipped, "op_sets", ".yaml"), _read_op_set, turns=2),
    Target("latency-samples", "samples.json", "json", _make_samples, _read_samples),
    Target("latency-profile", "profile.json", "json", _make_profiles, _read_profile),
)
