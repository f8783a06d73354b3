"""Searching across families: what a picture costs, whose turn it is, who wins and from how many people on another."""

import csv
import json
import math
import random
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny
import toy_search as toy
from commands import run
from hypothesis import given, settings
from hypothesis import strategies as st
from test_engines import Shuffled, needs_ray

from litepose_nas import Space, UserError, costs
from litepose_nas.budget import Budget
from litepose_nas.costs import Cost, TimedCost
from litepose_nas.engines.here import Here
from litepose_nas.formats import subnet_file
from litepose_nas.metrics.coco import coco_ap
from litepose_nas.report.across import reread_across, summarise_across
from litepose_nas.report.across_words import verdict
from litepose_nas.runs.journal import Journal
from litepose_nas.runs.run import Run
from litepose_nas.searching import finalists, nsga2, turns
from litepose_nas.searching.engine import search_on
from litepose_nas.searching.meeting import Family, Picture, by_people, choice, flips, meet, picture_of, together
from litepose_nas.searching.problem import Evaluated, Problem, by_ap, by_loss, score
from litepose_nas.searching.turns import Asked, Lane, Part, next_turn, opening, take_turns
from litepose_nas.steps import candidates, search, search_across
from litepose_nas.train.recipe import Recipe

SVG = "{http://www.w3.org/2000/svg}"
PEOPLE = st.fractions(Fraction(1, 10), 40, max_denominator=500)


# ── what a picture costs ──


@settings(max_examples=200, deadline=None)
@given(PEOPLE, st.integers(0, 10**9), st.integers(1, 10**10), st.integers(1, 10**11))
def test_a_run_keeps_its_budget_just_where_the_picture_does(people, detector, macs, most):
    picture, cost = Picture(people, detector), Cost(macs, 2 * macs, 5, 20, 7)
    budget = Budget.of([f"{most}MAC", "6params"])
    spent = people * macs + detector  # the literal rule, in whole fractions
    try:
        own = picture.budget(budget, "topdown")
    except UserError:
        assert spent > most
        return
    assert own.ok(cost) == (spent <= most) == budget.ok(picture.cost(cost, "topdown"))
    assert Budget.of([limit.text for limit in own.limits]) == own  # as a journal keeps it
    assert picture.cost(cost, "topdown").macs == math.ceil(spent)
    assert picture_of(json.loads(json.dumps(picture.plain()))) == picture


def test_only_what_a_run_takes_is_multiplied_and_only_top_down():
    picture = Picture(Fraction("2.5"), 1000)
    cost = TimedCost(101, 202, 3, 12, 50, 4.0)
    assert picture.cost(cost, "bottomup") == cost
    assert picture.cost(cost, "topdown") == TimedCost(1253, 1505, 3, 12, 50, 10.0)
    budget = Budget.of(["1MMAC", "25ms", "9KBpeak"], timed=True)
    assert picture.budget(budget, "bottomup") == budget
    assert [limit.most for limit in picture.budget(budget, "topdown").limits] == [399600, 10.0, 9000]
    with pytest.raises(
        UserError, match=r"500MAC: nothing is left of it for each of 2.5 people, of which finding boxes"
    ):
        picture.budget(Budget.of(["500MAC"]), "topdown")


# ── who wins ──


def a_space(name, task="bottomup", choices=4):
    whole = toy.space(choices)
    family = SimpleNamespace(plan=toy.read_all, TASK=task)
    return Space({**json.loads(whole.source), "about": name}, name, family)


def a_family(name, task, pairs, rank=by_ap, again=None):
    """Return a family of networks with these MACs, APs and losses, whatever their architectures are."""
    space = a_space(name, task)
    rng, archs = random.Random(name), {}
    while len(archs) < len(pairs):
        archs.setdefault(space.sample(rng))
    known = {arch: Cost(macs, macs, 1, 4, 10) for arch, (macs, _, _) in zip(archs, pairs, strict=True)}
    problem = Problem(space, Budget(), known.__getitem__, rank)
    results = {arch: {"ap": ap, "loss": loss} for arch, (_, ap, loss) in zip(archs, pairs, strict=True)}
    found = score(problem, results)
    return Family(name, problem, found, {found[at].arch: new for at, new in (again or {}).items()})


