"""Feed broken inputs to all parsers for some minutes, in forks of this process that are watched.

An input follows from its target, the seed and its number alone: `--seed S --target T --number N` gives it again.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import resource
import select
import signal
import struct
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from tests.helpers.fuzz import corpus
from tests.helpers.fuzz.loop import Count, feed, input_of, prepare
from tests.helpers.fuzz.oracle import WAITING, Failure, judge
from tests.helpers.fuzz.table import TARGETS
from tests.helpers.fuzz.target import Target

SLICE = 4.0  # seconds of a target in a turn
PATIENCE = WAITING + 60  # seconds beyond its slice before a fork is killed
MEMORY = 4 << 30  # bytes that a fork may ask for beside what it has
FEW = 4  # tries to shrink what is slow


class Turn(NamedTuple):
    count: Count
    found: list[dict[str, Any]]
    reached: int  # the number of the last input


def main() -> None:
    options = _options()
    chosen = {name: TARGETS[name] for name in options.target or TARGETS}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # what a command writes stays here
        if options.number is not None:
            sys.exit(_once(next(iter(chosen.values())), Path(folder), options.seed, options.number))
        print(f"seed {options.seed}, {options.minutes:g} minutes, {len(chosen)} targets", flush=True)
        failures = _run(chosen, Path(folder), options.seed, 60 * options.minutes)
    sys.exit(1 if failures else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="may be given several times")
    parser.add_argument("--number", type=int, help="this input alone, with its traceback")
    return parser.parse_args()


def _once(target: Target, folder: Path, seed: int, number: int) -> int:
    content = input_of(target, prepare(target, folder / target.name), seed, number)
    outcome = judge(target, folder / target.name, content)
    print(repr(content[:2000]))
    print("\n".join(outcome) if isinstance(outcome, Failure) else "accepted" if outcome else "refused as it should be")
    return int(isinstance(outcome, Failure))


def _run(chosen: dict[str, Target], folder: Path, seed: int, seconds: float) -> int:
    seeds = {name: prepare(target, folder / name) for name, target in chosen.items()}
    counts: dict[str, Count] = defaultdict(Count)
    times: dict[str, float] = defaultdict(float)
    reached: dict[str, int] = defaultdict(int)
    known: dict[str, dict[str, int]] = {name: {} for name in chosen}
    end = time.monotonic() + seconds
    turns = [name for name, target in chosen.items() for _ in range(target.turns)]
    each = max(min(SLICE, seconds / len(turns)), 0.2)
    while time.monotonic() < end:
        for name in turns:
            begun = time.monotonic()
            if begun > end:
                break
            turn = _turn(
                chosen[name], folder / name, seeds[name], seed, reached[name], min(begun + each, end), set(known[name])
            )
            counts[name] = counts[name].plus(turn.count)
            reached[name] = turn.reached + 1
            times[name] += time.monotonic() - begun
            for one in turn.found:
                if one["what"] not in known[name]:
                    path = corpus.save(name, bytes.fromhex(one["content"]))
                    print(
                        f"BROKEN {name}, seed {seed}, number {one['number']}: {one['what']}\n  {path}\n{one['story']}",
                        flush=True,
                    )
                known[name][one["what"]] = known[name].get(one["what"], 0) + 1
    _table(counts, times, known)
    return sum(map(len, known.values()))


def _turn(
    target: Target, folder: Path, seeds: list[bytes], seed: int, first: int, until: float, known: set[str]
) -> Turn:
    """Feed a target in a fork of this process until a time; a fork that dies or hangs was broken by its last input."""
    place = mmap.mmap(-1, 8)
    place[:] = struct.pack("q", first)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        with os.fdopen(writer, "w") as out:
            _child(target, folder, seeds, seed, first, until, known, place, out)
        os._exit(0)
    os.close(writer)
    lines, hung = _read(reader, until + PATIENCE)
    if hung:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    (reached,) = struct.unpack("q", place[:])
    found = [json.loads(line) for line in lines if line.startswith('{"what"')]
    ended = next((json.loads(line) for line in lines if line.startswith('{"count"')), None)
    if ended is not None:
        return Turn(Count(*ended["count"]), found, reached)
    what = "no answer" if hung else f"the process ended with {code}"
    content = (folder / target.file).read_bytes()
    found.append({"what": what, "story": f"{len(content)} bytes", "number": reached, "content": content.hex()})
    return Turn(Count(reached - first + 1), found, reached)


def _read(reader: int, until: float) -> tuple[list[str], bool]:
    """The lines that a fork sends until it ends; and whether it did not, in time."""
    data = b""
    while (left := until - time.monotonic()) > 0:
        if select.select([reader], [], [], left)[0]:
            piece = os.read(reader, 1 << 16)
            if not piece:
                os.close(reader)
                return data.decode().splitlines(), False
            data += piece
    os.close(reader)
    return data.decode().splitlines(), True


def _child(target, folder, seeds, seed, first, until, known, place, out) -> None:
    _bound_memory()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # readers of pictures have much to say
    reached = 0

    def found(number: int, content: bytes, failure: Failure) -> None:
        if failure.what not in known:
            known.add(failure.what)
            small = corpus.shrunk(content, lambda one: _fails_alike(target, folder, one, failure), _tries(failure))
            content, failure = small, _outcome(target, folder, small) or failure
        line = {"what": failure.what, "story": failure.story, "number": number, "content": content.hex()}
        out.write(json.dumps(line) + "\n")
        out.flush()

    count = Count()
    while time.monotonic() < until:
        place[:] = struct.pack("q", first + reached)
        count = count.plus(feed(target, folder, seeds, seed, first + reached, 1, until, found))
        reached += 1
    out.write(json.dumps({"count": count}) + "\n")


def _outcome(target: Target, folder: Path, content: bytes) -> Failure | None:
    found = judge(target, folder, content)
    return found if isinstance(found, Failure) else None


def _fails_alike(target: Target, folder: Path, content: bytes, failure: Failure) -> bool:
    found = _outcome(target, folder, content)
    return found is not None and found.what == failure.what


def _tries(failure: Failure) -> int:
    return FEW if "slower" in failure.what or "MB" in failure.what else corpus.TRIES


def _bound_memory() -> None:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _table(counts: dict[str, Count], times: dict[str, float], known: dict[str, dict[str, int]]) -> None:
    print(f"{'target':20} {'inputs':>8} {'accepted':>9} {'refused':>8} {'broken':>7} {'a second':>9}")
    for name, count in counts.items():
        broken = sum(known[name].values())
        row = f"{name:20} {count.inputs:8} {count.accepted:9} {count.refused:8} {broken:7}"
        print(f"{row} {count.inputs / times[name]:9.0f}")
    total, seconds = sum(count.inputs for count in counts.values()), sum(times.values())
    distinct = sum(map(len, known.values()))
    print(f"{total} inputs in {seconds:.0f} s, {total / max(seconds, 1e-9):.0f} a second; {distinct} distinct failures")


if __name__ == "__main__":
    main()
