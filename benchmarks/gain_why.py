"""What each choice of a searched network is worth: it is changed back to that of the scaled network, and fine-tuned.

    python benchmarks/gain_why.py faces --room ROOM [--family vipnas] [--seed 0] [--budget 5] [--minutes 30]

Choices of one kind, such as all kernels, go back together. Every network is fine-tuned as in gain.py, which made the
room, twice with other pictures in another order; each is a row of ROOM/why.csv. The cost changes with a choice, and
stands beside it. Killed, or when its minutes are over, the same line goes on, and it ends with status 75.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import rows
import torch
from contest import SCALED, SEARCHED
from gain import FAMILIES, NOT_DONE, PLANS, SUBJECTS
from trained_alone import CPU, failed, score, scorer_of, train

from litepose_nas import costs, devices, weights
from litepose_nas.data.loader import Pictures
from litepose_nas.search.scoring import Split
from litepose_nas.space import Arch, Space
from litepose_nas.supernet import extract

SEEDS = 2
AS_SEARCHED, AS_SCALED = "as searched", "as scaled"


def kind(path: str) -> str:
    """Return what kind of choice a gene is; those of the head are a kind of their own."""
    return "head" if path.startswith("head") else path.rpartition(".")[2]


def variants(searched: Arch, scaled: Arch) -> Iterator[tuple[str, Arch]]:
    """Yield the searched network, those with the choices of one kind changed back, and the scaled network."""
    space = searched.space
    yield AS_SEARCHED, searched
    mine, theirs = searched.to_dict(), scaled.to_dict()
    for name in dict.fromkeys(kind(gene.path) for gene in space.genes):
        back = {path: value for path, value in theirs.items() if kind(path) == name}
        # A block that only the deeper network has is as that one chose it.
        changed = space.arch({**theirs, **mine, **back})
        if changed != searched:
            yield f"{name} as scaled", changed
    yield AS_SCALED, scaled


def table(path: Path, figure: str) -> str:
    found = rows.read(path)
    lines = [f"| choices | MMAC | test {figure}, mean | each |", "|---|---|---|---|"]
    for name in dict.fromkeys(row["choices"] for row in found):
        own = [row for row in found if row["choices"] == name]
        values = [float(row[f"test {figure}"]) for row in own]
        each = ", ".join(f"{value:.4f}" for value in values)
        lines.append(f"| {name} | {int(own[0]['macs']) / 1e6:.2f} | {fmean(values):.4f} | {each} |")
    return "\n".join(lines)


def chosen(room: Path, subject: str, asked: argparse.Namespace, space: Space) -> list[Arch]:
    """Return the searched and the scaled network of a contest."""
    wanted = {"pictures": subject, "family": asked.family, "seed": str(asked.seed), "budget": f"{asked.budget:g}"}
    here = [row for row in rows.read(room / "gain.csv") if wanted.items() <= row.items() and row["number"] == "0"]
    of_kind = {row["kind"]: space.arch(json.loads(row["arch"])) for row in here}
    if not {SEARCHED, SCALED} <= of_kind.keys():
        raise SystemExit(f"{room / 'gain.csv'} has no such contest; hold it first: gain.py contest")
    return [of_kind[SEARCHED], of_kind[SCALED]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", choices=SUBJECTS)
    parser.add_argument("--room", type=Path, required=True, help="of gain.py")
    parser.add_argument("--family", choices=FAMILIES, default="vipnas")
    parser.add_argument("--seed", type=int, default=0, help="of the contest")
    parser.add_argument("--budget", type=float, default=5, help="of the contest, MMAC")
    parser.add_argument("--minutes", type=float, default=30.0, help="after which no further training begins")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    subject, plan = SUBJECTS[asked.pictures](asked.room), PLANS[asked.pictures]
    space, length = Space.load(str(FAMILIES[asked.family].space)), plan.tuned
    folder = asked.room / "supernets" / f"{subject.name.replace(' ', '-')}-{asked.family}-{asked.seed}"
    supernet = weights.load_supernet(folder / "weights" / "last.safetensors", memory_format=devices.layout(CPU))
    tested = subject._replace(split=Split(subject.split.train, Pictures(subject.read_test())))
    scorer = scorer_of(tested, space, length.recipe)
    path, until = asked.room / "why.csv", time.process_time() + 60 * asked.minutes
    for name, arch in variants(*chosen(asked.room, subject.name, asked, space)):
        for seed in range(SEEDS):
            key = {"family": asked.family, "choices": name, "seed": str(seed)}
            if any(key.items() <= row.items() for row in rows.read(path)):
                continue
            if time.process_time() > until:
                raise SystemExit(NOT_DONE)
            net = devices.place(extract(supernet, arch), CPU)
            torch.manual_seed(seed)
            trained = train(subject, net, arch, length, seed, scorer)
            scores = score(scorer, net, arch.input, subject) if trained else failed(subject)
            figures = {f"test {figure}": f"{scores[figure]:.5f}" for figure in sorted({*subject.figures, "ap", "pck"})}
            cost = costs.cost(arch, joints=subject.joints)
            row = {**key, "macs": cost.macs, **figures, "arch": json.dumps(arch.to_dict())}
            rows.append(path, row)
            print({name: value for name, value in row.items() if name != "arch"}, flush=True)
    print(table(path, subject.figures[1]))


if __name__ == "__main__":
    main()
