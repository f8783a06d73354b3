"""Every cost as a limit and as an objective, from the first proposal to the front, by every method; times included."""

import csv
import functools
import itertools
import random
from pathlib import Path

import pytest

from litepose_nas import UserError, costs
from litepose_nas.budget import Budget
from litepose_nas.data.source import open_source
from litepose_nas.report.page import write_csv
from litepose_nas.runs.journal import Journal
from litepose_nas.runs.run import Run
from litepose_nas.search import finalists
from litepose_nas.search.journal import header
from litepose_nas.search.loop import run_search
from litepose_nas.search.methods import searcher_of
from litepose_nas.search.pareto import front
from litepose_nas.search.problem import Problem
from litepose_nas.steps import search as step
from litepose_nas.steps import search_plan
from tests.helpers import tiny
from tests.helpers import toy_search as toy
from tests.helpers.commands import run as run_command

METHODS = ("guided", "nsga2", "random")
CASES = [
    (["5KBpeak"], ("peak_bytes",)),
    (["3KB", "8MMAC"], ("weight_bytes", "macs")),
    (["2.9ms"], ("latency_ms",)),
    (["3ms", "5KBpeak", "3KB", "700params"], ("latency_ms", "peak_bytes")),
]
TIMED = costs.timed(lambda arch: 1 + arch.tree.resolution / 40 + arch.tree.a / 10, toy.cost)


@functools.cache
def space():
    return toy.space()


def problem_of(limits, objectives):
    return Problem(space(), Budget.of(limits, timed=True), TIMED, objectives=objectives).remembering()


def results(arch):
    """A score that more of everything makes better, and some luck: the same each time."""
    return {"score": toy.score(arch) + random.Random(str(arch)).gauss(0, 3), "seconds": 0.5}


def beaten(one, others, fields):
    def figures(item):
        return (-item.score, *(getattr(item.cost, field) for field in fields))

    mine = figures(one)
    return any(all(a <= b for a, b in zip(figures(o), mine, strict=True)) and figures(o) != mine for o in others)


# Prices of one architecture at a time make the rounds of a guided search slow, so it has the last case alone.
@pytest.mark.parametrize(
    ("limits", "objectives", "method"),
    [(*case, method) for case in CASES for method in METHODS if method != "guided" or case == CASES[-1]],
    ids=str,
)
def test_a_search_keeps_every_limit_and_its_front_is_that_of_its_objectives(tmp_path, limits, objectives, method):
    problem, evals = problem_of(limits, objectives), 18

    def search(path):
        journal = Journal(path, header({"": (space(), "")}, 0, objectives=problem.low))
        return run_search(problem, searcher_of(method, problem, 0, evals), results, journal, evals), journal

    found, journal = search(tmp_path / "j")
    assert len({one.arch for one in found}) == evals
    for limit, one in itertools.product(problem.budget.limits, found):
        assert getattr(TIMED(one.arch), limit.field) <= limit.most
        assert getattr(one.cost, limit.field) <= limit.most
    for record, one in zip(journal.records, found, strict=True):
        assert record["cost"] == TIMED(one.arch)._asdict()
    kept = front(found, problem.budget, problem.low)
    assert {one.arch for one in kept} == {one.arch for one in found if not beaten(one, found, objectives)}
    assert all(problem.budget.ok(one.cost) for one in finalists.finalists(found, problem.budget, 5))
    write_csv(tmp_path / "front.csv", kept)
    with (tmp_path / "front.csv").open(newline="") as file:
        assert [float(row["latency_ms"]) for row in csv.DictReader(file)] == [one.cost.latency_ms for one in kept]
    data = journal.path.read_bytes()
    (tmp_path / "cut").write_bytes(data[: 2 * len(data) // 3])
    assert search(tmp_path / "cut")[0] == found
    assert (tmp_path / "cut").read_bytes() == data


@pytest.mark.parametrize("method", METHODS)
def test_limits_bind_where_they_are_tight(method):
    """The cheapest alone fits, or nothing does, and then nothing is asked."""
    least = TIMED(space().smallest)
    tight = problem_of([f"{least.peak_bytes}Bpeak", f"{least.latency_ms}ms"], ())
    archs = searcher_of(method, tight, 0, 24).ask(10**6)
    assert archs
    assert all(TIMED(arch).latency_ms <= least.latency_ms for arch in archs)
    for limits, words in (
        ([f"{least.peak_bytes - 1}Bpeak"], "peak activations"),
        ([f"{(least.weight_bytes - 1) / 1000}KB"], "weights"),
        (["2.5ms"], "latency <= 2.5 ms .*smallest: 2.7 ms"),
    ):
        with pytest.raises(UserError, match=f"no toy network fits {words}"):
            searcher_of(method, problem_of(limits, ()), 0, 24)


@pytest.mark.parametrize("method", METHODS)
def test_limits_that_fail_only_together_are_told(method):
    def against(arch):  # what costs little takes long
        return 1e9 / toy.cost(arch).macs

    macs = toy.cost(toy.space().smallest).macs * 2
    budget = Budget.of([f"{macs}MAC", f"{1e9 / macs / 2}ms"], timed=True)
    problem = Problem(toy.space(), budget, costs.timed(against, toy.cost))
    with pytest.raises(UserError, match=r"no toy network keeps all of MACs <= .*, latency <= .*; loosen one of them"):
        searcher_of(method, problem, 0, 24)


def test_a_time_is_a_limit_and_an_objective_of_a_real_search(tmp_path, monkeypatch):
    tiny.make_room(tmp_path)
    monkeypatch.chdir(tmp_path)
    words = "train-supernet --space small.yaml --data people --steps 2 --device cpu --out net batch=2"
    assert run_command(f"litepose-nas {words}", monkeypatch) == 0

    def slow(arch):
        return arch.tree.stem + arch.tree.stages[0].width / 100

    budget = Budget.of(["16MMAC", "8.1ms"], timed=True)
    options = search_plan.SearchOptions(["net"], ["16MMAC"], evals=8, device="cpu")
    ready = search_plan.plan(options, open_source)
    ((name, one),) = ready.families.items()
    timed, objectives = costs.timed(slow, one.problem.cost), ("latency_ms", "macs")
    problem = one.problem._replace(budget=budget, cost=timed, objectives=objectives, feasible=None)
    ready = ready._replace(families={name: one._replace(problem=problem)}, budget=budget)
    with Run.create("search", settings={}, out="found") as made:
        found = step.search(made, ready)
    assert len(found.found) == 8
    assert all(one.cost.latency_ms <= 8.1 and one.cost.macs <= 16_000_000 for one in found.found)
    assert {one.arch.tree.stem for one in found.found} == {8}
    with Path("found/front.csv").open(newline="") as file:
        assert {float(row["latency_ms"]) for row in csv.DictReader(file)} == {8.08}
