"""The end of a search with latency profiles: whoever may be chosen is measured, where the device is this machine.

Each batch is one record in the run's journal, so a search that goes on measures nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from litepose_nas.budget import latency_fields
from litepose_nas.errors import UserError
from litepose_nas.exporters.measured import MEASURED_FORMATS
from litepose_nas.latency.profiles import NamedProfile
from litepose_nas.runs.journal import Journal
from litepose_nas.runs.run import Run
from litepose_nas.runtimes.table import runtime_of
from litepose_nas.search.comparison import FamilyResults, together
from litepose_nas.search.finalists import finalists
from litepose_nas.search.measured import MeasuredBatch, MeasuredNetwork, batches, next_candidates, times_of
from litepose_nas.search.pareto import front
from litepose_nas.space import Arch
from litepose_nas.steps.common import Say
from litepose_nas.steps.measured_again import Show, measure_again, why_not_here
from litepose_nas.steps.search_plan import PROFILES, Search

MINUTES = 1.0  # for the finalists and the front, in each runtime
MORE, MORE_TIMES, MORE_SHARE = 5, 3, 0.25  # where no finalist keeps the budget: networks, how often, of the minutes


class _Candidate(NamedTuple):
    family: str
    arch: Arch
    finalist: bool  # or of the front alone


def measure_finalists(
    ready: Search, families: Sequence[FamilyResults], run: Run, journal: Journal, say: Say, show: Show
) -> list[FamilyResults]:
    """Measure finalists and front, then the next best where no finalist is left; the families, with what they take.

    A profile of another device, or one that cannot be measured, is named and left out.
    """
    known = {(batch.profile, batch.number): batch for batch in batches(journal.records, journal.path)}
    bounds = {name: fields[1] for name, fields in latency_fields(ready.profiles).items()}
    left_out = set() if ready.options.measure is not False else set(ready.profiles)
    done: list[MeasuredBatch] = []
    for number in range(1 + MORE_TIMES if ready.profiles else 0):
        wanted = _next(ready, families) if number else _first(ready, families)
        for name, profile in ready.profiles.items() if wanted else ():
            batch = known.get((name, number))
            if batch is None and name not in left_out:
                batch = _measured(ready, profile, name, number, wanted, run, say, show)
                if batch is None:
                    left_out.add(name)
                else:
                    journal.append(batch.to_record())
            _journal(run, name, number).unlink(missing_ok=True)
            done += [batch] if batch else []
        families = [one._replace(times=times_of(done, bounds, one.name, one.problem.space)) for one in families]
    return list(families)


def _measured(
    ready: Search,
    profile: NamedProfile,
    name: str,
    number: int,
    wanted: Sequence[_Candidate],
    run: Run,
    say: Say,
    show: Show,
) -> MeasuredBatch | None:
    """The batch, or None where it cannot be measured, and the reason is said."""
    if why := why_not_here(profile.profile):
        say(f"finalists are not measured again on {name}: {why}")
        return None
    joints = next(iter(ready.families.values())).candidates.supernet.joints
    form = MEASURED_FORMATS[runtime_of(profile.profile.runtime).reads]
    # A converter that takes long would take most of an hour for a front.
    asked = [one for one in wanted if one.finalist or not form.slow(one.arch, joints)]
    minutes = (ready.options.measure_minutes or MINUTES) * (MORE_SHARE if number else 1)
    run.log(f"measuring {len(asked)} networks on {name}")
    try:
        found = measure_again(
            profile, [one.arch for one in asked], joints, _journal(run, name, number), minutes, say, show
        )
    except UserError as error:
        say(f"finalists are not measured again on {name}: {error}")
        return None
    networks = [MeasuredNetwork(one.family, one.arch.to_dict(), found.ms[one.arch]) for one in asked]
    return MeasuredBatch(name, number, found.drift, tuple(networks))


def _first(ready: Search, families: Sequence[FamilyResults]) -> list[_Candidate]:
    """The finalists of each family, and the front."""
    problem, spaces = families[0].problem, {one.problem.space: one.name for one in families}
    found = together(families, ready.workload) if ready.several else families[0].found
    line = [one.arch for one in front(found, ready.budget, problem.objectives)]
    best = [arch for one in families for arch in one.again]
    best = best or line
    return [_Candidate(spaces[arch.space], arch, arch in best) for arch in dict.fromkeys([*best, *line])]


def _next(ready: Search, families: Sequence[FamilyResults]) -> list[_Candidate]:
    """The next best of each family of which no finalist keeps the budget."""
    found = []
    for one in families:
        budget = ready.workload.budget(ready.budget, one.task)
        within = finalists(one.found, budget, len(one.found))
        better = next_candidates(within, budget, one.times, one.again, MORE)
        found += [_Candidate(one.name, each.arch, True) for each in better]
    return found


def _journal(run: Run, name: str, number: int) -> Path:
    return run.folder / PROFILES / f"{name}-{number}.journal"
