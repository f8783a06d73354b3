"""What a model card says of a network: figures it was saved with, or made now on a dataset, and its milliseconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from litepose_nas.data.source import Source
from litepose_nas.errors import UserError
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.latency import profile as profile_file
from litepose_nas.metrics.conditions import PredictionSettings, fields_of, lines_of
from litepose_nas.report.card import CardFigures, CardLatency
from litepose_nas.resolve import resolve
from litepose_nas.steps import evaluate

HELD_OUT = "held-out training images"


def network_of(target: str) -> tuple[Subnet, Path]:
    """A trained network and its file."""
    found = resolve(target)
    if found.weights is None:
        raise UserError(f"{target}: an architecture without weights; name a .safetensors file")
    return found.subnet, Path(found.weights)


def saved_figures(subnet: Subnet) -> list[CardFigures]:
    """What its training or its search found; the images were held out of the training set."""
    score = subnet.info.get("score")
    if not isinstance(score, dict):
        return []
    known = {key: float(score[key]) for key in ("ap", "loss") if isinstance(score.get(key), int | float)}
    known = {key: value for key, value in known.items() if math.isfinite(value)}
    conditions = [
        f"of {score.get('of', 'the network')}, on training images that no gradient saw; not the validation set"
    ]
    return [CardFigures(str(subnet.info.get("data", "?")), HELD_OUT, known, conditions)] if known else []


def figures_on(target: str, source: Source, split: str, device: str, progress: Any = None) -> CardFigures:
    """Figures in the dataset's own metric, made now."""
    loaded, looked_at = evaluate.given_boxes(evaluate.load(target, device), source, split, None)
    seen = evaluate.predict_split(loaded, source, split, False, progress)
    if not seen.labelled:
        raise UserError(f"{source.name}, {split}: nobody is labelled in these images, so there are no figures")
    metric = evaluate.metric_for(seen, source, split)
    report = evaluate.report(seen, metric, "released", PredictionSettings(False, (1.0,), looked_at))
    figures = {key: float(value) for key, value in report.figures.items() if type(value) in (int, float)}
    said = [f"metric {metric}", *lines_of(report.conditions)]
    return CardFigures(source.name, split, figures, said, {"metric": metric, **fields_of(report.conditions)})


def latencies(subnet: Subnet, profiles: Sequence[Path]) -> list[CardLatency]:
    found = []
    for path in profiles:
        known = profile_file.read(path)
        clock = profile_file.clock(known, str(path), subnet.arch.space)
        found.append(CardLatency(*profile_file.network_ms(clock, subnet.arch, subnet.joints), known.words))
    return found
