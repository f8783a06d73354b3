"""Fine-tuning the best few of a search: who goes on, the same on every engine, killed or not."""

import csv
import json
import random
import signal
import time

import pytest

from litepose_nas.errors import UserError
from litepose_nas.formats import subnet_file
from litepose_nas.runs.journal import Journal, read
from litepose_nas.runs.run import Run
from litepose_nas.steps import successive_halving
from litepose_nas.steps.successive_halving import Stretch, nearest_to_best, rungs, work_of
from tests.helpers import tiny
from tests.helpers.commands import run
from tests.helpers.executors import needs_ray

WORDS = ["finetune", "found", "--candidates", "3", "--steps", "9", "batch=4"]


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A folder with people, a supernet that has hardly been trained, and a search of it."""
    folder = tmp_path_factory.mktemp("room")
    source, space = tiny.make_room(folder)
    tiny.supernet(folder / "net", source._replace(name="people"), space, steps=6)
    words = ["search", "net", "--budget", "20MMAC", "--evals", "12", "--method", "random", "--out", "found"]
    tiny.finish([*words, "--data", "people"], folder)
    return folder


@pytest.fixture(scope="module")
def straight(room):
    """What three candidates come to in one process."""
    tiny.finish([*WORDS, "--out", "straight"], room)
    return left(room, "straight")


def left(room, out):
    """Return what a competition left that must not depend on where it was held."""
    records = [
        {k: v for k, v in one.items() if k != "seconds"} for one in read(room / out / "candidates.jsonl").records
    ]
    trained = {
        f"{number}/{file.name}": file.read_bytes()
        for number in (1, 2, 3)
        for file in (room / out / "candidates" / str(number) / "finetune" / "weights").iterdir()
    }
    shipped = (room / "subnet-finetuned.safetensors").read_bytes()
    return {"records": sorted(map(json.dumps, records)), "shipped": shipped, **trained}


def same_nets(one, other):
    """Assert that two competitions came to the same; where they were held stands in the files."""
    assert one["records"] == other["records"]
    assert one.keys() == other.keys()
    for name in one.keys() - {"records"}:
        assert one[name][-2000:] == other[name][-2000:], name  # weights are behind the words


@pytest.mark.parametrize(
    ("count", "steps", "expected"),
    [
        (2, 9, [(2, 3), (1, 9)]),
        (3, 9, [(3, 3), (1, 9)]),
        (4, 900, [(4, 100), (2, 300), (1, 900)]),
        (9, 90, [(9, 10), (3, 30), (1, 90)]),
        (5, 1, [(5, 1), (2, 1), (1, 1)]),
    ],
)
def test_rungs(count, steps, expected):
    assert rungs(count, steps) == expected
    alone = dict.fromkeys(range(count), 0)
    for kept, until in expected:
        alone.update(dict.fromkeys(range(kept), until))
    assert work_of(expected) == sum(alone.values())


def test_the_candidates_are_the_choice_and_the_best_within_the_budget(room):
    searched = Run.open(room / "found")
    found = nearest_to_best(searched, 99)
    assert found[0].arch == subnet_file.read(room / "subnet.json").arch
    assert len({one.arch for one in found}) == len(found) == 12
    assert all(one.cost.macs <= 20e6 for one in found)
    assert [one.arch for one in nearest_to_best(searched, 3)] == [one.arch for one in found[:3]]
    with (room / "found" / "front.csv").open(newline="") as file:
        score_of = {row["arch"]: float(row["score"]) for row in csv.DictReader(file)}
    scores = [score_of[json.dumps(one.arch.to_dict())] for one in found[1:]]
    assert scores == sorted(scores, reverse=True)


def test_the_better_third_goes_on_and_the_best_ships(room, straight):
    records = read(room / "straight" / "candidates.jsonl").records
    assert [(one["candidate"], one["until"]) for one in records[:3]] == [(1, 3), (2, 3), (3, 3)]
    best = max(records[:3], key=lambda one: successive_halving._worth(one["scores"]))
    assert [(one["candidate"], one["until"]) for one in records[3:]] == [(best["candidate"], 9)]
    place = room / "straight" / "candidates" / str(best["candidate"]) / "finetune"
    assert straight["shipped"] == (place / "weights" / "best.safetensors").read_bytes()
    rows = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 9
    assert (room / "straight" / "ended.json").exists()


def test_going_on_in_stretches_is_going_on(room, straight):
    """Whoever was stopped after the first stretch has the weights that it would have had."""
    records = read(room / "straight" / "candidates.jsonl").records
    place = room / "straight" / "candidates" / str(records[-1]["candidate"])
    tiny.finish(["finetune", str(place / "subnet.safetensors"), "--steps", "9", "batch=4", "--out", "alone"], room)
    one, other = (folder / "weights" / "last.safetensors" for folder in (room / "alone", place / "finetune"))
    assert one.read_bytes()[-2000:] == other.read_bytes()[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "workers"), [("local", 2), pytest.param("ray", 2, marks=needs_ray)])
def test_every_engine_trains_the_same(room, straight, engine, workers):
    out = f"{engine}-{workers}"
    tiny.finish([*WORDS, "--engine", engine, "--workers", str(workers), "--out", out], room)
    same_nets(left(room, out), straight)


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_killed_and_resumed_it_ends_the_same(room, straight, times):
    rng, out = random.Random(times), f"killed-{times}"
    again = ["finetune", "--resume", "--out", out]
    for number in range(times):
        process = tiny.start([*WORDS, "--out", out, "--workers", "2"] if not number else again, room)
        tiny._until_held(process, room / out)
        time.sleep(rng.uniform(0, 4))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    tiny.finish([*again, "--workers", "2"], room)
    same_nets(left(room, out), straight)


class Recorded:
    """Trains nobody; says what it was told, and some diverge."""

    def __init__(self, scores):
        self.scores, self.asked = scores, []

    def __call__(self, stretch):
        self.asked.append(stretch)
        return self.scores[stretch.candidate]


def test_who_diverges_is_out_and_what_is_known_is_not_done_again(room, straight, monkeypatch):
    fake = Recorded({1: {"diverged": "x"}, 2: {"ap": 0.0, "loss": 3.0}, 3: {"ap": 0.0, "loss": 2.0}})
    monkeypatch.setattr(successive_halving.Trials, "training", lambda self, source: fake)
    monkeypatch.chdir(room)
    settings = Run.open("straight").settings

    def compete(name):
        with Run.create("finetune", settings=settings, out=name) if name else Run.resume("fake") as one:
            return successive_halving.compete(one, None, "cpu", successive_halving.ExecutorOptions(), lambda text: None)

    with pytest.raises(UserError, match="cannot be read"):  # nobody has really been trained
        compete("fake")
    assert fake.asked == [Stretch(1, 3), Stretch(2, 3), Stretch(3, 3), Stretch(3, 9)]
    with pytest.raises(UserError, match="cannot be read"):
        compete(None)
    assert len(fake.asked) == 4
    fake.scores = {number: {"diverged": "x"} for number in (1, 2, 3)}
    with pytest.raises(UserError, match="every candidate has diverged; train with a lower rate"):
        compete("all")
    header = Journal(room / "fake" / "candidates.jsonl", read(room / "fake" / "candidates.jsonl").header).header
    assert header["kind"] == "candidates"


def test_mistakes(room, monkeypatch, capsys):
    monkeypatch.chdir(room)
    for words, said in (
        ("finetune --workers 2", "--engine and --workers are for --candidates"),
        ("finetune net --candidates 2", "name the folder of a search that has ended"),
        ("finetune found --candidates 2 --engine loca", "did you mean 'local'?"),
        ("finetune --resume --out straight --candidates 3", "leave out --candidates"),
    ):
        assert run(f"litepose-nas {words}", monkeypatch) == 2
        assert said in capsys.readouterr().err
    assert run("litepose-nas finetune found --candidates 2 --steps 9 --dry-run", monkeypatch) == 0
    assert "2 networks of found: 2 to step 3, 1 to step 9: about" in capsys.readouterr().out
