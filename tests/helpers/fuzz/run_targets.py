"""The parsers of what lies in the folder of a run: lock, settings, metrics, journal, and the report made of it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import platform
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from litepose_nas import costs
from litepose_nas.budget import Budget
from litepose_nas.latency.standalone import kit_run
from litepose_nas.latency.standalone.rounds_file import RoundsFile
from litepose_nas.latency.standalone.samples_format import tree_digest
from litepose_nas.report.record import load_search
from litepose_nas.report.summary import summarise, to_json
from litepose_nas.runs import journal, lock
from litepose_nas.runs.journal import Journal
from litepose_nas.runs.metrics import Metrics
from litepose_nas.runs.run import COMMAND, Run, digest
from litepose_nas.search import random_search
from litepose_nas.search.journal import header
from litepose_nas.search.loop import run_search
from litepose_nas.search.problem import Problem
from litepose_nas.search.ranking import by_ap_or_loss
from litepose_nas.space import Space
from litepose_nas.train.recipe import from_mapping
from litepose_nas.untrusted import yaml_text
from tests.helpers.fuzz.target import Target
from tests.helpers.unsummed import without_sums

SETTINGS = {
    "seed": 0,
    "space": "litepose-tiny",
    "recipe": {"lr": 0.005, "batch": 2},
    "budget": ["60MMAC"],
    "data": "people",
}
RUN = "runs/search/mine"


def _make_run(name: str, folder: Path) -> list[bytes]:
    with Run.create("search", out=folder / RUN, settings=SETTINGS):
        pass
    if name == "lock":
        holders: Sequence[object] = (
            {"pid": 2**22 + 1, "host": platform.node(), "started": "1"},
            {"pid": 1, "host": platform.node(), "started": "1"},
        )
        return [json.dumps(one).encode() for one in holders]
    return [(folder / RUN / name).read_bytes()]


def _open_run(path: Path) -> None:
    folder = path.parent
    for see in (Run.open, lambda folder: Run.latest("search", base=folder.parents[1])):
        run = see(folder)
        from_mapping(run.settings.get("recipe", {}))
    (folder / COMMAND).unlink(missing_ok=True)
    Run.resume(folder).close()


def _open_changed(path: Path) -> None:
    """Open a run whose settings were changed together with their digest: what is in them is looked at then."""
    env = path.parent / "env.json"
    with contextlib.suppress(Exception):
        found = digest(journal.plain(yaml_text.load(path.read_text())))
        env.write_text(json.dumps({**json.loads(env.read_bytes()), "config": found}))
    _open_run(path)


def _take_lock(path: Path) -> None:
    try:
        lock.take(path)
    finally:
        lock.give_back(path)


def _make_metrics(folder: Path) -> list[bytes]:
    metrics = Metrics(folder)
    for step in range(5):
        metrics.append({"step": 10 * step, "loss": 1 / (step + 1), **({"ap": 0.1 * step} if step % 2 else {})})
    return [metrics.lines.read_bytes()]


def _read_metrics(path: Path) -> None:
    Metrics(path.parent, 30).append({"step": 40, "loss": 0.5})
    Metrics(path.parent)


@cache
def _searched() -> tuple[dict[str, object], bytes]:
    """The header of a small search, and its journal."""
    space = Space.load("litepose-tiny")
    problem = Problem(space, Budget.of(["60MMAC"]), costs.cost, by_ap_or_loss)
    notes = {"budget": ["60MMAC"], "convention": "exact", "families": {"": {"joints": 17, "info": {"seed": 0}}}}
    first = header({"": (space, "")}, 0, objectives=problem.low, method="random", rank="auto")

    def score(arch):
        ap = 0.1 * (math.log(costs.cost(arch).macs) - 14)
        return {"ap": ap, "loss": 1 - ap, "seconds": 0.1}

    with TemporaryDirectory() as folder:
        opened = Journal(Path(folder) / "journal.jsonl", first, notes)
        run_search(problem, random_search.searcher(problem, 0), score, opened, 10)
        for record in opened.records[:3]:
            opened.append({"again": 1, "arch": record["arch"], "result": record["result"]})
        without_sums(opened.path)  # which would refuse what is broken before anybody reads it
        return first, opened.path.read_bytes()


def _make_journal(_: Path) -> list[bytes]:
    return [_searched()[1]]


def _read_journal(path: Path) -> None:
    journal.read(path)
    Journal(path, _searched()[0]).append({"a": 1})


def _report(path: Path) -> None:
    record = load_search(path)
    json.dumps(to_json(summarise(record)))
    summarise(record, Budget.of(["40MMAC"]))


def _make_kit(folder: Path) -> list[bytes]:
    (folder / kit_run.MODELS).write_bytes(b"networks")
    tree = json.loads(Space.load("litepose-tiny").source)
    manifest = {
        "kind": kit_run.KIT_KIND,
        "version": kit_run.KIT_VERSION,
        "spaces": {"litepose-tiny": {"tree": tree, "digest": tree_digest(tree)}},
        "networks": [{"name": "0", "space": "litepose-tiny", "shape": [1, 3, 64, 64], "role": "anchor"}],
        "blocks": [{"shape": [1, 16, 8, 8]}],
        "models_sha256": hashlib.sha256(b"networks").hexdigest(),
    }
    return [json.dumps(manifest).encode()]


def _make_rounds(folder: Path) -> list[bytes]:
    rounds = RoundsFile(folder / "made.jsonl", {"networks": ["a", "b"], "runtime": "torch"})
    for number in range(3):
        rounds.append({"round": number, "ms": [1.5, 2.5]})
    rounds.close()
    return [(folder / "made.jsonl").read_bytes()]


def _read_rounds(path: Path) -> None:
    with contextlib.redirect_stderr(io.StringIO()):
        RoundsFile(path, {"networks": ["a", "b"], "runtime": "torch"}).close()


TARGETS = (
    Target("lock", f"{RUN}/lock", "json", partial(_make_run, "lock"), _take_lock),
    Target("env-json", f"{RUN}/env.json", "json", partial(_make_run, "env.json"), _open_run),
    Target("config-yaml", f"{RUN}/config.yaml", "yaml", partial(_make_run, "config.yaml"), _open_changed),
    Target("metrics", "metrics.jsonl", "lines", _make_metrics, _read_metrics),
    Target("journal", "journal.jsonl", "lines", _make_journal, _read_journal),
    Target("report", "journal.jsonl", "lines", _make_journal, _report),
    Target("kit", "manifest.json", "json", _make_kit, lambda path: kit_run.read_kit(path.parent)),
    Target("rounds", "rounds.jsonl", "lines", _make_rounds, _read_rounds),
)
