"""Guided search: its parts against literal readings, its proposals a function of its tells, and what it finds."""

import functools
import random
import statistics

import numpy as np
import pytest

from litepose_nas import Space, UserError, costs
from litepose_nas.budget import Budget, Limit
from litepose_nas.runs.journal import Journal
from litepose_nas.search import guided, pareto, random_search, surrogate
from litepose_nas.search.encoding import OFF, Genome
from litepose_nas.search.journal import header
from litepose_nas.search.loop import run_search
from litepose_nas.search.pareto import Point, front
from litepose_nas.search.pricing import Prices
from litepose_nas.search.problem import Problem
from litepose_nas.search.surrogate import Process, Ridge, Sample
from tests.helpers import toy_search as toy
from tests.helpers import worlds

SPACES = ("litepose", "litepose-blocks", "litepose-tiny")


@functools.cache
def tiny_world(kind="strongly interacting", seed=0, budget="60MMAC"):
    found = worlds.world("litepose-tiny", kind, seed, budget=budget)
    return found._replace(problem=found.problem.remembering())


def play(world, searcher, evals, seed=0, journal=()):
    """Return (architecture, result) in the order of proposal, after a journal that is told first."""
    told = list(journal)
    for arch, result in told:
        searcher.tell(arch, result)
    while len(told) < evals and (archs := searcher.ask(evals - len(told))):
        for arch in archs:
            told.append((arch, world.evaluate(arch, seed)))
            searcher.tell(*told[-1])
    return told


def volume(world, told):
    """Return the area under the true scores of all that was evaluated."""
    points = [Point(world.true(arch), world.problem.cost(arch).macs) for arch, _ in told]
    return worlds.hypervolume(points, world.true(world.space.smallest), world.problem.budget.limits[0].most)


# ── rows ──


@pytest.mark.parametrize("name", SPACES)
def test_rows_are_architectures(name):
    space, rng = Space.load(name), np.random.default_rng(0)
    genome = Genome(space)
    archs = [space.smallest, space.widest, *(space.sample(random.Random(seed)) for seed in range(50))]
    rows = genome.rows(archs)
    assert [genome.arch(row) for row in rows] == archs
    assert (genome.canonical(rows) == rows).all()
    assert genome.onehot(rows).tolist() == [space.encode(arch) for arch in archs]
    for made in (genome.draw(50, rng), genome.draw(50, rng, 5.0), genome.mutate(rows, 0.1, rng)):
        assert (genome.rows([genome.arch(row) for row in made]) == made).all()
    drawn = genome.draw(4000, rng)
    for at, size in enumerate(genome.sizes):  # uniform, as far as it counts
        counts = np.bincount(drawn[:, at][drawn[:, at] != OFF], minlength=size)
        assert counts.max() - counts.min() < 6 * np.sqrt(counts.mean()) + 1


def test_children_differ_and_come_from_their_parents():
    genome, rng = Genome(Space.load("litepose-blocks")), np.random.default_rng(1)
    ones, others = genome.draw(200, rng), genome.draw(200, rng)
    once = genome.mutate(ones, 0.0, rng)
    assert (once != ones).any(axis=1).all()
    both = (once != ones) & (once != OFF) & (ones != OFF)
    assert both.sum(axis=1).max() == 1  # one gene and what it switches on or off
    crossed = genome.cross(ones, others, rng)
    known = (crossed == ones) | (crossed == others) | (crossed == OFF) | ((ones == OFF) & (others == OFF))
    assert known.all()


@pytest.mark.parametrize("name", SPACES)
def test_columns_price_as_one_by_one(name):
    space = Space.load(name)
    genome = Genome(space)
    archs = [space.smallest, space.widest, *(space.sample(random.Random(seed)) for seed in range(60))]
    found = costs.columns(space, joints=14)(genome.rows(archs))
    for at, arch in enumerate(archs):
        exact = costs.cost(arch, joints=14)
        assert {field: int(column[at]) for field, column in found.items()} == {
            field: getattr(exact, field) for field in ("macs", "macs_litepose", "params", "weight_bytes")
        }


