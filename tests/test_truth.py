"""A search on a real supernet whose every network has been scored: it finds the best one, or one that noise cannot tell
from it."""

import json
import subprocess
import sys

import pytest

from tests.helpers.commands import ROOT, environment

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
SEEDS = 4


def score_all(room):
    """Score every network, play searches on the table, and return the rows that are printed."""
    options = "--steps 250 --pictures 320 --pixels 64 --calibration 16 --in-slice 32 --ranks loss --evals 24"
    command = [sys.executable, ROOT / "benchmarks" / "truth.py", "--room", room, "--space", room / "space.yaml"]
    done = subprocess.run(
        [*map(str, command), "--seeds", str(SEEDS), *options.split()],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if line[:1] == "|"]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    room = tmp_path_factory.mktemp("truth")
    (room / "space.yaml").write_text(SPACE)
    return room, score_all(room)


def results(path):
    """Return (loss, AP) of every network in a file of truth."""
    records = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    return {str(one["arch"]): (one["result"]["loss"], one["result"]["ap"]) for one in records if "again" not in one}


@pytest.mark.slow
def test_a_guided_search_finds_the_best_within_noise_under_three_budgets(known):
    room, rows = known
    truth = results(room / "truth.jsonl")
    assert len(truth) == 192
    of = {method: [row for row in rows if row["method"] == method] for method in ("guided", "random")}
    assert len(of["guided"]) == 3
    losses = [loss for loss, _ in truth.values()]
    for row in of["guided"]:
        noise, spread = (float(number.strip("()")) for number in row["noise (range)"].split())
        assert 0 < noise < spread < max(losses) - min(losses)
    assert [row["found"] for row in of["guided"]] == [f"{SEEDS} of {SEEDS}"] * 3
    missed = {method: sum(float(row["better"]) for row in found) for method, found in of.items()}
    assert missed["guided"] < missed["random"] / 2


@pytest.mark.slow
def test_the_truth_is_kept_and_goes_on_where_it_was_cut(known):
    room, rows = known
    path = room / "truth.jsonl"
    whole = path.read_bytes()
    before = results(path)
    path.write_bytes(whole[: 4 * len(whole) // 5])  # in the middle of a network's line, as like as not
    assert score_all(room) == rows
    assert results(path) == before
