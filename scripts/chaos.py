"""Disturb every verb that writes, in every way, for some minutes; what is left must equal an undisturbed run's.

A case is a verb and a way: `kill` (SIGKILL, SIGTERM or SIGINT at random moments, up to three times), `full` (the disk
is full from the n-th write on), `rights` (nothing may be written from a random moment on), `bits` (a bit of a file is
flipped). After it the verb goes on or is run again, undisturbed. Each case is a line of the CSV.

`--minutes` draws ways and verbs; `--count` takes the verbs in turn, until so many kills, full disks, losses of rights
and flipped bits have come to pass. `--every` fills the disk after each number of writes up to 60, then after every
tenth number, until the verb has room for all it writes.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from tests.helpers.chaos import children, flips, left, verbs
from tests.helpers.chaos.children import Ended
from tests.helpers.chaos.verbs import VERBS, Verb

WAYS = ("kill", "full", "rights", "bits")
SIGNALS = (*[signal.SIGKILL] * 3, signal.SIGTERM, signal.SIGINT)
COLUMNS = ("seed", "case", "way", "verb", "done", "outcome", "seconds")
GOOD = ("equal", "refused", "no effect")
MOST_KILLS = 3
ROOM = 10**9  # writes: more than there are
SINGLE, THEN = 60, 10  # of --every
FLIPS = 25  # in one case
ENDS = 4096  # bytes at the ends of a file, where its structure is: every second flip is there
SHIM = Path(children.__file__).with_name("full_disk.c")


class Reference(NamedTuple):
    """What an undisturbed run leaves, and takes."""

    left: dict[str, str]
    names: set[str]  # of all files, those too that differ between undisturbed runs
    seconds: float
    writes: int  # where they are counted


class Chaos:
    """Cases in one folder: `base`, what verbs start from, and `case`, a copy of it that one case works in."""

    def __init__(self, folder: Path, seed: int, table: TextIO):
        self.base, self.case, self.log = folder / "base", folder / "case", folder / "log"
        self.seed, self.number = seed, 0
        self.rng = random.Random(seed)
        self.table = csv.writer(table, lineterminator="\n")
        self.table.writerow(COLUMNS)
        self.flush = table.flush
        self.references: dict[str, Reference] = {}
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.kills: Counter[str] = Counter()
        self.done: Counter[str] = Counter()  # disturbances that came to pass, by way
        self.at_first: dict[str, str] = {}

    def prepare(self) -> None:
        verbs.make_base(self.base, lambda words: self._must(words, self.base))
        children.trace_once(self.base / "net.safetensors")
        self.at_first = left.left_in(self.base)

    def _must(self, words: str, folder: Path, prepare: Callable[[], object] | None = None) -> Ended:
        ended = children.run(words.split(), folder, self.log, prepare)
        if ended.code:
            sys.exit(f"undisturbed, `litepose-nas {words}` ended with {ended.code}:\n{ended.told[-3000:]}")
        return ended

    def _fresh(self) -> None:
        for path in (self.case, *self.case.rglob("*")) if self.case.exists() else ():
            path.chmod(0o755 if path.is_dir() else 0o644)
        shutil.rmtree(self.case, ignore_errors=True)
        shutil.copytree(self.base, self.case)

    def reference(self, verb: Verb) -> Reference:
        """Run a verb twice undisturbed: what differs then is no matter of being disturbed."""
        if verb.name not in self.references:
            seen = []
            for _ in range(2):
                self._fresh()
                ended = self._must(verb.first, self.case, children.fill_disk(ROOM, self.case) if can_fill() else None)
                seen.append((left.left_in(self.case), ended.seconds))
            (one, seconds), (other, again) = seen
            unsteady = left.differences(one, other)
            if unsteady:
                print(f"{verb.name}: not compared, for undisturbed runs differ: {', '.join(unsteady)}", flush=True)
            kept = {name: digest for name, digest in one.items() if name not in unsteady}
            self.references[verb.name] = Reference(kept, {*one, *other}, min(seconds, again), children.counted_writes())
        return self.references[verb.name]

    def draw(self, minutes: float, ways: list[str], chosen: list[Verb]) -> None:
        """Cases of any way and verb, for some minutes."""
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            self.run(self.rng.choice(ways), self.rng.choice(chosen))

    def count(self, number: int, ways: list[str], chosen: list[Verb]) -> None:
        """Cases of each way, the verbs in turn, until so many disturbances have come to pass."""
        for way in ways:
            in_turn = itertools.cycle(chosen)
            while self.done[way] < number:
                self.run(way, next(in_turn))

    def fill_every(self, chosen: list[Verb]) -> None:
        """The disk is full after any number of writes, until a verb has room for all of its own."""
        for verb in chosen:
            for writes in itertools.chain(range(SINGLE), itertools.count(SINGLE, THEN)):
                before = self.done["full"]
                self.run("full", verb, writes)
                if self.done["full"] == before:
                    break

    def run(self, way: str, verb: Verb, writes: int | None = None) -> None:
        begun = time.monotonic()
        self.number += 1
        if way == "bits":
            for done, outcome in self._bits():
                self._note(way, done.partition(" ")[0], done, outcome, begun)
            return
        self.reference(verb)
        self._fresh()
        begun = time.monotonic()
        if way == "full":
            done, outcome = self._full(verb, self._writes_of(verb) if writes is None else writes)
        else:
            done, outcome = self._kill(verb) if way == "kill" else self._rights(verb)
        self._note(way, verb.name, done, outcome or self._finish(verb), begun)

    def _note(self, way: str, verb: str, done: str, outcome: str, begun: float) -> None:
        seconds = round(time.monotonic() - begun, 1)
        self.table.writerow((self.seed, self.number, way, verb, done, outcome, seconds))
        self.flush()
        kind = outcome if outcome in GOOD else "BROKEN"
        self.counts[way, verb, kind] += 1
        if kind == "BROKEN":
            print(f"case {self.number}, {way}, {verb}, {done}: {outcome}", flush=True)

    # ── the ways: each says what was done, and what broke if anything did ──

    def _kill(self, verb: Verb) -> tuple[str, str]:
        reference, done = self.reference(verb), []
        for _ in range(self.rng.randint(1, MOST_KILLS)):
            sent = self.rng.choice(SIGNALS)
            after = round(self.rng.uniform(0, 1.05 * reference.seconds), 3)
            ended = self._go(verb, after=after, disturb=lambda child, sig=sent: os.kill(child, sig))
            if ended is None:
                break
            done.append(f"{sent.name} after {after} s: {ended.code}")
            self.kills[sent.name] += ended.code != 0
            self.done["kill"] += ended.code != 0
            if broken := self._broken(ended, (0, -sent, 130)):
                return "; ".join(done), broken
        return "; ".join(done), ""

    def _full(self, verb: Verb, writes: int) -> tuple[str, str]:
        ended = self._go(verb, prepare=children.fill_disk(writes, self.case))
        done = f"full after {writes} writes"
        if ended is None or ended.code == 0:
            return f"{done}: it had room", ""
        self.done["full"] += 1
        if broken := self._broken(ended, (2,)):
            return done, broken
        said = ended.message.lower()
        if "the disk is full" not in said:
            return done, f"DOES NOT SAY THAT THE DISK IS FULL: {ended.message:.300}"
        return done, self._inputs_changed()

    def _writes_of(self, verb: Verb) -> int:
        return self.rng.randrange(max(1, self.reference(verb).writes))

    def _rights(self, verb: Verb) -> tuple[str, str]:
        """Nothing may be written any more: from a moment on, or when a verb goes on that was killed then."""
        after = round(self.rng.uniform(0, self.reference(verb).seconds), 3)
        try:
            if self.rng.random() < 0.5:
                done = f"after {after} s nothing may be written"
                ended = self._go(verb, children.obey_rights, after=after, disturb=lambda _: self._let_write(False))
            else:
                done = f"killed after {after} s, then nothing may be written"
                killed = self._go(verb, after=after, disturb=lambda child: os.kill(child, signal.SIGKILL))
                if killed is None or killed.code == 0:
                    return f"{done}: it had ended", ""
                self._let_write(False)
                ended = self._go(verb, children.obey_rights)
        finally:
            self._let_write(True)
        if ended is None or ended.code == 0:
            return f"{done}: nothing was left to write", ""
        self.done["rights"] += 1
        return done, self._broken(ended, (2,)) or self._inputs_changed()

    def _let_write(self, allowed: bool) -> None:
        for path in [self.case, *self.case.rglob("*")]:
            if "people" not in path.parts:
                with contextlib.suppress(FileNotFoundError):
                    path.chmod((0o755 if path.is_dir() else 0o644) if allowed else 0o555 if path.is_dir() else 0o444)

    def _bits(self) -> list[tuple[str, str]]:
        """Flip bits of one file in a fork of this process."""
        names = sorted(flips.FLIPPED)
        name = names[self.number % len(names)]
        kind = flips.FLIPPED[name]
        bits = [self._bit(8 * (self.base / kind.file).stat().st_size) for _ in range(FLIPS)]
        self.done["bits"] += FLIPS
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            with os.fdopen(writer, "w") as out:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                expected = kind.read(self.base / kind.file)
                for bit in bits:
                    outcome = flips.outcome_of(kind, self.base, bit, expected)
                    out.write(f"{bit} {' '.join(outcome.split())}\n")
                    out.flush()
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as lines:
            read = [line.rstrip("\n").partition(" ") for line in lines]
        os.waitpid(child, 0)
        found = [(f"{name} bit {bit}", outcome) for bit, _, outcome in read]
        return found + [(f"{name} bit {bit}", "THE PROCESS DIED") for bit in bits[len(read) :][:1]]

    def _bit(self, size: int) -> int:
        if self.rng.random() < 0.5:
            return self.rng.randrange(size)
        near = min(8 * ENDS, size)
        return self.rng.choice((self.rng.randrange(near), size - 1 - self.rng.randrange(near)))

    # ── going on, and judging ──

    def _go(self, verb: Verb, prepare: Callable[[], object] | None = None, **how: Any) -> Ended | None:
        """Begin a verb, or let it go on; None where all is done."""
        begun = verb.begun and (self.case / verb.begun).exists()
        if not begun and verb.whole and (self.case / verb.whole).exists():
            return None
        return children.run((verb.again if begun else verb.first).split(), self.case, self.log, prepare, **how)

    def _broken(self, ended: Ended, fine: tuple[int, ...]) -> str:
        if "Traceback" in ended.told:
            return f"TRACEBACK: {ended.told.strip().splitlines()[-1]:.300}"
        if ended.code not in fine:
            return f"EXIT CODE {ended.code}: {ended.message:.300}"
        return f"MORE THAN ONE MESSAGE: {' '.join(ended.errors):.300}" if len(ended.errors) > 1 else ""

    def _inputs_changed(self) -> str:
        now = left.left_in(self.case)
        lost = [name for name, digest in self.at_first.items() if now.get(name) != digest and name != "subnet.json"]
        return f"CHANGED {', '.join(lost[:5])}" if lost else ""

    def _finish(self, verb: Verb) -> str:
        """Let a verb go on undisturbed to its end, and compare."""
        ended = self._go(verb)
        if ended is not None and ended.code:
            return f"DOES NOT GO ON: {ended.message:.300}"
        found, expected = left.left_in(self.case), self.reference(verb).left
        if half := [path.name for path in self.case.rglob(".partial-*")]:
            return f"LEFT BEHIND {', '.join(half[:3])}"
        if new := [name for name in found if name not in self.reference(verb).names]:
            return f"LEFT BEHIND {', '.join(new[:3])}"
        other = [name for name in left.differences(expected, found) if name in expected]
        return f"DIFFERS in {', '.join(other[:5])}" if other else "equal"

    def summary(self) -> int:
        print(f"\n{'way':8} {'verb':12} {'equal':>7} {'refused':>8} {'no effect':>10} {'BROKEN':>7}")
        for way, verb in sorted({(way, verb) for way, verb, _ in self.counts}):
            row = [self.counts[way, verb, kind] for kind in (*GOOD, "BROKEN")]
            print(f"{way:8} {verb:12} {row[0]:7} {row[1]:8} {row[2]:10} {row[3]:7}")
        broken = sum(count for (_, _, kind), count in self.counts.items() if kind == "BROKEN")
        killed = ", ".join(f"{count} by {name}" for name, count in sorted(self.kills.items()))
        print(f"{sum(self.counts.values())} cases, {broken} broken; killed: {killed or 'none'}")
        return broken


def can_fill() -> bool:
    return "full_disk" in os.environ.get("LD_PRELOAD", "")


def preload() -> bool:
    """Whether the disk that fills can be pretended; begin this program anew with it where a compiler makes it."""
    if can_fill():
        return True
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if sys.platform != "linux" or compiler is None:
        return False
    library = Path(tempfile.mkdtemp(prefix="chaos-")) / "full_disk.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(SHIM), "-ldl"], check=True)
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    os.execve(sys.executable, [sys.executable, *sys.argv], environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--count", type=int, help="of each way, instead of minutes")
    parser.add_argument("--every", action="store_true", help="full disks after any number of writes, instead")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--way", action="append", choices=WAYS)
    parser.add_argument("--verb", action="append", choices=sorted(VERBS))
    parser.add_argument("--csv", type=Path, default=Path("chaos.csv"))
    asked = parser.parse_args()
    ways = asked.way or list(WAYS)
    if "full" in ways and not preload():
        print("no C compiler, or no Linux: the disk is not filled")
        ways = [way for way in ways if way != "full"]
    if asked.every and "full" not in ways:
        parser.error("--every is for --way full")
    children.import_all()
    print(f"seed {asked.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    try:
        with asked.csv.open("w", encoding="utf-8") as table:
            chaos = Chaos(folder, asked.seed, table)
            chaos.prepare()
            chosen = [VERBS[name] for name in asked.verb or VERBS]
            if asked.every:
                chaos.fill_every(chosen)
            elif asked.count:
                chaos.count(asked.count, ways, chosen)
            else:
                chaos.draw(asked.minutes, ways, chosen)
            broken = chaos.summary()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if "full_disk" in (library := os.environ.get("LD_PRELOAD", "")):
            shutil.rmtree(Path(library).parent, ignore_errors=True)
    print(f"each case: {asked.csv}")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
