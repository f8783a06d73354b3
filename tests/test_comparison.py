"""Families meet: what a picture costs, whose turn it is, who wins, and from how many people on another does."""

import json
import math
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litepose_nas import Space, UserError
from litepose_nas.budget import Budget
from litepose_nas.costs import Cost, TimedCost
from litepose_nas.executors.serial import SerialExecutor
from litepose_nas.families.family import Family
from litepose_nas.runs.journal import Journal
from litepose_nas.search import finalists, nsga2
from litepose_nas.search.allocation import next_turn, opening, take_turns
from litepose_nas.search.comparison import FamilyResults, by_people, choice, compare, crossover_points, together
from litepose_nas.search.journal import JournalView, header
from litepose_nas.search.loop import search_on
from litepose_nas.search.problem import Evaluated, Problem, score
from litepose_nas.search.ranking import by_ap, by_loss
from litepose_nas.search.workload import Workload, workload_of
from litepose_nas.task_kind import TaskKind
from tests.helpers import toy_search as toy
from tests.helpers.executors import Shuffled

PEOPLE = st.fractions(Fraction(1, 10), 40, max_denominator=500)


# ── what a picture costs ──


@settings(max_examples=200)
@given(PEOPLE, st.integers(0, 10**9), st.integers(1, 10**10), st.integers(1, 10**11))
def test_a_run_keeps_its_budget_just_where_the_picture_does(people, detector, macs, most):
    picture, cost = Workload(people, detector), Cost(macs, 2 * macs, 5, 20, 7)
    budget = Budget.of([f"{most}MAC", "6params"])
    spent = people * macs + detector  # the literal rule, in whole fractions
    try:
        own = picture.budget(budget, TaskKind.TOPDOWN)
    except UserError:
        assert spent > most
        return
    assert own.ok(cost) == (spent <= most) == budget.ok(picture.cost(cost, TaskKind.TOPDOWN))
    assert Budget.of([limit.text for limit in own.limits]) == own  # as a journal keeps it
    assert picture.cost(cost, TaskKind.TOPDOWN).macs == math.ceil(spent)
    assert workload_of(json.loads(json.dumps(picture.plain()))) == picture


def test_only_what_a_run_takes_is_multiplied_and_only_top_down():
    picture = Workload(Fraction("2.5"), 1000)
    cost = TimedCost(101, 202, 3, 12, 50, 4.0)
    assert picture.cost(cost, TaskKind.BOTTOMUP) == cost
    assert picture.cost(cost, TaskKind.TOPDOWN) == TimedCost(1253, 1505, 3, 12, 50, 10.0)
    budget = Budget.of(["1MMAC", "25ms", "9KBpeak"], timed=True)
    assert picture.budget(budget, TaskKind.BOTTOMUP) == budget
    assert [limit.most for limit in picture.budget(budget, TaskKind.TOPDOWN).limits] == [399600, 10.0, 9000]
    with pytest.raises(
        UserError, match=r"500MAC: nothing is left of it for each of 2.5 people, of which finding boxes"
    ):
        picture.budget(Budget.of(["500MAC"]), TaskKind.TOPDOWN)


# ── who wins ──


def a_space(name, task=TaskKind.BOTTOMUP, choices=4):
    whole = toy.space(choices)
    family = Family("toy", toy.read_all, toy.read_all, task=TaskKind(task))
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
    return FamilyResults(name, problem, found, {found[at].arch: new for at, new in (again or {}).items()})


NETS = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=8)


@settings(max_examples=150)
@given(NETS, NETS, st.integers(5, 80), st.integers(0, 10), st.booleans())
def test_for_every_number_of_people_the_winner_is_that_of_a_literal_reading(whole, alone, most, detector, loss):
    plain = lambda nets: [(macs, ap / 20, rank / 20) for macs, ap, rank in nets]  # noqa: E731
    families = [
        a_family("whole", "bottomup", plain(whole), by_loss if loss else by_ap),
        a_family("alone", "topdown", plain(alone)),
    ]
    budget = Budget.of([f"{most}MAC"])
    for people, comparison in by_people(families, budget, Workload(Fraction(2), detector)):
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
        assert (comparison is None) == (not sent)
        if comparison:
            assert {one.family for one in comparison.choices} == {name for _, _, name in sent}
            assert comparison.winner.family == min(sent)[2] or _alike(sent)


def _alike(sent):
    """Whether the best two are equal in all that counts, so that either may win."""
    return len(sent) == 2 and sent[0][:2] == sent[1][:2]


def test_the_winner_flips_where_fewer_macs_are_left_for_each_person():
    whole = a_family("whole", "bottomup", [(50, 0.5, 1), (90, 0.6, 1)])
    alone = a_family("alone", "topdown", [(10, 0.55, 1), (30, 0.7, 1)])
    found = by_people([whole, alone], Budget.of(["100MAC"]), Workload(Fraction(2)))
    assert [comparison.winner.family for _, comparison in found] == ["alone"] * 3 + ["whole"] * 17
    assert crossover_points(found) == "up to 3 people a picture alone wins, from 4 on whole wins"
    small = Budget.of(["60MAC"])
    found = by_people([whole, alone], small, Workload(Fraction(2)))
    assert crossover_points(found) == "up to 6 people a picture alone wins, from 7 on whole wins"
    assert crossover_points(by_people([alone], small, Workload(Fraction(1)))) == (
        "up to 6 people a picture alone wins, from 7 on nothing that was evaluated fits"
    )
    assert crossover_points(by_people([whole, alone], Budget.of(["9MAC"]), Workload(Fraction(1)))).startswith(
        "whether 1 or 20"
    )
    # Finding the people eats the budget: families that need no boxes stay.
    found = by_people([whole, alone], Budget.of(["100MAC"]), Workload(Fraction(2), 95))
    assert {comparison.winner.family for _, comparison in found} == {"whole"}


