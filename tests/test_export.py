"""Export: ONNX Runtime gives torch's outputs, and a file that does not is not kept."""

import json
import random

import numpy as np
import pytest
import torch

from litepose_nas import Space, Subnet, UserError, build, save
from litepose_nas.exporters.onnx import to_onnx
from litepose_nas.exporters.parity import compare, compare_on
from litepose_nas.runtimes import onnxruntime
from litepose_nas.runtimes import torch as torch_runtime

onnx = pytest.importorskip("onnx")
NAMES = ("heatmaps_tags", "heatmaps")


def trained_looking(arch):
    """A network whose outputs are of the size that trained ones have, so that 1e-4 means something."""
    torch.manual_seed(0)
    net = build(arch, 17).eval()
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if tensor.dim() == 1:
                tensor.uniform_(0.5, 1.5) if name.endswith(("var", "weight")) else tensor.uniform_(-0.5, 0.5)
    return net


def check(space, seed, tmp_path):
    arch = space.sample(random.Random(seed))
    net, path = trained_looking(arch), tmp_path / "net.onnx"
    parity = to_onnx(net, path, (96, 64), NAMES, {"joints": 17})
    assert set(parity.difference) == {1, 3}
    assert parity.scale > 0.1
    assert max(compare(net, onnxruntime.open_session(path), (96, 64), (1, 2, 5)).difference.values()) < 1e-4
    return path


@pytest.mark.parametrize("seed", range(6))
def test_random_networks(seed, tmp_path):
    check(Space.load("litepose-tiny"), seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ["litepose", "litepose-blocks"])
def test_random_large_networks(name, seed, tmp_path):
    check(Space.load(name), seed, tmp_path)


def test_the_file_says_what_it_is_and_takes_any_batch(tmp_path):
    model = onnx.load(check(Space.load("litepose-tiny"), 9, tmp_path))
    assert json.loads({p.key: p.value for p in model.metadata_props}["litepose_nas"]) == {"joints": 17}
    assert [out.name for out in model.graph.output] == list(NAMES)
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert shape[0].dim_param
    assert [d.dim_value for d in shape[1:]] == [3, 96, 64]


def test_both_runtimes_open_a_file_with_a_number_of_threads(tmp_path):
    arch = Space.load("litepose-tiny").sample(random.Random(7))
    net = trained_looking(arch)
    save(net, tmp_path / "net.safetensors", Subnet(arch, 17, {}))
    to_onnx(net, tmp_path / "net.onnx", (64, 64), NAMES, {})
    image, threads = torch.randn(2, 3, 64, 64).numpy(), torch.get_num_threads()
    one = torch_runtime.open_session(tmp_path / "net.safetensors", threads=2)
    other = onnxruntime.open_session(tmp_path / "net.onnx", threads=2)
    for wanted, output in zip(one(image), other(image), strict=True):
        np.testing.assert_allclose(output, wanted, rtol=1e-4, atol=1e-4)
    assert torch.get_num_threads() == threads


def test_a_file_that_differs_is_not_kept(tmp_path, monkeypatch):
    class Fickle(torch.nn.Module):
        def forward(self, *inputs):
            return (inputs[0] + (0.0 if torch.compiler.is_compiling() else 1.0),)

    with pytest.raises(UserError, match="differs from torch"):
        to_onnx(Fickle(), tmp_path / "net.onnx", (8, 8), ("out",), {})
    assert not list(tmp_path.iterdir())


def test_a_diverged_network_is_told_as_such(tmp_path):
    net = build(Space.load("litepose-tiny").smallest, 5)
    torch.nn.init.constant_(net.stem.conv.conv.weight, float("nan"))
    with pytest.raises(UserError, match="not finite"):
        to_onnx(net, tmp_path / "net.onnx", (32, 32), NAMES, {})
    assert not list(tmp_path.iterdir())


def test_without_the_extra_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(UserError, match=r"litepose-nas\[export\]"):
        to_onnx(torch.nn.Identity(), tmp_path / "net.onnx", (8, 8), ("out",), {})


def test_versions_that_do_not_work_together_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.6.0+cpu")
    with pytest.raises(UserError, match=r"torch 2\.6\.0\+cpu cannot export with onnxscript .*'onnxscript<0\.3'"):
        to_onnx(torch.nn.Identity(), tmp_path / "net.onnx", (8, 8), ("out",), {})


@pytest.mark.parametrize(("output", "picture"), [(0, 1), (1, 0), (1, 1)])
def test_outputs_that_are_no_numbers_are_never_near(output, picture):
    class Twice(torch.nn.Module):
        def forward(self, image):
            return image, image + 1

    pictures = [np.full((1 + place, 3, 2, 2), place, np.float32) for place in range(2)]

    def session(image):
        found = [image, image + 1]
        if image[0, 0, 0, 0] == picture:
            found[output] = found[output] * np.nan
        return found

    with pytest.raises(UserError, match="differs from torch"):
        compare_on(Twice(), session, pictures).check("net.onnx", "onnxruntime")
