"""A network's files on images, beside what the network finds there itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from litepose_nas.data.augment import HALF
from litepose_nas.data.draw import Captioned, draw_people, side_by_side
from litepose_nas.data.images import load_picture, write_image
from litepose_nas.data.source import Source
from litepose_nas.errors import UserError
from litepose_nas.exporters.annotated import bytes_of
from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.table import Format
from litepose_nas.inference.shifts import LEAST_SCORE, Shifts, shifts_between
from litepose_nas.metrics.paired import Loss, loss_between
from litepose_nas.metrics.results import Result
from litepose_nas.pose.people import DivergedError
from litepose_nas.steps import evaluate
from litepose_nas.steps.evaluate import Loaded
from litepose_nas.steps.file_network import DecodedTask, FileNetwork
from litepose_nas.steps.in_turn import Timing
from litepose_nas.steps.judged_images import JudgedImages, choose


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
        said: dict[str, Any] = finite({**self._asdict(), "time": self.time._asdict(), "rows": rows})
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
        try:
            self.found = self.images.results(network, DecodedTask(self.loaded.task) if what.decodes else None)
        except DivergedError as error:
            raise UserError(
                f"{path.name}: not written, for it answers with NaN or infinity on images, in {target}, {precision}; "
                "choose another precision"
            ) from error
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


def judge_of(
    target: str, size: tuple[int, int], source: Source, split: str, images: int, metric: str | None = None
) -> Judge:
    return Judge(evaluate.load(target, "cpu")._replace(size=size), source, split, images, metric)


def finite(value: Any) -> Any:
    """JSON has neither NaN nor infinity: they become null."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
