"""One search across supernets of several families: what it refuses, what it leaves, what its report says."""

import csv
import json
import math
import random
import shutil
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest

from litepose_nas import Space, UserError, costs
from litepose_nas.budget import Budget
from litepose_nas.data.source import open_source
from litepose_nas.formats import subnet_file
from litepose_nas.metrics.coco import coco_ap
from litepose_nas.report.record import load_search
from litepose_nas.report.summary import summarise
from litepose_nas.report.words import verdict
from litepose_nas.runs.journal import Journal, read
from litepose_nas.runs.run import Run
from litepose_nas.search.journal import JournalView, header
from litepose_nas.search.scoring import Protocol
from litepose_nas.search.workload import Workload
from litepose_nas.steps import search_plan, successive_halving
from litepose_nas.steps.common import MOST_IN_SLICE, read_data
from litepose_nas.train.recipe import Recipe
from tests.helpers import page_data, tiny
from tests.helpers.commands import run
from tests.helpers.executors import needs_ray
from tests.helpers.unsummed import without_sums

SVG = "{http://www.w3.org/2000/svg}"


# ── supernets that cannot be compared ──


def a_run(folder, **more):
    kept = {"space": "litepose-tiny", "space_digest": "1", "data": "people", "seed": 0, "joints": 17}
    return SimpleNamespace(folder=folder, settings={**kept, **more})


def test_supernets_of_other_pictures_or_of_one_space_are_refused():
    one, other = a_run("runs/a"), a_run("runs/b", space="topdown-tiny", space_digest="2")
    search_plan.check_alike([one, other])
    with pytest.raises(UserError, match="runs/a and runs/a: two supernets of one space, litepose-tiny"):
        search_plan.check_alike([one, other, one])
    moved = a_run("runs/b", space_digest="2", data="others")
    with pytest.raises(UserError, match="runs/a and runs/b: trained with data people and others, so the pictures"):
        search_plan.check_alike([one, moved])
    search_plan.check_alike([one, moved], data="where-they-are-now")
    with pytest.raises(UserError, match=r"trained with seed 0 and 3, .*same --data and --seed"):
        search_plan.check_alike([one, a_run("runs/b", space_digest="2", seed=3)], data="anywhere")
    names = ["my/small.yaml", "your/small.yaml", "small.yml", "v1.5"]
    assert search_plan.names_of([SimpleNamespace(name=name) for name in names]) == [
        "small",
        "small-2",
        "small-3",
        "v1.5",
    ]


