"""NSGA-II: fronts against a literal reading, known optima, nothing asked twice, and a state that is only its tells."""

import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litepose_nas import Space, UserError, costs
from litepose_nas.budget import Budget
from litepose_nas.search import nsga2, pareto, random_search
from litepose_nas.search.feasible import Feasible
from litepose_nas.search.pareto import Point, best
from litepose_nas.search.problem import Problem
from litepose_nas.search.problem import score as scored
from litepose_nas.search.ranking import by_ap_or_loss, ranked_by
from tests.helpers import toy_search as toy
from tests.helpers.worlds import hypervolume

NUMBERS = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]) | st.floats(-5, 5)  # equal ones too
POINTS = st.lists(st.builds(Point, NUMBERS, NUMBERS.map(abs), st.sampled_from([0.0, 0.0, 0.0, 0.5, 2.0])), max_size=25)
SEARCHERS = {"nsga2": nsga2.searcher, "random": random_search.searcher}


# ── fronts ──


def literal_dominates(one, other):
    """Deb's constraint domination, word for word."""
    if one.excess == 0 and other.excess > 0:
        return True
    if one.excess > 0 and other.excess > 0:
        return one.excess < other.excess
    if one.excess > 0:
        return False
    no_worse = one.score >= other.score and one.macs <= other.macs
    return no_worse and (one.score > other.score or one.macs < other.macs)


@settings(max_examples=300)
@given(POINTS)
def test_fronts_are_those_of_peeling(points):
    left, peeled = set(range(len(points))), []
    while left:
        layer = {i for i in left if not any(literal_dominates(points[j], points[i]) for j in left)}
        peeled.append(layer)
        left -= layer
    assert [set(front) for front in pareto.sort(points)] == peeled


def test_crowding_of_a_front_known_by_hand():
    points = [Point(1, 1), Point(2, 2), Point(4, 3), Point(5, 11)]
    inf = float("inf")
    assert pareto.crowding(points) == [inf, (4 - 1) / 4 + (3 - 1) / 10, (5 - 2) / 4 + (11 - 2) / 10, inf]
    assert pareto.crowding(points[::-1])[::-1] == pareto.crowding(points)
    assert pareto.crowding([]) == []
    assert pareto.crowding([Point(1, 1)]) == [inf]
    assert pareto.crowding([Point(1, 1)] * 3).count(inf) == 2


@settings(max_examples=100)
@given(st.lists(st.builds(Point, st.integers(-2, 9), st.integers(0, 9), st.sampled_from([0.0, 0.0, 1.0])), max_size=12))
def test_hypervolume_counts_the_dominated_squares(points):
    squares = sum(
        any(p.score > s and p.macs <= m and not p.excess for p in points) for s in range(9) for m in range(8)
    )  # unit squares with their lower score and their fewer MACs at s, m
    assert hypervolume(points, score=0, macs=8) == squares


# ── searching a space whose best is known ──


def search(searcher, problem, evals, seed):
    found, asked = {}, []
    proposer = searcher(problem, seed)
    while len(found) < evals and (archs := proposer.ask(evals - len(found))):
        for arch in archs:
            asked.append(arch)
            found[arch] = toy.results(arch)
            proposer.tell(arch, found[arch])
    assert len(asked) == len(set(asked))  # nothing twice
    assert all(problem.budget.ok(problem.cost(arch)) for arch in asked)  # and nothing beyond the budget
    return scored(problem, found)


@pytest.fixture(scope="module")
def everything():
    return [(toy.score(arch), toy.cost(arch)) for arch in toy.space()]


BUDGETS = (["4MMAC"], ["8MMAC"], ["20MMAC", "700params"])


@pytest.mark.parametrize("budget", [["3MMAC"], ["4MMAC"], ["8MMAC"]], ids=" ".join)
def test_it_finds_the_best_of_49152_under_three_budgets(everything, budget):
    problem = toy.problem(budget)
    top = max(score for score, cost in everything if problem.budget.ok(cost))
    misses = [top - best(search(nsga2.searcher, problem, 500, seed), problem.budget).score for seed in range(5)]
    assert statistics.median(misses) == 0
    assert max(misses) < 0.02 * top


def test_two_limits_at_once_cost_it_a_little(everything):
    problem = toy.problem(["20MMAC", "700params"])
    top = max(score for score, cost in everything if problem.budget.ok(cost))
    tops = [best(search(nsga2.searcher, problem, 500, seed), problem.budget).score for seed in range(5)]
    assert statistics.median(tops) > 0.97 * top


@pytest.mark.parametrize("budget", BUDGETS, ids=" ".join)
def test_it_beats_random_search_at_equal_evaluations(everything, budget):
    problem = toy.problem(budget)
    most = max(cost.macs for _, cost in everything if problem.budget.ok(cost))
    floor = min(score for score, _ in everything)
    volumes = {}
    for name, searcher in SEARCHERS.items():
        runs = [search(searcher, problem, 200, seed) for seed in range(5)]
        points = [[Point(one.score, one.cost.macs) for one in run] for run in runs]
        volumes[name] = statistics.median(hypervolume(p, floor, most + 1) for p in points)
    assert volumes["nsga2"] > 1.05 * volumes["random"]


def test_scores_may_be_losses_and_failures_are_no_parents():
    problem = toy.problem(["8MMAC"])._replace(scores=by_ap_or_loss)
    proposer = nsga2.searcher(problem, 0)
    found = {}
    for n in range(200):
        (arch,) = proposer.ask(1)
        broken = n % 3 == 0
        found[arch] = {"ap": 0.0, "loss": "nan" if broken else 1 / toy.score(arch)}
        proposer.tell(arch, found[arch])
    assert ranked_by(list(found.values())) == "loss"
    top = best(scored(problem, found), problem.budget)
    assert top.score == -min(result["loss"] for result in found.values() if result["loss"] != "nan")
    parents = nsga2.rank(problem, scored(problem, found))[:20]
    assert all(parent.result["loss"] != "nan" for parent in parents)