NETS = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None)
@given(NETS, NETS, st.integers(5, 80), st.integers(0, 10), st.booleans())
def test_for_every_number_of_people_the_winner_is_that_of_a_literal_reading(whole, alone, most, detector, loss):
    plain = lambda nets: [(macs, ap / 20, rank / 20) for macs, ap, rank in nets]  # noqa: E731
    families = [
        a_family("whole", "bottomup", plain(whole), by_loss if loss else by_ap),
        a_family("alone", "topdown", plain(alone)),
    ]
    budget = Budget.of([f"{most}MAC"])
    for people, meeting in by_people(families, budget, Picture(Fraction(2), detector)):
        sent = []
        for name, nets in (("whole", whole), ("alone", alone)):
            fits = []
            for macs, ap, lost in nets:
                of_picture = macs if name == "whole" else people * macs + detector
                if of_picture <= most:
                    fits.append((lost if loss and name == "whole" else -ap, of_picture, ap))
            if fits:
                _, cost, ap = min(fits, key=lambda fit: fit[:2])
                sent.append((-ap, cost, name))
        assert (meeting is None) == (not sent)
        if meeting:
            assert {one.family for one in meeting.choices} == {name for _, _, name in sent}
            assert meeting.winner.family == min(sent)[2] or _alike(sent)


def _alike(sent):
    """Whether the best two are equal in all that counts, so that either may win."""
    return len(sent) == 2 and sent[0][:2] == sent[1][:2]


def test_the_winner_flips_where_fewer_macs_are_left_for_each_person():
    whole = a_family("whole", "bottomup", [(50, 0.5, 1), (90, 0.6, 1)])
    alone = a_family("alone", "topdown", [(10, 0.55, 1), (30, 0.7, 1)])
    found = by_people([whole, alone], Budget.of(["100MAC"]), Picture(Fraction(2)))
    assert [meeting.winner.family for _, meeting in found] == ["alone"] * 3 + ["whole"] * 17
    assert flips(found) == "up to 3 people a picture alone wins, from 4 on whole wins"
    small = Budget.of(["60MAC"])
    found = by_people([whole, alone], small, Picture(Fraction(2)))
    assert flips(found) == "up to 6 people a picture alone wins, from 7 on whole wins"
    assert flips(by_people([alone], small, Picture(Fraction(1)))) == (
        "up to 6 people a picture alone wins, from 7 on nothing that was evaluated fits"
    )
    assert flips(by_people([whole, alone], Budget.of(["9MAC"]), Picture(Fraction(1)))).startswith("whether 1 or 20")
    # Finding the people eats the budget: families that need no boxes stay.
    found = by_people([whole, alone], Budget.of(["100MAC"]), Picture(Fraction(2), 95))
    assert {meeting.winner.family for _, meeting in found} == {"whole"}


def test_what_noise_cannot_tell_apart_goes_to_the_cheaper_picture():
    new = lambda *aps: [{"ap": ap, "loss": 1.0} for ap in aps]  # noqa: E731
    whole = a_family("whole", "bottomup", [(50, 0.40, 1)], again={0: new(0.50, 0.54)})
    for apart, wins in ((0.01, "whole"), (0.1, "alone")):
        alone = a_family("alone", "topdown", [(30, 0.9, 1)], again={0: new(0.50 + apart, 0.54 + apart)})
        meeting = meet([whole, alone], Budget(), Picture(Fraction(2)))
        assert meeting.winner.family == wins
        assert meeting.tied == (apart == 0.01)
        assert [one.family for one in meeting.choices] == ["alone", "whole"]
        assert meeting.choices[1].ap == pytest.approx(0.52)  # the first score, which chose it, does not count
        assert meeting.choices[1].noise == pytest.approx(0.04 / math.sqrt(2))
    cheap = meet([whole, alone._replace(again={})], Budget(), Picture(Fraction(1)))
    assert cheap.winner.cost.macs == 30