def test_quick_prices_that_are_wrong_or_say_too_little_are_not_used():
    space = Space.load("litepose-tiny")
    genome, right = Genome(space), costs.columns(space)
    rows = genome.draw(5, np.random.default_rng(0))
    archs = [genome.arch(row) for row in rows]

    def off_by_one(rows):
        return {field: column + 1 for field, column in right(rows).items()}

    for budget, many in ((["60MMAC"], off_by_one), (["60MMAC", "1MBpeak"], right), (["60MMAC"], None)):
        prices = Prices(Problem(space, Budget.of(budget), costs.cost, many=many), genome)
        exact = [[getattr(costs.cost(arch), field) for field in prices.fields] for arch in archs]
        assert prices.of(rows).tolist() == exact


# ── fronts ──


def test_layers_of_three_costs_are_those_of_peeling():
    rng = np.random.default_rng(0)
    for _ in range(30):
        points = rng.integers(0, 4, (25, 3)).astype(float)
        excess = np.maximum(rng.integers(-3, 3, 25), 0).astype(float)
        left, peeled = set(range(25)), []
        while left:

            def beats(i, j, points=points, excess=excess):
                if excess[i] or excess[j]:
                    return excess[i] < excess[j]
                return (points[i] <= points[j]).all() and (points[i] < points[j]).any()

            layer = {j for j in left if not any(beats(i, j) for i in left)}
            peeled.append(layer)
            left -= layer
        ranks = pareto.layers(points, excess)
        assert [set(np.flatnonzero(ranks == rank)) for rank in range(ranks.max() + 1)] == peeled
        assert (np.diff(ranks[pareto.ranked(points, excess)]) >= 0).all()


def test_hypervolume_equals_another_implementation():
    wfg = pytest.importorskip("optuna._hypervolume")
    rng = np.random.default_rng(3)
    for size in (0, 1, 2, 10, 100):
        points = [Point(*pair) for pair in rng.normal(size=(size, 2))]
        lines = np.array([[-p.score, p.macs] for p in points]).reshape(-1, 2)
        within = lines[(lines < [0.5, 0.8]).all(axis=1)]
        theirs = wfg.compute_hypervolume(within, np.array([0.5, 0.8])) if len(within) else 0.0
        assert worlds.hypervolume(points, -0.5, 0.8) == pytest.approx(theirs)


def test_gains_add_the_area_that_they_say():
    rng = np.random.default_rng(0)
    means, at = rng.uniform(0, 1, 30), rng.uniform(1, 9, 30)
    known, known_at = rng.uniform(0, 0.5, 8), rng.uniform(1, 9, 8)
    chosen = guided.gains(means, np.zeros(30), at, known, known_at, 10)
    assert len(set(chosen)) == 10
    assert chosen[0] == np.argmax(means)  # whatever it costs
    edge, floor = guided.EDGE * max(at.max(), known_at.max()), min(means.min(), known.min()) - np.ptp(means)
    points = [Point(*pair) for pair in zip(known, known_at, strict=True)]
    for number, one in enumerate(chosen):
        areas = [worlds.hypervolume([*points, Point(means[i], at[i])], floor, edge) for i in range(30)]
        if number >= 2 and max(areas) > areas[chosen[0]]:
            assert areas[one] == pytest.approx(max(areas))
        points.append(Point(means[one], at[one]))


# ── models ──


def sample(world, count, seed=0):
    rows = world.genome.draw(count, np.random.default_rng(seed), 3.0)
    prices = world.price(rows)
    logs = np.log(np.stack([prices["macs"], prices["params"]], axis=1))
    scores = world.true_rows(rows) + np.random.default_rng(seed + 1).normal(0, world.noise, count)
    return Sample(rows, logs, scores)