# ── on drawn people, with two supernets ──


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two supernets that have hardly been trained, in a folder of their own."""
    room = tmp_path_factory.mktemp("room")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(room)
        source, space = tiny.make_room(room)
        tiny.supernet(room / "whole", source, space, steps=4)
        tiny.supernet(room / "alone", source, "topdown-tiny", steps=4)
    return room


ASK = "litepose-nas search whole alone --budget 20MMAC --evals 8"


@pytest.fixture(scope="module")
def searched(trained):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(trained)
        assert run(f"{ASK} --people 2.5 --out found", patch) == 0
    return trained / "found"


def test_a_search_leaves_one_front_and_a_winner(searched, trained):
    record = load_search(searched)
    found = summarise(record)
    assert list(record.families) == ["small", "topdown-tiny"]
    assert sum(len(family.found) for family in record.families.values()) == 8
    with (searched / "front.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    for row in rows:
        space = record.families[row["family"]].problem.space
        task, cost = space.task, costs.cost(space.arch(json.loads(row["arch"])))
        assert int(row["macs_of_a_run"]) == cost.macs
        assert int(row["macs"]) == (math.ceil(2.5 * cost.macs) if task == "topdown" else cost.macs)
        assert int(row["macs"]) <= 20e6
        assert float(row["score"]) == -float(row["loss"])  # nobody has an AP after four steps
    assert [
        subnet_file.read(searched / "front" / name).arch
        for name in sorted(p.name for p in (searched / "front").iterdir())
    ] == [one.arch for one in found.front]
    chosen = subnet_file.read(trained / "subnet.json")
    assert chosen == subnet_file.read(searched / "subnet.json") == found.subnet(found.chosen)
    assert chosen.info["supernet"]["path"].split("/")[0] in ("whole", "alone")
    for name, past in record.families.items():
        best = subnet_file.read(searched / "best" / f"{name}.json")
        assert (best.arch.space, best.info["family"]) == (past.problem.space, name)
        assert best.info["supernet"] == past.info["supernet"]
        assert best.info["picture"]["people"] == "5/2"
    told = json.loads((searched / "families.json").read_text())
    assert (told["winner"], told["mute"], told["people"]) == (found.comparison.winner.family, True, 2.5)
    assert [one["people"] for one in told["by_people"]] == list(range(1, 21))
    for name in ("front.svg", "people.svg"):
        assert ET.fromstring((searched / name).read_text()).tag == f"{SVG}svg"


def test_killed_or_with_workers_it_finds_the_same(searched, trained, monkeypatch, tmp_path):
    monkeypatch.chdir(trained)
    lines = (searched / "journal.jsonl").read_bytes().splitlines(keepends=True)

    def without_seconds(path):
        records = read(path / "journal.jsonl").records
        return [{**r, "result": {k: v for k, v in r.get("result", {}).items() if k != "seconds"}} for r in records]

    for number, (kept, more) in enumerate([(0, ""), (4, ""), (10, "--workers 1"), (len(lines) - 1, "")]):
        folder = tmp_path / str(number)
        folder.mkdir()
        if number == 1:  # as begun by version 0.1.0
            shutil.copyfile(searched / "journal.jsonl", folder / "journal.jsonl")
            first, *records = without_sums(folder / "journal.jsonl")
            first |= {"kind": "families", "first_look": 1.0, "eager": False}
            lines = [json.dumps(record).encode() + b"\n" for record in (first, *records)]
        for name in ("config.yaml", "env.json", "command.txt"):
            (folder / name).write_bytes((searched / name).read_bytes())
        (folder / "journal.jsonl").write_bytes(b"".join(lines[:kept]) + lines[kept][: len(lines[kept]) // 2])
        assert run(f"litepose-nas search --resume --out {folder} {more}", monkeypatch) == 0
        assert without_seconds(folder) == without_seconds(searched)
        assert (folder / "subnet.json").read_bytes() == (searched / "subnet.json").read_bytes()


def test_the_report_chooses_again_for_other_pictures_without_a_new_evaluation(searched, trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    before = (searched / "journal.jsonl").read_bytes()
    assert run(f"litepose-nas report {searched} --people 1 --budget 15MMAC", monkeypatch) == 0
    out = capsys.readouterr().out
    assert "runs once a picture (as asked for), finding them is not counted; it looks into the true boxes" in out
    assert "no AP is above 0.02 yet, so nothing can be said of which family is better" in out
    assert "next: litepose-nas extract subnet.json" in out
    assert (searched / "journal.jsonl").read_bytes() == before
    page = (searched / "report" / "report.html").read_text()
    (links,) = page_data.blocks(page, "links")
    assert ["topdown-tiny", "topdown-tiny/report.html"] in links["rows"]
    assert (searched / "report" / "topdown-tiny" / "report.html").is_file()
    with (searched / "report" / "front.csv").open(newline="") as file:
        assert {row["family"] for row in csv.DictReader(file)} <= {"small", "topdown-tiny"}
    assert run("litepose-nas extract subnet.json", monkeypatch) == 0
    assert "bitwise equal to the supernet's subnet" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"none of 8 .* to choose for an image of 2\.5 people: 1kparams is less"):
        summarise(load_search(searched), Budget.of(["1kparams"]))


def test_a_family_that_cannot_keep_the_budget_is_named_before_weights_or_pictures_are_read(trained):
    trained = [Run.open(trained / name) for name in ("whole", "alone")]
    archs = search_plan.check_reachable(trained, Budget.of(["20MMAC"]), Workload(Fraction(4)))
    assert all(costs.cost(arch).macs <= most for arch, most in zip(archs, (20e6, 5e6), strict=True))
    with pytest.raises(
        UserError,
        match=r"budget 20MMAC a picture, which for each of 40 people is MACs <= 500 kMAC: no topdown-tiny network fits"
        r"(.|\n)*or leave .*/alone out",
    ):
        search_plan.check_reachable(trained, Budget.of(["20MMAC"]), Workload(Fraction(40)))


def test_candidates_are_the_winners_relatives(searched, monkeypatch, trained):
    monkeypatch.chdir(trained)
    chosen = subnet_file.read(searched / "subnet.json")
    found = successive_halving.nearest_to_best(Run.open(searched), 3)
    assert len(found) == 3
    assert {one.arch.space for one in found} == {chosen.arch.space}
    assert {one.info["supernet"]["sha256"] for one in found} == {chosen.info["supernet"]["sha256"]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda lines: [lines[0].replace('"kind": "search"', '"kind": "audit"'), *lines[1:]], "a journal of audit"),
        (lambda lines: [lines[0].replace('"5/2"', '"many"'), *lines[1:]], "lacks what a report needs"),
        (lambda lines: [lines[0].replace('"judged"', '"jugged"'), *lines[1:]], "lacks what a report needs"),
        (
            lambda lines: [*lines[:2], lines[2].replace('"small"', '"tall"'), *lines[3:]],
            "line 3 is of no family of this",
        ),
        (lambda lines: [*lines[:2], lines[2].replace('"macs"', '"max"'), *lines[3:]], "line 3 is no evaluation of"),
        (lambda lines: lines[:1], "nothing has been evaluated yet"),
    ],
)
def test_a_journal_of_something_else_is_refused(searched, change, says, tmp_path):
    shutil.copyfile(searched / "journal.jsonl", tmp_path / "journal.jsonl")
    without_sums(tmp_path / "journal.jsonl")
    lines = (tmp_path / "journal.jsonl").read_text().splitlines()
    changed = change(lines)
    assert changed != lines
    (tmp_path / "journal.jsonl").write_text("\n".join(changed) + "\n")
    with pytest.raises(UserError, match=says):
        summarise(load_search(tmp_path))


def test_a_journal_of_another_number_of_people_is_not_continued(searched, trained, monkeypatch):
    monkeypatch.chdir(trained)
    kept = read(searched / "journal.jsonl").header
    header = {key: value for key, value in kept.items() if key not in ("journal", "notes")}
    with pytest.raises(UserError, match="another people: '5/2', not '3'; continue it with what it was begun with"):
        Journal(searched / "journal.jsonl", {**header, "people": "3"})


def test_where_all_see_whole_pictures_nobody_asks_for_people(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    source = open_source("people")
    text = Path("small.yaml").read_text().replace("kernel: [3, 5, 7]", "kernel: [3]")
    Path("smaller.yaml").write_text(text)
    tiny.supernet(trained / "whole2", source, str(trained / "smaller.yaml"), steps=3)
    assert run("litepose-nas search whole whole2 --budget 20MMAC --evals 4 --people 2", monkeypatch) == 2
    assert "--people: all of these networks see whole pictures" in capsys.readouterr().err
    assert run("litepose-nas search whole whole2 --budget 20MMAC --evals 4 --out wholes", monkeypatch) == 0
    out = capsys.readouterr().out
    assert "people" not in out.replace("people/", "")
    assert not (trained / "wholes" / "people.svg").exists()
    with (trained / "wholes" / "front.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["family"] for row in rows} == {"small", "smaller"}
    assert all(row["macs"] == row["macs_of_a_run"] for row in rows)
    assert run("litepose-nas report wholes --people 2", monkeypatch) == 2
    assert "see whole pictures, whoever is in them" in capsys.readouterr().err
    assert run("litepose-nas report wholes", monkeypatch) == 0
    page = (trained / "wholes" / "report" / "report.html").read_text()
    assert page_data.blocks(page, "search")[0]["people"] is False
    assert "people" not in " ".join(page_data.data_of(page)["about"])


def test_people_and_boxes_come_from_the_held_out_pictures(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    source = open_source("people")
    held = read_data(source, 0).split.heldout
    alone = Run.open("alone")
    number, _ = search_plan.people_in(alone, source, MOST_IN_SLICE, None)
    assert number == Fraction(len(held.people), len(held))
    images = [record.image_id for record in held.dataset.records]
    boxes = [
        {"image_id": images[0], "category_id": 1, "bbox": [8, 8, 40, 50], "score": found}
        for found in (0.9, 0.8, 0.7, 0.1)
    ]
    (trained / "boxes.json").write_text(json.dumps([*boxes, {**boxes[0], "image_id": 987654}]))
    boxes_file = search_plan.DetectionsFile("boxes.json", 0.5)
    number, told = search_plan.people_in(alone, source, MOST_IN_SLICE, boxes_file)
    assert number == Fraction(3, len(images))
    assert "3 boxes of boxes.json" in told

    worker = search_plan.WorkerSpec({}, "people", "cpu", Protocol(), MOST_IN_SLICE)
    plain = search_plan.context_of(worker, alone, source)
    given = search_plan.context_of(worker._replace(boxes=boxes_file), alone, source)
    arch = plain.problem.space.smallest
    one, other = plain.candidates(arch), given.candidates(arch)
    assert one["loss"] == other["loss"]  # of the true people, whatever a detector found
    found = given.candidates.found(arch)
    assert {result["image_id"] for result in found} <= {images[0]}
    assert len(plain.candidates.found(arch)) > len(found)
    for setting, result in ((plain, one), (given, other)):
        judge = setting.candidates.scorer
        assert coco_ap(judge.truth, setting.candidates.found(arch)).ap == pytest.approx(result["ap"])
    assert run(f"{ASK} --boxes boxes.json --min-box-score 0.5 --detector-macs 1MMAC --name boxes", monkeypatch) == 0
    out = capsys.readouterr().out
    assert f"runs {float(number):.3g} times a picture" in out
    assert "plus 1 MMAC to find them; it looks into the boxes of boxes.json, score 0.5 or more" in out
    made = trained / "runs" / "search" / "boxes"
    (made / "ended.json").unlink()
    whole, told = (made / "journal.jsonl").read_bytes(), (made / "families.json").read_bytes()
    (made / "journal.jsonl").write_bytes(whole[: whole.rindex(b"\n", 0, -1) - 9])
    assert run(f"litepose-nas search --resume --out {made}", monkeypatch) == 0
    assert (made / "families.json").read_bytes() == told


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("search whole --budget 20MMAC --people 2", "--people: for a search across families"),
        ("search whole --budget 20MMAC --boxes b.json", "--boxes: for a search across families"),
        ("search whole --budget 20MMAC --min-box-score 0", "--min-box-score: for a search across families"),
        ("search whole alone --budget 20MMAC --people 2 --evals 1", "each of 2 families needs one at least"),
        ("search whole alone --budget 20MMAC --people 400", "no topdown-tiny network fits"),
        ("search whole alone --budget 20MMAC --people 2 --detector-macs 2M", "expected MACs, such as 2GMAC"),
        ("search whole alone --budget 20MMAC --min-box-score 0.5", "name their file with --boxes"),
        ("search whole alone", "--budget is missing"),
        ("search whole nobody --budget 20MMAC", "nobody: not a run"),
    ],
)
def test_what_cannot_be_is_refused(trained, command, says, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    assert run(f"litepose-nas {command}", monkeypatch) == 2
    assert says in capsys.readouterr().err


# ── what is said ──


def a_journal(path, whole=0.5, alone=0.6):
    """Write the journal of a search across the tiny spaces, with APs that grow with cost up to these."""
    spaces = {"litepose-tiny": Space.load("litepose-tiny"), "topdown-tiny": Space.load("topdown-tiny")}
    info = {"supernet": {"path": "gone", "sha256": "0"}, "data": "people", "seed": 0, "recipe": Recipe().__dict__}
    picture, budget = Workload(Fraction(3)), Budget.of(["60MMAC"])
    more = {"objectives": ["macs"], "rank": "auto", **picture.plain()}
    families = {name: {"joints": 17, "info": info} for name in spaces}
    judged = {"pictures": 40, "people": "the mean", "boxes": "the true boxes"}
    notes = {"budget": ["60MMAC"], "convention": "exact", "judged": judged, "families": families}
    journal = Journal(path, header({name: (space, "0") for name, space in spaces.items()}, 0, **more), notes)
    sent = {}
    for name, (space, top) in zip(
        spaces, ((spaces["litepose-tiny"], whole), (spaces["topdown-tiny"], alone)), strict=True
    ):
        part, own, rng = JournalView(journal, name), picture.budget(budget, space.task), random.Random(name)
        within = [arch for arch in (space.sample(rng) for _ in range(200)) if own.ok(costs.cost(arch))][:12]
        for number, arch in enumerate(dict.fromkeys([space.smallest, *within]), 1):
            cost = costs.cost(arch)
            ap = top * (cost.macs / own.limits[0].most) ** 0.3
            part.append(
                {"n": number, "arch": arch.to_dict(), "cost": cost._asdict(), "result": {"ap": ap, "loss": 1 - ap}}
            )
            if name not in sent or ap > sent[name][0]:
                sent[name] = ap, arch.to_dict()
        for again in (1, 2):
            ap = sent[name][0] + 0.004 * again
            part.append({"again": again, "arch": sent[name][1], "result": {"ap": ap, "loss": 1 - ap}})
    ahead = [{"family": "litepose-tiny", "arch": sent["litepose-tiny"][1], "low": -0.01, "high": 0.2}]
    journal.append({"winner": "topdown-tiny", "arch": sent["topdown-tiny"][1], "ahead": ahead})


def test_the_report_says_who_won_and_from_how_many_people_on_another_would(tmp_path, monkeypatch, capsys):
    a_journal(tmp_path / "journal.jsonl")
    found = summarise(load_search(tmp_path))
    said = "\n".join(verdict(found))
    assert said.startswith("winner: topdown-tiny, AP 0.")
    assert "of litepose-tiny" in said.split("\n")[0]
    assert "its lead on litepose-tiny would be -0.010 to +0.200 AP (95 %), so others could turn it round" in said
    flip = next(people for people, comparison in found.people if comparison.winner.family == "litepose-tiny")
    assert 4 <= flip <= 12
    assert f"up to {flip - 1} people a picture topdown-tiny wins, from {flip} on litepose-tiny wins" in said
    assert "with fewer than 3 people, dearer top-down networks would fit than were looked at" in said
    assert "the dearest within the budget, chosen by cost alone" in said
    monkeypatch.chdir(tmp_path)
    assert run(f"litepose-nas report . --people {flip}", monkeypatch) == 0
    out = capsys.readouterr().out
    assert "winner: litepose-tiny" in out
    assert "lead on" not in out  # nobody compared these two picture by picture
    assert subnet_file.read("subnet.json").arch.space.name == "litepose-tiny"
    picture = ET.fromstring((tmp_path / "report" / "people.svg").read_text())
    assert len([mark for mark in picture.iter() if mark.get("class") == "wins"]) == 20
    plane = ET.fromstring((tmp_path / "report" / "front.svg").read_text())
    dots = [mark for mark in plane.iter() if mark.get("class") == "evaluated"]
    assert len(dots) == len(found.found)
    assert len({mark.get("fill") for mark in dots}) == 2


def test_a_tie_is_called_one_and_a_family_without_room_is_named(tmp_path):
    a_journal(tmp_path / "journal.jsonl")
    found = summarise(load_search(tmp_path))
    tied = found._replace(comparison=found.comparison._replace(tied=True))
    assert "of litepose-tiny, which noise cannot tell apart: the cheaper is chosen" in verdict(tied)[0]
    least = costs.cost(Space.load("litepose-tiny").smallest).macs
    tight = summarise(load_search(tmp_path), Budget.of([f"{least - 1}MAC"]), Workload(Fraction(1)))
    assert verdict(tight)[0] == "of litepose-tiny nothing that was evaluated fits"
    assert tight.comparison.winner.family == "topdown-tiny"


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_the_same(trained, searched):
    again = ["search", "--resume", "--out", "killed"]
    words = [*ASK.split()[1:], "--people", "2.5", "--out", "killed"]
    kills = tiny.kill_many(words, again, trained, 5, 4.0, random.Random(0))
    assert kills >= 2
    for name in ("killed/subnet.json", "killed/families.json", "killed/front.svg"):
        assert (trained / name).read_bytes() == (searched / Path(name).name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=needs_ray)])
def test_workers_that_hold_all_supernets_find_the_same(trained, searched, engine):
    tiny.finish([*ASK.split()[1:], "--people", "2.5", "--out", engine, "--engine", engine, "--workers", "2"], trained)
    assert (trained / engine / "families.json").read_bytes() == (searched / "families.json").read_bytes()
