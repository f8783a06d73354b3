"""Kits: made here, run by themselves, killed, and what is refused in one message."""

import ast
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from litepose_nas import costs
from litepose_nas.budget import Budget
from litepose_nas.errors import UserError
from litepose_nas.latency import kit as kit_file
from litepose_nas.latency import samples as samples_file
from litepose_nas.latency.networks import choose, choose_blocks
from litepose_nas.latency.standalone import block_rounds, kit_run, rounds, rounds_file
from litepose_nas.latency.standalone.errors import MeasuringError
from litepose_nas.plan_files.part_graph import part_graph
from litepose_nas.report.record import load_search
from litepose_nas.report.summary import summarise
from litepose_nas.runs.journal import Journal
from litepose_nas.runtimes.table import RUNTIMES
from litepose_nas.search import random_search
from litepose_nas.search.journal import header
from litepose_nas.search.loop import run_search
from litepose_nas.search.problem import Problem
from litepose_nas.search.ranking import by_ap_or_loss
from litepose_nas.space import Space
from tests.helpers import simulated_here, simulated_runtime

SPACE = Space.load("topdown-tiny")


def make(folder, space=SPACE, nets=5, runtime=simulated_here.FILE):
    """Write a kit for the simulated device."""
    chosen = choose([space], nets, 17, 0)
    networks = [kit_file.Named(f"net {i}", each) for i, each in enumerate(chosen)]
    target = simulated_here.target()._replace(file=runtime, pip="pip install numpy nothing")
    files, rewrites = (simulated_here.write, simulated_here.write_nodes, ".json"), ("cut_kernels",)
    kit_file.write_kit(folder, networks, target, 17, 0.001, *files, rewrites, print, lambda done, total: None)
    return folder


@pytest.fixture
def kit(tmp_path, monkeypatch):
    monkeypatch.setattr(rounds, "VISIT", 0.001)
    monkeypatch.setattr(block_rounds, "VISIT", 0.001)
    monkeypatch.chdir(tmp_path)
    return make(tmp_path / "kit")


@pytest.fixture
def start(kit):
    """Return a function that starts a kit's run.py as on a device: this project is not on the path."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def call(*words):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([sys.executable, "run.py", *words], cwd=kit, env=env, **pipes)

    return call


@pytest.fixture
def refused(capsys):
    """Return a function that runs a kit, which must end in one line of error, and returns that."""

    def call(folder, *words):
        assert kit_run.main(words, folder) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return call


def check(samples):
    networks = choose([SPACE], len(samples.samples), 17, 0)
    assert [(sample.arch, sample.role) for sample in samples.samples] == networks
    for sample in samples.samples:
        assert sample.ms == pytest.approx(simulated_here.truth(sample.arch))
    assert (samples.runtime, samples.runtime_version, samples.noise) == ("simulated", "1.0", 0)
    blocks = choose_blocks(networks, 17)
    assert [(block.arch, block.part) for block in samples.blocks] == [(arch, part.name) for arch, part in blocks]
    for block, (_, part) in zip(samples.blocks, blocks, strict=True):
        operations = simulated_here.node_operations(part_graph(part))
        assert block.ms == pytest.approx(simulated_runtime.truth(operations))


# ── run ──


def test_it_stands_alone():
    """In Python 3.8, with its own files and the standard library; numpy is the worker's, when it opens a network."""
    for path in kit_file.STANDALONE.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = {node.module.split(".")[0]}
            else:
                continue
            others = names - sys.stdlib_module_names
            assert not others or (path.name, others) in (("worker.py", {"numpy"}), ("run.py", {"standalone"})), path


def test_killed_at_any_moment_it_goes_on(kit, start):
    """Five times, with room for one network beside the anchors, so that there are several parts."""
    journal, rng, kept, words = kit / "samples.json.journal", random.Random(5), 0, ("--alive", "4", "--minutes", "0.06")
    for _ in range(5):
        process = start(*words)
        time.sleep(rng.uniform(0.1, 0.9))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        before, kept = kept, journal.read_bytes().count(b'"seconds"') if journal.exists() else 0
        assert kept >= before
    out, errors = start(*words).communicate()
    assert "written to samples.json" in out, errors
    assert kept == 0 or f"going on with {journal.name}" in out
    samples = samples_file.read(kit / "samples.json")
    check(samples)
    assert all(sample.rounds >= 10 for sample in samples.samples if sample.role == "anchor")  # five in each part
    left = {path.name for path in kit.iterdir()} - {"standalone"}
    assert left == {"README.txt", "manifest.json", "models.zip", "run.py", "runtime.py", "samples.json"}


def test_what_it_writes_is_what_the_project_writes(kit, tmp_path, capsys):
    assert kit_run.main([], kit) == 0
    out = capsys.readouterr().out
    for words in ("5 networks of topdown-tiny in simulated", "net 4", "noise 0.0%", "latency fit samples.json"):
        assert words in out
    samples = samples_file.read("samples.json")
    samples_file.write("again.json", samples)
    assert Path("again.json").read_bytes() == Path("samples.json").read_bytes()
    assert samples.rewrites == ("cut_kernels",)
    check(samples)


