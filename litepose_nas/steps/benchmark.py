"""A network in all targets and precisions that are installed, asked in turn in processes of their own."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from litepose_nas.errors import UserError
from litepose_nas.exporters.checked import export
from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.half import HALVED, half_format
from litepose_nas.exporters.int8_table import QUANTISERS
from litepose_nas.exporters.table import FORMATS, Format
from litepose_nas.latency import elsewhere
from litepose_nas.latency.standalone.children import Child, Target
from litepose_nas.latency.standalone.errors import LostError, MeasuringError
from litepose_nas.latency.standalone.rounds import VISIT, Visit, between_halves
from litepose_nas.runtimes.table import runtime_of
from litepose_nas.steps.common import Say
from litepose_nas.steps.image_report import ImageReport, Judge
from litepose_nas.steps.in_turn import LEAST_ROUNDS, Timing
from litepose_nas.steps.int8_writer import Int8Choice, Int8Writer
from litepose_nas.steps.verified_export import FP16, FP32, INT8

TORCH = "torch"  # as it is, not as a .pt2: the runtime opens the file of weights


class Candidate(NamedTuple):
    """A file to be judged."""

    format: Format
    path: Path
    target: str
    precision: str


class Benchmark(NamedTuple):
    report: ImageReport
    memory: list[int | None]  # of torch, and then of each row: the most that a process with the network open has had
    left_out: dict[str, str]  # why, by target and precision
    int8: dict[str, Int8Choice]  # by format

    def to_json(self) -> dict[str, Any]:
        int8 = {name: choice.to_json() for name, choice in self.int8.items()}
        return {**self.report.to_json(), "memory": self.memory, "left_out": self.left_out, "int8": int8}


def benchmark(
    what: Exported, weights: Path, judge: Judge, folder: Path, most_points: float, seconds: float, say: Say
) -> Benchmark:
    """`weights` is the network's own file; files of all targets are written into the folder."""
    left_out: dict[str, str] = {}
    int8: dict[str, Int8Choice] = {}
    made: list[Candidate] = []
    writer: list[Int8Writer] = []

    def write_int8(name: str, path: Path) -> Candidate:
        if not writer:
            writer.append(Int8Writer(judge, what, most_points, say))
        with TemporaryDirectory() as trials:
            int8[name] = writer[0].write(name, path, Path(trials))
        return Candidate(FORMATS[name], path, FORMATS[name].runtime, INT8)

    for name, format in FORMATS.items():
        if name == TORCH:
            continue
        if format.why_not_run:
            left_out[name] = format.why_not_run
            continue
        ways: dict[str, Callable[[Path], Candidate]] = {FP32: _writes(what, format, FP32)}
        if name in HALVED:
            ways[FP16] = _writes(what, half_format(name), FP16)
        if name in QUANTISERS:
            ways[INT8] = lambda path, name=name: write_int8(name, path)  # type: ignore[misc]
        for precision, write in ways.items():
            say(f"{format.runtime}, {precision}: writing")
            try:
                runtime_of(format.runtime).check_installed()
                made.append(write(folder / f"{precision}{format.suffix}"))
            except UserError as error:
                left_out[f"{format.runtime} {precision}"] = str(error)
    say("measuring")
    files = {"": (TORCH, weights), **{f"{one.target} {one.precision}": (one.target, one.path) for one in made}}
    times, memory = measured(files, what.images(1).shape, seconds, left_out)
    rows, kept = [], []
    for one in made:
        key = f"{one.target} {one.precision}"
        if key in times:
            say(f"{key}: looking at {len(judge.images)} images")
            try:
                rows.append(judge.row(what, one.path, one.format, one.target, one.precision, times[key]))
            except UserError as error:
                left_out[key] = str(error)
                continue
            kept.append(memory[key])
    if "" not in times:
        raise UserError(f"torch could not be measured: {left_out.get('', 'its process ended')}")
    return Benchmark(judge.report(rows, times[""]), [memory[""], *kept], left_out, int8)


def measured(
    files: Mapping[str, tuple[str, Path]], shape: Sequence[int], seconds: float, left_out: dict[str, str]
) -> tuple[dict[str, Timing], dict[str, int | None]]:
    """Times and memory of files, each with the name of its runtime, in turn; what does not run is left out."""
    visits: dict[str, list[Visit]] = {}
    memory: dict[str, int | None] = {}
    with ExitStack() as stack:
        children = {}
        for key, (runtime, path) in files.items():
            with _lost(key, left_out):
                known = runtime_of(runtime)
                target = Target(known.name, known.path, known.pip, sys.executable, 1, elsewhere.__file__)
                child = Child(target, (path.resolve(), tuple(shape)))
                stack.callback(child.close)
                child.opened()
                child.visit(0.0)
                children[key] = child
        begin, rounds = time.perf_counter(), 0
        while children and (rounds < LEAST_ROUNDS or time.perf_counter() - begin < seconds * len(children)):
            for key, child in list(children.items()):
                with _lost(key, left_out):
                    wall, processor = child.visit(VISIT)
                    visits.setdefault(key, []).append(Visit(0, min(wall), sum(wall) / len(wall), min(processor)))
                    memory[key] = child.peak_bytes()
                if key in left_out:
                    children.pop(key)
            rounds += 1
    times = {key: Timing(min(one.ms for one in found), between_halves(found)) for key, found in visits.items()}
    return {key: one for key, one in times.items() if key not in left_out}, memory


def _writes(what: Exported, format: Format, precision: str) -> Callable[[Path], Candidate]:
    def write(path: Path) -> Candidate:
        export(what, path, format)
        return Candidate(format, path, format.runtime, precision)

    return write


@contextmanager
def _lost(key: str, left_out: dict[str, str]) -> Iterator[None]:
    """Go on without a file that does not run."""
    try:
        yield
    except (LostError, MeasuringError) as error:
        left_out[key] = str(error)
