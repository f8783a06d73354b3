"""The page of a training: curves, speed, images; of fine-tuning also what it changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from litepose_nas.report import before_after
from litepose_nas.report.before_after import BeforeAfter
from litepose_nas.report.pages.html import Block, PageContent, picture
from litepose_nas.runs import metrics, speed
from litepose_nas.runs.run import ENDED, Run
from litepose_nas.untrusted.opening import read_bytes

MOMENTS = 10  # pictures of predictions in the page
ROOM = 3 << 20  # bytes of all of them
POINTS = 600  # of a curve
_PREDICTIONS = re.compile(r"predictions-(\d+)\.jpg")
NAMES = {"ap": "AP", "loss": "loss"}


def content(run: Run) -> PageContent:
    settings, rows = run.settings, metrics.read(run.folder / "metrics.jsonl")
    finetuned = "subnet" in settings
    title = f"Fine-tuning of {settings['subnet']}" if "subnet" in settings else f"Training of {settings.get('space')}"
    about = [_state(run, rows), f"Trained on {settings['data']}, seed {settings['seed']}. From {run.folder}"]
    compared = before_after.read(run.folder) if finetuned else None
    blocks = [
        *(_compared(run.folder, compared) if compared else []),
        *_losses(rows),
        *_heldout(rows),
        _rate(rows),
        *_speed(run.folder),
        *_pictures(run.folder),
        {"is": "table", "title": "Settings", "head": ["setting", "value"], "rows": _settings(run)},
    ]
    return PageContent(title, about, blocks)


def _state(run: Run, rows: Sequence[Mapping[str, Any]]) -> str:
    step, steps = (rows[-1]["step"] if rows else 0), run.settings["steps"]
    fast = speed.read(run.folder)
    ended = (run.folder / ENDED).is_file() or step >= steps
    left = "" if ended or not fast else f", about {_duration(fast[-1].left)} left"
    return f"{'All' if step >= steps else f'{step:,} of'} {steps:,} steps{left}."


def _losses(rows: Sequence[Mapping[str, Any]]) -> Iterable[Block]:
    names = [key for key in _columns(rows) if "/" not in key and key not in ("step", "lr")]
    series = _series(rows, {name: name for name in names})
    yield _curves("Losses", "loss", series)


def _rate(rows: Sequence[Mapping[str, Any]]) -> Block:
    return _curves("Learning rate", "rate", _series(rows, {"lr": "learning rate"}))


def _heldout(rows: Sequence[Mapping[str, Any]]) -> Iterable[Block]:
    for key, name in NAMES.items():
        columns = {one: one.partition("/")[0] for one in _columns(rows) if one.endswith(f"/{key}")}
        if columns:
            yield _curves(f"{name} on held-out images", name, _series(rows, columns))


def _speed(folder: Path) -> Iterable[Block]:
    rows = _thinned(speed.read(folder))
    if rows:
        fast = [[row.step, row.images_per_second] for row in rows]
        waiting = [[row.step, 100 * row.waiting] for row in rows]
        yield _curves("Speed", "images per second", [{"name": "images per second", "points": fast}])
        waits = [{"name": "waiting for images", "points": waiting}]
        yield _curves("Share of the time spent waiting for images", "%", waits)


def _pictures(folder: Path) -> Iterable[Block]:
    images = folder / "images"
    names = [path.name for path in images.iterdir()] if images.is_dir() else []
    steps = sorted(int(found[1]) for name in names if (found := _PREDICTIONS.fullmatch(name)))
    files = {f"step {step:,}": images / f"predictions-{step}.jpg" for step in _thinned(steps, MOMENTS)}
    shown = _embedded(files)
    if shown:
        yield {"is": "pictures", "title": "Held-out images: the truth, and what is found", "steps": shown}
    targets = _embedded({"the first batch": images / "train.jpg"})
    if targets:
        yield {"is": "pictures", "title": "What it trains on: images and targets", "steps": targets}


def _embedded(files: Mapping[str, Path]) -> list[dict[str, str]]:
    """The pictures that can be read, as long as there is room; the last ones first, for they say most."""
    found, room = [], ROOM
    for label, path in reversed(list(files.items())):
        try:
            data = read_bytes(path, ROOM)
        except OSError:
            continue
        if len(data) > room:
            break
        room -= len(data)
        found.append({"label": label, "src": picture(data)})
    return found[::-1]


def _compared(folder: Path, found: BeforeAfter) -> Iterable[Block]:
    before, after = found.before, found.after
    within = f"within {100 * found.within:g} % of the person's box"
    at = found.shares.index(found.within) if found.within in found.shares else None
    rows = [["AP", f"{before.ap:.3f}", f"{after.ap:.3f}"]]
    rows.append(["people found, of those labelled", *(f"{one.found} of {found.people}" for one in (before, after))])
    if at is not None:
        rows.append([f"joints {within}", *(_percent(one.curve[at]) for one in (before, after))])
    heading = f"Before and after, on {found.images} held-out images"
    yield {"is": "table", "title": heading, "head": ["", "before", "after"], "rows": rows}
    curves = [
        {"name": name, "points": [[100 * s, _share(y)] for s, y in zip(found.shares, one.curve, strict=True)]}
        for name, one in (("before", before), ("after", after))
    ]
    yield {
        "is": "curves", "title": "PCK: joints within a distance", "series": curves,
        "x": "distance, % of the longer side of the person's box", "y": "% of the joints",
    }  # fmt: skip
    right = [(_share(a), _share(b)) for a, b in zip(before.joints, after.joints, strict=True)]
    yield _bars(f"Each joint: % {within}", found.names, right, " %")
    yield _bars(
        "Each joint: median error in pixels, of people who were found",
        found.names,
        list(zip(before.pixels, after.pixels, strict=True)),
        " px",
    )
    if found.worst:
        images = [
            {
                "src": picture(before_after.image_bytes(folder, one.image)),
                "width": one.image.width,
                "height": one.image.height,
                "caption": f"{one.image.caption}: similarity {one.similarity:.2f}",
                "truth": one.image.truth,
                "first": one.before,
                "second": one.after,
            }
            for one in found.worst
        ]
        title = f"The {len(images)} images where most is wrong after fine-tuning"
        yield {
            "is": "poses",
            "title": title,
            "limbs": found.limbs,
            "first": "before",
            "second": "after",
            "images": images,
        }


def _bars(title: str, names: Sequence[str], pairs: Sequence[tuple[Any, Any]], unit: str) -> Block:
    rows = [{"name": name, "values": list(pair)} for name, pair in zip(names, pairs, strict=True)]
    return {"is": "bars", "title": title, "names": ["before", "after"], "unit": unit, "rows": rows}


def _settings(run: Run) -> list[list[str]]:
    rows = []
    for key, value in run.settings.items():
        if isinstance(value, Mapping):
            rows += [[f"{key}.{inner}", str(one)] for inner, one in value.items()]
        else:
            rows.append([key, str(value)])
    shown = ("litepose_nas", "commit", "torch", "python", "platform")
    return rows + [[key, str(run.env[key])] for key in shown if run.env.get(key)]


def _curves(title: str, y: str, series: list[dict[str, Any]]) -> Block:
    return {"is": "curves", "title": title, "x": "step", "y": y, "series": series}


def _series(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> list[dict[str, Any]]:
    found = []
    for key, name in columns.items():
        points = [[row["step"], float(row[key])] for row in rows if row.get(key) is not None]
        found.append({"name": name, "points": _thinned(points)})
    return found


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row))


def _thinned(rows: Sequence[Any], most: int = POINTS) -> list[Any]:
    if len(rows) <= most:
        return list(rows)
    return [rows[round(at * (len(rows) - 1) / (most - 1))] for at in range(most)]


def _share(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 2)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
