"""The loop, its journal, and what is made of them: killed anywhere it goes on alike; fronts, tables, pictures."""

import csv
import json
import random
import signal
import subprocess
import sys
import textwrap
import time
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litepose_nas import UserError
from litepose_nas.report.page import write_csv
from litepose_nas.report.plots import picture
from litepose_nas.runs.journal import Journal
from litepose_nas.search import nsga2
from litepose_nas.search.journal import header
from litepose_nas.search.loop import replay, run_search
from litepose_nas.search.pareto import best, front
from litepose_nas.search.problem import Evaluated
from tests.helpers import toy_search as toy
from tests.helpers.commands import environment

BUDGET = ["8MMAC"]
SVG = "{http://www.w3.org/2000/svg}"


def search(path, evals=60, evaluate=toy.results, on_result=None, seed=0):
    problem = toy.problem(BUDGET)
    journal = Journal(path, header({"": (problem.space, "")}, seed))
    return run_search(problem, nsga2.searcher(problem, seed), evaluate, journal, evals, on_result)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    path = tmp_path_factory.mktemp("straight") / "journal.jsonl"
    return search(path), path


def test_every_result_is_written_told_and_returned(tmp_path):
    told = []
    found = search(tmp_path / "j", 30, on_result=lambda one, number: told.append((one.arch, number)))
    assert told == [(one.arch, number) for number, one in enumerate(found, 1)]
    records = Journal(tmp_path / "j", header({"": (toy.space(), "")}, 0)).records
    assert [record["n"] for record in records] == list(range(1, 31))
    for record, one in zip(records, found, strict=True):
        assert toy.space().arch(record["arch"]) == one.arch
        assert record["cost"] == toy.cost(one.arch)._asdict()
        assert record["result"] == one.result == toy.results(one.arch)
        assert one.score == toy.score(one.arch)


def test_the_time_is_taken_where_the_evaluation_does_not(tmp_path):
    (one,) = search(tmp_path / "j", 1, lambda arch: time.sleep(0.01) or {"score": 1.0})
    assert 0.01 <= one.result["seconds"] < 1


def test_cut_at_random_bytes_the_journal_ends_the_same(straight, tmp_path):
    found, path = straight
    whole, rng = path.read_bytes(), random.Random(0)
    for cut in [rng.randrange(len(whole)) for _ in range(20)]:
        (tmp_path / "j").write_bytes(whole[:cut])
        assert search(tmp_path / "j") == found
        assert (tmp_path / "j").read_bytes() == whole


def test_interrupted_it_keeps_what_it_has_and_goes_on(straight, tmp_path):
    found, path = straight
    evaluated = []
    for stop in (0, 7, 25, 59):

        def interrupted(arch, stop=stop):
            if len(evaluated) == stop:
                raise KeyboardInterrupt
            evaluated.append(arch)
            return toy.results(arch)

        with pytest.raises(KeyboardInterrupt):
            search(tmp_path / "j", evaluate=interrupted)
    assert search(tmp_path / "j") == found
    assert len(evaluated) == len(set(evaluated)) == 59  # none was evaluated again
    assert (tmp_path / "j").read_bytes() == path.read_bytes()