def test_a_family_sends_its_best_by_its_own_rank():
    nets = [(50, 0.30, 0.9), (50, 0.28, 0.1)]
    assert choice(a_family("a", "bottomup", nets), Budget(), Picture(Fraction(1))).ap == 0.30
    assert choice(a_family("a", "bottomup", nets, by_loss), Budget(), Picture(Fraction(1))).ap == 0.28
    mute = meet(
        [a_family("a", "bottomup", [(5, 0.01, 1)]), a_family("b", "topdown", [(5, 0.0, 1)])],
        Budget(),
        Picture(Fraction(1)),
    )
    assert mute.mute
    assert mute.winner.family == "a"


def test_all_families_are_in_one_plane():
    whole = a_family("whole", "bottomup", [(50, 0.5, 1), (90, 0.6, 1)], by_loss)
    alone = a_family("alone", "topdown", [(10, 0.55, 1)])
    found = together([whole, alone], Picture(Fraction(5, 2), 7))
    assert [(one.cost.macs, one.score) for one in found] == [(50, 0.5), (90, 0.6), (32, 0.55)]


# ── whose turn it is ──


def fake_go(name, aps):
    space = a_space(name)
    rng = random.Random(name)
    nets = [Evaluated(space.sample(rng), None, {"ap": ap}, ap) for ap in aps]
    return lambda until: nets[:until]


def test_half_is_shared_then_two_turns_in_three_go_to_the_best():
    asked = []

    def watched(at, go):
        return lambda until: asked.append((at, until)) or go(until)

    goes = [watched(0, fake_go("a", [0.3] * 200)), watched(1, fake_go("b", [0.4] * 200))]
    found = take_turns(goes, 120)
    assert asked[:2] == [(0, 30), (1, 30)]
    assert [at for at, _ in asked[2:]] == [1, 1, 0] * 4
    assert [len(some) for some in found] == [50, 70]
    assert asked[2:5] == [(1, 35), (1, 40), (0, 35)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=40), min_size=1, max_size=4), st.integers(4, 90))
def test_turns_share_what_there_is_and_no_more(aps, evals):
    goes = [fake_go(str(at), some) for at, some in enumerate(aps)]
    counts = [len(some) for some in take_turns(goes, evals)]
    assert sum(counts) == min(evals, sum(map(len, aps)))
    assert all(count >= min(opening(evals, len(aps)), len(some)) for count, some in zip(counts, aps, strict=True))
    # A search that was killed knows more than its first turns: they are decided as they were.
    ahead = [lambda until, go=go: go(10**6) for go in goes]
    exhausted = any(len(some) <= opening(evals, len(aps)) for some in aps)
    assert exhausted or [len(some) for some in take_turns(ahead, evals)] == counts


def test_while_no_ap_tells_anything_all_get_alike():
    done, order = [10, 10, 10], []
    for number in range(6):
        turn = next_turn(60, done, [0.001, 0.01, 0.0], [0, 1, 2], number)
        order.append(turn.family)
        done[turn.family] = turn.until
    assert order == [0, 1, 2] * 2
    assert next_turn(60, [25, 25, 9], [0.5, 0.1, 0.2], [0, 1, 2], 0) == (0, 26)  # no more than are left


# ── the loop, its journal, any engine ──

SPACES = {"whole": a_space("whole"), "alone": a_space("alone", "topdown", choices=3)}
TOY = Picture(Fraction("2.5"))
LIMIT = Budget.of(["8MMAC"])