def test_what_a_process_predicts_of_the_left_out_is_what_it_would_have():
    world = tiny_world()
    data = sample(world, 40)
    model = Process(world.genome, data)
    points = surrogate._embedded(model._tables, data.rows)
    trend = model._frame.trend(data.logs)
    kernel = surrogate._together(points @ points.T, model._settings) + trend @ trend.T
    scores = (data.scores - model._frame.middle) / model._frame.size
    for out in range(0, 40, 7):
        rest = np.delete(np.arange(40), out)
        noisy = kernel[np.ix_(rest, rest)] + model._noise * np.eye(len(rest))
        expected = kernel[out, rest] @ np.linalg.solve(noisy, scores[rest])
        assert model.left_out[out] == pytest.approx(model._frame.middle + model._frame.size * expected)


def test_what_a_ridge_predicts_of_the_left_out_is_what_it_would_have():
    world = tiny_world()
    data = sample(world, 60)
    model = Ridge(world.genome, data)
    matrix = model._matrix(data.rows, data.logs)
    scores = (data.scores - model._frame.middle) / model._frame.size
    for out in range(0, 60, 11):
        x, y = np.delete(matrix, out, 0), np.delete(scores, out)
        effects = np.linalg.solve(x.T @ x + model._penalty * np.eye(x.shape[1]), x.T @ y)
        assert model.left_out[out] == pytest.approx(model._frame.middle + model._frame.size * (matrix[out] @ effects))
    assert model.mean(data.rows, data.logs) == pytest.approx(
        model._frame.middle
        + model._frame.size
        * (matrix @ np.linalg.solve(matrix.T @ matrix + model._penalty * np.eye(matrix.shape[1]), matrix.T @ scores))
    )


def test_both_models_know_how_far_off_they_are():
    for kind in worlds.KINDS:
        world = tiny_world(kind)
        test = sample(world, 400, seed=9)
        true = world.true_rows(test.rows)
        for model in (Ridge, Process):
            made = model(world.genome, sample(world, 80))
            off = (true - made.mean(test.rows, test.logs)) / made.deviation(test.rows, test.logs)
            assert 0.4 < np.sqrt(np.mean(off**2)) < 2.5


def test_of_very_many_evaluations_no_process_is_made(monkeypatch):
    """The matrix of 20,000 would take 3 GB, and its inverse hours."""
    world = tiny_world()
    monkeypatch.setattr(surrogate, "MOST_OF_PROCESS", 299)
    assert surrogate.fit(world.genome, sample(world, 299)).name == "process"
    monkeypatch.setattr(surrogate, "Process", None)
    assert surrogate.fit(world.genome, sample(world, 300)).name == "ridge"


def test_the_process_is_chosen_where_genes_interact_and_tells_which_matter():
    world = tiny_world()
    assert surrogate.fit(world.genome, sample(world, 300)).name == "process"
    data = sample(tiny_world("additive"), 100)
    alone = data.rows[:, 0].astype(float)  # only one gene has any effect
    weights = surrogate.relevance(world.genome, data._replace(scores=alone))
    assert weights.argmax() == 0
    assert weights[0] > 3 * np.delete(weights, 0).max()
    assert weights.mean() == pytest.approx(1, abs=0.1)


def test_equal_scores_and_single_costs_break_nothing():
    world = tiny_world()
    data = sample(world, 20)
    for odd in (
        data._replace(scores=np.ones(20)),
        data._replace(logs=np.zeros((20, 2))),
        data._replace(rows=np.repeat(data.rows[:1], 20, axis=0)),
    ):
        model = surrogate.fit(world.genome, odd)
        assert np.isfinite(model.mean(data.rows, odd.logs)).all()
        assert np.isfinite(model.deviation(data.rows, odd.logs)).all()


# ── proposals ──


def test_the_start_covers_the_costs_within_the_budget():
    world = tiny_world()
    archs = guided.searcher(world.problem, 0).ask(1000)
    assert len(set(archs)) == len(archs) == 40
    macs = np.log([world.problem.cost(arch).macs for arch in archs])
    assert macs.max() <= np.log(60e6)
    assert np.histogram(macs, bins=8)[0].min() >= 3
    assert world.space.smallest in archs


