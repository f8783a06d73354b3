"""The end of a search: luck does not count, ties go to the cheaper."""

import random
import statistics

import pytest

from litepose_nas import UserError
from litepose_nas.executors.serial import SerialExecutor
from litepose_nas.runs.journal import Journal
from litepose_nas.search import finalists, nsga2
from litepose_nas.search.journal import header
from litepose_nas.search.loop import replay, run_search
from litepose_nas.search.pareto import best
from litepose_nas.search.problem import score
from litepose_nas.search.ranking import FAILED
from tests.helpers import toy_search as toy


def evaluated(problem, scores):
    """Return architectures of the toy space with these scores, each dearer than the one before."""
    archs = [problem.space.sample(random.Random(seed)) for seed in range(200)]
    costs = sorted({problem.cost(arch).macs: arch for arch in archs}.items())
    return score(problem, {arch: {"score": value} for (_, arch), value in zip(costs, scores, strict=False)})


# ── finalists ──


def test_finalists_are_the_best_evaluations_within_the_budget():
    problem = toy.problem(["8MMAC"])
    found = evaluated(problem, [5.0, 9.0, None, 7.0, 9.0, 8.0])
    chosen = finalists.finalists(found, problem.budget, 4)
    assert chosen == [found[1], found[4], found[5], found[3]]  # of two equals the cheaper first, no failure
    assert all(problem.budget.ok(one.cost) for one in chosen)
    tight = toy.problem([f"{found[3].cost.macs - 1}MAC"])
    assert finalists.finalists(found, tight.budget, 9) == [found[1], found[0]]


def test_the_first_score_of_a_finalist_does_not_count():
    problem = toy.problem()
    lucky, solid = evaluated(problem, [90.0, 80.0])
    again = {lucky.arch: [{"score": 70.0}, {"score": 70.2}], solid.arch: [{"score": 79.8}, {"score": 80.0}]}
    selection = finalists.select(problem, [lucky, solid], again)
    assert selection.chosen == solid
    assert [final.one for final in selection.finalists] == [solid, lucky]
    assert selection.noise == pytest.approx(statistics.stdev([0, 0.2]))


def test_what_noise_cannot_tell_apart_goes_to_the_cheaper():
    problem = toy.problem()
    cheap, dear = evaluated(problem, [80.0, 81.0])
    noisy = {cheap.arch: [{"score": 79.0}, {"score": 81.0}], dear.arch: [{"score": 80.0}, {"score": 82.0}]}
    assert finalists.select(problem, [cheap, dear], noisy).chosen == cheap  # 1 apart, each mean known to 1
    sure = {cheap.arch: [{"score": 80.0}, {"score": 80.1}], dear.arch: [{"score": 81.0}, {"score": 81.1}]}
    assert finalists.select(problem, [cheap, dear], sure).chosen == dear
    by_params = problem._replace(objectives=("params",))
    assert finalists.select(by_params, [cheap, dear], noisy).chosen == min(cheap, dear, key=lambda one: one.cost.params)


def test_without_repetitions_the_best_score_is_chosen_and_none_where_there_is_none():
    problem = toy.problem()
    found = evaluated(problem, [1.0, 3.0, 3.0, None])
    selection = finalists.select(problem, found, {})
    assert (selection.chosen, selection.noise) == (best(found, problem.budget), None)
    assert finalists.select(problem, found[3:], {}) is None
    broken = {found[1].arch: [{"score": None}, {"score": 3.0}], found[2].arch: [{"score": 2.0}, {"score": 2.1}]}
    assert finalists.select(problem, found, broken).chosen == found[2]
    assert finalists.select(problem, found, {found[1].arch: [{"score": None}] * 2}).chosen == found[1]


def test_the_noise_is_that_of_all_repetitions_together():
    rng = random.Random(0)
    groups = [[rng.gauss(place, 0.3) for _ in range(3)] for place in range(200)]
    assert finalists.spread(groups) == pytest.approx(0.3, rel=0.1)
    assert finalists.spread([[1.0], [2.0, FAILED]]) is None


def test_repetitions_are_written_once_and_tell_the_search_nothing(tmp_path):
    problem, asked = toy.problem(["8MMAC"]), []

    def again(job):
        asked.append(job)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return {"score": toy.score(problem.space.arch(job.arch)) + job.again / 100}

    def search(evals=30):
        journal = Journal(tmp_path / "j", header({"": (problem.space, "")}, 0))
        found = run_search(problem, nsga2.searcher(problem, 0), toy.results, journal, evals)
        chosen = finalists.finalists(found, problem.budget, 3)
        return found, chosen, finalists.score_again(problem, chosen, SerialExecutor(again), journal)

    with pytest.raises(KeyboardInterrupt):
        search()
    found, chosen, results = search()
    assert len(asked) == 7  # the interrupted one twice, no other
    assert {arch: [r["score"] for r in rs] for arch, rs in results.items()} == {
        one.arch: [one.score + 0.01, one.score + 0.02] for one in chosen
    }
    assert search()[2] == results
    assert len(asked) == 7
    journal = Journal(tmp_path / "j", header({"": (problem.space, "")}, 0))
    assert list(replay(problem.space, None, journal)) == [one.arch for one in found]
    longer, _, _ = search(40)  # and the search itself may go on behind them
    assert longer[:30] == found
    straight = Journal(tmp_path / "straight", header({"": (problem.space, "")}, 0))
    assert run_search(problem, nsga2.searcher(problem, 0), toy.results, straight, 40) == longer


def test_a_damaged_repetition_is_named(tmp_path):
    problem = toy.problem()
    journal = Journal(tmp_path / "j", header({"": (problem.space, "")}, 0))
    journal.append({"again": 1, "arch": {"depth": 9}, "result": {}})
    with pytest.raises(UserError, match="line 2 is no evaluation of toy: "):
        finalists.repeats(problem, journal)