def toy_result(family, arch, again=0):
    noise = random.Random(f"{family} {arch.to_dict()} {again}").gauss(0, 0.01)
    value = toy.score(arch) / 200 + 0.1 * (family == "alone") + noise
    return {"ap": value, "loss": 1 - value}


def toy_work(asked):
    assert isinstance(asked, Asked)
    return toy_result(asked.family, SPACES[asked.family].arch(asked.look.arch), asked.look.again)


def toy_search(path, engine, evals=48):
    header = turns.header({name: (space, "0") for name, space in SPACES.items()}, TOY, seed=0, evals=evals)
    journal = Journal(path, header)
    problems = {name: Problem(space, TOY.budget(LIMIT, space.task), toy.cost, by_ap) for name, space in SPACES.items()}

    def go_of(name):
        searcher = nsga2.searcher(problems[name], 0, population=8, children=5)
        return lambda until: search_on(problems[name], searcher, Lane(engine, name), Part(journal, name), until)

    families = []
    for name, found in zip(SPACES, take_turns([go_of(name) for name in SPACES], evals), strict=True):
        best = finalists.finalists(found, problems[name].budget, 3)
        again = finalists.score_again_on(problems[name], best, Lane(engine, name), Part(journal, name))
        families.append(Family(name, problems[name], found, again))
    return families


def seen(families):
    """Return what must not depend on engines, workers and kills."""
    plain = [
        (f.name, [(o.arch.to_dict(), o.result["ap"]) for o in f.found], {str(a): r for a, r in f.again.items()})
        for f in families
    ]
    meeting = meet(families, LIMIT, TOY)
    return plain, meeting.winner.family, meeting.winner.one.arch


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    path = tmp_path_factory.mktemp("across") / "journal.jsonl"
    return toy_search(path, Here(toy_work)), path


def test_all_evaluations_are_of_some_family_within_the_budget_of_a_picture(straight):
    families, path = straight
    assert sorted(len(family.found) for family in families) == [20, 28]
    for family in families:
        for one in family.found:
            spent = one.cost.macs * (2.5 if family.task == "topdown" else 1)
            assert spent <= 8e6
            assert one.cost == toy.cost(one.arch)
    records = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    for name, family in zip(SPACES, families, strict=True):
        assert [r["n"] for r in records if r["family"] == name and "n" in r] == list(range(1, len(family.found) + 1))


@pytest.mark.parametrize("workers", [2, 5])
def test_neither_workers_nor_their_speed_change_what_is_found(straight, tmp_path, workers):
    assert seen(toy_search(tmp_path / "j", Shuffled(toy_work, workers, workers))) == seen(straight[0])


def test_cut_at_random_bytes_it_ends_the_same_and_repeats_nothing(straight, tmp_path):
    families, path = straight
    whole, rng = path.read_bytes(), random.Random(1)
    for cut in [rng.randrange(len(whole)) for _ in range(6)]:
        (tmp_path / "j").write_bytes(whole[:cut])
        done = len(whole[:cut].splitlines()) - 1
        asked = []
        again = toy_search(tmp_path / "j", Here(lambda job, asked=asked: asked.append(job) or toy_work(job)))
        assert seen(again) == seen(families)
        assert len(asked) <= len(whole.splitlines()) - 1 - max(0, done - 1)
        assert len({str(job) for job in asked}) == len(asked)


# ── supernets that cannot be compared ──


def a_run(folder, **more):
    kept = {"space": "litepose-tiny", "space_digest": "1", "data": "people", "seed": 0, "joints": 17}
    return SimpleNamespace(folder=folder, settings={**kept, **more})


