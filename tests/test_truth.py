"""A search on a real supernet whose every network has been scored: it finds the best one, or one that noise cannot tell
from it."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
import truth
from drawn_supernet import Wanted

from litepose_nas.search.scoring import Protocol

# 192 networks.
SPACE = """
family: litepose
about: small enough to score every network of it in a test
resolution: 64
stem: 8
stages:
- {depth: 1, width: [8, 16], kernel: [3, 7], expand: 3}
- {depth: [1, 2], width: [16, 24, 32], kernel: 5, expand: 4}
- {depth: [1, 2], width: [24, 48], kernel: 5, expand: 4}
- {depth: 1, width: [24, 32], kernel: 5, expand: 3}
head:
- width: 16
- width: 16
- width: 8
"""
SEEDS, EVALS = range(4), 24


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    room = tmp_path_factory.mktemp("truth")
    (room / "space.yaml").write_text(SPACE)
    wanted = Wanted(str(room / "space.yaml"), steps=250, pictures=320, pixels=64)
    setting = truth.setting_of(room, wanted, Protocol(calibration=16), in_slice=32)
    path = room / "truth.jsonl"
    return setting, truth.evaluate_all(setting, truth.journal_of(setting, path), say=False), path


@pytest.mark.slow
def test_a_guided_search_finds_the_best_within_noise_under_three_budgets(known):
    setting, table, path = known
    journal = truth.journal_of(setting, path)
    assert len(table.results) == 192
    found, missed = [], {"guided": 0, "random": 0}
    for share in truth.SHARES:
        most = np.quantile(list(table.macs.values()), share)
        problem = truth.problem_of(table, most, "loss", setting.candidates.supernet.joints)
        best, scores = truth.best_within(table, problem)
        noise, spread = truth.noise_of(problem, truth.again(setting, journal, best))
        assert 0 < noise < spread < np.ptp(list(scores.values()))
        for seed in SEEDS:
            one = truth.play(table, problem, "guided", seed, EVALS)
            found.append(one.gap <= noise)
            missed["guided"] += one.better
            missed["random"] += truth.play(table, problem, "random", seed, EVALS).better
    assert all(found)
    assert missed["guided"] < missed["random"] / 2


@pytest.mark.slow
def test_the_truth_is_kept_and_goes_on_where_it_was_cut(known):
    setting, table, path = known
    whole = path.read_bytes()
    cut = path.with_name("cut.jsonl")
    cut.write_bytes(whole[: 4 * len(whole) // 5])  # in the middle of a network's line, as like as not
    again = truth.evaluate_all(setting, truth.journal_of(setting, cut), say=False)
    for arch, result in table.results.items():
        assert (again.results[arch]["loss"], again.results[arch]["ap"]) == (result["loss"], result["ap"])
