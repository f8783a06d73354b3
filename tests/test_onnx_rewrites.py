"""An ONNX graph that is made ready for integers computes what it computed: ONNX Runtime is the judge."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from litepose_nas.exporters.graph_state import graph_state
from litepose_nas.exporters.onnx_rewrites import convolution_weights, prepared
from litepose_nas.plan_files.network_graph import network_graph
from litepose_nas.plan_files.onnx_file import write_onnx
from tests.test_plan_files import network

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")


def answers(model, image):
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: image})


def kinds(model):
    return {node.op_type for node in model.graph.node}


@settings(max_examples=40)
@given(
    groups=st.integers(1, 4),
    each=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    shape=st.sampled_from([(2, 2, 0), (4, 2, 1), (6, 2, 2), (3, 3, 0), (5, 3, 1), (3, 1, 1), (1, 1, 0)]),
    seed=st.integers(0, 99),
)
def test_a_deconvolution_is_a_convolution_whose_outputs_are_put_in_order(groups, each, shape, seed):
    (kernel, stride, pad), draw = shape, torch.Generator().manual_seed(seed)
    weight = torch.randn(groups * each[0], each[1], kernel, kernel, generator=draw)
    image = torch.randn(2, groups * each[0], 5, 7, generator=draw)
    wanted = torch.nn.functional.conv_transpose2d(image, weight, stride=stride, padding=pad, groups=groups)
    made, reach = convolution_weights(weight.numpy(), groups, stride, pad)
    all_of_them = torch.nn.functional.conv2d(image, torch.from_numpy(made), padding=reach, groups=groups)
    torch.testing.assert_close(torch.nn.functional.pixel_shuffle(all_of_them, stride), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("space", ["litepose-tiny", "s_vipnas_mbv3"])
def test_a_network_made_ready_gives_the_same_outputs(space, tmp_path):
    arch, net = network(space, 3)
    size = (64, 96) if space == "litepose-tiny" else arch.input
    write_onnx(network_graph(arch, 5, size), tmp_path / "net.onnx", arch.space.family.outputs, graph_state(net, size))
    model = onnx.load(str(tmp_path / "net.onnx"))
    ready = prepared(model)
    onnx.checker.check_model(ready)
    assert "ConvTranspose" in kinds(model)
    assert "DepthToSpace" in kinds(ready)
    assert not {"ConvTranspose", "BatchNormalization"} & kinds(ready)
    assert [each.name for each in ready.graph.output] == [each.name for each in model.graph.output]
    image = np.random.default_rng(0).standard_normal((1, 3, *size), np.float32)
    for one, other in zip(answers(ready, image), answers(model, image), strict=True):
        assert np.abs(one - other).max() < 1e-5 * max(1.0, np.abs(other).max())
