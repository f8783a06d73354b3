"""Is a searched network better than one scaled by hand, at equal cost? Three seeds, two budgets, two families.

    python benchmarks/gain.py contest faces --room ROOM [--family vipnas mobilevit] [--seeds 0 1 2] [--minutes 30]
    python benchmarks/gain.py table ROOM/gain.csv ...

`contest` trains a supernet for each seed, and at each budget takes the network that a search finds best by its
inherited loss, the network scaled uniformly to the budget, and the published network of the family with its sizes
scaled to it; with `--more` also the second and third best of the search, and five random ones just within the budget.
All start from the supernet's weights and are fine-tuned alike.
The cost of the scaled network is the limit of the others, so that no searched network is dearer. Each fine-tuning is a
row of ROOM/gain.csv with its figures on held-out training pictures and on the test split, which nothing is chosen by;
killed, or when its minutes are over, the same line goes on, and it ends with status 75 while anything is left.

`table` reads such files and prints what searching gains. `searched` is the first network of the search's list;
`searched, best of 3` is the one of three that did best on held-out pictures after fine-tuning, as `finetune
--candidates 3` takes it; `random, best of 5` is chosen in the same way. Intervals are the middle 95 % of 10,000 draws
of the pairs.

Minutes and seconds are those of the processor, on one thread.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import contest
import gain_table
import real_pictures
import rows
import supernet_recipe
import torch
from contest import Contender, Contest
from real_pictures import Subject
from trained_alone import CPU, Length, failed, score, scorer_of, train

from litepose_nas import costs, devices, files
from litepose_nas.data.loader import Pictures
from litepose_nas.search.scoring import Scorer, Split
from litepose_nas.space import Space
from litepose_nas.supernet import extract
from litepose_nas.train.recipe import Recipe

NOT_DONE = 75  # the status of a run that is to be called again
HERE = Path(__file__).parent
SUBJECTS = {"faces": real_pictures.faces, "drawn": real_pictures.drawn, "lspet": real_pictures.poses}
LITTLE = ("rotation=0", "scale=1,1", "translate=0.03", "colour=0")  # for no picture comes often


class Family(NamedTuple):
    space: Path
    published: tuple[str, ...]
    budgets: tuple[float, ...]  # MMAC


class Plan(NamedTuple):
    """How supernets and networks are trained on a subject."""

    supernet: tuple[str, ...]  # settings
    minutes: float  # of a supernet
    evals: int  # of a search
    tuned: Length


FAMILIES = {
    "vipnas": Family(HERE / "real_space.yaml", ("s_vipnas-mbv3",), (5, 12)),
    "mobilevit": Family(HERE / "real_space_mobilevit.yaml", ("mobilevitpose-xxs",), (5, 12)),
}
SHORT = Plan(
    ("batch=4", "lr=0.02", "clip=0.2", "foreground=5", *LITTLE),
    4,
    60,
    Length(1600, ("batch=4", "lr=0.01", "clip=0.2", "foreground=5", "ema=0.99", *LITTLE)),
)
# Hard poses take longer, and there are more pictures of them.
LONG = SHORT._replace(minutes=10, tuned=SHORT.tuned._replace(steps=4000))
PLANS = {"faces": SHORT, "drawn": SHORT, "lspet": LONG}
SEARCHED, RANDOM = 3, 5
SHOWN = 6  # test pictures on which it is kept what was found, to be drawn


class Judges(NamedTuple):
    held: Scorer  # on held-out training pictures
    test: Scorer
    shown: Scorer  # on the first test pictures


class Contests(NamedTuple):
    """All contests of a subject, and how long they may still take."""

    subject: Subject
    plan: Plan
    room: Path
    until: float  # on the processor's clock
    tested: Pictures

    def check_time(self) -> None:
        if time.process_time() > self.until:
            raise SystemExit(NOT_DONE)

    @property
    def file(self) -> Path:
        return self.room / "gain.csv"

    def run(self, name: str, seed: int, more: bool) -> None:
        """Train a supernet and hold a contest at each budget; what the file has is not done again."""
        family = FAMILIES[name]
        space = Space.load(str(family.space))
        folder = self.room / "supernets" / f"{self.subject.name.replace(' ', '-')}-{name}-{seed}"
        recipe = Length(0, self.plan.supernet).recipe
        self.check_time()
        done = supernet_recipe.train(space, self.subject, recipe, self.plan.minutes, seed, folder)
        held = scorer_of(self.subject, space, recipe)
        final = self._scorer(self.tested, space, recipe)
        few = self.tested.dataset._replace(records=self.tested.dataset.records[:SHOWN])
        judges = Judges(held, final, self._scorer(Pictures(few), space, recipe))
        for mmac in family.budgets:
            journal = folder / f"search-{mmac:g}.jsonl"
            one = Contest(done.supernet, self.subject, recipe, mmac, seed, self.plan.evals, journal)
            for contender in _contenders(one, family, more):
                self._row(name, one, contender, judges)

    def _scorer(self, judged: Pictures, space: Space, recipe: Recipe) -> Scorer:
        return scorer_of(self.subject._replace(split=Split(self.subject.split.train, judged)), space, recipe)

    def _row(self, family: str, one: Contest, contender: Contender, judges: Judges) -> None:
        key = {
            "pictures": self.subject.name,
            "family": family,
            "seed": one.seed,
            "budget": f"{one.mmac:g}",
            "kind": contender.kind,
            "number": contender.number,
        }
        wanted = {name: str(value) for name, value in key.items()}
        if any(wanted.items() <= row.items() for row in rows.read(self.file)):
            return
        self.check_time()
        arch, length, held = contender.arch, self.plan.tuned, judges.held
        net = devices.place(extract(one.supernet, arch), CPU)
        inherited = score(held, net, arch.input, self.subject)
        net = devices.place(extract(one.supernet, arch), CPU)
        torch.manual_seed(one.seed)
        seconds = train(self.subject, net, arch, length, one.seed, held)
        found = [score(by, net, arch.input, self.subject) if seconds else failed(self.subject) for by in judges[:2]]
        cost = costs.cost(arch, joints=self.subject.joints)
        figures = [*self.subject.figures, *({"ap", "pck"} - {*self.subject.figures})]
        row = {
            **key,
            "macs": cost.macs,
            "limit": one.limit,
            "params": cost.params,
            "resolution": arch.input[0],
            "seconds": f"{seconds or 0:.1f}",
            **{
                f"{when} {figure}": f"{scores[figure]:.5f}"
                for when, scores in zip(("inherited", "held", "test"), (inherited, *found), strict=True)
                for figure in sorted(figures)
            },
            "supernet": f"{self.plan.minutes} minutes {' '.join(self.plan.supernet)}",
            "evals": one.evals,
            "finetuned": length,
            "arch": json.dumps(arch.to_dict()),
        }
        if seconds:
            name = "-".join(wanted.values()).replace(" ", "-")
            (self.room / "found").mkdir(exist_ok=True)
            files.write(self.room / "found" / f"{name}.json", json.dumps(judges.shown.found(net, arch.input)))
        rows.append(self.file, row)
        print({name: value for name, value in row.items() if name not in ("supernet", "arch", "finetuned")}, flush=True)


def _contenders(one: Contest, family: Family, more: bool) -> Iterator[Contender]:
    yield from contest.searched(one, SEARCHED if more else 1)
    yield from contest.others(one, family.published, RANDOM if more else 0)


def compete(asked: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    subject = SUBJECTS[asked.pictures](asked.room)
    until = time.process_time() + 60 * asked.minutes
    contests = Contests(subject, PLANS[asked.pictures], asked.room, until, Pictures(subject.read_test()))
    for seed in asked.seeds:
        for family in asked.family:
            contests.run(family, seed, asked.more)
    print(gain_table.table([contests.file]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    contesting = verbs.add_parser("contest")
    contesting.add_argument("pictures", choices=SUBJECTS)
    contesting.add_argument("--room", type=Path, required=True, help="where pictures and figures are kept")
    contesting.add_argument("--family", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    contesting.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    contesting.add_argument(
        "--more", action="store_true", help="three searched and five random networks at each budget"
    )
    contesting.add_argument("--minutes", type=float, default=30.0, help="after which no further training begins")
    contesting.set_defaults(work=compete)
    telling = verbs.add_parser("table")
    telling.add_argument("files", nargs="+", type=Path)
    telling.set_defaults(work=lambda asked: print(gain_table.table(asked.files)))
    asked = parser.parse_args()
    asked.work(asked)


if __name__ == "__main__":
    main()
