"""Milliseconds in a report of several families: of a picture with all its people, predicted and measured."""

import csv
import random
import re
from types import SimpleNamespace

import pytest

from litepose_nas import Space, costs
from litepose_nas.cli import console
from litepose_nas.report import page, times, words
from litepose_nas.report.record import load_search
from litepose_nas.report.summary import summarise, to_json
from litepose_nas.runs.journal import Journal
from litepose_nas.search.journal import header

SPACES = {name: Space.load(name) for name in ("litepose-tiny", "topdown-tiny")}
PEOPLE, DETECTOR = 3, 1.0
INFO = {"supernet": {"path": "gone", "sha256": "0"}, "data": "people", "seed": 0, "recipe": {}}


def archs_of(space):
    rng = random.Random(0)
    return list(dict.fromkeys(space.sample(rng) for _ in range(12)))


def milliseconds(arch):
    return costs.cost(arch).macs / 2e7


def price(arch):
    return costs.with_times(
        costs.cost(arch), {"latency_ms": milliseconds(arch), "latency_ms_bound": 1.1 * milliseconds(arch)}
    )


def record_of(path, slow=()):
    """A search across families, of which the one that sees one person is better; some networks were slow in fact."""
    notes = {
        "budget": ["100ms"],
        "convention": "exact",
        "judged": {"pictures": 9, "people": "as asked for", "boxes": "the true boxes"},
        "families": {name: {"joints": 17, "info": INFO} for name in SPACES},
        "latency": {"sim": "simulated 1.0, 1 thread"},
    }
    more = {
        "people": str(PEOPLE), "detector_macs": 0, "detector_ms": DETECTOR, "objectives": ["latency_ms"],
        "rank": "ap", "latency": {"sim": "0"},
    }  # fmt: skip
    journal = Journal(path, header({name: (space, "") for name, space in SPACES.items()}, 0, **more), notes)
    measured = []
    for name, space in SPACES.items():
        for at, arch in enumerate(sorted(archs_of(space), key=milliseconds), 1):
            ap = 0.02 * at + 0.3 * (name == "topdown-tiny")
            result = {"ap": ap, "loss": 1 - ap, "seconds": 0.1}
            cost = price(arch)._asdict()
            journal.append({"family": name, "n": at, "arch": arch.to_dict(), "cost": cost, "result": result})
            ms = 1000.0 if (name, at) in slow else 1.05 * milliseconds(arch)
            measured.append({"family": name, "arch": arch.to_dict(), "ms": ms})
    drift = {"ratio": 1.0, "spread": 0.0, "noise": 0.01, "allowed": 0.02}
    journal.append({"measured": "sim", "batch": 0, "drift": drift, "networks": measured})
    return load_search(path)


def test_times_of_a_picture_are_those_of_all_its_people(tmp_path, capsys):
    found = summarise(record_of(tmp_path / "journal.jsonl"))
    assert found.comparison.winner.family == "topdown-tiny"
    one = found.chosen
    ms = PEOPLE * milliseconds(one.arch) + DETECTOR
    assert one.cost.latency_ms == pytest.approx(ms)
    assert found.measured(one)["latency_ms_bound"] == pytest.approx(PEOPLE * 1.05 * milliseconds(one.arch) + DETECTOR)
    assert times.alone(found) == f"{1.05 * milliseconds(one.arch):.3g} ms, measured"  # of one run
    words.say(found, console.out, console.table)
    out = capsys.readouterr().out
    assert f"{PEOPLE * 1.05 * milliseconds(one.arch) + DETECTOR:.4g}" in out
    assert "measured again on sim: 24 networks" in out
    page.write(found, tmp_path / "report")
    with (tmp_path / "report" / "front.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(float(row["latency_ms"]) < float(row["latency_ms_measured"]) for row in rows)
    drawn = (tmp_path / "report" / "front.svg").read_text()
    assert "ms, the upper bound of a picture with 3 people" in drawn
    assert drawn.count('class="measured"') == len(found.found) == 24
    assert drawn.count('class="error"') == len(found.front)
    assert "nan" not in drawn
    for spot in re.findall(r'class="measured".*?measured ([\d.]+) ms', drawn):
        assert 0 < float(spot) < 200
    assert to_json(found)["measured"] == [
        {"profile": "sim", "networks": 24, "ratio": 1.0, "spread": 0.0, "noise": 0.01, "allowed": 0.02, "doubt": ""}
    ]


def test_a_family_whose_networks_are_slow_when_measured_loses_to_the_other(tmp_path):
    slow = {("topdown-tiny", at) for at in range(1, 12)}
    found = summarise(record_of(tmp_path / "some", slow))
    assert found.comparison.winner.one.arch == sorted(archs_of(SPACES["topdown-tiny"]), key=milliseconds)[11]
    said = times.in_words(found)
    assert len(said) == 1  # nobody who was dropped was a finalist
    head, rows = times.table(found)
    assert head[:2] == ["family", "evaluation"]
    assert [row[-1] for row in rows] == ["chosen"]
    # Where all are, the nearest is taken, and that is said.
    found = summarise(record_of(tmp_path / "all", {*slow, ("topdown-tiny", 12)}))
    assert any("of topdown-tiny within 100ms kept it: the nearest is taken" in line for line in times.in_words(found))


def test_the_axis_is_the_time_where_a_time_alone_is_limited_or_kept_low(tmp_path):
    found = summarise(record_of(tmp_path / "journal.jsonl"))
    (name, family), *_ = found.record.families.items()

    def axis(texts, low):
        problem = family.problem._replace(objectives=low)
        record = found.record._replace(families={**found.record.families, name: family._replace(problem=problem)})
        budget = found.budget.of(texts, times={"": "latency_ms_bound"})
        winner = SimpleNamespace(winner=SimpleNamespace(family=name))
        return times.axis(found._replace(record=record, budget=budget, comparison=winner))

    assert axis(["5ms"], ("macs",)) == "latency_ms_bound"
    assert axis(["5ms", "1GMAC"], ("macs",)) == ""
    assert axis(["5ms", "1GMAC"], ("latency_ms",)) == "latency_ms_bound"
    assert axis(["1GMAC"], ("params",)) == ""