def test_the_same_seed_makes_the_same_proposals_and_another_makes_others():
    world = tiny_world()
    straight = play(world, guided.searcher(world.problem, 3), 80)
    assert [arch for arch, _ in play(world, guided.searcher(world.problem, 4), 41)] != [
        arch for arch, _ in straight[:41]
    ]
    archs = [arch for arch, _ in straight]
    assert len(set(archs)) == 80
    assert all(world.problem.budget.ok(world.problem.cost(arch)) for arch in archs)
    for cut in (0, 40, 67):  # and so it does when it goes on from a journal
        assert play(world, guided.searcher(world.problem, 3), 80, journal=straight[:cut]) == straight


def test_the_order_of_results_inside_a_round_does_not_matter():
    world, rng = tiny_world(), random.Random(0)
    one, other = guided.searcher(world.problem, 0), guided.searcher(world.problem, 0)
    for _ in range(3):
        archs = one.ask(1000)
        assert archs == other.ask(1000)
        assert one.ask(1) == []
        for arch in archs:
            one.tell(arch, world.evaluate(arch, 0))
        for arch in rng.sample(archs, len(archs)):
            other.tell(arch, world.evaluate(arch, 0))


def test_a_journal_cut_in_a_line_goes_on_to_the_same_end(tmp_path):
    world = tiny_world()
    head = header({"": (world.space, "")}, 0)

    def search(path, evals=60):
        searcher = guided.searcher(world.problem, 0)
        evaluate = lambda arch: {**world.evaluate(arch, 0), "seconds": 0.0}  # noqa: E731
        return run_search(world.problem, searcher, evaluate, Journal(path, head), evals)

    whole = search(tmp_path / "whole")
    data = (tmp_path / "whole").read_bytes()
    for cut in random.Random(1).sample(range(len(data)), 2):
        (tmp_path / "cut").write_bytes(data[:cut])
        assert search(tmp_path / "cut") == whole
        assert (tmp_path / "cut").read_bytes() == data
    other = Space.load("litepose")
    with pytest.raises(UserError, match="another space: 'litepose-tiny', not 'litepose'"):
        Journal(tmp_path / "whole", header({"": (other, "")}, 0))
    assert (tmp_path / "whole").read_bytes() == data


def test_nothing_that_can_be_scored_is_searched_at_random():
    world = tiny_world()
    searcher = guided.searcher(world.problem, 0, start=10)
    asked = []
    for _ in range(4):
        archs = searcher.ask(100)
        asked += archs
        for arch in archs:
            searcher.tell(arch, {"score": None})
    assert len(set(asked)) == len(asked) == 40


@pytest.mark.parametrize("budget", [[], ["1.2MMAC"]], ids=str)
def test_a_tiny_space_is_searched_whole_and_then_ends(budget):
    problem = toy.problem(budget, genes="ab", choices=3)
    searcher, found = guided.searcher(problem, 0), []
    while archs := searcher.ask(10**6):
        found += archs
        for arch in archs:
            searcher.tell(arch, toy.results(arch))
    assert len(found) == len(set(found))
    assert set(found) == {arch for arch in problem.space if problem.budget.ok(toy.cost(arch))}


def test_it_beats_random_search_by_far_in_both_worlds():
    for kind in worlds.KINDS:
        ratios = []
        for seed in range(3):
            world = worlds.world("litepose-tiny", kind, seed, budget="60MMAC")
            world = world._replace(problem=world.problem.remembering())
            ours = play(world, guided.searcher(world.problem, seed), 100, seed)
            by_chance = play(world, random_search.searcher(world.problem, seed), 300, seed)
            ratios.append(volume(world, ours) / volume(world, by_chance))
        assert statistics.fmean(ratios) > 1.02  # with a third of the evaluations


