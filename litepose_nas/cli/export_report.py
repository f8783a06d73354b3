"""What `export` and `benchmark` say of files that were judged on images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litepose_nas.cli import console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litepose_nas.steps.image_report import FileRow, ImageReport
    from litepose_nas.steps.in_turn import Timing
    from litepose_nas.steps.int8_writer import Int8Choice

HEAD = ("points", "lost (95 %)", "moved px", "95 % px", "missing", "extra", "ms", "noise", "MB")
SHOWN = 8  # layers that are named; JSON has all


def print_report(report: ImageReport) -> None:
    console.out(f"{report.figure} on {report.images} images of {report.data}, {report.split}; ms on one thread")
    console.table(("target", "precision", *HEAD), report_rows(report))


def report_rows(report: ImageReport) -> list[list[Any]]:
    torch = ["torch", "fp32", f"{report.points:.2f}", "-", "-", "-", "-", "-", *times(report.time), "-"]
    return [torch, *([row.target, row.precision, *cells(row)] for row in report.rows)]


def cells(row: FileRow) -> Sequence[Any]:
    loss, shifts = row.loss, row.shifts
    lost = f"{loss.points:.2f} ({loss.low:.2f} to {loss.high:.2f})"
    moved = (f"{shifts.median_px:.2f}", f"{shifts.p95_px:.2f}", shifts.missing, shifts.extra)
    return [f"{row.points:.2f}", lost, *moved, *times(row.time), f"{row.bytes / 1e6:.2f}"]


def times(time: Timing) -> tuple[str, str]:
    return f"{time.ms:.2f}", f"{time.noise:.0%}"


def print_int8(choice: Int8Choice, report: ImageReport | None, most_points: float) -> None:
    console.out(
        f"{choice.share:.1%} of the MACs are computed with integers; calibrated on {choice.calibrated_on} training "
        f"images, layers chosen on {choice.chosen_on} others, where {choice.points:.2f} points are lost"
    )
    if choice.kept:
        console.out("in floating point, with what each costs where it alone is in int8:")
        rows = [[one.layer, f"{one.points:.2f}", f"{one.error:.2g}"] for one in choice.kept[:SHOWN]]
        console.table(("layer", "points", "error of the outputs"), rows)
        if len(choice.kept) > SHOWN:
            console.out(f"and {len(choice.kept) - SHOWN} more; --json names all")
    if choice.not_run:
        console.out(f"in floating point because the runtime has it so: {named(choice.not_run)}")
    if report is None:
        return
    plain, int8 = report.rows
    ratio = int8.time.ms / plain.time.ms
    speed = "faster than" if ratio < 1 else "not faster than"
    console.out(f"{speed} fp32 here: {ratio:.2f} of its time")
    if int8.loss.points > most_points:
        console.out(
            f"more is lost than --max-loss {most_points:g}: these images are others than those on which layers were "
            "chosen; lower --max-loss, or take --half"
        )


def named(layers: Sequence[str]) -> str:
    more = f" and {len(layers) - SHOWN} more" if len(layers) > SHOWN else ""
    return ", ".join(layers[:SHOWN]) + more