def test_killed_ten_times_it_ends_the_same(straight, tmp_path):
    code = """
        import sys, time
        from tests.helpers import toy_search as toy
        from litepose_nas.runs.journal import Journal
        from litepose_nas.search import loop, nsga2
        from litepose_nas.search.journal import header
        problem = toy.problem(["8MMAC"])
        journal = Journal(sys.argv[1], header({"": (problem.space, "")}, 0))
        slow = lambda arch: time.sleep(0.01) or toy.results(arch)
        loop.run_search(problem, nsga2.searcher(problem, 0), slow, journal, 60)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "j")]
    rng, kills = random.Random(3), 0
    for _ in range(10):
        process = subprocess.Popen(command, env=environment())
        before = time.monotonic()
        while process.poll() is None and not (tmp_path / "j").exists() and time.monotonic() - before < 20:
            time.sleep(0.005)
        time.sleep(rng.uniform(0.02, 0.4))
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills >= 3  # the others had ended before
    assert subprocess.run(command, env=environment(), check=False).returncode == 0
    assert (tmp_path / "j").read_bytes() == straight[1].read_bytes()


def test_going_on_for_longer_equals_having_gone_on(straight, tmp_path):
    search(tmp_path / "j", 23)
    assert search(tmp_path / "j", 60) == straight[0]
    assert search(tmp_path / "j", 10) == straight[0]  # enough is there


def test_a_journal_of_another_space_or_seed_is_refused(straight):
    with pytest.raises(UserError, match="another seed: 0, not 5"):
        search(straight[1], seed=5)
    with pytest.raises(UserError, match="another space: 'toy', not 'other'"):
        Journal(straight[1], header({"": (toy.space(name="other"), "")}, 0))
    with pytest.raises(UserError, match="another tree"):
        Journal(straight[1], header({"": (toy.space(choices=3), "")}, 0))


def test_a_record_of_another_kind_is_named(tmp_path):
    journal = Journal(tmp_path / "j", header({"": (toy.space(), "")}, 0))
    journal.append({"arch": toy.space().widest.to_dict(), "result": {}})
    journal.append({"arch": {"depth": 9}, "result": {}})
    with pytest.raises(UserError, match=r"line 3 is no evaluation of toy: arch: `resolution` is missing|`depth` is 9"):
        replay(toy.space(), None, journal)


# ── what is made of it ──


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 500)), max_size=20))
def test_the_front_is_what_nothing_beats(pairs):
    space, problem = toy.space(), toy.problem(BUDGET)
    archs = [space.sample(random.Random(seed)) for _, seed in pairs]
    found = [
        Evaluated(a, toy.cost(a), {}, float(s) if s else -float("inf")) for a, (s, _) in zip(archs, pairs, strict=True)
    ]
    within = [one for one in found if one.score > 0 and problem.budget.ok(one.cost)]

    def beaten(one):
        pairs = [(other.score, -other.cost.macs) for other in within]
        return any(s >= one.score and m >= -one.cost.macs and (s, m) != (one.score, -one.cost.macs) for s, m in pairs)

    kept = front(found, problem.budget)
    assert {(one.score, one.cost.macs) for one in kept} == {(o.score, o.cost.macs) for o in within if not beaten(o)}
    assert [one.cost.macs for one in kept] == sorted({one.cost.macs for one in kept})
    chosen = best(found, problem.budget)
    assert (chosen is None) == (not within)
    if chosen:
        assert chosen.score == max(one.score for one in within)
        assert chosen.cost.macs == min(one.cost.macs for one in within if one.score == chosen.score)


def test_the_front_is_a_table(straight, tmp_path):
    kept = front(straight[0])
    write_csv(tmp_path / "front.csv", kept)
    with (tmp_path / "front.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(kept) > 3
    for row, one in zip(rows, kept, strict=True):
        assert (int(row["macs"]), float(row["score"]), float(row["loss"])) == (
            one.cost.macs,
            one.score,
            one.result["loss"],
        )
        assert toy.space().arch(json.loads(row["arch"])) == one.arch


def test_the_picture_shows_everything_and_stands_alone(straight):
    found, budget = straight[0], toy.problem(BUDGET).budget
    failed = found[0]._replace(score=-float("inf"))
    text = picture([*found, failed], budget, best(found, budget), title="a < b & c", score="AP of 200 pictures")
    root = ET.fromstring(text)
    words = [node.text for node in root.iter(f"{SVG}text")]
    assert {
        "a < b & c",
        "AP of 200 pictures",
        "MMAC",
        "budget",
        "◇ chosen",
        f"● {len(found)} evaluated, 1 failed",
    } <= set(words)
    assert len([node for node in root.iter(f"{SVG}circle") if node.get("class") == "evaluated"]) == len(found)
    assert {node.get("class") for node in root.iter(f"{SVG}path")} >= {"front", "chosen"}
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    for node in root.iter(f"{SVG}circle"):
        assert 76 <= float(node.get("cx")) <= 720
        assert 0 <= float(node.get("cy")) <= 440
    # A better score is higher up, more MACs are further right.
    spots = [node for node in root.iter(f"{SVG}circle") if node.get("class") == "evaluated"]
    for one, spot in zip(found, spots, strict=True):
        for other, other_spot in zip(found, spots, strict=True):
            assert one.score <= other.score or float(spot.get("cy")) <= float(other_spot.get("cy"))
            assert one.cost.macs <= other.cost.macs or float(spot.get("cx")) >= float(other_spot.get("cx"))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_picture_of_hardly_anything_is_one_too(straight, count):
    same = straight[0][:1] * count
    root = ET.fromstring(picture(same))
    assert len(list(root.iter(f"{SVG}text"))) > 4
    assert "nan" not in picture(same)
