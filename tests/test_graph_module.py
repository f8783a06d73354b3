"""A graph as a module of torch computes what the network does, in operations that XNNPACK has."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

from litepose_nas.blocks.graph import RELU, Graph
from litepose_nas.exporters.graph_module import GraphModule, for_xnnpack
from litepose_nas.plan_files.network_graph import network_graph
from litepose_nas.plan_files.numbers import numbers_of
from litepose_nas.plan_files.simplified import dealt, simplified
from litepose_nas.rewrites.cut_kernels import CutConv2d
from tests.test_plan_files import ATTENTION, CLIPS, CONVOLUTIONS, compared, network, picture_of, results

# What left XNNPACK, or became hundreds of operations, when networks were converted as they are.
UNWANTED = ("unbind", "unflatten", "movedim", "adaptive", "native_batch_norm", "batch_norm", "layer_norm", "attention")


def exported(arch, net):
    """The operations of the exported program, and how many axes their results have at most."""
    image = picture_of(arch)
    _, state = results(net, image)
    program = torch.export.export(for_xnnpack(network_graph(arch, 5), state), (image,))
    nodes = [node for node in program.graph.nodes if node.op == "call_function"]
    return Counter(str(node.target) for node in nodes), nodes


@pytest.mark.parametrize("space", [*CONVOLUTIONS, *ATTENTION, *CLIPS])
def test_it_computes_what_torch_computes(space):
    arch, net = network(space, 2)
    image = picture_of(arch)
    wanted, state = results(net, image)
    with torch.no_grad():
        found = for_xnnpack(network_graph(arch, 5), state)(image)
    compared([output.numpy() for output in found], wanted)


SLOW = [
    pytest.param(space, marks=pytest.mark.slow) for space in ("litepose", "s_vipnas_res50", "levitpose", "hrnet_davit")
]


@pytest.mark.parametrize("space", ["s_vipnas_mbv3", "mobilevitpose", "efficientvit", *SLOW])
def test_no_operation_leaves_xnnpack_for_want_of_another_form(space):
    arch, net = network(space, 1)
    operations, nodes = exported(arch, net)
    assert not [name for name in operations if any(word in name for word in UNWANTED)]
    weights = {"aten.conv2d.default": 1, "aten.conv_transpose2d.input": 1, "aten.linear.default": 1}
    for node in nodes:
        if str(node.target) in weights:
            assert node.args[1].op == "placeholder", f"{node} has a weight that is worked out in the graph"
    # `unfold` and `fold` take patches apart; nothing else needs five axes.
    wide = [node for node in nodes if len(node.meta["val"].shape) > 4]
    assert not wide or space == "mobilevitpose"


def test_normalisations_behind_sums_and_shuffles_are_folded():
    graph, draw = Graph(8, 8), np.random.default_rng(0)
    first = graph.conv(graph.picture, "first", 12, 3)
    both = graph.batch_norm(graph.add(first, graph.conv(graph.picture, "second", 12)), "bn", RELU)
    lifted = graph.conv_bn(both, "lift", 12, act=RELU)
    up = graph.batch_norm(graph.deal(graph.deconv(graph.deal(lifted, 3), "up", 8, 4, 3 - 1), 4), "up_bn", RELU)
    graph.outputs = [graph.conv(up, "last", 5, bias=True)]
    shapes = {"first": (12, 3, 3, 3), "second": (12, 3, 1, 1), "lift.conv": (12, 12, 1, 1), "up": (12, 4, 4, 4)}
    state = {f"{name}.weight": draw.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    state |= {"last.weight": draw.standard_normal((5, 8, 1, 1), np.float32), "last.bias": np.ones(5, np.float32)}
    for name, channels in (("bn", 12), ("lift.bn", 12), ("up_bn", 8)):
        for tensor in ("weight", "bias", "running_mean", "running_var"):
            state[f"{name}.{tensor}"] = draw.uniform(0.5, 2, channels).astype(np.float32)
    nodes, numbers = simplified(graph, numbers_of(graph, state))
    assert not {"batch_norm", "deal"} & {node.kind for node in nodes}
    assert len(numbers) == 5
    image = torch.randn(1, 3, 8, 8)

    def tensor(name):
        return torch.from_numpy(state[name])

    def normed(x, name):
        mean, var = (tensor(f"{name}.running_{word}") for word in ("mean", "var"))
        return nn.functional.batch_norm(x, mean, var, tensor(f"{name}.weight"), tensor(f"{name}.bias")).relu()

    conv, deconv = nn.functional.conv2d, nn.functional.conv_transpose2d
    x = normed(conv(image, tensor("first.weight"), padding=1) + conv(image, tensor("second.weight")), "bn")
    x = nn.functional.channel_shuffle(normed(conv(x, tensor("lift.conv.weight")), "lift.bn"), 4)
    x = nn.functional.channel_shuffle(deconv(x, tensor("up.weight"), None, 2, 1, groups=2), 2)
    found = [output.numpy() for output in GraphModule(graph, state)(image)]
    compared(found, [conv(normed(x, "up_bn"), tensor("last.weight"), tensor("last.bias"))])


def test_a_shuffle_that_others_see_stays():
    graph = Graph(4, 4)
    x = graph.conv(graph.picture, "conv", 6)
    graph.outputs = [graph.deal(x, 2), x]
    nodes, _ = simplified(graph, numbers_of(graph))
    assert [node.kind for node in nodes] == ["conv", "deal"]
    assert dealt(6, 2).tolist() == [0, 2, 4, 1, 3, 5]


def test_large_kernels_of_a_graph_are_cut():
    arch, net = network("litepose", 0)
    module = for_xnnpack(network_graph(arch, 5), results(net, picture_of(arch))[1])
    assert any(isinstance(one, CutConv2d) for one in module.modules())
