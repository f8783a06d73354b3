"""An export judged on images: what a file finds beside what its network finds."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from litepose_nas.data.augment import HALF
from litepose_nas.data.draw import Captioned, draw_people, side_by_side
from litepose_nas.data.images import load_picture, write_image
from litepose_nas.data.source import Source
from litepose_nas.exporters.annotated import annotate, bytes_of
from litepose_nas.exporters.checked import Checked, export
from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.half import half_format
from litepose_nas.exporters.int8 import base_of
from litepose_nas.exporters.int8_onnx import OnnxQuantiser
from litepose_nas.exporters.int8_table import quantiser_of
from litepose_nas.exporters.table import FORMATS, Format
from litepose_nas.inference.shifts import LEAST_SCORE, Shifts, shifts_between
from litepose_nas.metrics.paired import Loss, loss_between, points_lost
from litepose_nas.metrics.results import Result
from litepose_nas.runtimes import onnxruntime
from litepose_nas.runtimes.base import Session
from litepose_nas.runtimes.torch import TorchSession
from litepose_nas.steps import evaluate
from litepose_nas.steps.common import Say
from litepose_nas.steps.evaluate import Loaded
from litepose_nas.steps.file_network import DecodedTask, FileNetwork, file_input
from litepose_nas.steps.in_turn import Timing, time_in_turn
from litepose_nas.steps.int8_search import Damage, KeptLayer, choose_kept, order_by_damage
from litepose_nas.steps.judged_images import JudgedImages, choose

FP32, FP16, INT8 = "fp32", "fp16", "int8"
CALIBRATION, SELECTION = 64, 200  # training images: for the ranges of values, and to choose layers on


class FileRow(NamedTuple):
    """A file on images, beside torch."""

    target: str
    precision: str
    points: float
    loss: Loss
    shifts: Shifts
    bytes: int
    time: Timing


class ImageReport(NamedTuple):
    data: str
    split: str
    images: int
    figure: str
    points: float  # of torch
    time: Timing  # of torch
    rows: list[FileRow]

    def to_json(self) -> dict[str, Any]:
        rows = [
            {**row._asdict(), "loss": row.loss._asdict(), "shifts": row.shifts._asdict(), "time": row.time._asdict()}
            for row in self.rows
        ]
        said: dict[str, Any] = _finite({**self._asdict(), "time": self.time._asdict(), "rows": rows})
        return said


class Int8Choice(NamedTuple):
    """What is in int8, what is not, and why."""

    share: float  # of the network's MACs that the runtime computes with integers
    kept: list[KeptLayer]  # in floating point because they hurt
    not_run: list[str]  # layers that the runtime computes in floating point all the same
    calibrated_on: int  # images
    chosen_on: int
    points: float  # lost on those

    def to_json(self) -> dict[str, Any]:
        said: dict[str, Any] = _finite({**self._asdict(), "kept": [one._asdict() for one in self.kept]})
        return said


class Judge:
    """A network, the images that its files are judged on, and what it finds there itself."""

    def __init__(self, loaded: Loaded, source: Source, split: str, images: int, metric: str | None):
        self.loaded, self.source, self.split, self.metric = loaded, source, split, metric
        (dataset,) = choose(loaded, source, split, [images])
        self.images = JudgedImages(loaded, dataset, metric)
        self.before = self.images.results(loaded.net)
        self.found: list[Result] = []  # by the last file that was judged

    def row(self, what: Exported, path: Path, format: Format, target: str, precision: str, time: Timing) -> FileRow:
        session = format.open(path)
        network = FileNetwork(session, self.loaded.task.pixels, what.reads_bytes, len(format.batches) > 1)
        self.found = self.images.results(network, DecodedTask(self.loaded.task) if what.decodes else None)
        figure = self.images.figure
        loss, shifts = loss_between(figure, self.before, self.found), shifts_between(self.before, self.found)
        return FileRow(target, precision, figure.points(self.found), loss, shifts, bytes_of(path, format.suffix), time)

    def report(self, rows: list[FileRow], time: Timing) -> ImageReport:
        figure = self.images.figure
        points = figure.points(self.before)
        return ImageReport(self.source.name, self.split, len(self.images), figure.name, points, time, rows)

    def draw_worst(self, shifts: Shifts, path: Path) -> None:
        """Draw the image in which most changed, as torch and as the file that was judged last see it."""
        record = next(one for one in self.images.dataset.records if one.image_id == shifts.worst)
        image, zoom = load_picture(record), max(1.0, 480 / max(record.width, record.height))
        shown = []
        for results, words in ((self.before, "torch"), (self.found, "the file")):
            mine = [one for one in results if one["image_id"] == shifts.worst and one["score"] >= LEAST_SCORE]
            joints = len(self.loaded.skeleton.names)
            people = np.array([one["keypoints"] for one in mine], np.float32).reshape(-1, joints, 3)
            people[..., :2] += HALF
            scores = [one["score"] for one in mine]
            drawn = draw_people(image, people, self.loaded.skeleton, scores, zoom=zoom)
            shown.append(Captioned(drawn, f"image {shifts.worst}: {words}"))
        write_image(path, side_by_side(shown))


class Int8Writer:
    """Quantises a network for as many formats as are wanted, calibrated once on training images."""

    def __init__(self, judge: Judge, what: Exported, most_points: float, say: Say = lambda text: None):
        self.judge, self._what, self._most, self._say = judge, what, most_points, say
        loaded = judge.loaded
        source, seen = judge.source, len(judge.images)
        one_split = source.split("train") == source.split(judge.split)
        counts = [*([seen] if one_split else []), CALIBRATION, SELECTION]  # what is judged on is seen by neither
        *_, calibration, selection = choose(loaded, source, "train", counts)
        self._selection = JudgedImages(loaded, selection, judge.metric)
        self._before = self._selection.results(loaded.net)
        shown = JudgedImages(loaded, calibration, judge.metric)
        self._calibrated_on = len(shown)
        inputs = [file_input(view, loaded.task.pixels, what.reads_bytes) for view in shown.views]
        self.base = base_of(what, inputs)
        self._order: list[Damage] | None = None
        self._plain: OnnxQuantiser | None = None

    def write(self, format: str, path: Path, folder: Path) -> Int8Choice:
        """Write the file that loses no more than it may on the images that layers are chosen on."""
        quantiser, opened = quantiser_of(format)(self.base), FORMATS[format].open
        trial = folder / f"trial{FORMATS[format].suffix}"
        lost: dict[frozenset[str], float] = {}

        def points(kept: Collection[str]) -> float:
            quantiser.write(trial, kept)
            found = self._points(opened(trial), format)
            self._say(f"{format}: {len(kept)} of {len(quantiser.layers)} layers in floating point: {found:.2f} points")
            return lost.setdefault(frozenset(kept), found)

        kept = choose_kept(lambda: self._ordered(folder), points, self._most)
        names = [one.layer for one in kept]
        quantiser.write(path, names)
        integers = quantiser.in_int8(path)
        macs = sum(layer.macs for layer in self.base.layers if layer.name in integers)
        return Int8Choice(
            macs / self._what.meta["cost"]["macs"],
            [KeptLayer(*one, self._alone(one.layer, folder)) for one in kept],
            sorted({layer.name for layer in self.base.layers} - integers - set(names)),
            self._calibrated_on,
            len(self._selection),
            lost.get(frozenset(names), 0.0),
        )

    def _points(self, session: Session, format: str) -> float:
        network = FileNetwork(session, self.judge.loaded.task.pixels, self._what.reads_bytes)
        task = DecodedTask(self.judge.loaded.task) if self._what.decodes else None
        return points_lost(self._selection.figure, self._before, self._selection.results(network, task))

    @property
    def _simulator(self) -> OnnxQuantiser:
        """Layers are ordered in ONNX Runtime for every target: the arithmetic is the same, and it calibrates once."""
        if self._plain is None:
            self._plain = OnnxQuantiser(self.base)
        return self._plain

    def _ordered(self, folder: Path) -> list[Damage]:
        if self._order is None:
            self._say("ordering layers by what each alone does to the outputs")
            self._order = order_by_damage(self._simulator, onnxruntime.open_session, self.base.inputs, folder)
        return self._order

    def _alone(self, layer: str, folder: Path) -> float:
        path = folder / "alone.onnx"
        self._simulator.write(path, [other.name for other in self._simulator.layers if other.name != layer])
        return self._points(onnxruntime.open_session(path), "onnx")


def judge_of(
    target: str, size: tuple[int, int], source: Source, split: str, images: int, metric: str | None = None
) -> Judge:
    return Judge(evaluate.load(target, "cpu")._replace(size=size), source, split, images, metric)


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
    quantiser_of(name)  # refuses before anything is computed
    chosen: list[Int8Choice] = []
    with tempfile.TemporaryDirectory() as folder:
        writer = Int8Writer(judge, what, most_points, say)

        def write(what: Exported, path: Path) -> None:
            chosen.append(writer.write(name, path, Path(folder)))

        # How far integers are from torch on noise says nothing: images do.
        format = FORMATS[name]._replace(write=write, tolerance=math.inf)
        checked = export(what, out, format)
    annotate(out, format, {"precision": INT8, "int8": chosen[0].to_json()})
    return _judged(what, out, name, format, INT8, judge, Written(checked, int8=chosen[0]))


def write_fp32(what: Exported, out: Path, name: str, judge: Judge | None) -> Written:
    format = FORMATS[name]
    return _judged(what, out, name, format, FP32, judge, Written(export(what, out, format)))


def _judged(
    what: Exported, out: Path, name: str, format: Format, precision: str, judge: Judge | None, written: Written
) -> Written:
    """Judge a file that was written, beside one in fp32 where it is not, and let it say what came of it."""
    if judge is None or written.checked.parity is None:
        return written
    target, plain = written.checked.runtime, FORMATS[name]
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


def _finite(value: Any) -> Any:
    """JSON has neither NaN nor infinity: they become null."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
