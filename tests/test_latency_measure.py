"""Measuring, on simulated devices whose times are known, and through the command line in ONNX Runtime."""

import ast
import json
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from litepose_nas.cli import latency as command
from litepose_nas.errors import UserError
from litepose_nas.latency import measure as measure_file
from litepose_nas.latency import samples as samples_file
from litepose_nas.latency.measure import measure
from litepose_nas.latency.networks import choose, extremes, stratified
from litepose_nas.latency.standalone import conditions, rounds
from litepose_nas.runs.journal import Journal
from litepose_nas.runtimes.table import RUNTIMES
from litepose_nas.space import Space
from tests.helpers import simulated_runtime
from tests.helpers.commands import run
from tests.helpers.simulated_here import operations, target, write
from tests.helpers.tiny import start
from tests.helpers.unsummed import without_sums

PACKAGE = Path(measure_file.__file__).parents[1]


@pytest.fixture
def device(monkeypatch):
    """Return a function that says what the simulated device is like; visits are short."""
    monkeypatch.setattr(rounds, "VISIT", 0.001)
    monkeypatch.setattr(rounds, "LEAST_ROUNDS", 3)
    return lambda **wishes: monkeypatch.setenv("SIMULATED", json.dumps(wishes))


def measured(tmp_path, networks, threads=1, name="journal", show=lambda done, total, text: None, said=None):
    journal = Journal(tmp_path / name, {"networks": len(networks)})
    say = (lambda text: None) if said is None else said.append
    return measure(networks, target(threads), write, ".json", journal, 1e-3, 17, say, show)


def test_the_truth_is_found(tmp_path, device):
    device()
    networks = choose([Space.load("topdown-tiny"), Space.load("litepose")], 14, 17, 0)
    samples = measured(tmp_path, networks, threads=2)
    assert [sample.arch for sample in samples.samples] == [each.arch for each in networks]
    for sample in samples.samples:
        assert sample.ms == pytest.approx(simulated_runtime.truth(operations(sample.arch)) / 2)
        assert sample.median_ms == pytest.approx(sample.ms)
    assert samples.noise == 0
    assert (samples.runtime, samples.runtime_version, samples.threads) == ("simulated", "1.0", 2)
    assert {sample.rounds for sample in samples.samples if sample.role != "anchor"} == {3}
    assert {sample.rounds for sample in samples.samples if sample.role == "anchor"} == {6}  # once in each of two parts
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal"]
    samples_file.write(tmp_path / "samples.json", samples)
    assert samples_file.read(tmp_path / "samples.json") == samples


@pytest.mark.parametrize(("wishes", "noisy"), [({"noise": 0.03}, False), ({"noise": 2.0}, True)])
def test_noise_is_seen(tmp_path, device, monkeypatch, wishes, noisy):
    device(**wishes)
    monkeypatch.setattr(rounds, "LEAST_ROUNDS", 9)
    networks = choose([Space.load("topdown-tiny")], 8, 17, 0)
    samples = measured(tmp_path, networks)
    assert samples.noisy is noisy, samples.noise
    assert samples.noise > 0
    for sample in samples.samples:
        truth = simulated_runtime.truth(operations(sample.arch))
        assert truth <= sample.ms <= (1 + wishes["noise"]) * truth
        assert sample.ms <= sample.median_ms


def test_a_device_that_throttles_between_the_parts_promises_nothing(tmp_path, device):
    device()
    networks = choose([Space.load("topdown-tiny")], 40, 17, 0)

    def show(done, total, text):
        if text == "part 1, round 3":  # the second part's processes find a slower device
            device(slow=1.3)

    samples = measured(tmp_path, networks, show=show)
    assert samples.noise == pytest.approx(0.15, rel=0.01)
    assert samples.noisy
    assert samples.drift == pytest.approx(0.3)
    (line,) = conditions.complaints(samples.conditions, samples.drift, samples.noise)
    assert line == "drift: the anchors took 30.0% longer in the last rounds than in the first"