def test_what_was_cut_short_is_dropped(tmp_path):
    path = tmp_path / "rounds"
    for cut, kept in ((b"", []), (b'{"kit": 1', []), (b'{"kit": 1}\n{"part": 0}\n{"part', [{"part": 0}])):
        path.write_bytes(cut)
        file = rounds_file.RoundsFile(path, {"kit": 1})
        file.append({"part": 1})
        assert (file.header, file.records) == ({"kit": 1}, [*kept, {"part": 1}])
        with pytest.raises(MeasuringError, match="another run"):
            rounds_file.RoundsFile(path, {"kit": 1})
        assert [json.loads(line) for line in path.read_text().splitlines()] == [{"kit": 1}, *file.records]
        file.close()


def test_memory_says_how_many_are_open(tmp_path):
    path = tmp_path / "meminfo"
    for megabytes, room in ((64_000, 24), (2000, 14), (500, 6)):
        path.write_text(f"MemTotal: 1 kB\nMemAvailable:  {megabytes * 1000} kB\n")
        assert kit_run.room(10e6, path) == room
    assert kit_run.room(10e6, tmp_path / "none") == 24


# ── refused ──


def test_a_truncated_manifest(kit, refused):
    path = kit / "manifest.json"
    path.write_bytes(path.read_bytes()[:-40])
    assert "manifest.json: not the whole file" in refused(kit)
    assert "copy the whole kit once more" in refused(kit)
    path.unlink()
    assert "manifest.json: cannot be read" in refused(kit)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["spaces"]["topdown-tiny"]["tree"].update(stem=[8, 24]), "has other choices than the kit"),
        (lambda d: d["networks"][1].update(space="litepose"), "networks of litepose, which is none of its spaces"),
        (lambda d: d.update(version=9), "not of a kit that this run.py knows"),
        (lambda d: d.pop("networks"), "damaged"),
        (lambda d: d.update(models_sha256="0"), "models.zip: not the networks of manifest.json"),
    ],
)
def test_a_manifest_that_does_not_belong_here(kit, refused, change, words):
    path = kit / "manifest.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    assert words in refused(kit)


def test_networks_of_another_kit(kit, tmp_path, refused):
    other = make(tmp_path / "other", Space.load("litepose-tiny"))
    (kit / "models.zip").write_bytes((other / "models.zip").read_bytes())
    assert "models.zip: not the networks of manifest.json" in refused(kit)


def test_something_else_than_was_begun(kit, tmp_path, refused, monkeypatch, capsys):
    class Stopped(rounds_file.RoundsFile):
        def append(self, record):
            super().append(record)
            if "times" in record:
                raise KeyboardInterrupt

    monkeypatch.setattr(kit_run, "RoundsFile", Stopped)
    monkeypatch.setattr(kit_run, "_cores", lambda: 1)
    assert kit_run.main(["--threads", "2"], kit) == 130
    said = capsys.readouterr()
    assert "stopped; the same command goes on" in said.err
    assert "2 threads on 1 core(s) wait for each other; --threads takes fewer" in said.out
    monkeypatch.setattr(kit_run, "RoundsFile", rounds_file.RoundsFile)
    before = Path("samples.json.journal").read_bytes()
    assert "begun with 2 thread(s), and asked for are 1; delete" in refused(kit)
    assert "begun with 2 thread(s), and asked for are 3" in refused(kit, "--threads", "3")
    other = make(tmp_path / "other", Space.load("litepose-tiny"))
    assert "begun with networks of topdown-tiny, and this kit has litepose-tiny" in refused(other, "--threads", "2")
    changed = Space({**json.loads(SPACE.source), "stem": [8, 24]}, SPACE.name)
    changed = make(tmp_path / "changed", changed)
    assert "networks of another topdown-tiny, and this kit has topdown-tiny" in refused(changed, "--threads", "2")
    assert "begun with another kit" in refused(make(tmp_path / "more", nets=7), "--threads", "2")
    described = kit_run.describe_device()
    monkeypatch.setattr(kit_run, "describe_device", lambda: {**described, "processor": "abacus"})
    assert "and here is abacus" in refused(kit, "--threads", "2")
    monkeypatch.setattr(kit_run, "describe_device", lambda: described)
    assert Path("samples.json.journal").read_bytes() == before
    Path("samples.json.journal").write_bytes(before.replace(b'"version"', b'"version', 1))
    assert "samples.json.journal: line 2 is damaged; delete the file" in refused(kit, "--threads", "2")
    Path("samples.json.journal").write_bytes(before)
    assert kit_run.main(["--threads", "2"], kit) == 0
    assert samples_file.read("samples.json").threads == 2
    assert "measured already, and it stays as it is" in refused(kit)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import nothing_of_that_name", "simulated needs pip install numpy nothing"),
        ("raise ValueError('no such file')", "none of 5 networks ran in"),
    ],
)
def test_a_runtime_that_is_missing_or_runs_nothing(tmp_path, monkeypatch, capsys, code, words):
    monkeypatch.chdir(tmp_path)
    runtime = tmp_path / "nothing.py"
    runtime.write_text(f"def open_session(path, threads):\n    {code}\n")
    assert kit_run.main([], make(tmp_path / "kit", runtime=runtime)) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
    assert not Path("samples.json.journal").exists()


