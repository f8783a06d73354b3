"""The end of a search by milliseconds: finalists are measured, who is too slow goes, the rest are ranked again."""

import json
import math
import random
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from litepose_nas import Space, UserError, costs
from litepose_nas.budget import Budget
from litepose_nas.latency import profile as profile_file
from litepose_nas.latency.drift import drift
from litepose_nas.latency.profiles import NamedProfile
from litepose_nas.runs import journal as journal_file
from litepose_nas.runs.journal import Journal
from litepose_nas.runs.run import Run
from litepose_nas.search.comparison import FamilyResults
from litepose_nas.search.finalists import finalists, select
from litepose_nas.search.measured import batches, eligible, next_candidates
from litepose_nas.search.pareto import front
from litepose_nas.search.problem import Problem, score
from litepose_nas.search.ranking import by_ap
from litepose_nas.search.workload import ONE_PERSON
from litepose_nas.steps import measured_finalists as step
from litepose_nas.steps.measured_again import MeasuredAgain
from litepose_nas.steps.search_plan import Search, SearchContext, SearchOptions
from litepose_nas.steps.successive_halving import nearest_to_best
from tests.helpers import simulated_here, tiny

BOUND = "latency_ms_bound"
SPACE = Space.load("topdown-tiny")
TRUE = drift((1.0, 2.0), (1.0, 2.0), 0.01, 0.01)


# ── who may be chosen, and who is measured next ──


@pytest.fixture(scope="module")
def within():
    """Ten networks from the best score to the worst, predicted to take 10 ms, 9 ms and so on, each at most 1 % more."""
    rng, archs = random.Random(0), []
    while len(archs) < 10:
        archs += [arch for arch in [SPACE.sample(rng)] if arch not in archs]

    def price(arch):
        ms = 10.0 - archs.index(arch)
        return costs.with_times(costs.cost(arch), {"latency_ms": ms, BOUND: 1.01 * ms})

    results = {arch: {"ap": 0.9 - 0.01 * at, "loss": 1.0} for at, arch in enumerate(archs)}
    return score(Problem(SPACE, Budget(), price, by_ap), results)


def times(within, *ms):
    """Times of the first networks; None: not measured."""
    return {one.arch: {BOUND: took} for one, took in zip(within, ms, strict=False) if took is not None}


LIMIT = Budget.of(["11ms"], times={"": BOUND})


def test_without_measurements_or_without_a_limit_on_them_all_may_be_chosen(within):
    assert eligible(within, LIMIT, {}) == within
    assert next_candidates(within, LIMIT, {}, (), 3) == []
    macs = Budget.of(["1GMAC"])
    assert eligible(within, macs, times(within, 20.0)) == within
    assert next_candidates(within, macs, times(within, 20.0), (), 3) == []


def test_a_measured_time_decides_and_who_was_not_measured_waits(within):
    known = times(within, 11.5, 10.9, None, 10.0)
    assert eligible(within, LIMIT, known) == [within[1], within[3]]
    assert next_candidates(within, LIMIT, known, (), 3) == []  # who was not measured is worse
    assert eligible(within, LIMIT, times(within, math.inf, 11.0)) == [within[1]]  # one that does not run


def test_where_all_are_too_slow_those_come_next_that_would_hold_if_off_by_as_much(within):
    known = times(within, 15.0, 13.5)  # half as long again as predicted
    assert eligible(within, LIMIT, known) == within[2:]
    # 8 ms would be 12; 7 ms would be 10.5.
    assert next_candidates(within, LIMIT, known, (), 3) == within[3:6]
    assert next_candidates(within, LIMIT, known, (), 8) == [*within[3:], within[2]]
    assert next_candidates(within, LIMIT, times(within, math.inf), (), 2) == within[1:3]


def test_where_no_finalist_holds_those_come_next_that_may_be_better_than_what_does(within):
    known = times(within, 15.0, 13.5, None, None, None, 7.5)
    assert next_candidates(within, LIMIT, known, [within[0].arch], 5) == within[3:5]
    assert next_candidates(within, LIMIT, known, [within[5].arch], 5) == []


def test_of_nothing_but_slow_ones_the_nearest_is_left(within):
    known = times(within[:3], 15.0, 11.2, 13.0)
    assert eligible(within[:3], LIMIT, known) == [within[1]]
    assert next_candidates(within[:3], LIMIT, known, (), 3) == []


