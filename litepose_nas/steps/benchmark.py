"""A network in all targets and precisions that are installed, asked in turn in processes of their own."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from litepose_nas.errors import UserError, WriteError
from litepose_nas.exporters.annotated import annotate, files_of
from litepose_nas.exporters.checked import staged
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
from litepose_nas.steps.image_report import FileRow, ImageReport, Judge
from litepose_nas.steps.in_turn import LEAST_ROUNDS, Timing
from litepose_nas.steps.int8_writer import Int8Choice, Int8Writer
from litepose_nas.steps.verified_export import FP16, FP32, INT8, write_in

TORCH = "torch"  # as it is, not as a .pt2: the runtime opens the file of weights


class Candidate(NamedTuple):
    """A file to be judged."""

    format: Format
    path: Path
    precision: str

    @property
    def key(self) -> str:
        return f"{self.format.runtime} {self.precision}"

    def remove(self) -> None:
        for file in (*files_of(self.path, self.format.suffix), Path(f"{self.path}.json")):
            file.unlink(missing_ok=True)


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
    left_out = {name: format.why_not_run for name, format in FORMATS.items() if format.why_not_run}
    made, int8 = _written(what, judge, folder, most_points, left_out, say)
    say("measuring")
    files = {"": (TORCH, weights), **{one.key: (one.format.runtime, one.path) for one in made}}
    times, memory = measured(files, what.images(1).shape, seconds, left_out)
    if "" not in times:
        raise UserError(f"torch could not be measured: {left_out.get('', 'its process ended')}")
    rows: dict[str, FileRow] = {}
    for one in made:
        if one.key in times:
            say(f"{one.key}: looking at {len(judge.images)} images")
            with _left_out(one.key, left_out):
                runtime = one.format.runtime
                rows[one.key] = judge.row(what, one.path, one.format, runtime, one.precision, times[one.key])
        if one.key in rows:
            alone = judge.report([rows[one.key]], times[""])
            annotate(one.path, one.format, {"images": alone.to_json()})
        else:
            one.remove()
    report = judge.report(list(rows.values()), times[""])
    return Benchmark(report, [memory[key] for key in ("", *rows)], left_out, int8)


def _written(
    what: Exported, judge: Judge, folder: Path, most_points: float, left_out: dict[str, str], say: Say
) -> tuple[list[Candidate], dict[str, Int8Choice]]:
    """Files of all targets that are installed, in the precisions that each has."""
    made: list[Candidate] = []
    writers: list[Int8Writer] = []  # one for all targets; none where none has int8, or no images to calibrate on

    def format_of(name: str, precision: str, trials: Path) -> Format:
        if precision == FP16:
            return half_format(name)
        if precision == FP32:
            return FORMATS[name]
        if not writers:
            writers.append(Int8Writer(judge, what, most_points, say))
        return writers[0].format(name, trials)

    for name, format in FORMATS.items():
        if name == TORCH or format.why_not_run:
            continue
        for precision, has in ((FP32, True), (FP16, name in HALVED), (INT8, name in QUANTISERS)):
            one = Candidate(format, folder / f"{precision}{format.suffix}", precision)
            if not has:
                continue
            say(f"{format.runtime}, {precision}: writing")
            with _left_out(one.key, left_out), TemporaryDirectory() as trials:
                runtime_of(format.runtime).check_installed()
                used = format_of(name, precision, Path(trials))
                with staged(one.path, format) as path:
                    write_in(precision, what, path, used)
                    if precision == INT8:
                        annotate(path, format, {"int8": writers[0].choices[name].to_json()})
                made.append(one._replace(format=used))
    return made, writers[0].choices if writers else {}


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


@contextmanager
def _lost(key: str, left_out: dict[str, str]) -> Iterator[None]:
    """Go on without a file that does not run."""
    try:
        yield
    except (LostError, MeasuringError) as error:
        left_out[key] = str(error)


@contextmanager
def _left_out(key: str, left_out: dict[str, str]) -> Iterator[None]:
    """Go on without a file that is refused; a disk that cannot be written would refuse all of them."""
    try:
        yield
    except WriteError:
        raise
    except UserError as error:
        left_out[key] = str(error)