# ── made ──


def test_the_command(tmp_path, monkeypatch, said):
    monkeypatch.chdir(tmp_path)
    text = said("latency kit topdown-tiny --nets 5 --out pi")
    assert "5 networks in pi, 0." in text
    assert "`latency fit` needs 10" in text
    with zipfile.ZipFile("pi/models.zip") as archive:
        packed = {name: archive.getinfo(name) for name in archive.namelist()}
    assert list(packed)[:6] == [*(f"{i}.onnx" for i in range(5)), "block0.onnx"]
    assert sum(one.compress_size for one in packed.values()) < sum(one.file_size for one in packed.values()) / 5
    readme = Path("pi/README.txt").read_text().splitlines()
    assert len(readme) < 15
    assert "       python3 -m venv env && env/bin/pip install numpy onnxruntime" in readme
    code = subprocess.run([sys.executable, "run.py", "--minutes", "0.01"], cwd="pi", check=False, capture_output=True)
    assert code.returncode == 0, code.stderr
    samples = samples_file.read("pi/samples.json")
    assert (len(samples.samples), len(samples.blocks)) == (5, len(packed) - 5)
    for words, why in (
        ("topdown-tiny --out pi", "there is something already"),
        ("", "name a space, such as litepose, or the run of a search with --front"),
        ("topdown-tiny --runtime torch", "needs the whole of this project"),
        ("topdown-tiny --rewrites", "onnxruntime runs all kernels as they are"),
        ("t_vipnas-tiny --runtime litert", "networks of clips are not measured in litert"),
    ):
        assert why in said(f"latency kit {words}", 2)
    monkeypatch.setattr(kit_file, "MOST_BYTES", 10_000)
    assert "the kit is larger than 0.01 MB; take fewer networks" in said("latency kit topdown-tiny --out b", 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pi"]


def write_search(folder, space):
    """The journal of a search whose scores are made up."""
    budget = Budget.of(["60MMAC"])
    problem = Problem(space, budget, costs.cost, by_ap_or_loss)
    notes = {"budget": ["60MMAC"], "convention": "exact", "families": {"": {"joints": 14, "info": {}}}}
    more = {"objectives": problem.low, "method": "random", "rank": "auto"}
    journal = Journal(folder / "journal.jsonl", header({"": (space, "")}, 0, **more), notes)
    rng = random.Random(0)
    run_search(problem, random_search.searcher(problem, 0), lambda arch: {"ap": rng.random(), "loss": 1.0}, journal, 12)
    return summarise(load_search(folder))


def test_the_front_of_a_search(tmp_path, monkeypatch, said):
    monkeypatch.chdir(tmp_path)
    found = write_search(tmp_path, Space.load("litepose-tiny"))
    said("latency kit --front . --out front")
    manifest = json.loads(Path("front/manifest.json").read_text())
    archs = {each["name"]: each["arch"] for each in manifest["networks"]}
    chosen = found.front.index(found.chosen)
    names = [f"front/subnet-{i}{' (chosen)' * (i == chosen)}" for i in range(len(found.front))]
    assert archs == {name: one.arch.to_dict() for name, one in zip(names, found.front, strict=True)}
    assert manifest["joints"] == 14
    assert {each["role"] for each in manifest["networks"]} <= {"anchor", "random"}
    said("latency kit topdown-tiny --nets 4 --front . --out both")
    both = json.loads(Path("both/manifest.json").read_text())
    assert len(both["networks"]) == len(names) + 4
    assert set(both["spaces"]) == {"litepose-tiny", "topdown-tiny"}
    assert "have 14; leave it out" in said("latency kit --front . --joints 17 --out no", 2)


def test_two_spaces_of_one_name(tmp_path):
    other = Space({**json.loads(SPACE.source), "stem": [8, 24]}, SPACE.name)
    networks = [kit_file.Named("one", each) for space in (SPACE, other) for each in choose([space], 2, 17, 0)]
    with pytest.raises(UserError, match="topdown-tiny: two spaces of this name"):
        kit_file.check_spaces(networks)


def test_every_runtime_of_a_kit_is_named_by_its_wheel():
    assert {name: known.device_wheel for name, known in RUNTIMES.items() if known.package != "torch"} == {
        "onnxruntime": "onnxruntime",
        "openvino": "openvino",
        "ncnn": "ncnn",
        "litert": "ai-edge-litert",
        "executorch": "executorch",
        "tensorrt": "onnxruntime-gpu",
    }