def test_two_devices_are_kept_both(within):
    both = Budget.of(
        ["pi5:11ms", "server:3ms"], times={"pi5": "latency_ms_bound_pi5", "server": "latency_ms_bound_server"}
    )
    pi5, server = (limit.field for limit in both.limits)
    known = {
        within[0].arch: {pi5: 10.0, server: 3.5},
        within[1].arch: {pi5: 10.0},
        within[2].arch: {pi5: 9.0, server: 2.0},
        within[3].arch: {pi5: 12.0},
    }
    assert eligible(within, both, known) == [within[2]]
    del known[within[2].arch]
    assert eligible(within, both, known) == [within[1], *within[2:3], *within[4:]]


def test_the_choice_is_the_best_of_those_that_held(within):
    problem = Problem(SPACE, LIMIT, {one.arch: one.cost for one in within}.__getitem__, by_ap)
    again = {one.arch: [{"ap": ap}, {"ap": ap}] for one, ap in zip(within, (0.8, 0.9, 0.7), strict=False)}
    assert select(problem, within, again).chosen == within[1]
    dropped = select(problem, within, again, times=times(within, 10.0, 11.2, 10.0))
    assert dropped.chosen == within[0]
    assert [final.one for final in dropped.finalists] == [within[0], within[2]]
    # None of those scored again: the best first score of those that held.
    late = select(problem, within, again, times=times(within, 12.0, 12.0, 12.0, None, 10.0, 9.0))
    assert late.chosen == within[4]
    assert late.noise == 0.0


# ── measuring, with a clock that is told what to say ──


class Clock:
    """Stands in for measure_again: networks take `factor` times their predicted time, unless a time is named."""

    def __init__(self, found, factor=1.0, drift=TRUE):
        self.predicted = {one.arch: one.cost.latency_ms for one in found}
        self.factor, self.drift, self.own, self.asked = factor, drift, {}, []

    def __call__(self, named, archs, joints, path, minutes, say, show):
        self.asked.append((Path(named.where).stem, list(archs), minutes))
        path.write_text("rounds")
        ms = {arch: self.own.get(arch, self.factor * self.predicted[arch]) for arch in archs}
        return MeasuredAgain("1.0", self.drift, ms)


@pytest.fixture
def searched(tmp_path, monkeypatch):
    """A search by a profile of the simulated runtime that has come to its end, and what measures its networks."""
    simulated_here.install(monkeypatch)
    known = simulated_here.profile(SPACE, tmp_path / "sim.json")
    clock = profile_file.clock(known, "sim.json", SPACE)
    rng = random.Random(1)
    archs = list(dict.fromkeys(SPACE.sample(rng) for _ in range(60)))
    price = costs.timed_by([clock])
    middle = sorted(price(arch).latency_ms_bound for arch in archs)[40]
    budget = Budget.of([f"{middle}ms"], times={"": BOUND})
    problem = Problem(SPACE, budget, price, by_ap, objectives=("latency_ms",))
    results = {arch: {"ap": price(arch).latency_ms + rng.gauss(0, 0.01), "loss": 1.0} for arch in archs}
    found = score(problem, results)
    best = finalists(found, budget, 3)
    again = {one.arch: [one.result] for one in best}
    context = SearchContext(SimpleNamespace(supernet=SimpleNamespace(joints=17)), problem, {})
    profiles = {"sim": NamedProfile(str(tmp_path / "sim.json"), known)}
    ready = Search(
        SearchOptions(latency=["sim.json"]), {"tiny": context}, None, budget, ONE_PERSON, "", False, profiles
    )
    measuring = Clock(found)
    monkeypatch.setattr(step, "measure_again", measuring)
    with Run.create("search", settings={}, out=tmp_path / "found") as run:
        (run.folder / "latency").mkdir()

        def measure(ready=ready, say=lambda text: None):
            journal = Journal(run.journal, {"kind": "search"})
            families = [FamilyResults("tiny", problem, found, again)]
            (family,) = step.measure_finalists(ready, families, run, journal, say, print)
            return family, select(problem, found, again, times=family.times)

        yield SimpleNamespace(measure=measure, clock=measuring, ready=ready, found=found, best=best, run=run)


def test_finalists_and_front_are_measured_once(searched):
    family, chosen = searched.measure()
    ((name, archs, minutes),) = searched.clock.asked
    line = front(searched.found, searched.ready.budget, ("latency_ms",))
    assert (name, minutes) == ("sim", 1.0)
    assert archs[:3] == [one.arch for one in searched.best]
    assert set(archs) == {one.arch for one in [*searched.best, *line]}
    assert family.times == {arch: {BOUND: searched.clock.predicted[arch]} for arch in archs}
    assert chosen.chosen == searched.best[0]
    before = searched.run.journal.read_bytes()
    assert searched.measure() == (family, chosen)
    assert len(searched.clock.asked) == 1
    assert searched.run.journal.read_bytes() == before
    assert list((searched.run.folder / "latency").iterdir()) == []


