"""A profile held against the device of today: as fast, slower by some factor, another one, or too restless to tell."""

import pytest

from litepose_nas.errors import UserError
from litepose_nas.latency import profile as profile_file
from litepose_nas.latency.drift import choose_anchors, drift
from litepose_nas.latency.samples import digest
from litepose_nas.space import Space
from litepose_nas.steps import measured_again
from tests.helpers import simulated_here

CHECK = "latency check sim.json --seconds 0.1"


@pytest.fixture
def device(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wish = simulated_here.install(monkeypatch)
    wish()
    simulated_here.profile(Space.load("topdown-tiny"), "sim.json")
    return wish


def test_a_true_profile_is_said_to_be_true(device, said, monkeypatch):
    assert "the profile is true of this device" in said(CHECK)
    monkeypatch.setattr("tests.helpers.simulated_runtime.version", lambda: "0.9")
    simulated_here.profile(Space.load("topdown-tiny"), "sim.json")
    assert "measured now with 1.0, and then with 0.9" in said(CHECK)


def test_a_slower_device_and_one_that_is_another_are_told(device, command):
    device(slow=1.2)
    code, out, _ = command(CHECK)
    assert code == 1
    assert "1.200 times as long as then, each within 0.0% of that; noise today 0.0%" in out
    assert "more than noise" in out
    anchors = [one.arch for one in simulated_here.measured(Space.load("topdown-tiny")).samples if one.role == "anchor"]
    device(surprises=simulated_here.surprises(anchors[:1], 1.5))
    code, out, _ = command(CHECK)
    assert code == 1
    assert "the profile is not true of this device any more" in out
    device(noise=3.0)
    code, out, _ = command(CHECK)
    assert code == 1
    assert "too restless today" in out


def test_the_profile_of_another_machine_is_refused(device, said, monkeypatch):
    monkeypatch.setattr(measured_again, "describe_device", lambda: {"processor": "abacus", "cores": 10})
    assert "and this is abacus" in said(CHECK, 2)


def test_why_a_profile_is_not_at_hand(device, monkeypatch):
    known = profile_file.read("sim.json")
    assert measured_again.why_not_here(known) == ""
    cores = known.device["cores"]
    for changed, words in (
        (known._replace(device={**known.device, "cores": 99}), f"measured on 99 cores, and this is {cores}"),
        (known._replace(runtime_version="2.0"), "measured with simulated 2.0, and 1.0 is installed"),
        (known._replace(runtime="abacus"), "--runtime 'abacus'"),
        (known._replace(threads=1000), "measured with 1000 threads"),
    ):
        assert words in measured_again.why_not_here(changed)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "json is not installed; get it with: pip install nothing" in measured_again.why_not_here(known)


def test_anchors_are_the_measurements_own_from_fast_to_slow():
    space, other = Space.load("topdown-tiny"), Space.load("litepose-tiny")
    both = [simulated_here.measured(space), simulated_here.measured(other)]
    chosen = choose_anchors(both, {digest(space)})
    assert {one.sample.role for one in chosen} == {"anchor"}
    assert {one.sample.arch.space for one in chosen} == {space}
    assert [one.sample.ms for one in chosen] == sorted(one.sample.ms for one in chosen)
    # One that is measured anyway shows nothing of the device beside itself: others take its place.
    left = choose_anchors(both, {digest(space)}, without=[chosen[0].sample.arch])
    assert chosen[0].sample.arch not in [one.sample.arch for one in left]
    assert len(left) == 4
    assert len({one.sample.arch.space for one in choose_anchors(both)}) == 2


@pytest.mark.parametrize(
    ("today", "moved", "scale", "doubt"),
    [
        ((1.01, 2.02, 4.0), False, 1.0, ""),  # less than both measurements' noise
        ((1.1, 2.2, 4.4), True, 1.1, ""),
        ((0.9, 1.8, 3.6), True, 0.9, ""),
        ((1.0, 2.0, 6.0), False, 1.0, "not true of this device"),
    ],
)
def test_today_is_compared_by_the_median_ratio(today, moved, scale, doubt):
    found = drift((1.0, 2.0, 4.0), today, 0.01, 0.01)
    assert found.moved is moved
    assert found.scale == pytest.approx(scale)
    assert bool(found.doubt) == bool(doubt)
    assert doubt in found.doubt
    assert "too restless" in drift((1.0,), (1.0,), 0.01, 0.2).doubt


def test_a_profile_of_processor_time_says_so(tmp_path):
    samples = simulated_here.measured(Space.load("topdown-tiny"), 16)
    rows = [one._replace(cpu_ms=2 * one.ms) for one in samples.samples]
    known = profile_file.make([("here", samples._replace(samples=rows))], processor_time=True)
    profile_file.write(tmp_path / "cpu.json", known)
    assert profile_file.read(tmp_path / "cpu.json") == known
    assert known.processor_time
    assert "processor_time" not in profile_file.make([("here", samples)]).to_json()
    assert measured_again._ms(rows[0], known) == 2 * rows[0].ms


def test_a_profile_without_its_networks_cannot_be_checked(device, said):
    profile_file.write("bare.json", profile_file.read("sim.json")._replace(samples=()))
    assert "keeps none of its networks" in said("latency check bare.json", 2)
    with pytest.raises(UserError, match="keeps none"):
        measured_again.measure_again(
            measured_again.NamedProfile("bare.json", profile_file.read("bare.json")), (), 17, "x", 1, print
        )