def test_supernets_of_other_pictures_or_of_one_space_are_refused():
    one, other = a_run("runs/a"), a_run("runs/b", space="topdown-tiny", space_digest="2")
    search_across.check_alike([one, other])
    assert search_across.names_of([one, other]) == ["litepose-tiny", "topdown-tiny"]
    with pytest.raises(UserError, match="runs/a and runs/a: two supernets of one space, litepose-tiny"):
        search_across.check_alike([one, other, one])
    moved = a_run("runs/b", space_digest="2", data="others")
    with pytest.raises(UserError, match="runs/a and runs/b: trained with data people and others, so the pictures"):
        search_across.check_alike([one, moved])
    search_across.check_alike([one, moved], data="where-they-are-now")
    with pytest.raises(UserError, match=r"trained with seed 0 and 3, .*same --data and --seed"):
        search_across.check_alike([one, a_run("runs/b", space_digest="2", seed=3)], data="anywhere")
    names = ["my/small.yaml", "your/small.yaml", "small.yml", "v1.5"]
    runs = [a_run("x", space=name) for name in names]
    assert search_across.names_of(runs) == ["small", "small-2", "small-3", "v1.5"]


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
    across = reread_across(searched)
    found = summarise_across(across)
    assert list(across.pasts) == ["small", "topdown-tiny"]
    assert sum(len(past.found) for past in across.pasts.values()) == 8
    with (searched / "front.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    for row in rows:
        task = across.pasts[row["family"]].problem.space.task
        cost = costs.cost(across.pasts[row["family"]].problem.space.arch(json.loads(row["arch"])))
        assert int(row["macs_of_a_run"]) == cost.macs
        assert int(row["macs"]) == (math.ceil(2.5 * cost.macs) if task == "topdown" else cost.macs)
        assert int(row["macs"]) <= 20e6
        assert float(row["score"]) == -float(row["loss"])  # nobody has an AP after four steps
    assert [
        subnet_file.read(searched / "front" / name).arch
        for name in sorted(p.name for p in (searched / "front").iterdir())
    ] == [one.arch for one in found.front]
    chosen = subnet_file.read(trained / "subnet.json")
    assert chosen == subnet_file.read(searched / "subnet.json") == found.subnet(found.meeting.winner.one)
    assert chosen.info["supernet"]["path"].split("/")[0] in ("whole", "alone")
    for name, past in across.pasts.items():
        best = subnet_file.read(searched / "best" / f"{name}.json")
        assert (best.arch.space, best.info["family"]) == (past.problem.space, name)
        assert best.info["supernet"] == past.info["supernet"]
        assert best.info["picture"]["people"] == "5/2"
    told = json.loads((searched / "families.json").read_text())
    assert (told["winner"], told["mute"], told["people"]) == (found.meeting.winner.family, True, 2.5)
    assert [one["people"] for one in told["by_people"]] == list(range(1, 21))
    for name in ("front.svg", "people.svg"):
        assert ET.fromstring((searched / name).read_text()).tag == f"{SVG}svg"


def test_killed_or_with_workers_it_finds_the_same(searched, trained, monkeypatch, tmp_path):
    monkeypatch.chdir(trained)
    lines = (searched / "journal.jsonl").read_bytes().splitlines(keepends=True)

    def without_seconds(path):
        records = [json.loads(line) for line in (path / "journal.jsonl").read_text().splitlines()]
        return [{**r, "result": {k: v for k, v in r.get("result", {}).items() if k != "seconds"}} for r in records]

    for number, (kept, more) in enumerate([(0, ""), (4, ""), (10, "--workers 1"), (len(lines) - 1, "")]):
        folder = tmp_path / str(number)
        folder.mkdir()
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
    assert "runs 1 times a picture (as asked for), finding them is not counted; it looks into the true boxes" in out
    assert "no AP is above 0.02 yet, so nothing can be said of which family is better" in out
    assert "next: litepose-nas extract subnet.json" in out
    assert (searched / "journal.jsonl").read_bytes() == before
    page = (searched / "report" / "report.html").read_text()
    assert 'href="topdown-tiny/report.html"' in page
    assert (searched / "report" / "topdown-tiny" / "report.html").is_file()
    with (searched / "report" / "front.csv").open(newline="") as file:
        assert {row["family"] for row in csv.DictReader(file)} <= {"small", "topdown-tiny"}
    assert run("litepose-nas extract subnet.json", monkeypatch) == 0
    assert "equal to the supernet's network to the bit" in capsys.readouterr().out
    with pytest.raises(UserError, match="none of 8 evaluated networks to choose within 1kparams"):
        summarise_across(reread_across(searched), Budget.of(["1kparams"]))


def test_a_family_that_cannot_keep_the_budget_is_named_before_weights_or_pictures_are_read(trained):
    trained = [Run.open(trained / name) for name in ("whole", "alone")]
    budgets = search_across.budgets_of(trained, Budget.of(["20MMAC"]), Picture(Fraction(4)))
    assert [limit.most for budget in budgets for limit in budget.limits] == [20e6, 5e6]
    with pytest.raises(
        UserError,
        match=r"budget 20MMAC a picture, which for each of 40 people is MACs <= 500 kMAC: no topdown-tiny network fits"
        r"(.|\n)*or leave .*/alone out",
    ):
        search_across.budgets_of(trained, Budget.of(["20MMAC"]), Picture(Fraction(40)))


def test_candidates_are_the_winners_relatives(searched, monkeypatch, trained):
    monkeypatch.chdir(trained)
    chosen = subnet_file.read(searched / "subnet.json")
    found = candidates.nearest_to_best(Run.open(searched), 3)
    assert len(found) == 3
    assert {one.arch.space for one in found} == {chosen.arch.space}
    assert {one.info["supernet"]["sha256"] for one in found} == {chosen.info["supernet"]["sha256"]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda lines: [lines[0].replace('"families", "families"', '"audit", "families"'), *lines[1:]],
            "a journal of audit",
        ),
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
    lines = (searched / "journal.jsonl").read_text().splitlines()
    changed = change(lines)
    assert changed != lines
    (tmp_path / "journal.jsonl").write_text("\n".join(changed) + "\n")
    with pytest.raises(UserError, match=says):
        summarise_across(reread_across(tmp_path))


def test_a_journal_of_another_number_of_people_is_not_continued(searched, trained, monkeypatch):
    monkeypatch.chdir(trained)
    kept = Journal(
        searched / "journal.jsonl", json.loads((searched / "journal.jsonl").read_text().split("\n")[0])
    ).header
    header = {key: value for key, value in kept.items() if key not in ("journal", "notes")}
    with pytest.raises(UserError, match="another people: '5/2', not '3'; continue it with what it was begun with"):
        Journal(searched / "journal.jsonl", {**header, "people": "3"})


def test_people_and_boxes_come_from_the_held_out_pictures(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    source = (
        search_across.open_source("people") if hasattr(search_across, "open_source") else tiny.open_source("people")
    )
    held = search_across.read_data(source, 0, search.slice_of(False)).held.slice
    counted = search_across.people_in(source, 0, False, None)
    assert counted.number == Fraction(len(held.people), len(held))
    images = [record.image_id for record in held.dataset.records]
    boxes = [
        {"image_id": images[0], "category_id": 1, "bbox": [8, 8, 40, 50], "score": found} for found in (0.9, 0.8, 0.1)
    ]
    (trained / "boxes.json").write_text(json.dumps([*boxes, {**boxes[0], "image_id": 987654}]))
    of_file = search_across.people_in(source, 0, False, search.BoxFile("boxes.json", 0.5))
    assert of_file.number == Fraction(2, len(images))
    assert "2 boxes of boxes.json" in of_file.told

    alone = Run.open("alone")
    plain = search.prepare(alone, source, Budget(), "cpu", False)
    given = search.prepare(alone, source, Budget(), "cpu", False, boxes=search.BoxFile("boxes.json", 0.5))
    arch = plain.problem.space.smallest
    one, other = plain.candidates(arch), given.candidates(arch)
    assert one["loss"] == other["loss"]  # of the true people, whatever a detector found
    found = given.candidates.found(arch)
    assert {result["image_id"] for result in found} <= {images[0]}
    assert len(plain.candidates.found(arch)) > len(found)
    for setting, result in ((plain, one), (given, other)):
        judge = setting.candidates.judge
        assert coco_ap(judge.truth, setting.candidates.found(arch)).ap == pytest.approx(result["ap"])
    assert run(f"{ASK} --boxes boxes.json --min-box-score 0.5 --detector-macs 1MMAC --name boxes", monkeypatch) == 0
    out = capsys.readouterr().out
    assert f"runs {float(of_file.number):.3g} times a picture" in out
    assert "plus 1 MMAC to find them; it looks into the boxes of boxes.json, score 0.5 or more" in out


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("search whole --budget 20MMAC --people 2", "--people: for a search across families"),
        ("search whole --budget 20MMAC --boxes b.json", "--boxes: for a search across families"),
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
    picture, budget = Picture(Fraction(3)), Budget.of(["60MMAC"])
    more = {"objectives": ["macs"], "first_look": 1.0, "rank": "auto", "seed": 0}
    families = {
        name: {
            "budget": [limit.text for limit in picture.budget(budget, space.task).limits],
            "convention": "exact",
            "joints": 17,
            "info": info,
        }
        for name, space in spaces.items()
    }
    judged = {"pictures": 40, "people": "the mean", "boxes": "the true boxes"}
    notes = {"budget": ["60MMAC"], "convention": "exact", "judged": judged, "families": families}
    journal = Journal(
        path, turns.header({name: (space, "0") for name, space in spaces.items()}, picture, **more), notes
    )
    sent = {}
    for name, (space, top) in zip(
        spaces, ((spaces["litepose-tiny"], whole), (spaces["topdown-tiny"], alone)), strict=True
    ):
        part, own, rng = Part(journal, name), picture.budget(budget, space.task), random.Random(name)
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
    found = summarise_across(reread_across(tmp_path))
    said = "\n".join(verdict(found))
    assert said.startswith("winner: topdown-tiny, AP 0.")
    assert "of litepose-tiny" in said.split("\n")[0]
    assert "its lead on litepose-tiny would be -0.010 to +0.200 AP (95 %), so others could turn it round" in said
    flip = next(people for people, meeting in found.people if meeting.winner.family == "litepose-tiny")
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
    found = summarise_across(reread_across(tmp_path))
    tied = found._replace(meeting=found.meeting._replace(tied=True))
    assert "of litepose-tiny, which noise cannot tell apart: the cheaper is chosen" in verdict(tied)[0]
    least = costs.cost(Space.load("litepose-tiny").smallest).macs
    tight = summarise_across(reread_across(tmp_path), Budget.of([f"{least - 1}MAC"]), Picture(Fraction(1)))
    assert verdict(tight)[0] == "of litepose-tiny nothing that was evaluated fits"
    assert tight.meeting.winner.family == "topdown-tiny"


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_the_same(trained, searched):
    again = ["search", "--resume", "--out", "killed"]
    words = [*ASK.split()[1:], "--people", "2.5", "--out", "killed"]
    kills = tiny.kill_many(words, again, trained, 5, 20.0, random.Random(0))
    assert kills >= 2
    for name in ("killed/subnet.json", "killed/families.json", "killed/front.svg"):
        assert (trained / name).read_bytes() == (searched / Path(name).name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=needs_ray)])
def test_workers_that_hold_all_supernets_find_the_same(trained, searched, engine):
    tiny.finish([*ASK.split()[1:], "--people", "2.5", "--out", engine, "--engine", engine, "--workers", "2"], trained)
    assert (trained / engine / "families.json").read_bytes() == (searched / "families.json").read_bytes()
