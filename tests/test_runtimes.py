"""Every runtime that is installed here gives the same outputs; those that are not are skipped."""

import importlib
import random
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from litepose_nas.errors import UserError
from litepose_nas.exporters.measured import MEASURED_FORMATS
from litepose_nas.runtimes.table import RUNTIMES, KnownRuntime, runtime_of
from litepose_nas.space import Space
from tests.helpers.commands import ROOT


def opened(name, path, threads=1):
    known = RUNTIMES[name]
    pytest.importorskip(known.package)
    return importlib.import_module(f"litepose_nas.runtimes.{known.file}").open_session(path, threads)


def written(name, folder, seed=0):
    known = RUNTIMES[name]
    pytest.importorskip(known.package)
    pytest.importorskip({"tflite": "litert_torch"}.get(known.reads, "torch"))
    arch, form = Space.load("topdown-tiny").sample(random.Random(seed)), MEASURED_FORMATS[known.reads]
    form.write(arch, 17, folder / f"net{form.suffix}")
    picture = np.random.default_rng(seed).standard_normal((1, 3, *arch.input)).astype(np.float32)
    return folder / f"net{form.suffix}", picture


@pytest.mark.parametrize(
    ("one", "other"),
    [("onnxruntime", "openvino"), ("onnxruntime", "ncnn"), ("torch", "litert"), ("torch", "executorch")],
)
def test_two_runtimes_give_the_same(one, other, tmp_path):
    """Those that read the plan's files have the numbers of its seed, those that go through torch those of torch's."""
    (first, picture), (second, _) = written(one, tmp_path), written(other, tmp_path)
    wanted, session = opened(one, first)(picture), opened(other, second, threads=2)
    for again in range(2):
        for output, want in zip(session(picture), wanted, strict=True):
            np.testing.assert_allclose(output, want, rtol=1e-4, atol=1e-4, err_msg=f"{other}, {again}")
    assert session.keeps_time is False
    session.ready(picture)()


@pytest.mark.gpu
def test_a_gpu_tells_its_own_time(tmp_path):
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    path, picture = written("torch", tmp_path)
    session = opened("torch-cuda", path)
    for output, want in zip(session(picture), opened("torch", path)(picture), strict=True):
        np.testing.assert_allclose(output, want, rtol=1e-3, atol=1e-3)
    run = session.ready(picture)
    assert session.keeps_time
    assert 0 < min(run() for _ in range(5)) < 1000


def test_what_is_missing_is_named_with_what_installs_it():
    with pytest.raises(UserError, match="nowhere is not installed; get it with: pip install nowhere-cpu"):
        KnownRuntime("x", "x", "onnx", "nowhere", "nowhere-cpu").check_installed()
    with pytest.raises(UserError, match="did you mean 'ncnn'"):
        runtime_of("ncn")
    assert all(known.path.is_file() and known.reads in MEASURED_FORMATS for known in RUNTIMES.values())


def test_the_script_makes_environments_with_what_a_runtime_needs(tmp_path):
    """With an interpreter whose environments only write down what would be installed."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "runtimes", tmp_path / "scripts")
    (tmp_path / "constraints.txt").touch()
    python = tmp_path / "python"
    python.write_text(
        f"""#!/bin/sh
case "$2" in
    venv) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    pip) echo "$@" >> "{tmp_path}/log" ;;
    *) exec "{sys.executable}" "$@" ;;
esac
"""
    )
    python.chmod(0o755)

    def run(*names):
        command = [str(tmp_path / "scripts" / "runtimes"), *names]
        done = subprocess.run(
            command, capture_output=True, text=True, env={"PYTHON": str(python), "PATH": "/usr/bin:/bin"}, check=False
        )
        return done.returncode, done.stdout, done.stderr

    names = [name for name, known in RUNTIMES.items() if known.package != "torch" and name != "tensorrt"]
    code, out, err = run(*names)
    assert code == 0, err
    for name, line, installed in zip(names, out.splitlines(), (tmp_path / "log").read_text().splitlines(), strict=True):
        assert f"--runtime {name} --python {tmp_path}/.runtimes/{name}/bin/python" in line
        assert {"-c", "constraints.txt", "numpy", *RUNTIMES[name].wheels.split()} <= set(installed.split())
        assert ("torch" in installed.split()) == (name in ("litert", "executorch"))
    assert run(*names) == (0, out, "")
    assert len((tmp_path / "log").read_text().splitlines()) == len(names)  # nothing is installed twice
    assert run("ncn") == (2, "", f"error: no runtime ncn; known are: {' '.join(names)}\n")
    assert run()[0] == 2