def test_ap_is_gone_by_once_half_of_them_say_something():
    low, high = {"ap": 0.01, "loss": 5.0}, {"ap": 0.3, "loss": 9.0}
    assert by_ap_or_loss([low, low, high]) == [-5.0, -5.0, -9.0]
    assert by_ap_or_loss([low, high]) == [0.01, 0.3]
    assert by_ap_or_loss([{"loss": 1.0}, {"ap": None, "loss": "nan"}, {}]) == [-1.0, -float("inf"), -float("inf")]


# ── ends ──


@pytest.mark.parametrize("name", SEARCHERS)
@pytest.mark.parametrize("budget", [[], ["1.2MMAC"], ["790kMAC"]], ids=str)
def test_a_tiny_space_is_searched_whole_and_then_ends(name, budget):
    problem = toy.problem(budget, genes="ab", choices=3)
    within = {arch for arch in problem.space if problem.budget.ok(toy.cost(arch))}
    assert {one.arch for one in search(SEARCHERS[name], problem, 10**6, 0)} == within
    assert len(within) >= 1


def test_a_nearly_exhausted_part_of_a_larger_space_ends_too():
    problem = toy.problem(["2.5MMAC"])
    within = {arch for arch in problem.space if problem.budget.ok(toy.cost(arch))}
    assert problem.space.size > 40_000
    assert 3 < len(within) < 200
    for searcher in SEARCHERS.values():
        assert {one.arch for one in search(searcher, problem, 10**6, 0)} == within


def test_a_budget_that_nothing_keeps_is_told_before_anything_is_asked():
    with pytest.raises(UserError, match=r"no toy network fits MACs <= 1 MMAC .* allow 1.99MMAC or more"):
        nsga2.searcher(toy.problem(["1MMAC"]))


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1_990_000, 11_000_000))
def test_repairs_and_fills_keep_the_budget(seed, macs):
    problem, rng = toy.problem([f"{macs}MAC"]), random.Random(seed)
    feasible = Feasible(problem)
    arch = problem.space.sample(rng)
    repaired, filled = feasible.repair(arch, rng), feasible.fill(arch, rng)
    assert feasible.ok(repaired)
    assert feasible.ok(filled)
    if feasible.ok(arch):
        assert repaired == arch
    # Full to the edge: a dearer single step exists that no longer fits (costs here grow with every gene).
    assert any(not feasible.ok(other) for other in problem.space.neighbours(filled)) or filled == problem.space.widest


def test_a_tight_budget_on_the_real_space_starts_quickly_and_varied():
    space = Space.load("litepose")
    problem = Problem(space, Budget.of(["110MMAC"]), lambda arch: costs.cost(arch))
    archs = nsga2.searcher(problem, 0).ask(20)
    assert len(set(archs)) == 20
    assert all(costs.cost(arch).macs <= 110_000_000 for arch in archs)
    assert len({costs.cost(arch).macs for arch in archs}) >= 15


# ── the state is its tells ──


def play(searcher, problem, seed, evals, rng=None):
    """Return what was evaluated, in order; with a generator, the process dies now and then and replays its journal."""
    journal, proposer = [], searcher(problem, seed)
    while len(journal) < evals:
        archs = proposer.ask(rng.randint(1, 30) if rng else evals - len(journal))
        for arch in archs[: evals - len(journal)]:
            if rng and rng.random() < 0.05:
                proposer = searcher(problem, seed)
                for known in journal:
                    proposer.tell(known, toy.results(known))
                break
            journal.append(arch)
            proposer.tell(arch, toy.results(arch))
    return journal


@pytest.mark.parametrize("name", SEARCHERS)
@pytest.mark.parametrize("budget", [[], ["4MMAC"]], ids=str)
def test_dying_at_random_moments_changes_nothing(name, budget):
    problem = toy.problem(budget)
    straight = play(SEARCHERS[name], problem, 1, 120)
    for seed in range(5):
        assert play(SEARCHERS[name], problem, 1, 120, random.Random(seed)) == straight
    assert play(SEARCHERS[name], problem, 2, 120) != straight


def test_the_order_of_results_inside_a_round_does_not_matter():
    problem, rng = toy.problem(["8MMAC"]), random.Random(5)
    proposers = [nsga2.searcher(problem, 0), nsga2.searcher(problem, 0)]
    for _ in range(8):
        rounds = [proposer.ask(1000) for proposer in proposers]
        assert rounds[0] == rounds[1]
        assert proposers[0].ask(5) == []  # the round is out, its results are not in
        for arch in rounds[0]:
            proposers[0].tell(arch, toy.results(arch))
        for arch in rng.sample(rounds[1], len(rounds[1])):
            proposers[1].tell(arch, toy.results(arch))


def test_what_it_never_proposed_may_be_told_and_is_not_asked():
    problem = toy.problem([])
    told = nsga2.searcher(problem, 0)
    foreign = [*nsga2.searcher(problem, 0).ask(5), toy.space().sample(random.Random(77))]
    for arch in foreign:
        told.tell(arch, {"score": 10**6})
    asked = []
    for _ in range(6):
        archs = told.ask(100)
        asked += archs
        for arch in archs:
            told.tell(arch, toy.results(arch))
    assert not set(asked) & set(foreign)
    assert len(asked) == len(set(asked)) > 60
