"""The latency profiles of a search, by name: each file's stem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from litepose_nas.budget import Budget, latency_fields
from litepose_nas.errors import UserError
from litepose_nas.latency import profile as profile_file
from litepose_nas.latency.profile import LatencyClock, LatencyProfile
from litepose_nas.space import Space


class NamedProfile(NamedTuple):
    where: str  # the file
    profile: LatencyProfile


def open_profiles(paths: Sequence[str]) -> dict[str, NamedProfile]:
    found: dict[str, NamedProfile] = {}
    for path in paths:
        name = Path(path).stem
        if name in found:
            raise UserError(f"{found[name].where} and {path}: two profiles called {name}; rename one of the files")
        found[name] = NamedProfile(str(path), profile_file.read(path))
    fields = latency_fields(found)
    if len(set(fields.values())) < len(fields):
        raise UserError(f"{', '.join(paths)}: names that differ in signs alone; rename one of the files")
    return found


def clocks(profiles: Mapping[str, NamedProfile], space: Space, budget: Budget) -> list[LatencyClock]:
    """What times the networks of a space; refuse one that was not measured, and promises that cannot be kept."""
    limited = {limit.field for limit in budget.limits}
    found = []
    for name, fields in latency_fields(profiles).items():
        one = profile_file.clock(profiles[name].profile, profiles[name].where, space, fields)
        if fields[1] in limited:
            one.check_promise()
        found.append(one)
    return found
