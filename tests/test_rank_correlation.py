"""Tau and precision against scipy and against loops that say what they are; intervals that hold what they should."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from litepose_nas.search import rank_correlation
from litepose_nas.search.rank_correlation import audit, between, resamples, strata

SCORES = st.lists(st.tuples(*[st.integers(0, 6)] * 3), min_size=2, max_size=14)


def tau(x, y, groups=None):
    ones = np.ones((1, len(x)))
    return rank_correlation._taus(x, y, [0] * len(x) if groups is None else groups, ones)[1][0]


def precision(x, y, k):
    return rank_correlation._precisions(x, y, k, np.ones((1, len(x))))[0]


def precision_inside(x, y, groups):
    return rank_correlation._precisions_inside(x, y, groups, np.ones((1, len(x))))[0]


def literal_tau(x, y, groups):
    """Concordant minus discordant pairs, over the pairs that each of the two tells apart."""
    agree = mine = yours = 0
    for i in range(len(x)):
        for j in range(i):
            if groups[i] == groups[j]:
                one = (x[i] > x[j]) - (x[i] < x[j])
                other = (y[i] > y[j]) - (y[i] < y[j])
                agree, mine, yours = agree + one * other, mine + one**2, yours + other**2
    return agree / math.sqrt(mine * yours) if mine and yours else math.nan


def literal_places(x, k):
    """One by one from the best; those that are equal where places run out share what is left."""
    places, left = [0.0] * len(x), k
    for value in sorted(set(x), reverse=True):
        here = [at for at, other in enumerate(x) if other == value]
        share = min(1.0, left / len(here))
        for at in here:
            places[at] = share
        left -= share * len(here)
    return places


@given(SCORES)
def test_tau_is_what_scipy_says(rows):
    x, y, _ = zip(*rows, strict=True)
    theirs = kendalltau(x, y).statistic
    assert tau(x, y) == pytest.approx(theirs, nan_ok=True)


@given(SCORES)
def test_tau_inside_groups_counts_pairs_of_a_group_only(rows):
    x, y, groups = zip(*rows, strict=True)
    assert tau(x, y, groups) == pytest.approx(literal_tau(x, y, groups), nan_ok=True)


@given(SCORES, st.integers(0, 99))
def test_a_draw_counts_as_the_list_it_stands_for(rows, seed):
    x, y, _ = zip(*rows, strict=True)
    drawn = resamples(len(x), 3, seed)
    assert (drawn[0] == 1).all()
    assert (drawn.sum(axis=1) == len(x)).all()
    overall, _ = rank_correlation._taus(x, y, [0] * len(x), drawn)
    for counts, found in zip(drawn, overall, strict=True):
        ats = np.repeat(np.arange(len(x)), counts.astype(int))
        assert found == pytest.approx(kendalltau(np.array(x)[ats], np.array(y)[ats]).statistic, nan_ok=True)
        (one,) = rank_correlation._precisions(x, y, 2, counts[None])
        both = [literal_places([row[at] for at in ats], 2) for row in (x, y)]
        by_net = [np.bincount(ats, places, len(x)) for places in both]
        assert one == pytest.approx(sum(map(min, *by_net)) / 2)


@given(SCORES, st.integers(1, 5))
def test_precision_is_the_share_of_the_best_that_are_the_best(rows, k):
    x, y, _ = zip(*rows, strict=True)
    k = min(k, len(x))
    wanted = sum(map(min, literal_places(x, k), literal_places(y, k))) / k
    assert precision(x, y, k) == pytest.approx(wanted)


def test_precision_without_ties_counts_heads():
    x, y = [9, 8, 7, 6, 5, 4], [5, 9, 8, 1, 2, 7]
    assert precision(x, y, 3) == pytest.approx(len({0, 1, 2} & {1, 2, 5}) / 3)
    assert precision_inside(x, y, [0, 0, 0, 1, 1, 1]) == 0.0  # 0 against 1, 3 against 5
    assert precision_inside(x, x, [0, 0, 0, 1, 1, 2]) == 1.0


def test_failures_are_last_and_equal():
    x, y = [3.0, -math.inf, 1.0, -math.inf], [4.0, -math.inf, 2.0, 1.0]
    ranks = [2, 0, 1, 0], [3, 0, 2, 1]
    assert tau(x, y) == pytest.approx(kendalltau(*ranks).statistic)
    assert math.isfinite(precision(x, y, 3))


def test_strata_are_octiles_or_as_many_as_there_is_enough_for():
    costs = random.Random(0).sample(range(1000), 24)
    found = strata(costs)
    assert [found.count(at) for at in range(8)] == [3] * 8
    ordered = sorted(zip(costs, found, strict=True))
    assert [at for _, at in ordered] == sorted(found)
    assert max(strata(range(100))) == 7
    assert max(strata(range(13))) == 3
    assert strata([5, 1]) == [0, 0]


def test_the_interval_holds_the_true_tau_nine_times_in_ten():
    rng, rho, held = np.random.default_rng(0), 0.6, 0
    for trial in range(100):
        x = rng.normal(size=24)
        y = rho * x + math.sqrt(1 - rho**2) * rng.normal(size=24)
        found = audit({"x": x}, y, strata(range(24)), draws=200, seed=trial).agreements["x"].tau
        held += found.low <= 2 / math.pi * math.asin(rho) <= found.high
        assert found.low < found.value < found.high
    assert held >= 88


def test_what_follows_the_cost_alone_ranks_nothing_inside_strata():
    rng = np.random.default_rng(3)
    costs = np.sort(rng.uniform(1, 10, 96))
    truth = 3 * np.log(costs) + rng.normal(0, 0.4, 96)
    knowing = truth + rng.normal(0, 0.2, 96)
    found = audit({"knowing": knowing, "cost": costs}, truth, strata(costs), base="cost", draws=200)
    cost, score = found.agreements["cost"], found.agreements["knowing"]
    assert cost.tau.value > 0.7
    assert cost.tau_inside.value < cost.tau.value / 2
    assert score.tau_inside.low > 0.5
    assert found.ahead["knowing"]["tau_inside"].low > 0.2
    assert "cost" not in found.ahead


def test_the_ceiling_is_the_mean_over_pairs_of_seeds():
    rng = np.random.default_rng(0)
    truths = [rng.normal(size=12).tolist() for _ in range(3)]
    groups = strata(range(12))
    found = between(truths, groups, draws=50)
    pairs = [(truths[a], truths[b]) for a, b in ((1, 0), (2, 0), (2, 1))]
    assert found.tau.value == pytest.approx(np.mean([kendalltau(*pair).statistic for pair in pairs]))
    inside = [literal_tau(*pair, groups) for pair in pairs]
    assert found.tau_inside.value == pytest.approx(np.mean(inside))
    assert found.precision.value == pytest.approx(np.mean([precision(*pair, 3) for pair in pairs]))
    with pytest.raises(ValueError, match="nothing to agree"):
        between(truths[:1], groups)


def test_what_is_all_alike_has_no_tau_and_json_holds_it():
    found = audit({"flat": [0.0] * 6}, range(6), strata(range(6)), draws=20).agreements["flat"]
    assert str(found.tau) == "-"
    assert found.plain()["tau"] == {"value": None, "low": None, "high": None}


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_the_same_seed_draws_the_same(seed):
    assert (resamples(9, 5, seed) == resamples(9, 5, seed)).all()
