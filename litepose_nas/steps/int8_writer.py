"""A network in int8 that loses no more than it may, for as many formats as are wanted."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from litepose_nas.exporters import table
from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.int8 import base_of
from litepose_nas.exporters.int8_onnx import OnnxQuantiser
from litepose_nas.exporters.int8_table import quantiser_of
from litepose_nas.exporters.table import Format
from litepose_nas.metrics.paired import points_lost
from litepose_nas.pose.people import DivergedError
from litepose_nas.runtimes import onnxruntime
from litepose_nas.runtimes.base import Session
from litepose_nas.steps.common import Say
from litepose_nas.steps.file_network import DecodedTask, FileNetwork, file_input
from litepose_nas.steps.image_report import Judge, finite
from litepose_nas.steps.int8_search import Damage, KeptLayer, choose_kept, order_by_damage
from litepose_nas.steps.judged_images import JudgedImages, choose

CALIBRATION, SELECTION = 64, 200  # training images: for the ranges of values, and to choose layers on


class Int8Choice(NamedTuple):
    """What is in int8, what is not, and why."""

    share: float  # of the network's MACs that the runtime computes with integers
    kept: list[KeptLayer]  # in floating point because they hurt
    not_run: list[str]  # layers that the runtime computes in floating point all the same
    calibrated_on: int  # images
    chosen_on: int
    points: float  # lost on those

    def to_json(self) -> dict[str, Any]:
        said: dict[str, Any] = finite({**self._asdict(), "kept": [one._asdict() for one in self.kept]})
        return said


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
        self.choices: dict[str, Int8Choice] = {}  # by format, of files that were written
        self._order: list[Damage] | None = None
        self._plain: OnnxQuantiser | None = None

    def format(self, name: str, folder: Path) -> Format:
        """The format, in int8; trials are written into the folder."""

        def write(what: Exported, path: Path) -> None:
            self.choices[name] = self.write(name, path, folder)

        # How far integers are from torch on noise says nothing: images do.
        return table.FORMATS[name]._replace(write=write, tolerance=math.inf)

    def write(self, format: str, path: Path, folder: Path) -> Int8Choice:
        """Write the file that loses no more than it may on the images that layers are chosen on."""
        quantiser, opened = quantiser_of(format)(self.base), table.FORMATS[format].open
        trial = folder / f"trial{table.FORMATS[format].suffix}"
        lost: dict[frozenset[str], float] = {}

        def points(kept: Collection[str]) -> float:
            quantiser.write(trial, kept)
            found = self._points(opened(trial), format)
            self._say(f"{format}: {len(kept)} of {len(quantiser.layers)} layers in floating point: {found:.2f} points")
            return lost.setdefault(frozenset(kept), found)

        kept = choose_kept(lambda: self._ordered(folder), points, self._most)
        names = [one.layer for one in kept]
        if frozenset(names) not in lost:  # all layers are in floating point
            points(names)
        quantiser.write(path, names)
        integers = quantiser.in_int8(path)
        macs = sum(layer.macs for layer in self.base.layers if layer.name in integers)
        return Int8Choice(
            macs / self._what.meta["cost"]["macs"],
            [KeptLayer(*one, self._alone(one.layer, folder)) for one in kept],
            sorted({layer.name for layer in self.base.layers} - integers - set(names)),
            self._calibrated_on,
            len(self._selection),
            lost[frozenset(names)],
        )

    def _points(self, session: Session, format: str) -> float:
        network = FileNetwork(session, self.judge.loaded.task.pixels, self._what.reads_bytes)
        task = DecodedTask(self.judge.loaded.task) if self._what.decodes else None
        try:
            found = self._selection.results(network, task)
        except DivergedError:  # integers made infinities of it
            return math.inf
        return points_lost(self._selection.figure, self._before, found)

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