# ── budgets ──


LATENCY = Limit.of("3ms", timed=True)


def milliseconds(arch):
    return 1 + arch.tree.resolution / 40 + arch.tree.stem / 100


@pytest.mark.parametrize(
    ("limits", "objectives"),
    [
        (["60MMAC", "150kparams"], ()),
        (["500KBpeak", "400KB"], ("peak_bytes",)),
        ([], ("macs", "params")),
        (["3ms"], ("macs", "latency_ms", "peak_bytes")),
        (["150kparams"], ("latency_ms",)),
    ],
    ids=str,
)
def test_every_cost_is_a_limit_or_an_objective(limits, objectives):
    world = tiny_world()
    timed = costs.timed(milliseconds)
    problem = Problem(
        world.space, Budget.of(limits, timed=True), timed, many=world.price, objectives=objectives
    ).remembering()
    told = play(world, guided.searcher(problem, 0, start=12, round=6), 30)
    assert len(told) == 30
    found = [problem.cost(arch) for arch, _ in told]
    assert all(problem.budget.ok(cost) for cost in found)
    evaluated = guided_results(problem, told)
    kept = front(evaluated, problem.budget, problem.low)
    for one in evaluated:
        beaten = any(
            other.score >= one.score
            and all(
                a <= b for a, b in zip(problem.objectives_of(other.cost), problem.objectives_of(one.cost), strict=True)
            )
            and (other.score, problem.objectives_of(other.cost)) != (one.score, problem.objectives_of(one.cost))
            for other in evaluated
        )
        assert (one in kept) == (not beaten)


def guided_results(problem, told):
    from litepose_nas.search.problem import score

    return score(problem, dict(told))


def test_contradictions_and_what_nothing_keeps_are_told_before_anything_is_asked():
    world = tiny_world()
    for limits, words in (
        (["1kMAC"], "no litepose-tiny network fits MACs <= 1 kMAC .*allow 4.58MMAC or more"),
        (["60MMAC", "1KBpeak"], "no litepose-tiny network fits peak activations <= 1 KB .*allow"),
        (["1ms"], r"no litepose-tiny network fits latency <= 1 ms .*smallest: 2.68 ms.*allow 2.68ms or more"),
    ):
        problem = Problem(world.space, Budget.of(limits, timed=True), costs.timed(milliseconds), many=world.price)
        with pytest.raises(UserError, match=words):
            guided.searcher(problem)
    with pytest.raises(UserError, match="both limit latency"):
        Budget.of(["3ms", "4ms"], timed=True)
    with pytest.raises(UserError, match="latency_ms: the costs of this search say no time"):
        guided.searcher(Problem(world.space, Budget.of(["3ms"], timed=True), costs.cost))
    with pytest.raises(UserError, match=r"parms: not a cost of a network; did you mean 'params'"):
        guided.searcher(Problem(world.space, Budget(), costs.cost, objectives=("parms",)))


def test_a_time_is_a_limit_where_time_is_known():
    assert LATENCY[:2] == ("latency_ms", 3.0)
    assert Limit.of("0.02 s", timed=True).most == pytest.approx(20)
    assert str(LATENCY) == "latency <= 3 ms"
    arch = tiny_world().space.smallest
    cost = costs.timed(milliseconds)(arch)
    assert cost[:5] == tuple(costs.cost(arch))
    assert Budget((LATENCY,)).ok(cost)
    assert Budget((LATENCY,)).binding(cost) == "latency: 2.68 ms of 3 ms, 10.7% left"


# ── worlds ──


@pytest.mark.parametrize("name", ["litepose", "litepose-blocks"])
def test_the_worlds_are_what_they_are_called(name):
    assert worlds.interaction_share(worlds.world(name, "additive", 0)) < 1e-6
    assert 0.3 <= worlds.interaction_share(worlds.world(name, "interacting", 0)) < 0.4
    assert worlds.interaction_share(worlds.world(name, "strongly interacting", 0)) > 0.4
