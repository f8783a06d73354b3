"""An export in fp32, half precision or int8, judged on images where there are some, before anything is kept."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

from litepose_nas.exporters import table
from litepose_nas.exporters.annotated import annotate
from litepose_nas.exporters.checked import Checked, staged, write_checked
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


def write_fp32(what: Exported, out: Path, name: str, judge: Judge | None) -> Written:
    return _write(what, out, name, table.FORMATS[name], FP32, judge)


def write_half(what: Exported, out: Path, name: str, judge: Judge | None) -> Written:
    return _write(what, out, name, half_format(name), FP16, judge)


def write_int8(what: Exported, out: Path, name: str, judge: Judge, most_points: float, say: Say) -> Written:
    with tempfile.TemporaryDirectory() as folder:
        writer = Int8Writer(judge, what, most_points, say)
        written = _write(what, out, name, writer.format(name, Path(folder)), INT8, judge, writer)
    return written._replace(int8=writer.choices[name])


def write_in(precision: str, what: Exported, path: Path, format: Format) -> Checked:
    """Write a file that says in which precision it is."""
    checked = write_checked(what, path, format)
    annotate(path, format, {"precision": precision})
    return checked


def _write(
    what: Exported,
    out: Path,
    name: str,
    format: Format,
    precision: str,
    judge: Judge | None,
    int8: Int8Writer | None = None,
) -> Written:
    """What is refused, on noise or on images, leaves nothing behind."""
    with staged(out, format) as path:
        checked = write_in(precision, what, path, format)
        if int8:
            annotate(path, format, {"int8": int8.choices[name].to_json()})
        if judge is None or checked.parity is None:
            return Written(checked)
        report = _judged(what, path, name, format, precision, judge, checked.runtime)
        annotate(path, format, {"images": report.to_json()})
        worst = None
        if report.rows[-1].shifts.worst is not None:
            worst = out.with_name(f"{out.name.removesuffix(format.suffix)}-worst.jpg")
            judge.draw_worst(report.rows[-1].shifts, path.with_name(worst.name))
        return Written(checked, report, worst=worst)


def _judged(
    what: Exported, path: Path, name: str, format: Format, precision: str, judge: Judge, target: str
) -> ImageReport:
    """Judge a file, beside one in fp32 where it is not."""
    plain = table.FORMATS[name]
    with tempfile.TemporaryDirectory() as folder:
        files = {precision: (path, format)}
        if precision != FP32:
            beside = Path(folder) / f"plain{plain.suffix}"
            plain.write(what, beside)
            files = {FP32: (beside, plain), **files}
        view = what.images(1)
        runs = {each: format.open(file, 1).ready(view) for each, (file, format) in files.items()}
        times = time_in_turn({"torch": TorchSession(what.net, 1).ready(view), **runs})
        rows = [judge.row(what, file, format, target, each, times[each]) for each, (file, format) in files.items()]
    return judge.report(rows, times["torch"])
