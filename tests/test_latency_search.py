"""Milliseconds from the command line: a profile, a search that keeps to it, what is refused, what the report says."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from litepose_nas import weights
from litepose_nas.latency import profile as profile_file
from litepose_nas.latency import samples as samples_file
from litepose_nas.runs import journal
from litepose_nas.space import Space
from tests.helpers import tiny
from tests.helpers.devices import SimulatedDevice

SEARCH = "search net --device cpu --evals 8"
TRAIN = "train-supernet --space small.yaml --data people --steps 2 --device cpu --out net batch=2"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tiny.room_after(tmp_path_factory.mktemp("latency"), TRAIN)
    space = Space.load(str(folder / "small.yaml"))
    for name, device in (("pi5", SimulatedDevice()), ("server", SimulatedDevice(gmacs=500, overhead=0.001))):
        measured = device.samples(space, 30, seed=3)
        samples_file.write(folder / f"{name}-samples.json", measured)
        profile_file.write(folder / f"{name}.json", profile_file.make([(name, measured)]))
    return folder


@pytest.fixture
def room(trained, tmp_path, monkeypatch):
    folder = tmp_path / "room"
    shutil.copytree(trained, folder)
    monkeypatch.chdir(folder)
    return folder


def rows(path):
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_fit_says_how_good_it_is(room, said):
    text = said("latency fit pi5-samples.json --out again.json")
    for words in ("this model", "MACs alone", "ends of the space", "within 10 %", "noise of the measurement: 1.0%"):
        assert words in text
    assert "next: litepose-nas search --latency again.json --budget" in text
    assert profile_file.read("again.json").spaces == profile_file.read("pi5.json").spaces
    measured = samples_file.read("pi5-samples.json")
    samples_file.write("warm.json", measured._replace(drift=0.2, conditions=({"cooling": 1}, {"cooling": 0})))
    text = said("latency fit warm.json --out warm-fit.json")
    assert "warm.json: drift: the anchors took 20.0% longer in the last rounds than in the first" in text
    assert "warm.json: in 1 of 2 rounds the clock was held down against heat" in text
    samples_file.write("restless.json", measured._replace(noise=0.2))
    assert "a search refuses a budget in ms" in said("latency fit restless.json --out restless-fit.json")
    assert "so no budget can be promised" in said(f"{SEARCH} --budget 1ms --latency restless-fit.json", 2)


def test_a_search_keeps_a_budget_in_milliseconds_and_resumes_with_its_profile(room, said):
    text = said(f"{SEARCH} --budget 1ms --budget 16MMAC --objective latency_ms --latency pi5.json --out found")
    assert "upper bound of the latency" in text
    assert "finalists are not measured again on pi5: measured on simulated, and this is " in text
    assert "ms, predicted; preparing the picture " in text
    front = rows("found/front.csv")
    for row in front:
        assert float(row["latency_ms"]) < float(row["latency_ms_bound"]) <= 1
        assert int(row["macs"]) <= 16_000_000
    whole = Path("found/journal.jsonl").read_bytes()
    header = journal.read("found/journal.jsonl").header
    assert header["latency"] == {"pi5": profile_file.read("pi5.json").sha256}
    assert header["objectives"] == ["latency_ms"]
    # Killed in the middle; the file that it was begun with is gone, but the run has a copy.
    Path("found/journal.jsonl").write_bytes(whole[: 2 * len(whole) // 3])
    Path("found/ended.json").unlink()
    Path("pi5.json").unlink()
    said("search --resume --out found")
    again = rows("found/front.csv")
    assert [row["arch"] for row in again] == [row["arch"] for row in front]
    # Another profile in its place is another search.
    Path("found/journal.jsonl").write_bytes(whole[: 2 * len(whole) // 3])
    Path("found/ended.json").unlink()
    shutil.copy("server.json", "found/latency/pi5.json")
    assert "latency" in said("search --resume --out found", 2)


def test_a_report_chooses_within_another_time(room, said):
    said(f"{SEARCH} --budget 40fps --latency pi5.json --out found")
    assert journal.read("found/journal.jsonl").header["objectives"] == ["latency_ms"]  # nobody named one, or MACs
    times = sorted(float(row["latency_ms_bound"]) for row in rows("found/front.csv"))
    limit = times[len(times) // 2]
    text = said(f"report found --budget {limit}ms --out again")
    assert "milliseconds of pi5: the network alone, one picture, in onnxruntime" in text
    told = json.loads(said(f"report found --budget {limit}ms --out again --json"))
    assert told["chosen"]["latency_ms_bound"] <= limit
    assert "ms, the upper bound" in Path("again/front.svg").read_text()
    assert "upper bound of the latency" in Path("again/report.html").read_text()
    told = json.loads(said("profile subnet.json --latency pi5.json --json"))
    assert told["latency_ms"] < told["latency_ms_bound"] <= limit
    assert min(told["prepare_ms"], told["decode_ms"]) > 0
    text = said("profile subnet.json --latency pi5.json")
    assert "such networks take less than" in text
    assert f"the network alone {told['latency_ms']:.3g} ms, predicted; preparing the picture " in text
    assert "are below the bound" in said("space show small.yaml --latency pi5.json")
    ends = json.loads(said("space show small.yaml --latency pi5.json --json"))["cost"]
    assert ends["smallest"]["latency_ms"] < ends["widest"]["latency_ms"]


def test_several_profiles_limit_each_its_own(room, said):
    said(f"{SEARCH} --budget pi5:1ms --budget server:0.4ms --latency pi5.json --latency server.json --out found")
    for row in rows("found/front.csv"):
        assert float(row["latency_ms_bound_pi5"]) <= 1
        assert float(row["latency_ms_bound_server"]) <= 0.4
    assert json.loads(said("report found --budget server:0.4ms --json"))["chosen"]["latency_ms_bound_server"] <= 0.4
    words = said(f"{SEARCH} --budget 1ms --latency pi5.json --latency server.json", 2)
    assert "of which of the profiles?; write pi5:1ms, server:1ms" in words


def test_what_cannot_be_is_told_before_weights_are_read(room, said, monkeypatch):
    def read(*_, **__):
        raise AssertionError("weights were read")

    monkeypatch.setattr(weights, "load_supernet", read)
    assert "latency measure SPACE" in said(f"{SEARCH} --budget 25ms", 2)
    assert "latency measure SPACE" in said(f"{SEARCH} --budget 1GMAC --objective latency_ms", 2)
    words = said(f"{SEARCH} --budget 0.01ms --latency pi5.json", 2)
    assert "smallest: 0." in words
    assert "widest: 1." in words
    assert "allow 0." in words
    other = SimulatedDevice().samples(Space.load("litepose"), 20)
    profile_file.write("other.json", profile_file.make([("other", other)]))
    words = said(f"{SEARCH} --budget 1ms --latency other.json", 2)
    assert "knows networks of litepose, and none of small.yaml" in words
    Path("cut.json").write_bytes(Path("pi5.json").read_bytes()[:3000])
    assert "latency fit" in said(f"{SEARCH} --budget 1ms --latency cut.json", 2)
    words = said(f"{SEARCH} --budget 1ms --latency pi5.json --detector-ms 3", 2)
    assert "--detector-ms: for a search across families" in words
