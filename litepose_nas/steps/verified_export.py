"""An export in fp32, half precision or int8, judged on images where there are some."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import NamedTuple

from litepose_nas.exporters import table
from litepose_nas.exporters.annotated import annotate
from litepose_nas.exporters.checked import Checked, export
from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.half import half_format
from litepose_nas.exporters.table import Format
from litepose_nas.runtimes.torch import TorchSession
from litepose_nas.steps.common import Say
from litepose_nas.steps.image_report import ImageReport, Judge
from litepose_nas.steps.in_turn import time_in_turn
from litepose_nas.steps.int8_writer import Int8Choice, Int8Writer

FP32, FP16, INT8 = "fp32", "fp16", "int8"


class Written(NamedTuple):
    checked: Checked
    report: ImageReport | None = None
    int8: Int8Choice | None = None
    worst: Path | None = None  # a picture


def write_half(what: Exported, out: Path, name: str, judge: Judge | None) -> Written:
    format = half_format(name)
    checked = export(what, out, format)
    annotate(out, format, {"precision": FP16})
    return _judged(what, out, name, format, FP16, judge, Written(checked))


def write_int8(what: Exported, out: Path, name: str, judge: Judge, most_points: float, say: Say) -> Written:
    chosen: list[Int8Choice] = []
    with tempfile.TemporaryDirectory() as folder:
        writer = Int8Writer(judge, what, most_points, say)

        def write(what: Exported, path: Path) -> None:
            chosen.append(writer.write(name, path, Path(folder)))

        # How far integers are from torch on noise says nothing: images do.
        format = table.FORMATS[name]._replace(write=write, tolerance=math.inf)
        checked = export(what, out, format)
    annotate(out, format, {"precision": INT8, "int8": chosen[0].to_json()})
    return _judged(what, out, name, format, INT8, judge, Written(checked, int8=chosen[0]))


def write_fp32(what: Exported, out: Path, name: str, judge: Judge | None) -> Written:
    format = table.FORMATS[name]
    return _judged(what, out, name, format, FP32, judge, Written(export(what, out, format)))


def _judged(
    what: Exported, out: Path, name: str, format: Format, precision: str, judge: Judge | None, written: Written
) -> Written:
    """Judge a file that was written, beside one in fp32 where it is not, and let it say what came of it."""
    if judge is None or written.checked.parity is None:
        return written
    target, plain = written.checked.runtime, table.FORMATS[name]
    with tempfile.TemporaryDirectory() as folder:
        files = {precision: (out, format)}
        if precision != FP32:
            path = Path(folder) / f"plain{plain.suffix}"
            plain.write(what, path)
            files = {FP32: (path, plain), **files}
        view = what.images(1)
        runs = {each: format.open(path, 1).ready(view) for each, (path, format) in files.items()}
        times = time_in_turn({"torch": TorchSession(what.net, 1).ready(view), **runs})
        rows = [judge.row(what, path, format, target, each, times[each]) for each, (path, format) in files.items()]
    report = judge.report(rows, times["torch"])
    annotate(out, format, {"images": report.to_json()})
    worst = None
    if rows[-1].shifts.worst is not None:
        worst = out.with_name(f"{out.name.removesuffix(format.suffix)}-worst.jpg")
        judge.draw_worst(rows[-1].shifts, worst)
    return written._replace(report=report, worst=worst)
