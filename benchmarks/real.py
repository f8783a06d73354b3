"""Do rankings hold at equal cost, on photographs of faces and on drawn people?

    python benchmarks/real.py learn --room ROOM [--drawn] [--steps 1000] [key=value ...]
    python benchmarks/real.py truth --room ROOM [--drawn] [--minutes 5]
    python benchmarks/real.py recipe NAME --room ROOM [--drawn] [--minutes 5] [--seed 0] [key=value ...]
    python benchmarks/real.py scores NAME --room ROOM [--drawn] [--minutes 5] [--seed 0] [key=value ...]

`learn` trains one middle network of real_space.yaml alone with these settings of a training, and adds its figures to
ROOM/learn.csv: how settings are compared before 96 trainings are made with them.

`truth` trains 48 networks alone, each with two seeds: 4 strata of the MACs, 12 networks each, which differ by no more
than 2 %. Each training is a row of ROOM/truth.csv; killed, or when its minutes are over, the same line goes on behind
the last row, and it ends with status 75 while any training is left. Then it prints how well the two seeds agree inside
strata, which is the ceiling of any score, and what MACs, parameters and depth tell there.

`recipe` trains a supernet of the same space on the same pictures for so many minutes, with these settings changed, and
scores the 48 networks with its weights. Its row of ROOM/recipes.csv says how well inherited loss and NME (of people
PCK and AP) rank them inside strata: on the half that recipes are chosen on, on the other half, which confirms the
choice, and on all. The mean OKS of the nearest results and the loss times the pixels of the input stand beside them.

`scores` takes that supernet and compares what a network can be scored by: its inherited loss, the same after a short
training from the inherited weights, and what is known without any training (SynFlow, the norm of the first gradient).
Its rows of ROOM/scores.csv say what each costs.

Faces are those of faces68 in $POSE_REAL_DATA, of which only the split `train` is read; every fifth picture is held out
to judge by, of people who are in no other. Minutes and seconds are those of the processor, on one thread.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from pathlib import Path

import dearer_scores
import real_pictures
import rows
import supernet_recipe
import torch
import truth_in_strata
from inside_strata import table, taus
from real_pictures import Subject
from strata import EACH, STRATA, halves, strata
from trained_alone import Length, scorer_of, train_alone
from truth_in_strata import turned

from litepose_nas import costs
from litepose_nas.space import Space
from litepose_nas.train.recipe import changed

SPACE = Path(__file__).with_name("real_space.yaml")
NOT_DONE = 75  # the status of a run that is to be called again
# The loss is a mean over the pixels of heatmaps; this is its sum.
PER_JOINT = "inherited loss x pixels"
MIDDLE = 2  # the stratum whose first network learns
# What the trials in real-learn-cpu-1thread.csv came to.
# Steps and rates of a short training before scoring.
ADAPTED = ((0, 0.002), (10, 0.002), (25, 0.002), (50, 0.002), (50, 0.008))
LITTLE = ("rotation=0", "scale=1,1", "translate=0.03", "colour=0")  # for no picture comes often
FACES = Length(1000, ("batch=4", "lr=0.02", "clip=0.2", "foreground=5", *LITTLE))
DRAWN = FACES  # tried with faces alone


def learn(asked: argparse.Namespace, space: Space, subject: Subject) -> None:
    """Train one network as asked, and keep its figures."""
    arch, length = strata(space, subject.joints)[MIDDLE][0], Length(asked.steps, tuple(asked.settings))
    done = train_alone(subject, arch, length, 0, scorer_of(subject, space, length.recipe))
    row = {
        "pictures": subject.name,
        "settings": length,
        "mmac": f"{costs.cost(arch, joints=subject.joints).macs / 1e6:.2f}",
        "resolution": arch.input[0],
        "seconds": f"{done.seconds:.1f}",
        **{name: f"{value:.4f}" for name, value in done.scores.items()},
    }
    rows.append(asked.room / "learn.csv", row)
    print(row, flush=True)


def truth(asked: argparse.Namespace, space: Space, subject: Subject) -> None:
    """Train what is left of the truth, and print what it says once it is complete."""
    path = asked.room / "truth.csv"
    length = length_of(asked)
    if not truth_in_strata.train_all(space, subject, length, path, asked.minutes):
        raise SystemExit(NOT_DONE)
    nets = truth_in_strata.read(path, space, subject.figures)
    print(f"{subject.name}, {len(nets)} networks, each trained {truth_in_strata.SEEDS} times: {length}\n")
    print(table(nets, subject.figures, {}))


def recipe(asked: argparse.Namespace, space: Space, subject: Subject) -> None:
    """Train a supernet as asked, and say how the scores that it hands down rank the networks of the truth."""
    nets = truth_in_strata.read(asked.room / "truth.csv", space, subject.figures)
    if len(nets) < STRATA * EACH:
        raise SystemExit(f"the truth has {len(nets)} of {STRATA * EACH} networks; finish it: real.py truth")
    how = changed(length_of(asked).recipe, asked.settings, "topdown")
    folder = asked.room / "recipes" / f"{asked.name}-{asked.seed}"
    done = supernet_recipe.train(space, subject, how, asked.minutes, asked.seed, folder)
    print(f"{done.steps} steps, {done.seconds:.0f} s; scoring {len(nets)} networks", flush=True)
    found = supernet_recipe.inherited(done.supernet, [net.arch for net in nets], subject, how)
    (folder / "scores.csv").unlink(missing_ok=True)
    for net, one in zip(nets, found, strict=True):
        rows.append(folder / "scores.csv", {"stratum": net.stratum, **net.costs, **one})
    scores = {
        f"inherited {figure}": [turned(figure, one[figure]) for one in found] for figure in (*subject.figures, "oks")
    }
    pixels = [net.arch.input[0] * net.arch.input[1] for net in nets]
    scores[PER_JOINT] = [turned("loss", one["loss"] * many) for one, many in zip(found, pixels, strict=True)]
    row = {
        "name": asked.name,
        "settings": " ".join(asked.settings),
        "seed": asked.seed,
        "minutes": asked.minutes,
        "steps": done.steps,
        "seconds": f"{done.seconds:.0f}",
    }
    for part, places in halves([net.stratum for net in nets])._asdict().items():
        some = [nets[place] for place in places]
        own = {name: [values[place] for place in places] for name, values in scores.items()}
        print(f"\n{part}: {len(some)} networks\n\n{table(some, subject.figures, own)}")
        for figure in subject.figures:
            for name, tau in taus(some, figure, own).items():
                if name in own:
                    row[f"{part}: {name}, against {figure}"] = str(tau)
    rows.append(asked.room / "recipes.csv", row)


def compare_scores(asked: argparse.Namespace, space: Space, subject: Subject) -> None:
    """Rank the networks of the truth by dearer and by cheaper scores than the inherited loss."""
    nets = truth_in_strata.read(asked.room / "truth.csv", space, subject.figures)
    archs = [net.arch for net in nets]
    how = changed(length_of(asked).recipe, asked.settings, "topdown")
    folder = asked.room / "recipes" / f"{asked.name}-{asked.seed}"
    supernet = supernet_recipe.train(space, subject, how, asked.minutes, asked.seed, folder).supernet
    settings, path, unit = length_of(asked).settings, asked.room / "scores.csv", 0.0
    ways: dict[str, Callable[[], dearer_scores.Scored]] = {}
    for steps, rate in ADAPTED:
        length = Length(steps, (*settings, f"lr={rate}", "warmup=0"))
        name = f"loss after {steps} steps at {rate}" if steps else "inherited loss"
        ways[name] = functools.partial(dearer_scores.inherited, supernet, archs, subject, length, "loss")
    ways["SynFlow"] = functools.partial(dearer_scores.synaptic_flow, archs, subject.joints)
    ways["first gradient"] = functools.partial(dearer_scores.gradient_norm, archs, subject, length_of(asked), space)
    done = {row["score"] for row in rows.read(path) if (row["supernet"], row["seed"]) == (asked.name, str(asked.seed))}
    for name, way in ways.items():
        if name in done and unit:
            continue
        one = way()  # the first is always scored: its time is the unit of the others
        unit = unit or one.seconds
        against = {f"against {figure}": str(taus(nets, figure, {name: one.scores})[name]) for figure in subject.figures}
        row = {
            "supernet": asked.name,
            "seed": asked.seed,
            "score": name,
            "seconds": f"{one.seconds:.2f}",
            "evaluations": f"{one.seconds / unit:.1f}",
            **against,
        }
        if name not in done:
            rows.append(path, row)
        print(row, flush=True)


def length_of(asked: argparse.Namespace) -> Length:
    return DRAWN if asked.drawn else FACES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    learning = verbs.add_parser("learn")
    learning.add_argument("settings", nargs="*", metavar="key=value")
    learning.add_argument("--steps", type=int, default=FACES.steps)
    learning.set_defaults(work=learn)
    knowing = verbs.add_parser("truth")
    knowing.add_argument("--minutes", type=float, default=5.0, help="after which no further training begins")
    knowing.set_defaults(work=truth)
    for name, work in (("recipe", recipe), ("scores", compare_scores)):
        comparing = verbs.add_parser(name)
        comparing.add_argument("name")
        comparing.add_argument("settings", nargs="*", metavar="key=value")
        comparing.add_argument("--minutes", type=float, default=5.0, help="of the supernet's training")
        comparing.add_argument("--seed", type=int, default=0)
        comparing.set_defaults(work=work)
    for verb in verbs.choices.values():
        verb.add_argument("--room", type=Path, required=True, help="where pictures and figures are kept")
        verb.add_argument("--drawn", action="store_true", help="drawn people in place of faces")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    subject = (real_pictures.drawn if asked.drawn else real_pictures.faces)(asked.room)
    asked.work(asked, Space.load(str(SPACE)), subject)


if __name__ == "__main__":
    main()