def test_what_noise_cannot_tell_apart_goes_to_the_cheaper_picture():
    new = lambda *aps: [{"ap": ap, "loss": 1.0} for ap in aps]  # noqa: E731
    whole = a_family("whole", "bottomup", [(50, 0.40, 1)], again={0: new(0.50, 0.54)})
    for apart, wins in ((0.01, "whole"), (0.1, "alone")):
        alone = a_family("alone", "topdown", [(30, 0.9, 1)], again={0: new(0.50 + apart, 0.54 + apart)})
        comparison = compare([whole, alone], Budget(), Workload(Fraction(2)))
        assert comparison.winner.family == wins
        assert comparison.tied == (apart == 0.01)
        assert [one.family for one in comparison.choices] == ["alone", "whole"]
        assert comparison.choices[1].ap == pytest.approx(0.52)  # the first score, which chose it, does not count
        assert comparison.choices[1].noise == pytest.approx(0.04 / math.sqrt(2))
    cheap = compare([whole, alone._replace(again={})], Budget(), Workload(Fraction(1)))
    assert cheap.winner.cost.macs == 30


def test_a_family_sends_its_best_by_its_own_rank():
    nets = [(50, 0.30, 0.9), (50, 0.28, 0.1)]
    assert choice(a_family("a", "bottomup", nets), Budget(), Workload(Fraction(1))).ap == 0.30
    assert choice(a_family("a", "bottomup", nets, by_loss), Budget(), Workload(Fraction(1))).ap == 0.28
    mute = compare(
        [a_family("a", "bottomup", [(5, 0.01, 1)]), a_family("b", "topdown", [(5, 0.0, 1)])],
        Budget(),
        Workload(Fraction(1)),
    )
    assert mute.mute
    assert mute.winner.family == "a"


def test_all_families_are_in_one_plane():
    whole = a_family("whole", "bottomup", [(50, 0.5, 1), (90, 0.6, 1)], by_loss)
    alone = a_family("alone", "topdown", [(10, 0.55, 1)])
    found = together([whole, alone], Workload(Fraction(5, 2), 7))
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

    searches = [watched(0, fake_go("a", [0.3] * 200)), watched(1, fake_go("b", [0.4] * 200))]
    found = take_turns(searches, 120)
    assert asked[:2] == [(0, 30), (1, 30)]
    assert [at for at, _ in asked[2:]] == [1, 1, 0] * 4
    assert [len(some) for some in found] == [50, 70]
    assert asked[2:5] == [(1, 35), (1, 40), (0, 35)]


@settings(max_examples=60)
@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=40), min_size=1, max_size=4), st.integers(4, 90))
def test_turns_share_what_there_is_and_no_more(aps, evals):
    searches = [fake_go(str(at), some) for at, some in enumerate(aps)]
    counts = [len(some) for some in take_turns(searches, evals)]
    assert sum(counts) == min(evals, sum(map(len, aps)))
    assert all(count >= min(opening(evals, len(aps)), len(some)) for count, some in zip(counts, aps, strict=True))
    # A search that was killed knows more than its first turns: they are decided as they were.
    ahead = [lambda until, go=go: go(10**6) for go in searches]
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
TOY = Workload(Fraction("2.5"))
LIMIT = Budget.of(["8MMAC"])


def toy_result(family, arch, again=0):
    noise = random.Random(f"{family} {arch.to_dict()} {again}").gauss(0, 0.01)
    value = toy.score(arch) / 200 + 0.1 * (family == "alone") + noise
    return {"ap": value, "loss": 1 - value}


def toy_work(job):
    return toy_result(job.family, SPACES[job.family].arch(job.arch), job.again)


def toy_search(path, executor, evals=48):
    journal = Journal(path, header({name: (space, "0") for name, space in SPACES.items()}, 0, evals=evals))
    problems = {name: Problem(space, TOY.budget(LIMIT, space.task), toy.cost, by_ap) for name, space in SPACES.items()}

    def go_of(name):
        searcher = nsga2.searcher(problems[name], 0, population=8, children=5)
        view = JournalView(journal, name)
        return lambda until: search_on(problems[name], searcher, executor, view, until, family=name)

    families = []
    for name, found in zip(SPACES, take_turns([go_of(name) for name in SPACES], evals), strict=True):
        best = finalists.finalists(found, problems[name].budget, 3)
        again = finalists.score_again(problems[name], best, executor, JournalView(journal, name), family=name)
        families.append(FamilyResults(name, problems[name], found, again))
    return families


def seen(families):
    """Return what must not depend on engines, workers and kills."""
    plain = [
        (f.name, [(o.arch.to_dict(), o.result["ap"]) for o in f.found], {str(a): r for a, r in f.again.items()})
        for f in families
    ]
    comparison = compare(families, LIMIT, TOY)
    return plain, comparison.winner.family, comparison.winner.one.arch


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    path = tmp_path_factory.mktemp("across") / "journal.jsonl"
    return toy_search(path, SerialExecutor(toy_work)), path


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
        again = toy_search(tmp_path / "j", SerialExecutor(lambda job, asked=asked: asked.append(job) or toy_work(job)))
        assert seen(again) == seen(families)
        assert len(asked) <= len(whole.splitlines()) - 1 - max(0, done - 1)
        assert len({str(job) for job in asked}) == len(asked)
