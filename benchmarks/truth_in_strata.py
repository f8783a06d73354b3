"""Networks in strata of equal cost, each trained alone with several seeds: the truth, kept as a CSV."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import NamedTuple

import rows
from real_pictures import Subject
from strata import strata
from trained_alone import Length, scorer_of, train_alone

from litepose_nas import costs
from litepose_nas.space import Arch, Space

SEEDS = 2
COSTS = ("macs", "params", "depth", "resolution")  # what is known of a network without any training
LESS_IS_BETTER = ("loss", "nme")


class Known(NamedTuple):
    """A network of a stratum and what is known of it; scores are so turned that greater is better."""

    arch: Arch
    stratum: int
    costs: dict[str, float]
    scores: dict[str, list[float]]  # one for each seed


def train_all(space: Space, subject: Subject, length: Length, path: Path, minutes: float) -> bool:
    """Train what the CSV lacks until the minutes of the processor are over; return whether nothing is left."""
    known = rows.read(path)
    if known and known[0]["settings"] != str(length):
        raise SystemExit(f"{path} was made with {known[0]['settings']}; name another room, or delete it")
    done = {(int(row["net"]), int(row["seed"])) for row in known}
    groups, scorer = strata(space, subject.joints), scorer_of(subject, space, length.recipe)
    # One network of each stratum after the other, so that the first rows tell of all sizes.
    nets = [(stratum, arch) for row in zip(*groups, strict=True) for stratum, arch in enumerate(row)]
    began = time.process_time()
    for seed in range(SEEDS):
        for net, (stratum, arch) in enumerate(nets):
            if (net, seed) in done:
                continue
            if time.process_time() - began > 60 * minutes:
                return False
            trained = train_alone(subject, arch, length, seed, scorer)
            cost = costs.cost(arch, joints=subject.joints)
            row = {
                "net": net,
                "stratum": stratum,
                "seed": seed,
                "macs": cost.macs,
                "params": cost.params,
                "depth": depth(arch),
                "resolution": arch.input[0],
                "seconds": f"{trained.seconds:.1f}",
                **{name: f"{value:.6f}" for name, value in trained.scores.items()},
                "settings": length,
                "arch": json.dumps(arch.to_dict()),
            }
            rows.append(path, row)
            print(f"{len(done) + 1} of {SEEDS * len(nets)}: {row}", flush=True)
            done.add((net, seed))
    return True


def depth(arch: Arch) -> int:
    """Return how many blocks the stages of a network have."""
    return sum(part.name.startswith("stages.") for part in arch.plan(1))


def read(path: Path, space: Space, figures: tuple[str, ...]) -> list[Known]:
    """Return the networks of a CSV that were trained with every seed."""
    of_net: dict[int, list[dict[str, str]]] = {}
    for row in rows.read(path):
        of_net.setdefault(int(row["net"]), []).append(row)
    return [
        Known(
            space.arch(json.loads(first["arch"])),
            int(first["stratum"]),
            {name: float(first[name]) for name in COSTS},
            {figure: [turned(figure, float(row[figure])) for row in (first, *others)] for figure in figures},
        )
        for first, *others in of_net.values()
        if len(others) + 1 == SEEDS
    ]


def turned(figure: str, value: float) -> float:
    """Return a score so that greater is better."""
    return -value if figure in LESS_IS_BETTER else value
