"""Measuring networks in turn, so that whatever disturbs the machine disturbs all of them.

A round asks every network once. Networks are processes of their own, at most 24 alive at a time: the anchors, and a
part of the others. All parts get the same share of the time. Each round is written down as it ends.
"""

from __future__ import annotations

import os
import platform
import random
import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from litepose_nas.errors import UserError
from litepose_nas.latency.children import Child, LostError, Target
from litepose_nas.latency.networks import Chosen
from litepose_nas.latency.samples import ANCHOR, LatencySample, LatencySamples
from litepose_nas.runs.journal import Journal
from litepose_nas.space import Arch

MOST_ALIVE = 24
LEAST_ROUNDS = 5
VISIT = 0.05  # seconds, at least, that a network is run when its turn comes

Write = Callable[[Arch, Path], None]  # a network's file
Say = Callable[[str], None]
Show = Callable[[float, float, str], None]  # seconds done, of how many, and a few words


class Visit(NamedTuple):
    """What a network took when its turn came."""

    part: int
    ms: float  # the least call
    median_ms: float
    cpu_ms: float


def measure(
    networks: Sequence[Chosen],
    target: Target,
    write: Write,
    suffix: str,
    journal: Journal,
    minutes: float,
    joints: int,
    say: Say = lambda text: None,
    show: Show = lambda done, total, text: None,
) -> LatencySamples:
    """Measure what the journal does not hold yet, and return all of it."""
    log = _Log(journal)
    anchors = [i for i, each in enumerate(networks) if each.role == ANCHOR]
    others = [i for i, each in enumerate(networks) if each.role != ANCHOR]
    room = MOST_ALIVE - len(anchors)
    count = max(1, -(-len(others) // room))
    parts = [others[i::count] for i in range(count)]  # each as large, and from all of the space
    for number, part in enumerate(parts):
        if number in log.done:
            continue
        until = log.seconds + (60 * minutes - log.seconds) / (len(parts) - number)
        numbers, folder = [*anchors, *part], journal.path.with_suffix(".files")
        with _Part(networks, target, log, say).opened(numbers, write, suffix, folder) as alive:
            alive.rounds(number, until, lambda text: show(log.seconds, 60 * minutes, text))
        log.add({"done": number})
    found = log.visits
    if not found:
        raise UserError(f"none of {len(networks)} networks ran in {target.runtime}; the reasons stand above")
    samples = [_sample(each, found[i]) for i, each in enumerate(networks) if i in found]
    spread = noise(list(found.values()), [found[i] for i in anchors if i in found])
    return LatencySamples(
        describe_device(), target.runtime, log.version, target.threads, "fp32", 1, joints, spread, samples
    )


class _Log:
    """The journal as it is needed here: what was measured, and the seconds that went by, stops left out."""

    def __init__(self, journal: Journal):
        self._journal, self._last = journal, time.perf_counter()
        self.seconds = float(sum(record.get("seconds", 0.0) for record in journal.records))

    def add(self, record: Mapping[str, Any]) -> None:
        now = time.perf_counter()
        self._journal.append({**record, "seconds": now - self._last})
        self.seconds, self._last = self.seconds + now - self._last, now

    def tick(self) -> float:
        return self.seconds + time.perf_counter() - self._last

    def _all(self, key: str) -> list[Any]:
        return [record[key] for record in self._journal.records if key in record]

    @property
    def done(self) -> set[int]:
        return set(self._all("done"))

    @property
    def lost(self) -> set[int]:
        return set(self._all("lost"))

    @property
    def version(self) -> str:
        return str((self._all("version") or [""])[0])

    @property
    def visits(self) -> dict[int, list[Visit]]:
        """By network; one that was lost on the way does not count."""
        found: dict[int, list[Visit]] = defaultdict(list)
        lost = self.lost
        for record in self._journal.records:
            for i, visit in record.get("times", {}).items():
                if int(i) not in lost:
                    found[int(i)].append(Visit(record["part"], *visit))
        return dict(found)

    def rounds(self, part: int) -> int:
        return self._all("part").count(part)


class _Part:
    """The anchors and some of the others, alive for as long as their share of the time lasts."""

    def __init__(self, networks: Sequence[Chosen], target: Target, log: _Log, say: Say):
        self._networks, self._target, self._log, self._say = networks, target, log, say
        self._children: dict[int, Child] = {}

    @contextmanager
    def opened(self, numbers: Sequence[int], write: Write, suffix: str, folder: Path) -> Iterator[_Part]:
        """Write files, open each in a process, and warm it up; in the end nothing of it is left."""
        try:
            for i in numbers:
                path, arch = folder / f"{i}{suffix}", self._networks[i].arch
                if i not in self._log.lost:
                    with self._lost(i):
                        if not path.exists():
                            _written(write, arch, path)
                        self._children[i] = Child(self._target, path, (1, 3, *arch.input))
            for i in list(self._children):
                with self._lost(i):
                    self._check_version(self._children[i].opened())
                    self._children[i].visit(0.0)
            yield self
        finally:
            for child in self._children.values():
                child.close()
            shutil.rmtree(folder, ignore_errors=True)

    def rounds(self, part: int, until: float, show: Callable[[str], None]) -> None:
        rng = random.Random(part)
        while self._children and (self._log.rounds(part) < LEAST_ROUNDS or self._log.tick() < until):
            order, times = list(self._children), {}
            rng.shuffle(order)
            for i in order:
                with self._lost(i):
                    wall, processor = self._children[i].visit(VISIT)
                    times[str(i)] = [min(wall), statistics.median(wall), min(processor)]
            self._log.add({"part": part, "times": times})
            show(f"part {part + 1}, round {self._log.rounds(part)}")

    def _check_version(self, version: str) -> None:
        if not self._log.version:
            self._log.add({"version": version})
        if version != self._log.version:
            before = f"{self._target.runtime} {self._log.version}"
            raise UserError(f"begun with {before}, and this is {version}; measure again from the start")

    @contextmanager
    def _lost(self, i: int) -> Iterator[None]:
        """Go on without a network that does not run."""
        try:
            yield
        except LostError as error:
            if i in self._children:
                self._children.pop(i).close()
            self._log.add({"lost": i, "why": str(error)})
            self._say(f"left out, for it does not run: {self._networks[i].arch}: {error}")


def _written(write: Write, arch: Arch, path: Path) -> None:
    try:
        write(arch, path)
    except UserError:
        raise
    except Exception as error:  # a converter's: whatever it stumbled over, the other networks may go through
        raise LostError(f"not converted, {type(error).__name__}: {error}"[:500]) from error


def _sample(chosen: Chosen, visits: Sequence[Visit]) -> LatencySample:
    return LatencySample(
        chosen.arch,
        min(visit.ms for visit in visits),
        statistics.median(visit.median_ms for visit in visits),
        len(visits),
        chosen.role,
        min(visit.cpu_ms for visit in visits) or None,
    )


def noise(networks: Sequence[Sequence[Visit]], anchors: Sequence[Sequence[Visit]]) -> float:
    """How far a second measurement would be off, as a share of the time: the larger of two.

    One is how far the least of every second round is from the least of the others, the mean over all networks. The
    other is half of what lies between the leasts of the parts, the median over the anchors: networks of different parts
    can be compared only as far as the anchors stayed the same.
    """
    halves, parts = [0.0], [0.0]
    for visits in networks:
        leasts = [min(visit.ms for visit in half) for half in (visits[::2], visits[1::2]) if half]
        halves.append(max(leasts) / min(leasts) - 1)
    for visits in anchors:
        by_part: dict[int, float] = {}
        for visit in visits:
            by_part[visit.part] = min(visit.ms, by_part.get(visit.part, visit.ms))
        parts.append((max(by_part.values()) / min(by_part.values()) - 1) / 2)
    return max(statistics.fmean(halves[1:] or halves), statistics.median(parts[1:] or parts))


def describe_device() -> dict[str, Any]:
    """What decides how fast a network is here."""
    device: dict[str, Any] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "machine": platform.machine(),
    }
    governor = _first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return {**device, "governor": governor} if governor else device


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    board = _first_line("/proc/device-tree/model").strip("\0")
    return board or (named[-1] if named else platform.processor() or platform.machine())


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
