"""Every format of `export`: a file gives torch's outputs in its runtime, says what it is, and is not kept if not."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from litepose_nas import Subnet, UserError, save
from litepose_nas.exporters import table
from litepose_nas.exporters.checked import export
from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.parity import shape_of
from litepose_nas.exporters.table import FORMATS
from litepose_nas.runtimes.table import runtime_of
from tests.test_plan_files import network

NEEDS = {
    "openvino": "openvino",
    "ncnn": "ncnn",
    "litert": "litert_torch",
    "executorch": "executorch",
}
RUNTIME = [pytest.param(name, marks=pytest.mark.runtime) for name in NEEDS]
SPACES = ("litepose-tiny", "s_vipnas_mbv3", "mobilevitpose", "levitpose", "hrnet_davit", "t_vipnas-tiny")


def made(space, seed=1, size=None):
    """A network with weights that do something, ready to be exported."""
    arch, net = network(space, seed)
    outputs = arch.space.family.outputs
    with torch.no_grad():
        frames = (arch.clip_length,) if arch.clip else ()
        found = net(torch.zeros(1, *shape_of((*frames, *(size or arch.input)))))
    return Exported(net, arch, 5, size or arch.input, outputs[: len(found)], {"joints": 5, "cost": {"macs": 7}})


def outputs_of(path, format, what):
    image = torch.randn(1, *shape_of(what.input))
    with torch.no_grad():
        wanted = what.net(image)
    return FORMATS[format].open(path)(image.numpy()), wanted


@pytest.mark.parametrize("format", ["torch", *RUNTIME])
@pytest.mark.parametrize("space", SPACES)
def test_a_file_gives_torchs_outputs_and_says_what_it_is(format, space, tmp_path):
    if format in NEEDS:
        pytest.importorskip(NEEDS[format])
    what = made(space, size=(64, 96) if space == "litepose-tiny" else None)
    path = tmp_path / f"net{FORMATS[format].suffix}"
    if format in ("litert", "executorch") and what.arch.clip_length > 1:
        with pytest.raises(UserError, match="choose onnx, openvino or ncnn"):
            export(what, path, FORMATS[format])
        assert not list(tmp_path.iterdir())
        return
    checked = export(what, path, FORMATS[format])
    assert checked.parity is not None
    assert max(checked.parity.difference.values()) < 1e-4 * max(1, checked.parity.scale)
    for output, want in zip(*outputs_of(path, format, what), strict=True):
        assert np.abs(output - want.numpy()).max() < 1e-4 * max(1.0, float(want.abs().max()))
    said = json.loads(Path(f"{path}.json").read_text())
    assert said["joints"] == 5
    assert said["outputs"] == list(what.outputs)
    assert said["checked"]["runtime"] == format


@pytest.mark.runtime
def test_files_for_openvino_and_for_ncnn_lie_in_one_folder(tmp_path):
    for name in ("openvino", "ncnn"):
        pytest.importorskip(name)
    what = made("litepose-tiny")
    paths = {name: tmp_path / f"net{FORMATS[name].suffix}" for name in ("openvino", "ncnn")}
    for name, path in paths.items():
        export(what, path, FORMATS[name])
    for name, path in paths.items():
        for output, want in zip(*outputs_of(path, name, what), strict=True):
            np.testing.assert_allclose(output, want.numpy(), rtol=1e-3, atol=1e-4)


class Lying:
    """A runtime whose every answer is off by one."""

    keeps_time = False

    def __init__(self, session):
        self.session = session

    def __call__(self, batch):
        return [output + 1 for output in self.session(batch)]


def test_a_file_that_differs_is_not_kept(tmp_path):
    own = FORMATS["torch"]
    lying = own._replace(open=lambda path: Lying(own.open(path)))
    with pytest.raises(UserError, match=r"net\.pt2: not written, for torch differs from torch by 1\.0e\+00"):
        export(made("litepose-tiny"), tmp_path / "net.pt2", lying)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_run_here_says_so(tmp_path, monkeypatch, said):
    monkeypatch.chdir(tmp_path)
    what = made("litepose-tiny")
    save(what.net, "net.safetensors", Subnet(what.arch, 5, {}))
    absent = runtime_of("ncnn")._replace(package="ncnn_that_is_nowhere")
    monkeypatch.setattr("litepose_nas.exporters.checked.runtime_of", lambda name: absent)
    words = said("export net.safetensors --format ncnn --input 64x96")
    assert "not checked in ncnn: ncnn_that_is_nowhere is not installed; get it with: pip install ncnn" in words
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "net.ncnn.bin", "net.ncnn.param", "net.ncnn.param.json", "net.safetensors",
    ]  # fmt: skip
    told = json.loads(Path("net.ncnn.param.json").read_text())
    assert told["checked"]["parity"] is None
    assert told["input"] == [64, 96]
    assert told["input_pixels"]["name"] == "imagenet"
    document = json.loads(said("export net.safetensors --format ncnn --json"))
    assert document["not_checked"].startswith("ncnn_that_is_nowhere is not installed")
    assert document["runtime"] == "ncnn"


def test_every_format_has_a_runtime_and_a_name_of_its_own():
    assert all(runtime_of(format.runtime) for format in FORMATS.values())
    assert len({format.suffix for format in FORMATS.values()}) == len(FORMATS)
    assert table.FORMATS["onnx"].describes_itself


@pytest.mark.slow
@pytest.mark.parametrize("format", ["torch", *RUNTIME])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("space", ["litepose", "litepose-blocks", "s_vipnas_res50", "efficientvit", "topdown-tiny"])
def test_more_networks(format, space, seed, tmp_path):
    if format in NEEDS:
        pytest.importorskip(NEEDS[format])
    random.seed(seed)
    export(made(space, seed), tmp_path / f"net{FORMATS[format].suffix}", FORMATS[format])