def test_a_finalist_that_is_too_slow_is_dropped(searched):
    searched.clock.own[searched.best[0].arch] = 99.0
    family, selection = searched.measure()
    assert selection.chosen == searched.best[1]
    assert len(searched.clock.asked) == 1
    assert family.times[searched.best[0].arch] == {BOUND: 99.0}


@pytest.fixture
def slow_converter(monkeypatch):
    """Files take long, so of the front only finalists are measured."""
    slow = step.MEASURED_FORMATS["simulated"]._replace(slow=lambda arch, joints: "takes 15 s a network")
    monkeypatch.setitem(step.MEASURED_FORMATS, "simulated", slow)


def test_where_none_holds_the_next_best_are_measured_until_one_does(searched, slow_converter):
    searched.clock.factor = 1.2
    family, selection = searched.measure()
    (limit,) = searched.ready.budget.limits
    assert [minutes for *_, minutes in searched.clock.asked] == [1.0, 0.25]
    assert searched.clock.asked[0][1] == [one.arch for one in searched.best]
    held = [one for one in searched.found if 1.2 * one.cost.latency_ms <= limit.most]
    assert selection.chosen == max(held, key=lambda one: one.score)
    assert selection.chosen not in searched.best
    assert family.times[selection.chosen.arch][BOUND] <= limit.most


def test_tries_are_bounded_and_killed_between_them_it_goes_on(searched, slow_converter):
    searched.clock.factor = 50.0
    whole = searched.measure()
    batches_of = [archs for _, archs, _ in searched.clock.asked]
    assert len(batches_of) == 1 + step.MORE_TIMES
    assert [len(archs) for archs in batches_of[1:]] == [step.MORE] * step.MORE_TIMES
    assert len({arch for archs in batches_of for arch in archs}) == sum(map(len, batches_of))
    lines = searched.run.journal.read_bytes().splitlines(keepends=True)
    searched.run.journal.write_bytes(b"".join(lines[:3]) + lines[3][:50])  # two of four, and a part of the third
    searched.clock.asked.clear()
    assert searched.measure() == whole
    assert [archs for _, archs, _ in searched.clock.asked] == batches_of[2:]


def test_drift_is_taken_out_or_nothing_is_concluded(searched):
    searched.clock.factor, searched.clock.drift = 1.2, drift((1.0, 2.0), (1.2, 2.4), 0.01, 0.01)
    family, selection = searched.measure()
    assert selection.chosen == searched.best[0]
    assert family.times[selection.chosen.arch][BOUND] == pytest.approx(selection.chosen.cost.latency_ms)
    searched.run.journal.unlink()
    searched.clock.drift = drift((1.0, 2.0, 3.0), (1.2, 2.4, 6.0), 0.01, 0.01)
    family, selection = searched.measure()
    assert family.times == {}
    assert selection.chosen == searched.best[0]
    assert len(searched.clock.asked) == 2  # and nobody else was measured for it


def test_what_is_not_at_hand_is_named_and_left_out(searched, monkeypatch):
    said = []
    asked = searched.ready.options
    family, _ = searched.measure(searched.ready._replace(options=asked._replace(measure=False)), said.append)
    assert (family.times, said) == ({}, [])
    elsewhere = searched.ready.profiles["sim"].profile._replace(device={"processor": "abacus", "cores": 1})
    profiles = {"pi5": NamedProfile("pi5.json", elsewhere)}
    family, _ = searched.measure(searched.ready._replace(profiles=profiles), said.append)
    assert family.times == {}
    assert len(said) == 1
    assert said[0].startswith("finalists are not measured again on pi5: measured on abacus, and this is ")

    def fails(*_):
        raise UserError("none of 9 networks ran")

    monkeypatch.setattr(step, "measure_again", fails)
    family, _ = searched.measure(say=said.append)
    assert said[1:] == ["finalists are not measured again on sim: none of 9 networks ran"]
    assert searched.clock.asked == []
    assert Journal(searched.run.journal, {"kind": "search"}).records == []


def test_of_two_profiles_the_one_at_hand_is_measured(searched):
    there = searched.ready.profiles["sim"]
    away = there._replace(profile=there.profile._replace(runtime_version="9"))
    minutes = searched.ready.options._replace(measure_minutes=0.5)
    both = searched.ready._replace(profiles={"away": away, "sim": there}, options=minutes)
    family, _ = searched.measure(both)
    assert [minutes for *_, minutes in searched.clock.asked] == [0.5]
    assert {field for took in family.times.values() for field in took} == {"latency_ms_bound_sim"}


