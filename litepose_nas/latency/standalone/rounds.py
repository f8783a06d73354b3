"""Measuring networks in turn, so that whatever disturbs the machine disturbs all of them.

A round asks every network once. Networks are processes of their own, few of them alive at a time: the anchors, and a
part of the others. All parts get the same share of the time. Each round is written down as it ends.
"""

from __future__ import annotations

import random
import shutil
import statistics
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .children import Child, Target
from .conditions import conditions_now
from .errors import LostError, MeasuringError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Protocol

    Write = Callable[[int, Path], None]  # the file of the network of this number
    Say = Callable[[str], None]
    Show = Callable[[float, float, str], None]  # seconds done, of how many, and a few words

    class MeasuringJournal(Protocol):
        """Where rounds are written down; what was there before is among the records."""

        path: Path
        records: list[dict[str, Any]]

        def append(self, record: Mapping[str, Any]) -> Any: ...


MOST_ALIVE = 24
LEAST_ROUNDS = 5
MOST_NOISE = 0.05  # above it nothing is promised
VISIT = 0.05  # seconds, at least, that a network is run when its turn comes


class Subject(NamedTuple):
    """A network to be measured."""

    name: str
    shape: tuple[int, ...]  # of what goes in
    anchor: bool  # it is asked beside all others, to show drift


class Visit(NamedTuple):
    """What a network took when its turn came."""

    part: int
    ms: float  # the least call
    median_ms: float
    cpu_ms: float


class Measured(NamedTuple):
    version: str  # of the runtime
    visits: dict[int, list[Visit]]  # by the number of a network; without those that did not run
    noise: float
    drift: float
    conditions: list[dict[str, Any]]  # of the device, one for each round, where it tells