def test_networks_that_do_not_run_are_left_out_and_named(tmp_path, device):
    networks, said = choose([Space.load("topdown-tiny")], 10, 17, 0), []
    counts = sorted(len(operations(each.arch)) for each in networks)
    device(refuses=counts[-2])
    samples = measured(tmp_path, networks, said=said)
    assert len(samples.samples) == 9
    assert len(said) == 1
    assert "too many operations for this device" in said[0]
    device(refuses=1)
    with pytest.raises(UserError, match="none of 10 networks ran in simulated"):
        measured(tmp_path, networks, name="other")


def test_what_a_converter_stumbles_over_is_left_out(tmp_path, device, monkeypatch):
    device()
    networks, said = choose([Space.load("topdown-tiny")], 6, 17, 0), []

    def stumble(arch, path):
        if arch == networks[2].arch:
            raise RuntimeError("no such operation")
        write_simulated(arch, path)

    write_simulated = write
    monkeypatch.setitem(globals(), "write", stumble)
    assert len(measured(tmp_path, networks, said=said).samples) == 5
    assert "not converted, RuntimeError: no such operation" in said[0]


def test_without_an_anchor_the_noise_is_that_of_all(tmp_path, device, monkeypatch):
    device(noise=2.0)
    monkeypatch.setattr(rounds, "LEAST_ROUNDS", 9)
    networks = [each._replace(role="random") for each in choose([Space.load("topdown-tiny")], 4, 17, 0)]
    assert measured(tmp_path, networks).noisy


def test_processes_that_end_are_no_end(tmp_path, device):
    device(dies=60)  # in the second round
    networks, said = choose([Space.load("topdown-tiny")], 5, 17, 0), []
    with pytest.raises(UserError, match="none of 5"):
        measured(tmp_path, networks, said=said)
    assert "ended with 9: out of memory" in said[0]


def test_stopped_and_resumed_it_goes_on_where_it_was(tmp_path, device):
    device()
    networks, rng = choose([Space.load("topdown-tiny")], 40, 17, 0), random.Random(3)
    wanted = measured(tmp_path, networks, name="whole").samples
    stops = 0
    while True:
        after = rng.randint(1, 3)

        def stop(done, total, text, left=[after]):  # noqa: B006
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt

        try:
            samples = measured(tmp_path, networks, show=stop)
            break
        except KeyboardInterrupt:
            stops += 1
        assert sorted(path.name for path in tmp_path.iterdir()) == ["journal", "whole"]
    assert stops >= 2
    assert [each._replace(cpu_ms=None) for each in samples.samples] == [each._replace(cpu_ms=None) for each in wanted]


def test_another_version_of_the_runtime_is_refused(tmp_path, device):
    device()
    networks = choose([Space.load("topdown-tiny")], 3, 17, 0)
    Journal(tmp_path / "journal", {"networks": 3}).append({"version": "0.9"})
    with pytest.raises(UserError, match=r"begun with simulated 0\.9, and this is 1\.0"):
        measured(tmp_path, networks)


