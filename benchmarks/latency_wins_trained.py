"""What a search by milliseconds wins over one by MACs, judged by fine-tuned networks of a real supernet.

    python benchmarks/latency_wins_trained.py SUPERNET profile.json ... [--data DATA] [--split test] [--steps 300]

For MACs, and for each profile, a search of the supernet keeps that cost low. Networks spread over each front are
extracted, fine-tuned alike, evaluated on pictures that nothing has seen, and measured here in the runtime. AP is
fitted as a line over the logarithm of the measured milliseconds, moved for those that the search by milliseconds found:
the shift says how many times as long the networks of a search by MACs take at the same AP. Intervals (95 %) are of
2,000 draws of the networks. Killed, the same line goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from litepose_nas.formats import subnet_file
from litepose_nas.latency import profile as profile_file
from litepose_nas.latency.profiles import NamedProfile
from litepose_nas.runs.run import ENDED, ENV, Run
from litepose_nas.space import Arch
from litepose_nas.steps.measured_again import measure_again

ROOT = Path(__file__).resolve().parent.parent
MACS = "macs"


class Trained(NamedTuple):
    arch: Arch
    score: float  # AP unless told otherwise; fine-tuned, on pictures that nothing has seen


def command(*words: object) -> str:
    """Run a command on one thread, so that figures can be repeated; return what it prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]])}
    asked = [sys.executable, "-m", "litepose_nas", *map(str, words)]
    done = subprocess.run(asked, env=environment, check=True, capture_output=True, text=True)
    return done.stdout


def run(verb: str, out: Path, *words: object) -> None:
    """Begin a run, or go on with it; one that has ended stays as it is."""
    if (out / ENDED).is_file():
        return
    if (out / ENV).is_file():
        command(verb, "--resume", "--out", out)
    else:
        command(verb, *words, "--out", out)


def front(folder: Path, nets: int) -> list[Path]:
    """Networks spread evenly over a search's front."""
    found = sorted((folder / "front").glob("subnet-*.json"), key=lambda path: subnet_file.read(path).cost.macs)
    return [found[number] for number in sorted({round(each) for each in np.linspace(0, len(found) - 1, nets)})]


def trained(subnet: Path, out: Path, judge: Sequence[str], figure: str, settings: Sequence[str], steps: int) -> Trained:
    """Fine-tune a network of a front and evaluate it, unless that was done."""
    kept, arch = out / "figures.json", subnet_file.read(subnet).arch
    if not kept.exists():
        out.mkdir(parents=True, exist_ok=True)
        weights = out / "inherited.safetensors"
        if not weights.exists():
            command("extract", subnet, "--device", "cpu", "--out", weights)
        run("finetune", out / "finetune", weights, *settings, "--steps", steps, "--device", "cpu")
        best = out / "finetune" / "weights" / "best.safetensors"
        figures = json.loads(command("evaluate", best, *judge, "--device", "cpu", "--json"))
        kept.write_text(json.dumps(figures), encoding="utf-8")
    return Trained(arch, float(json.loads(kept.read_text(encoding="utf-8"))[figure]))


def times_as_long(by_macs: Sequence[tuple[float, float]], by_ms: Sequence[tuple[float, float]]) -> float:
    """How many times as long networks found by MACs take at the same AP; pairs of milliseconds and AP."""
    rows = [(np.log(ms), 0.0, ap) for ms, ap in by_macs] + [(np.log(ms), 1.0, ap) for ms, ap in by_ms]
    x, moved, y = np.array(rows).T
    slope, shift, _ = np.linalg.lstsq(np.stack([x, moved, np.ones_like(x)], axis=1), y, rcond=None)[0]
    return float(np.exp(shift / slope)) if slope > 0 else float("nan")


def interval(by_macs: Sequence[tuple[float, float]], by_ms: Sequence[tuple[float, float]]) -> tuple[float, float]:
    rng, found = np.random.default_rng(0), []
    for _ in range(2000):
        one, other = ([rows[i] for i in rng.integers(len(rows), size=len(rows))] for rows in (by_macs, by_ms))
        found.append(times_as_long(one, other))
    low, high = np.nanquantile(found, (0.025, 0.975))
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("supernet", type=Path)
    parser.add_argument("profiles", nargs="+", type=Path)
    parser.add_argument("--budget", default="1GMAC", help="of every search, wide enough for all")
    parser.add_argument("--evals", type=int, default=80)
    parser.add_argument("--nets", type=int, default=6, help="of each front")
    parser.add_argument("--steps", type=int, default=300, help="of each fine-tuning")
    parser.add_argument("--settings", nargs="*", default=["lr=0.008", "ema=0.99"], help="of each fine-tuning")
    parser.add_argument("--data", default="", help="to judge by (default: the supernet's)")
    parser.add_argument("--split", default="val", help="of it")
    parser.add_argument("--metric", default="coco", help="to judge by")
    parser.add_argument("--figure", default="ap", help="of it")
    parser.add_argument("--minutes", type=float, default=2.0, help="of measuring, for each profile")
    parser.add_argument("--folder", type=Path, default=Path("runs") / "latency-wins")
    parser.add_argument("--train-only", action="store_true", help="search and fine-tune, and measure another time")
    asked = parser.parse_args()
    judge = ("--split", asked.split, "--metric", asked.metric, *(("--data", asked.data) if asked.data else ()))
    joints = int(Run.open(asked.supernet).settings["joints"])
    fronts: dict[str, list[Trained]] = {}
    for name, profile in ((MACS, None), *((path.stem, path) for path in asked.profiles)):
        low = ("--latency", profile, "--objective", "latency_ms", "--no-measure") if profile else ("--objective", MACS)
        searched = asked.folder / f"search-{name}"
        wide = ("--evals", asked.evals, "--budget", asked.budget, "--rank", "loss", "--device", "cpu")
        run("search", searched, asked.supernet, *wide, *low)
        fronts[name] = [
            trained(each, asked.folder / f"{name}-{each.stem}", judge, asked.figure, asked.settings, asked.steps)
            for each in front(searched, asked.nets)
        ]
        scores = ", ".join(f"{one.score:.3f}" for one in fronts[name])
        print(f"{name}: {asked.figure} {scores}", file=sys.stderr, flush=True)
    if asked.train_only:
        return
    head = ("runtime", "networks", "measured ms by MACs / by ms, at equal AP", "95 %", "noise")
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for path in asked.profiles:
        named = NamedProfile(str(path), profile_file.read(path))
        archs = list(dict.fromkeys(one.arch for one in (*fronts[MACS], *fronts[path.stem])))
        journal = asked.folder / f"measured-{path.stem}"
        found = measure_again(named, archs, joints, journal, asked.minutes, lambda text: None)
        took = []
        for name in (MACS, path.stem):
            times = ((found.ms[one.arch], one.score) for one in fronts[name])
            took.append([(ms, ap) for ms, ap in times if ms])
        low, high = interval(*took)
        cells = [
            f"{named.profile.runtime} {named.profile.runtime_version[:12]}",
            " + ".join(str(len(rows)) for rows in took),
            *(f"{times_as_long(*took):.2f}", f"{low:.2f} to {high:.2f}", f"{found.drift.noise:.1%}"),
        ]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
