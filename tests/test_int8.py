"""Integers: scales that fit every channel, layers that hurt are found, and a file says what it costs."""

import json
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from litepose_nas import Space, Subnet, UserError
from litepose_nas.costs import cost
from litepose_nas.exporters.checked import export
from litepose_nas.exporters.half import half_format
from litepose_nas.exporters.int8 import Int8Base, base_of, layers_of
from litepose_nas.exporters.int8_onnx import OnnxQuantiser
from litepose_nas.exporters.int8_table import quantiser_of
from litepose_nas.plan_files.network_graph import network_graph
from litepose_nas.plan_files.onnx_file import write_onnx
from litepose_nas.runtimes import onnxruntime
from litepose_nas.runtimes.torch import TorchSession
from litepose_nas.steps.export import exported
from litepose_nas.steps.int8_search import choose_kept, fewest, order_by_damage, relative_error
from litepose_nas.synthetic.dataset import write_toy
from tests.helpers.drawn_room import write_room
from tests.test_plan_files import network

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
SIZE = (24, 32)


class Chain(nn.Module):
    """Convolutions behind each other, and a grouped deconvolution."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, padding=1)
        self.c, self.d = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 8, 4, 2, 1, groups=4)
        for layer in self.children():  # whatever comes in comes out as strong
            nn.init.kaiming_normal_(layer.weight)

    def forward(self, *inputs):
        x = inputs[0]
        for layer in (self.a, self.b, self.c, self.d):
            x = layer(x).relu()
        return (self.up(x),)


def planted(net, factor=1000.0, channel=3):
    """Scale one channel between the layers b and c, which changes nothing: c undoes it behind a ReLU."""
    with torch.no_grad():
        net.b.weight[channel] *= factor
        net.b.bias[channel] *= factor
        net.c.weight[:, channel] /= factor
    return net


def base(net):
    """The chain as ONNX, written by hand: torch's own exporter takes seconds."""
    helper, numbers = onnx.helper, onnx.numpy_helper
    nodes, constants, x = [], [], "image"
    for name, layer in net.named_children():
        for key in ("weight", "bias"):
            constants.append(numbers.from_array(getattr(layer, key).detach().numpy(), f"{name}.{key}"))
        same = {"strides": layer.stride, "pads": [layer.padding[0]] * 4, "kernel_shape": layer.kernel_size}
        kind, last = "Conv", name == "up"
        if last:
            kind, same["group"] = "ConvTranspose", layer.groups
        inputs = [x, f"{name}.weight", f"{name}.bias"]
        nodes.append(helper.make_node(kind, inputs, ["out" if last else name], name=f"node_{name}", **same))
        if not last:
            nodes.append(helper.make_node("Relu", [name], [f"{name}_relu"], name=f"relu_{name}"))
        x = f"{name}_relu"
    info = [helper.make_tensor_value_info("image", 1, ["batch", 3, *SIZE])]
    out = [helper.make_tensor_value_info("out", 1, ["batch", 8, *SIZE])]
    graph = helper.make_graph(nodes, "chain", info, out, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return Int8Base(model, images())


def images(count=12):
    return list(np.random.default_rng(1).standard_normal((count, 1, 3, *SIZE), np.float32))


def answers(net):
    with torch.no_grad():
        return [np.concatenate([net(torch.from_numpy(each))[0].numpy() for each in images()])]


def far(quantiser, net, kept, folder):
    quantiser.write(folder / "net.onnx", kept)
    session = onnxruntime.open_session(folder / "net.onnx")
    return relative_error([np.concatenate([session(each)[0] for each in images()])], answers(net))


def test_every_output_of_a_grouped_deconvolution_has_a_scale_of_its_own(tmp_path):
    net = Chain()
    with torch.no_grad():  # channel by channel of very different sizes, in a group and from group to group
        net.up.weight *= torch.tensor([1.0, 1e3])[None, :, None, None]
        net.up.weight *= torch.tensor([1.0, 10, 0.1, 100]).repeat_interleave(2)[:, None, None, None]
        net.up.bias *= 0
    quantiser = OnnxQuantiser(base(net))
    others = [layer.name for layer in quantiser.layers if layer.name != "up"]
    quantiser.write(tmp_path / "net.onnx", others)
    assert quantiser.in_int8(tmp_path / "net.onnx") == {"up"}
    model = onnx.load(str(tmp_path / "net.onnx"))
    weight = next(each for each in model.graph.initializer if each.name.startswith("up.weight_all_quantized"))
    values = np.abs(onnx.numpy_helper.to_array(weight).astype(int)).reshape(len(weight_scale(model)), -1)
    assert len(weight_scale(model)) == 8 * 4  # the outputs of a place, four each
    assert (values.max(axis=1) == 127).all()


def weight_scale(model):
    return onnx.numpy_helper.to_array(
        next(each for each in model.graph.initializer if each.name.startswith("up.weight_all_scale"))
    )


def test_a_network_of_grouped_deconvolutions_is_all_integers_and_near(tmp_path):
    net = Chain()
    quantiser = OnnxQuantiser(base(net))
    assert far(quantiser, net, (), tmp_path) < 0.05
    assert quantiser.in_int8(tmp_path / "net.onnx") == {"a", "b", "c", "d", "up"}
    assert far(quantiser, net, [layer.name for layer in quantiser.layers], tmp_path) < 1e-5
    assert quantiser.in_int8(tmp_path / "net.onnx") == set()


def test_a_planted_outlier_is_found_and_kept_in_floating_point(tmp_path):
    net = planted(Chain())
    np.testing.assert_allclose(answers(net)[0], answers(Chain())[0], atol=1e-4)
    quantiser = OnnxQuantiser(base(net))
    assert far(quantiser, net, (), tmp_path) > 0.3

    def order():
        return order_by_damage(quantiser, onnxruntime.open_session, images(), tmp_path)

    assert {one.layer for one in order()[:2]} == {"b", "c"}
    kept = choose_kept(order, lambda names: far(quantiser, net, names, tmp_path), 0.05)
    assert {one.layer for one in kept} == {"b", "c"}
    assert far(quantiser, net, [one.layer for one in kept], tmp_path) < 0.05
    assert quantiser.in_int8(tmp_path / "net.onnx") == {"a", "d", "up"}


def test_nothing_is_put_in_order_where_integers_lose_little():
    def order():
        raise AssertionError

    assert choose_kept(order, lambda kept: 0.4, 0.5) == []


@given(least=st.integers(0, 40), most=st.integers(0, 40))
def test_the_fewest_layers_are_found(least, most):
    asked = []

    def meets(count):
        asked.append(count)
        return count >= least

    assert fewest(meets, most) == min(least, most)
    assert len(asked) <= 14


@pytest.mark.parametrize("space", ["litepose-tiny", "topdown-tiny"])
def test_the_macs_of_layers_are_those_of_the_costs(space, tmp_path):
    arch = Space.load(space).sample(random.Random(2))
    write_onnx(network_graph(arch, 5, arch.input), tmp_path / "net.onnx", ("a", "b"))
    layers = layers_of(onnx.load(str(tmp_path / "net.onnx")), np.zeros((1, 3, *arch.input), np.float32))
    assert sum(layer.macs for layer in layers) == cost(arch, joints=5).macs


@pytest.mark.runtime
def test_openvino_computes_with_integers_what_is_not_kept(tmp_path):
    pytest.importorskip("nncf")
    pytest.importorskip("openvino")
    from litepose_nas.exporters.int8_openvino import OpenVINOQuantiser
    from litepose_nas.runtimes import openvino

    net = Chain()
    quantiser = OpenVINOQuantiser(base(net))
    assert {layer.name for layer in quantiser.layers} == {"a", "b", "c", "d", "up"}
    quantiser.write(tmp_path / "net.xml", ["c"])
    assert quantiser.in_int8(tmp_path / "net.xml") == {"a", "b", "d", "up"}
    session = openvino.open_session(tmp_path / "net.xml")
    found = np.concatenate([session(each)[0] for each in images()])
    assert 1e-4 < relative_error([found], answers(net)) < 0.05


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A folder with drawn people and a top-down network of them, as untrained as it is quick."""
    folder = tmp_path_factory.mktemp("int8")
    write_room(folder)
    return folder


def test_an_export_in_int8_says_what_it_is_and_what_it_costs(room, monkeypatch, said):
    monkeypatch.chdir(room)
    told = json.loads(said("export net.safetensors --int8 --data people --max-loss 50 --images 5 --json"))
    report, int8 = told["images"], told["int8"]
    assert report["figure"] == "AP"
    assert report["images"] == 5
    assert [row["precision"] for row in report["rows"]] == ["fp32", "int8"]
    assert report["rows"][0]["shifts"]["p95_px"] < 0.01
    assert report["rows"][1]["bytes"] < report["rows"][0]["bytes"]
    assert int8["share"] == 1.0
    assert int8["kept"] == []
    assert (int8["calibrated_on"], int8["chosen_on"]) == (64, 26)
    meta = json.loads(onnx.load("net.onnx").metadata_props[0].value)
    assert meta["precision"] == "int8"
    assert meta["images"] == report
    assert meta["int8"] == int8
    assert (room / "net-worst.jpg").is_file()


@pytest.mark.slow
def test_layers_are_named_with_what_they_cost(room, monkeypatch, said):
    monkeypatch.chdir(room)
    words = said("export net.safetensors --int8 --data people --max-loss 0 --images 5 --metric pck --out kept.onnx")
    assert "of the MACs are computed with integers; calibrated on 64 training images" in words
    assert "PCK@0.1 on 5 images of people, val" in words


@pytest.mark.slow
def test_an_export_without_images_says_so(room, monkeypatch, said):
    monkeypatch.chdir(room)
    said("export net.safetensors --half --out half.onnx")
    meta = json.loads(onnx.load("half.onnx").metadata_props[0].value)
    assert meta["images"] == "not verified on images"
    assert meta["precision"] == "fp16"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("--int8", "name a dataset with --data"),
        ("--int8 --half", "choose one of them"),
        (
            "--int8 --data people --format ncnn",
            "is for onnx, openvino, litert, executorch; leave it out for ncnn",
        ),
        ("--half --format torch", "--half: is for onnx, openvino, ncnn, litert, coreml; leave it out for torch"),
        ("--untrained --data people", "finds nobody"),
        ("--max-loss 1 --data people", "--max-loss: is for --int8"),
        ("--images 5", "name a dataset with it"),
        ("--data people --metric nme", "add `nme_joints` to the dataset's YAML"),
        ("--data people --metric mpjpe", "--metric: 'mpjpe' is not one"),
    ],
)
def test_what_cannot_be_done_is_told(words, why, room, monkeypatch, said):
    monkeypatch.chdir(room)
    suffix = {"ncnn": "ncnn.param", "torch": "pt2"}.get(words.rpartition(" ")[2], "onnx")
    assert why in said(f"export net.safetensors {words} --out refused.{suffix}", 2)


def test_too_few_training_images_are_told(room, tmp_path, monkeypatch, said):
    write_toy(tmp_path / "few", 30, 4, 64, 0, "easy")
    monkeypatch.chdir(room)
    why = said(f"export net.safetensors --int8 --data {tmp_path / 'few'} --out refused.onnx", 2)
    assert "train: 30 images, and 65 or more are needed" in why


@pytest.mark.parametrize("space", ["topdown-tiny", pytest.param("litepose-tiny", marks=pytest.mark.slow)])
def test_few_bits_leave_the_places_of_joints_alone(space, tmp_path):
    arch, net = network(space, 1)
    what = exported(net, Subnet(arch, 5), (128, 128), True, decode=True)
    (wanted,) = TorchSession(what.net)(what.images(1))
    export(what, tmp_path / "half.onnx", half_format("onnx"))
    (half,) = onnxruntime.open_session(tmp_path / "half.onnx")(what.images(1))
    assert np.mean(np.abs(half - wanted)[..., :2] > 0.01) < 0.05
    quantiser = OnnxQuantiser(base_of(what, [what.images(1, seed) for seed in range(4)]))
    quantiser.write(tmp_path / "int8.onnx", ())
    (int8,) = onnxruntime.open_session(tmp_path / "int8.onnx")(what.images(1))
    assert len(quantiser.in_int8(tmp_path / "int8.onnx")) == len(quantiser.layers)
    np.testing.assert_allclose(int8[..., 2], wanted[..., 2], atol=0.02)


def test_damage_that_is_no_number_is_the_worst():
    assert relative_error([np.array([np.nan])], [np.array([1.0])]) == float("inf")
    with pytest.raises(UserError, match="leave it out for torch"):
        quantiser_of("torch")
