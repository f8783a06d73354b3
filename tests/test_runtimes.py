"""Every runtime that is installed here gives the same outputs; those that are not are skipped."""

import importlib
import random

import numpy as np
import pytest
import torch

from litepose_nas.errors import UserError
from litepose_nas.exporters.measured import MEASURED_FORMATS
from litepose_nas.runtimes.table import RUNTIMES, KnownRuntime, runtime_of
from litepose_nas.space import Space


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