def measure_in_rounds(
    subjects: Sequence[Subject],
    target: Target,
    write: Write,
    suffix: str,
    journal: MeasuringJournal,
    minutes: float,
    say: Say = lambda text: None,
    show: Show = lambda done, total, text: None,
    alive: int = MOST_ALIVE,
    slow: bool = False,
) -> Measured:
    """Measure what the journal does not hold yet, and return all of it; where `write` is slow, its time is left out."""
    log = _Log(journal)
    anchors = [i for i, each in enumerate(subjects) if each.anchor]
    others = [i for i, each in enumerate(subjects) if not each.anchor]
    room = max(1, alive - len(anchors))
    count = max(1, -(-len(others) // room))
    parts = [others[i::count] for i in range(count)]  # each as large, and from all of the space
    folder = journal.path.with_suffix(".files")
    for number, part in enumerate(parts):
        if number in log.done:
            continue

        def tell(text: str, number: int = number) -> None:
            show(log.seconds, 60 * minutes, f"part {number + 1}, {text}")

        one = _Part(subjects, target, log, say, tell)
        with one.opened([*anchors, *part], write, slow, suffix, folder) as alive_now:
            until = log.seconds + (60 * minutes - log.seconds) / (len(parts) - number)
            alive_now.rounds(number, until)
        log.add({"done": number})
    visits = log.visits
    if not visits:
        raise MeasuringError(f"none of {len(subjects)} networks ran in {target.runtime}; the reasons stand above")
    every, steady = list(visits.values()), [visits[i] for i in anchors if i in visits]
    return Measured(log.version, visits, noise(every, steady), drift(steady or every), log.conditions)


class _Log:
    """The journal as it is needed here: what was measured, and the seconds that went by, stops left out."""

    def __init__(self, journal: MeasuringJournal):
        self.journal, self._last = journal, time.perf_counter()
        self.seconds = float(sum(record.get("seconds", 0.0) for record in journal.records))

    def add(self, record: Mapping[str, Any]) -> None:
        now = time.perf_counter()
        self.journal.append({**record, "seconds": now - self._last})
        self.seconds, self._last = self.seconds + now - self._last, now

    def leave_out(self) -> None:
        """Count nothing of what went by since the last record."""
        self._last = time.perf_counter()

    def tick(self) -> float:
        return self.seconds + time.perf_counter() - self._last

    def _all(self, key: str) -> list[Any]:
        return [record[key] for record in self.journal.records if key in record]

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
    def conditions(self) -> list[dict[str, Any]]:
        return self._all("conditions")

    @property
    def visits(self) -> dict[int, list[Visit]]:
        """By network; one that was lost on the way does not count."""
        found: dict[int, list[Visit]] = defaultdict(list)
        lost = self.lost
        for record in self.journal.records:
            for i, visit in record.get("times", {}).items():
                if int(i) not in lost:
                    found[int(i)].append(Visit(record["part"], *visit))
        return dict(found)

    def rounds(self, part: int) -> int:
        return self._all("part").count(part)


class _Part:
    """The anchors and some of the others, alive for as long as their share of the time lasts."""

    def __init__(self, subjects: Sequence[Subject], target: Target, log: _Log, say: Say, show: Say):
        self._subjects, self._target, self._log, self._say, self._show = subjects, target, log, say, show
        self._children: dict[int, Child] = {}

    @contextmanager
    def opened(self, numbers: Sequence[int], write: Write, slow: bool, suffix: str, folder: Path) -> Iterator[_Part]:
        """Write files, open each in a process, and warm it up; in the end nothing of it is left."""
        shutil.rmtree(folder, ignore_errors=True)  # a measurement that was killed may have left half a file
        try:
            for count, i in enumerate(numbers):
                path = folder / f"{i}{suffix}"
                if i not in self._log.lost:
                    with self._lost(i):
                        if slow:
                            self._show(f"file {count + 1} of {len(numbers)}")
                        write(i, path)
                        if slow:
                            self._log.leave_out()
                        self._children[i] = Child(self._target, (path, self._subjects[i].shape))
                        if slow:  # a runtime that is missing is told before all are written
                            self._warm_up(i)
            for i in [] if slow else list(self._children):
                with self._lost(i):
                    self._warm_up(i)
            yield self
        finally:
            for child in self._children.values():
                child.close()
            shutil.rmtree(folder, ignore_errors=True)

    def rounds(self, part: int, until: float) -> None:
        rng = random.Random(part)
        while self._children and (self._log.rounds(part) < LEAST_ROUNDS or self._log.tick() < until):
            order, times = list(self._children), {}
            rng.shuffle(order)
            for i in order:
                with self._lost(i):
                    wall, processor = self._children[i].visit(VISIT)
                    times[str(i)] = [min(wall), statistics.median(wall), min(processor)]
            told = conditions_now()
            self._log.add({"part": part, "times": times, **({"conditions": told} if told else {})})
            self._show(f"round {self._log.rounds(part)}")

    def _warm_up(self, i: int) -> None:
        check_version(self._log.journal, self._target, self._children[i].opened())
        self._children[i].visit(0.0)

    @contextmanager
    def _lost(self, i: int) -> Iterator[None]:
        """Go on without a network that does not run."""
        try:
            yield
        except LostError as error:
            if i in self._children:
                self._children.pop(i).close()
            self._log.add({"lost": i, "why": str(error)})
            self._say(f"left out, for it does not run: {self._subjects[i].name}: {error}")


def check_version(journal: MeasuringJournal, target: Target, version: str) -> None:
    """Refuse to go on with another version of the runtime."""
    begun = next((record["version"] for record in journal.records if "version" in record), None)
    if begun is None:
        journal.append({"version": version})
    elif version != begun:
        before = f"{target.runtime} {begun}"
        raise MeasuringError(f"begun with {before}, and this is {version}; measure again from the start")


def times_of(visits: Sequence[Visit]) -> dict[str, Any]:
    """What is said of a network in a samples.json."""
    cpu_ms = min(visit.cpu_ms for visit in visits)
    return {
        "ms": min(visit.ms for visit in visits),
        "median_ms": statistics.median(visit.median_ms for visit in visits),
        "rounds": len(visits),
        **({"cpu_ms": cpu_ms} if cpu_ms else {}),
    }


def noise(networks: Sequence[Sequence[Visit]], anchors: Sequence[Sequence[Visit]]) -> float:
    """How far a second measurement would be off, as a share of the time: the larger of two.

    One is how far the halves of the rounds are from each other, the mean over all networks. The other is half of what
    lies between the leasts of the parts, the median over the anchors: networks of different parts can be compared only
    as far as the anchors stayed the same.
    """
    parts = [0.0]
    for visits in anchors:
        by_part: dict[int, float] = {}
        for visit in visits:
            by_part[visit.part] = min(visit.ms, by_part.get(visit.part, visit.ms))
        parts.append((max(by_part.values()) / min(by_part.values()) - 1) / 2)
    halves = [between_halves(visits) for visits in networks]
    return max(statistics.fmean(halves or [0.0]), statistics.median(parts[1:] or parts))


def between_halves(visits: Sequence[Visit]) -> float:
    """How far the least of every second round of a network is from the least of the others, as a share of it."""
    leasts = [min(visit.ms for visit in half) for half in (visits[::2], visits[1::2]) if half]
    return max(leasts) / min(leasts) - 1


def drift(anchors: Sequence[Sequence[Visit]]) -> float:
    """By what share the anchors took longer in the last third of the rounds than in the first."""
    found = [0.0]
    for visits in anchors:
        third = max(1, len(visits) // 3)
        first, last = (statistics.median(visit.ms for visit in some) for some in (visits[:third], visits[-third:]))
        found.append(last / first - 1)
    return statistics.median(found[1:] or found)
