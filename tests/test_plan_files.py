"""Files straight from a plan compute what the network computes: torch is the judge, on the same weights."""

import math
import random
from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest
import torch

from litepose_nas import resources, space_file
from litepose_nas.blocks.block import Part, ceil_div
from litepose_nas.costs import cost
from litepose_nas.exporters.graph_state import graph_state
from litepose_nas.exporters.parity import shape_of
from litepose_nas.families.levitpose.attention import WindowCascade
from litepose_nas.families.levitpose.attention_torch import WindowCascadeModule
from litepose_nas.network import build
from litepose_nas.plan_files.ncnn_file import write_ncnn
from litepose_nas.plan_files.network_graph import network_graph, unwritten
from litepose_nas.plan_files.numbers import channels_out, weight_shape
from litepose_nas.plan_files.onnx_file import write_onnx
from litepose_nas.rewrites.folded_norms import with_folded_norms
from litepose_nas.rewrites.ordinary_modules import with_ordinary_modules
from litepose_nas.runtimes import ncnn as ncnn_runtime
from litepose_nas.runtimes import onnxruntime
from litepose_nas.space import Space

CONVOLUTIONS = ("litepose", "litepose-blocks", "s_vipnas_mbv3", "s_vipnas_res50", "topdown-tiny")
# Small sizes that halve unevenly: there windows and patches are padded, and deconvs give a row too many.
SIZES = {"levitpose": "104x136", "efficientvit": "176x152", "hrnet_davit": "136x104", "t_vipnas-tiny": "56x40"}
ATTENTION = ("mobilevitpose", "levitpose", "efficientvit", "hrnet_davit")
CLIPS = ("t_vipnas-tiny",)


def space_of(name):
    """Return a space, with small pictures and narrow networks where they take long."""
    if name not in SIZES:
        return Space.load(name)
    tree = space_file.read(resources.find(name, "search_spaces", ".yaml"))
    if "branches" in tree:
        for node in (*tree["branches"], *tree["davit"]["blocks"]):
            node["width"] = node["width"][:2]
        for stage in tree["stages"]:
            stage["depth"], stage["blocks"]["depth"] = [1, 2], [1, 2]
    return Space({**tree, "resolution": SIZES[name]}, name)


def network(space, seed, joints=5):
    """Return a random architecture and its network, with statistics and weights that do something."""
    arch = space_of(space).sample(random.Random(seed))
    torch.manual_seed(seed)
    net = build(arch, joints)
    for module in net.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
        if isinstance(module, (torch.nn.modules.batchnorm._BatchNorm, torch.nn.LayerNorm)):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.1)
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, 0, 0.1)  # attention starts as nearly nothing
        if isinstance(module, WindowCascadeModule):
            torch.nn.init.normal_(module.bias)
    return arch, net.eval()


def results(net, image):
    """The outputs of a network, and its tensors as plain convolutions and linear maps have them."""
    state = graph_state(net, tuple(image.shape[-2:]))
    with torch.no_grad():
        return net(image), state


def picture_of(arch):
    """A random picture, or a clip."""
    frames = (arch.clip_length,) if arch.clip else ()
    return torch.randn(1, *shape_of((*frames, *arch.input)))


def compared(outputs, wanted):
    assert len(outputs) == len(wanted)
    for output, want in zip(outputs, wanted, strict=True):
        assert output.shape == want.shape
        assert np.abs(output - want.numpy()).max() < 1e-4 * max(1.0, float(want.abs().max()))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("space", [*CONVOLUTIONS, *ATTENTION, *CLIPS])
def test_onnx_computes_what_torch_computes(space, seed, tmp_path):
    arch, net = network(space, seed)
    path, image = tmp_path / "net.onnx", picture_of(arch)
    wanted, state = results(net, image)
    write_onnx(network_graph(arch, 5), path, arch.space.family.outputs, state)
    compared(onnxruntime.open_session(path, 1)(image.numpy()), wanted)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("space", [*CONVOLUTIONS, *ATTENTION, *CLIPS])