def test_a_damaged_measurement_is_named(searched):
    searched.measure()
    (record,) = Journal(searched.run.journal, {"kind": "search"}).records
    assert batches([record], "j")[0].to_record() == record
    for change in ({"networks": [{"family": "tiny"}]}, {"drift": {"ratio": "x"}}, {"batch": None}):
        with pytest.raises(UserError, match="line 2 is no measurement of networks"):
            batches([{**record, **change}], "j")


# ── from the command line, in processes of the simulated runtime ──


SEARCH = "search net --device cpu --evals 8 --measure-minutes 0.01 --latency sim.json"
TRAIN = "train-supernet --space small.yaml --data people --steps 2 --device cpu --out net batch=2"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return tiny.room_after(tmp_path_factory.mktemp("measured"), TRAIN)


@pytest.fixture
def room(trained, monkeypatch):
    monkeypatch.chdir(trained)
    device = simulated_here.install(monkeypatch)
    device()
    if not Path("sim.json").exists():
        simulated_here.profile(Space.load("small.yaml"), "sim.json")
    return device


def chosen():
    return Space.load("small.yaml").arch(json.loads(Path("subnet.json").read_text())["arch"])


def test_a_search_drops_what_is_too_slow_and_says_so_everywhere(room, said):
    text = said(f"{SEARCH} --budget 1ms --out fast")
    assert "measured again on sim: " in text
    assert "dropped" not in text
    first = chosen()
    assert f"measured {simulated_here.truth(first):.4g} ms" in text
    room(surprises=simulated_here.surprises([first], 100.0))
    text = said(f"{SEARCH} --budget 1ms --out slow")
    assert "1 of 2 finalists take longer than 1ms and are dropped" in text
    assert chosen() != first
    assert "too slow" in text
    (record,) = [one for one in journal_file.read("slow/journal.jsonl").records if "measured" in one]
    assert record["drift"]["ratio"] == pytest.approx(1.0)
    text = said("report slow --json")
    told = json.loads(text)
    assert told["measured"][0]["profile"] == "sim"
    assert told["chosen"]["latency_ms_measured"] == pytest.approx(simulated_here.truth(chosen()), abs=1e-9)
    page = Path("slow/report/report.html").read_text()
    assert "Measured again" in page
    assert "1 of 2 finalists take longer than 1ms" in page
    drawn = Path("slow/front.svg").read_text()
    assert drawn.count('class="measured"') >= 2
    assert drawn.count('class="error"') >= 1
    assert "ms, the upper bound" in drawn
    head = Path("slow/front.csv").read_text().splitlines()[0]
    assert "latency_ms,latency_ms_bound,latency_ms_measured,score" in head
    assert "1 of 2 finalists take longer than 1ms" in said("report slow")
    # Who was too slow does not compete in `finetune --candidates` either.
    assert first in [one.arch for one in nearest_to_best(Run.open("fast"), 8)]
    best = [one.arch for one in nearest_to_best(Run.open("slow"), 8)]
    assert best[0] == chosen()
    assert len(best) == 7
    assert first not in best
    assert "are for --latency" in said("search net --budget 1GMAC --no-measure", 2)


def test_killed_while_it_measures_it_loses_no_round(room, said, trained, monkeypatch):
    """The runtime is one of the real table here, for the process that is killed is another."""
    onnxruntime = pytest.importorskip("onnxruntime")
    samples = simulated_here.measured(Space.load("small.yaml"))
    real = samples._replace(runtime="onnxruntime", runtime_version=onnxruntime.__version__)
    profile_file.write("ort.json", profile_file.make([("ort", real)]))
    words = "search net --device cpu --evals 4 --budget 100ms --measure-minutes 5 --latency ort.json --out killed"
    process = tiny.start(words.split(), trained)
    rounds = trained / "killed" / "latency" / "ort-0.journal"
    limit = time.monotonic() + 120
    while time.monotonic() < limit and process.poll() is None:
        if rounds.exists() and rounds.read_text().count('"times"') >= 2:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept, evaluated = rounds.read_text(), len(journal_file.read("killed/journal.jsonl").records)
    assert kept.endswith("\n")
    measure, seen = step.measure_again, []

    def quickly(named, archs, joints, path, minutes, *rest):
        found = measure(named, archs, joints, path, 0.01, *rest)
        seen.append((minutes, path.read_text().startswith(kept)))
        return found

    monkeypatch.setattr(step, "measure_again", quickly)
    assert "measured again on ort" in said("search --resume --out killed --device cpu")
    assert seen == [(5.0, True)]
    assert len(journal_file.read("killed/journal.jsonl").records) == evaluated + 1
    assert [path.name for path in rounds.parent.iterdir()] == ["ort.json"]
