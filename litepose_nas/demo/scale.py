"""How large the demo is: every number of it in one place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from litepose_nas.errors import UserError
from litepose_nas.files import write
from litepose_nas.space import Space


class DemoScale(NamedTuple):
    """The demo's sizes and lengths; recipes are written as on the command line of the verbs."""

    # drawn people
    setting: str = "easy"
    train: int = 1200
    val: int = 256
    size: int = 128  # pixels of the pictures
    # the supernet
    space: str = "litepose-tiny"
    resolutions: tuple[int, ...] = (128,)  # those of the space that take part; none given: all
    supernet_steps: int = 2250
    # Small batches and many steps, for minutes are short; hardly an augmentation, for no picture comes often.
    supernet: tuple[str, ...] = (
        "batch=4", "lr=0.015", "widest_first=0.05", "random_nets=2", "widest_every=2",
        "rotation=0", "scale=1,1", "translate=0.03", "colour=0",
    )  # fmt: skip
    # the search; the first budget is the one at which the searched network meets the scaled one
    budgets: tuple[str, ...] = ("40MMAC", "60MMAC")
    evals: int = 60
    rank: str = "smoothed-ap"
    slice: int = 128  # held-out training pictures that candidates are scored on
    calibration: int = 32  # pictures behind a candidate's BN statistics
    calibration_batch: int = 16
    # what follows, the same for each of the five networks
    finetune_steps: int = 500
    finetune: tuple[str, ...] = ("lr=0.008", "ema=0.99")
    teacher: bool = False  # fine-tuning learns from the widest network too
    flip: bool = True  # evaluation looks at the mirrored picture too
    resamples: int = 200  # of the bootstrap


FULL = DemoScale()
# Every stage in seconds: to see that all of it runs. Its figures mean nothing.
QUICK = DemoScale(
    train=40, val=8, size=64, resolutions=(64,), supernet_steps=6, supernet=("batch=4",), budgets=("8MMAC", "16MMAC"),
    evals=7, slice=4, calibration=8, calibration_batch=4, finetune_steps=6, finetune=("batch=4",), resamples=20,
)  # fmt: skip


def read(kept: Mapping[str, Any], where: str) -> DemoScale:
    """The scale that a run's config.yaml holds, where tuples have become lists."""
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in kept.items()}
    like = FULL._asdict()
    odd = [key for key, value in values.items() if key not in like or type(value) is not type(like[key])]
    if odd:
        raise UserError(f"{where}: scale: {odd[0]}: not as in this version; start a new run")
    return DemoScale(**values)


def space_of(scale: DemoScale, folder: Path) -> str:
    """The name of the demo's space; one with fewer resolutions is written to a file first."""
    whole = Space.load(scale.space)
    if not scale.resolutions:
        return scale.space
    path = folder / "space.yaml"
    tree = {**json.loads(whole.source), "resolution": list(scale.resolutions)}
    write(path, yaml.safe_dump(tree, sort_keys=False))
    return str(path)