def test_ncnn_computes_what_torch_computes(space, seed, tmp_path):
    pytest.importorskip("ncnn")
    arch, net = network(space, seed)
    path, image = tmp_path / "net.param", picture_of(arch)
    wanted, state = results(net, image)
    write_ncnn(network_graph(arch, 5), path, state)
    compared(ncnn_runtime.open_session(path, 1)(image.numpy()), wanted)


@pytest.mark.parametrize("space", [*CONVOLUTIONS, *ATTENTION, *CLIPS])
def test_random_numbers_give_finite_outputs_of_their_size(space, tmp_path):
    arch = space_of(space).widest
    write_onnx(network_graph(arch, 17), tmp_path / "net.onnx", arch.space.family.outputs, seed=3)
    outputs = onnxruntime.open_session(tmp_path / "net.onnx", 1)(picture_of(arch).numpy())
    assert all(np.isfinite(output).all() for output in outputs)
    assert all(1e-3 < np.abs(output).max() < 1e6 for output in outputs)


def multiplications(node):
    """What an operation multiplies; of attention, both products."""
    made, cin = math.prod(node.shape), node.inputs[0].channels
    if node.kind == "conv":
        return node.inputs[0].windows * made * (cin // node.groups) * node.kernel**2
    if node.kind == "deconv":
        return made // 4 * cin // node.groups * node.kernel**2
    if node.kind == "linear":
        return made * cin
    if node.kind == "attention":
        return 2 * made * node.shape[1]
    if node.kind == "channel_attention":
        return 2 * made * node.shape[2] // node.groups
    if node.kind == "attend":
        sequences, tokens, values = node.shape
        return sequences * tokens * node.inputs[1].shape[1] * (cin + values)
    return 0


def parameters(node):
    """The numbers that belong to an operation; biases of places in a window are a table of their block."""
    if not node.path or node.kind == "attend":
        return 0
    own = math.prod(weight_shape(node)) + channels_out(node) * (node.bias or node.kind in ("batch_norm", "layer_norm"))
    return own + 2 * channels_out(node) * bool(node.norm)


@pytest.mark.parametrize("space", sorted(path.stem for path in resources.folder("search_spaces").glob("*.yaml")))
def test_operations_are_those_that_the_plan_counts(space):
    loaded, rng, weighted = Space.load(space), random.Random(0), ("conv", "deconv", "linear")
    for arch in (loaded.smallest, loaded.widest, *(loaded.sample(rng) for _ in range(6))):
        plan, nodes = arch.plan(17), network_graph(arch, 17).nodes
        assert unwritten(plan) == []
        sizes = [[ceil_div(side, part.down) for side in arch.input] for part in plan]
        ops = [op for part, size in zip(plan, sizes, strict=True) for op in part.block.ops(*size) if op.macs]
        each = Counter(multiplications(node) for node in nodes if node.kind in weighted)
        assert each == Counter(op.macs for op in ops if op.kind in weighted)
        assert sum(map(multiplications, nodes)) == cost(arch).macs
        tables = [part.block.heads * part.block.window**2 for part in plan if isinstance(part.block, WindowCascade)]
        assert sum(map(parameters, nodes)) + sum(tables) == cost(arch).params


@pytest.mark.parametrize("space", ["litepose-tiny", "s_vipnas_mbv3", "s_vipnas_res50"])
def test_folded_normalisations_change_nothing(space):
    arch, net = network(space, 0)
    folded, image = with_folded_norms(with_ordinary_modules(net)), torch.randn(1, 3, *arch.input)
    before, after = (sum(isinstance(m, torch.nn.BatchNorm2d) for m in n.modules()) for n in (net, folded))
    assert after <= 3 < before or after == 0
    with torch.no_grad():
        compared([output.numpy() for output in folded(image)], net(image))


def test_blocks_that_do_not_say_their_operations_are_named():
    class Silent(NamedTuple):
        width: int

    assert unwritten([Part("one", 1, Silent(3)), *Space.load("litepose").widest.plan(17)]) == ["Silent"]