@pytest.mark.parametrize("name", ["litepose", "litepose-blocks", "s_vipnas_mbv3", "mobilevitpose", "topdown-tiny"])
def test_networks_are_spread_and_reach_the_ends(name):
    space = Space.load(name)
    chosen = choose([space], 40, 17, 0)
    archs = [each.arch for each in chosen]
    assert len(set(archs)) == 40
    assert {space.smallest, space.widest} <= set(archs)
    assert [each.role for each in chosen[:5]] == ["anchor"] * 4 + ["extreme"]
    assert chosen == choose([space], 40, 17, 0) != choose([space], 40, 17, 1)
    assert len(set(extremes(space))) >= 12
    drawn = stratified(space, 30, 17, random.Random(0))
    sizes = [arch.input for arch in drawn]
    assert {sizes.count(size) for size in sizes} <= {30 // len(set(sizes)), 30 // len(set(sizes)) + 1}


def test_what_runs_elsewhere_stands_alone():
    """In Python 3.8, and with nothing of this project but torch's own runtimes, which need all of it."""
    alone = sorted((PACKAGE / "latency" / "standalone").glob("*.py"))
    alone += [PACKAGE / "latency" / "elsewhere.py"]
    alone += [known.path for known in RUNTIMES.values() if known.package != "torch"]
    for path in alone:
        tree = ast.parse(path.read_text(), feature_version=(3, 8))
        assert "litepose_nas" not in {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}, path
        assert not [node for node in tree.body if isinstance(node, ast.Import) and node.names[0].name == "numpy"]


def test_the_command_says_what_it_measured_and_refuses_to_lose_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = "litepose-nas latency measure topdown-tiny --nets 5 --minutes 0.02"
    assert run(words, monkeypatch) == 0
    out = capsys.readouterr().out
    assert "5 networks, and 32 blocks alone, in onnxruntime" in out
    assert "noise" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["samples.html", "samples.json"]
    assert len(samples_file.read("samples.json").samples) == 5
    for more, said in (
        ("", "stays as it is"),
        (" --resume --out new.json", "leave out the spaces"),
        (" --out new.json --runtime onnxruntim", "did you mean 'onnxruntime'"),
    ):
        assert run(words + more, monkeypatch) == 2
        assert said in capsys.readouterr().err
    assert run("litepose-nas latency measure --resume --out new.json", monkeypatch) == 2
    assert "nothing to go on with" in capsys.readouterr().err
    assert run("litepose-nas latency measure --out new.json", monkeypatch) == 2
    assert "name a space" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert run("litepose-nas latency measure t_vipnas-tiny --runtime litert --out new.json", monkeypatch) == 2
    assert "clips" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run("litepose-nas latency measure topdown-tiny --out new.json --runtime ncnn", monkeypatch) == 2
    assert "ncnn is not installed; get it with: pip install ncnn" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["samples.html", "samples.json"]


def test_another_interpreter_without_the_runtime_is_told(tmp_path, monkeypatch, capsys):
    """The worker runs there with nothing of this project; -S leaves out all that is installed."""
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\nunset PYTHONPATH\nexec {sys.executable} -S "$@"\n')
    other.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    words = f"litepose-nas latency measure topdown-tiny --nets 2 --minutes 0.01 --python {other}"
    assert run(words, monkeypatch) == 2
    assert "onnxruntime needs pip install onnxruntime" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["python"]


def test_killed_it_has_lost_nothing(tmp_path, monkeypatch, capsys):
    words = ["latency", "measure", "topdown-tiny", "--nets", "4", "--minutes", "0.2"]
    process, journal = start(words, tmp_path), tmp_path / "samples.json.journal"
    limit = time.monotonic() + 60
    while time.monotonic() < limit and not (journal.exists() and journal.read_text().count('"times"') >= 2):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = journal.read_text().count('"times"')
    assert kept >= 2
    without_sums(journal)
    journal.write_text(journal.read_text().replace('"minutes": 0.2', '"minutes": 0.01'))
    monkeypatch.chdir(tmp_path)
    assert run("litepose-nas latency measure --resume", monkeypatch) == 0
    samples = samples_file.read("samples.json")
    assert len(samples.samples) == 4
    assert all(sample.rounds >= kept for sample in samples.samples)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["samples.html", "samples.json"]


def test_a_busy_machine_is_told(tmp_path, capsys):
    space = Space.load("topdown-tiny")
    row = samples_file.LatencySample(space.smallest, 10.0, 12.0, 3, "random", 5.0)
    samples = samples_file.LatencySamples({}, "onnxruntime", "1", 1, "fp32", 1, 17, 0.08, [row])
    command._summary(samples, tmp_path / "samples.json")
    out = capsys.readouterr().out
    assert "2.4 times their processor time" in out
    assert "above 5 % nothing can be promised" in out
