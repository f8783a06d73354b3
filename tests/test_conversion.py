"""Slow converters: in whichever interpreter has them, once for each network, and kept."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from litepose_nas.errors import UserError
from litepose_nas.exporters import conversion
from litepose_nas.exporters.conversion import Converter
from litepose_nas.exporters.kept_files import KeptFiles, cache_folder
from litepose_nas.exporters.measured import MEASURED_FORMATS, MeasuredFormat, reading
from litepose_nas.latency import elsewhere, samples
from litepose_nas.latency.standalone.errors import LostError
from litepose_nas.latency.standalone.line_process import LineProcess
from litepose_nas.network import build
from litepose_nas.runtimes.table import RUNTIMES
from litepose_nas.space import Space
from tests.helpers import run_runtime, simulated_converter
from tests.helpers.commands import ROOT, environment, run
from tests.helpers.simulated_here import SimulatedRuntime

RUNTIME = SimulatedRuntime("simulated", "", "simulated", "json", "simulated")


@pytest.fixture
def device(tmp_path, monkeypatch):
    """A runtime with a slow converter. Returns (its interpreter, what it converted, what says how it shall be)."""
    form = MeasuredFormat(".json", lambda *_: pytest.fail("not here"), lambda *_: "slow", None, ("torch", "simulated"))
    monkeypatch.setitem(MEASURED_FORMATS, "simulated", form)
    log = tmp_path / "log"

    def be(**wishes):
        monkeypatch.setenv("SIMULATED_CONVERTER", json.dumps({"log": str(log), **wishes}))

    be()
    return simulated_converter.interpreter(tmp_path), lambda: log.read_text().splitlines() if log.exists() else [], be


def converter(python, folder):
    return Converter(RUNTIME, python, KeptFiles(folder))


def archs(count):
    space = Space.load("topdown-tiny")
    return [space.smallest, space.widest, *space.neighbours(space.smallest)][:count]


def test_a_network_is_converted_once(tmp_path, device):
    python, converted, _ = device
    one, two = archs(2)
    for turn in range(2):
        convert = converter(python, tmp_path / "kept")
        for arch, name in ((one, "a"), (two, "b"), (one, "c")):
            convert.write(arch, 17, tmp_path / f"{name}{turn}.json")
        convert.close()
    assert len(converted()) == 2
    texts = {name: (tmp_path / f"{name}.json").read_text() for name in ("a0", "b0", "c0", "a1", "b1", "c1")}
    assert texts["a0"] == texts["c0"] == texts["a1"] == texts["c1"] != texts["b0"] == texts["b1"]


def test_whatever_decides_what_is_in_a_file_converts_again(tmp_path, device):
    python, converted, be = device
    (one,) = archs(1)

    def write(joints=17):
        convert = converter(python, tmp_path / "kept")
        convert.write(one, joints, tmp_path / "net.json")
        convert.close()
        return len(converted())

    assert [write(), write(joints=14), write()] == [1, 2, 2]
    be(versions={"torch": "2", "simulated": "1.1"})
    assert [write(), write()] == [3, 3]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "WRITTEN", conversion.WRITTEN + 1)
        assert [write(), write()] == [4, 4]
    assert write() == 4


def test_a_converter_that_stumbles_or_ends_loses_one_network(tmp_path, device):
    python, _, be = device
    be(fails=2, dies=3)
    convert, said = converter(python, tmp_path / "kept"), []
    for i, arch in enumerate(archs(5)):
        try:
            convert.write(arch, 17, tmp_path / f"{i}.json")
            said.append("")
        except LostError as error:
            said.append(str(error))
    convert.close()
    assert said == ["", "not converted: RuntimeError: no such operation", said[2], "", ""]
    assert "not converted: its process ended with 9: out of memory" in said[2]
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["0.json", "3.json", "4.json"]
    assert len(list((tmp_path / "kept").iterdir())) == 3


def test_the_other_interpreter_converts_if_it_can_else_this_one(tmp_path, device):
    """`-S` leaves out all that is installed."""
    python, converted, be = device
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    (one,) = archs(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", python)
        convert = converter(str(bare), tmp_path / "kept")
        convert.write(one, 17, tmp_path / "net.json")
        convert.close()
    assert len(converted()) == 1
    be(versions={"torch": "2", "simulated": None})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", python)
        convert = converter(str(bare), tmp_path / "other")
    with pytest.raises(UserError) as refused:
        convert.write(one, 17, tmp_path / "net.json")
    said = str(refused.value)
    assert "networks for simulated are converted with torch and simulated" in said
    assert f"{bare} has not: its process ended with 1: ModuleNotFoundError: No module named" in said
    assert f"{python} has not: no simulated" in said
    assert "pip install simulated" in said
    with pytest.raises(UserError, match="nowhere: cannot be started"):
        converter("nowhere", tmp_path / "other").write(one, 17, tmp_path / "net.json")


def test_the_worker_writes_what_this_process_writes(tmp_path):
    pytest.importorskip("onnx")
    (arch,) = archs(1)
    space = {"space": arch.space.name, "described": samples.tree_of(arch.space)}
    wanted = {**space, "arch": arch.to_dict(), "joints": 17, "path": str(tmp_path / "there.onnx")}
    with closing(LineProcess([sys.executable, elsewhere.__file__, conversion.WORKER, "onnx"])) as worker:
        assert worker.reply()["versions"]["torch"]
        assert worker.ask(json.dumps(wanted)) == {"written": wanted["path"]}
        assert "depth" in worker.ask(json.dumps({**wanted, "arch": {"depth": -1}}))["refused"]
        assert "TypeError" in worker.ask(json.dumps({**wanted, "path": 5}))["failed"]
    MEASURED_FORMATS["onnx"].write(arch, 17, tmp_path / "here.onnx")
    assert (tmp_path / "there.onnx").read_bytes() == (tmp_path / "here.onnx").read_bytes()


def test_a_script_elsewhere_imports_the_project_and_nothing_beside_it(tmp_path):
    package = tmp_path / "site" / "litepose_nas"
    (package / "latency").mkdir(parents=True)
    shutil.copy(elsewhere.__file__, package / "latency")
    (package / "__init__.py").write_text("")
    (package / "errors.py").write_text("HERE = True\n")
    (package.parent / "neighbour.py").write_text("")
    script = tmp_path / "script.py"
    (package / "latency" / "line_process.py").write_text("")
    command = [sys.executable, str(package / "latency" / "elsewhere.py"), str(script), "a"]
    for missing in ("line_process", "neighbour"):
        script.write_text(f"import sys\nfrom litepose_nas.errors import HERE\nprint(sys.argv[1:])\nimport {missing}\n")
        done = subprocess.run(command, capture_output=True, text=True, env=environment(PYTHONPATH=""), check=False)
        assert done.stdout == "['a']\n"
        assert f"No module named '{missing}'" in done.stderr


def test_the_least_lately_used_go_where_kept_files_become_too_large(tmp_path):
    kept, file, copy = KeptFiles(tmp_path / "kept", most_bytes=1000), tmp_path / "net.bin", tmp_path / "copy.bin"
    assert not kept.get("a", copy)
    (kept.folder / "unreadable.bin").mkdir(parents=True)
    assert not kept.get("unreadable", copy)
    (kept.folder / "unreadable.bin").rmdir()
    for second, key in enumerate("abc"):
        file.write_bytes(key.encode() * 300)
        kept.put(key, file)
        os.utime(kept.folder / f"{key}.bin", (second, second))
    (kept.folder / ".partial-killed").write_bytes(b"half")
    os.utime(kept.folder / ".partial-killed", (0, 0))
    assert kept.get("a", copy)  # now b is the oldest
    assert copy.read_bytes() == b"a" * 300
    file.write_bytes(b"d" * 300)
    kept.put("d", file)
    assert sorted(path.name for path in kept.folder.iterdir()) == ["a.bin", "c.bin", "d.bin"]
    file.write_bytes(b"e" * 2000)  # larger than all may be, yet just written
    kept.put("e", file)
    assert [path.name for path in kept.folder.iterdir()] == ["e.bin"]


def test_the_folder_of_kept_files_can_be_named(tmp_path, monkeypatch):
    monkeypatch.delenv("LITEPOSE_NAS_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "litepose-nas"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "litepose-nas"
    monkeypatch.setenv("LITEPOSE_NAS_CACHE", str(tmp_path / "named"))
    assert cache_folder() == tmp_path / "named"
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file: cannot be written .* name another with LITEPOSE_NAS_CACHE"):
        KeptFiles(tmp_path / "file").put("a", tmp_path / "file")


def test_measured_again_or_resumed_nothing_is_converted_again(tmp_path, device, monkeypatch, capsys):
    python, converted, be = device
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LITEPOSE_NAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(RUNTIMES, "simulated", RUNTIME)
    be(dies=4)
    words = f"litepose-nas latency measure topdown-tiny --runtime simulated --nets 6 --minutes 0.01 --python {python}"
    assert run(words, monkeypatch) == 0
    said = capsys.readouterr()
    assert f"topdown-tiny: slow; files are kept in {tmp_path / 'cache' / 'measured'}" in said.err
    assert "5 networks in simulated" in said.out
    assert len(converted()) == 6
    lost = be() or converted()[3]
    assert run(words + " --out again.json", monkeypatch) == 0
    assert converted()[6:] == [lost]
    first, again = samples.read("samples.json"), samples.read("again.json")
    assert len(again.samples) == 6
    assert run(words + " --out cut.json --rewrites", monkeypatch) == 2
    assert "--rewrites: simulated runs all kernels as they are" in capsys.readouterr().err
    monkeypatch.setitem(MEASURED_FORMATS, "simulated, kernels cut", MEASURED_FORMATS["simulated"])
    assert run(words + " --out cut.json --rewrites", monkeypatch) == 0
    assert len(converted()) == 13  # other files
    assert (samples.read("cut.json").rewrites, again.rewrites) == (("cut_kernels",), ())
    assert {s.arch: s.ms for s in first.samples}.items() <= {s.arch: s.ms for s in again.samples}.items()


@pytest.mark.slow
@pytest.mark.parametrize("rewrites", [(), ("cut_kernels",)])
@pytest.mark.parametrize("name", ["litert", "executorch"])
def test_environments_of_their_own_convert_to_what_torch_computes(name, rewrites, tmp_path):
    """The random weights are those of torch's seed, which is the same version there."""
    python = ROOT / ".runtimes" / name / "bin" / "python"
    if not python.exists():
        pytest.skip(f"scripts/runtimes {name} makes its environment")
    known, arch = reading(RUNTIMES[name], rewrites), Space.load("litepose-tiny").widest
    path, picture = tmp_path / f"net{MEASURED_FORMATS[known.reads].suffix}", torch.randn(1, 3, *arch.input)
    with closing(Converter(known, str(python), KeptFiles(tmp_path / "kept"))) as convert:
        convert.write(arch, 17, path)
    np.save(tmp_path / "picture.npy", picture.numpy())
    words = [python, run_runtime.__file__, known.path, path, tmp_path / "picture.npy", tmp_path / "outputs.npz"]
    subprocess.run(list(map(str, words)), check=True, capture_output=True)
    torch.manual_seed(0)
    with torch.no_grad():
        wanted = build(arch, 17).eval()(picture)
    outputs = np.load(tmp_path / "outputs.npz")
    for want, output in zip(wanted, outputs.values(), strict=True):
        np.testing.assert_allclose(output, want, rtol=1e-4, atol=1e-4 * float(want.abs().max()))
