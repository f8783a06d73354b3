"""How results become scores: the AP smoothed by the loss, and what it falls back to."""

import math

import numpy as np
import pytest
from scipy.stats import kendalltau

from litepose_nas.search.ranking import FAILED, LOSS, RANKS, SMOOTHED, by_loss, by_smoothed_ap, default_rank, ranked_by
from litepose_nas.task_kind import TaskKind


def results(seed: int = 0, noise: float = 0.03, larger_is_worse: float = 0.08) -> tuple[list[dict], np.ndarray]:
    """Networks at two resolutions: the larger has lower losses, as there is more background, and finds fewer people."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(0, 1, 60)
    large = rng.random(60) < 0.5
    true = 0.4 + 0.03 * quality - larger_is_worse * large
    ap = true + noise * rng.normal(0, 1, 60)
    loss = np.exp(-3 - 0.1 * quality - 0.3 * large)
    pixels = np.where(large, 160 * 160, 128 * 128)
    return [{"ap": a, "loss": b, "pixels": int(c)} for a, b, c in zip(ap, loss, pixels, strict=True)], true


def test_smoothing_ranks_better_than_either_when_losses_do_not_compare():
    found = {"smoothed-ap": [], "ap": [], "loss": []}
    for seed in range(10):
        made, true = results(seed)
        for name, taus in found.items():
            taus.append(kendalltau(RANKS[name](made), true)[0])
    means = {name: np.mean(taus) for name, taus in found.items()}
    assert means["smoothed-ap"] > 0.9
    assert means["smoothed-ap"] > means["ap"] + 0.2
    assert means["loss"] < 0.1  # it takes the larger inputs, which are worse


def test_at_one_resolution_the_order_is_that_of_the_loss():
    made, _ = results(larger_is_worse=0)
    made = [{**one, "pixels": 64} for one in made if one["pixels"] == 128 * 128]
    assert ranked_by(made, SMOOTHED) == SMOOTHED
    assert np.argsort(by_smoothed_ap(made)).tolist() == np.argsort(by_loss(made)).tolist()
    without = [{key: value for key, value in one.items() if key != "pixels"} for one in made]  # of older journals
    assert by_smoothed_ap(without) == by_smoothed_ap(made)


def test_the_line_is_that_of_least_squares():
    made, _ = results()
    large = np.array([one["pixels"] == 160 * 160 for one in made], float)
    ease = np.array([-math.log(one["loss"]) for one in made])
    columns = np.stack([1 - large, large, ease], 1)
    (low, high, slope), *_ = np.linalg.lstsq(columns, np.array([one["ap"] for one in made]), rcond=None)
    # Offsets are drawn together a little; the slope is the same, and so is the order inside a resolution.
    scores = np.array(by_smoothed_ap(made))
    for part, offset in ((large == 0, low), (large == 1, high)):
        assert np.ptp(scores[part] - slope * ease[part]) < 1e-9
        assert scores[part][0] - slope * ease[part][0] == pytest.approx(offset, abs=0.01)


def test_one_lucky_network_at_a_new_resolution_is_drawn_to_the_others():
    made, _ = results(larger_is_worse=0)
    lucky = {"ap": 0.9, "loss": math.exp(-3), "pixels": 96 * 96}
    score = by_smoothed_ap([*made, lucky])[-1]
    assert 0.4 < score < 0.65


@pytest.mark.parametrize("made", [
    [{"ap": 0.01, "loss": 0.1 + n, "pixels": 64} for n in range(5)],  # next to none
    [{"ap": 0.2 + 0.1 * n, "loss": 0.1 + n, "pixels": 64} for n in range(5)],  # it rises with the loss
    [{"ap": 0.2, "loss": 0.1, "pixels": 64}],
    [{"loss": 0.1}, {"loss": 0.2}],
])  # fmt: skip
def test_the_loss_decides_where_the_ap_says_nothing(made):
    assert ranked_by(made, SMOOTHED) == LOSS
    assert by_smoothed_ap(made) == by_loss(made)


def test_what_failed_is_last():
    made, _ = results()
    bad = [{"ap": 0.0, "loss": math.inf, "pixels": 64}, {"ap": 0.9}, {"ap": "nan", "loss": 0.01}]
    scores = by_smoothed_ap([*made, *bad])
    assert scores[-3:] == [FAILED] * 3
    assert FAILED not in scores[:-3]
    assert by_smoothed_ap([]) == []


def test_the_default_follows_the_tasks():
    assert default_rank([TaskKind.TOPDOWN, TaskKind.TEMPORAL]) == LOSS
    assert default_rank([TaskKind.BOTTOMUP]) == default_rank([TaskKind.TOPDOWN, TaskKind.BOTTOMUP]) == SMOOTHED
