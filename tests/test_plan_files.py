"""Files straight from a plan compute what the network computes: torch is the judge, on the same weights."""

import random

import numpy as np
import pytest
import torch

from litepose_nas.blocks.deconv_torch import InterleavedDeconvModule
from litepose_nas.families.mobilevitpose.blocks_torch import Attention, ConvUnitModule, FoldModule, MergeConvModule
from litepose_nas.network import build
from litepose_nas.plan_files.ncnn_file import lacking, write_ncnn
from litepose_nas.plan_files.network_graph import network_graph, unwritten
from litepose_nas.plan_files.onnx_file import write_onnx
from litepose_nas.rewrites.folded_norms import with_folded_norms
from litepose_nas.rewrites.ordinary_modules import with_ordinary_modules
from litepose_nas.runtimes import ncnn as ncnn_runtime
from litepose_nas.runtimes import onnxruntime
from litepose_nas.space import Space

CONVOLUTIONS = ("litepose", "litepose-blocks", "s_vipnas_mbv3", "s_vipnas_res50", "topdown-tiny")
SPACES = (*CONVOLUTIONS, "mobilevitpose")


def network(space, seed, joints=5):
    """Return a random architecture and its network, with statistics and weights that do something."""
    arch = Space.load(space).sample(random.Random(seed))
    torch.manual_seed(seed)
    net = build(arch, joints)
    for module in net.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.1)
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, 0, 0.1)  # attention starts as nearly nothing
    return arch, net.eval()


def state_of(net):
    """The tensors of a network as plain convolutions and linear maps have them."""
    state = dict(with_ordinary_modules(net).state_dict())
    for path, module in net.named_modules():
        if isinstance(module, Attention):
            state[f"{path}.qkv.weight"] = module._dealt(module.qkv, 1).flatten(0, 2)
            state[f"{path}.out.weight"] = module._dealt(module.out, 1).flatten(1)
            if module.qkv_bias is not None:
                state[f"{path}.qkv.bias"] = module._dealt(module.qkv_bias, 1).flatten()
                state[f"{path}.out.bias"] = module.out_bias
        elif isinstance(module, MergeConvModule):
            state[f"{path}.first.weight"], state[f"{path}.second.weight"] = module.weight[0].unbind(1)
            if module.behind.bias is not None:
                state[f"{path}.second.bias"] = module.behind.bias
        elif isinstance(module, (ConvUnitModule, FoldModule)) and module.behind.bias is not None:
            state[f"{path}.conv.bias"] = module.behind.bias
        elif isinstance(module, InterleavedDeconvModule):
            state[f"{path}.weight"] = module.weight[0].permute(4, 1, 0, 2, 3).flatten(0, 1)
    return {name: tensor.detach().numpy() for name, tensor in state.items()}


def compared(outputs, wanted):
    assert len(outputs) == len(wanted)
    for output, want in zip(outputs, wanted, strict=True):
        assert output.shape == want.shape
        assert np.abs(output - want.numpy()).max() < 1e-4 * max(1.0, float(want.abs().max()))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("space", SPACES)
def test_onnx_computes_what_torch_computes(space, seed, tmp_path):
    arch, net = network(space, seed)
    path, image = tmp_path / "net.onnx", torch.randn(1, 3, *arch.input)
    write_onnx(network_graph(arch, 5), path, arch.space.family.outputs, state_of(net))
    with torch.no_grad():
        compared(onnxruntime.open_session(path, 1)(image.numpy()), net(image))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("space", CONVOLUTIONS)
def test_ncnn_computes_what_torch_computes(space, seed, tmp_path):
    pytest.importorskip("ncnn")
    arch, net = network(space, seed)
    path, image = tmp_path / "net.param", torch.randn(1, 3, *arch.input)
    write_ncnn(network_graph(arch, 5), path, state_of(net))
    with torch.no_grad():
        compared(ncnn_runtime.open_session(path, 1)(image.numpy()), net(image))


@pytest.mark.parametrize("space", SPACES)
def test_random_numbers_give_finite_outputs_of_their_size(space, tmp_path):
    arch = Space.load(space).widest
    write_onnx(network_graph(arch, 17), tmp_path / "net.onnx", arch.space.family.outputs, seed=3)
    outputs = onnxruntime.open_session(tmp_path / "net.onnx", 1)(torch.randn(1, 3, *arch.input).numpy())
    assert all(np.isfinite(output).all() for output in outputs)
    assert all(1e-3 < np.abs(output).max() < 1e6 for output in outputs)


@pytest.mark.parametrize("space", ["litepose-tiny", "s_vipnas_mbv3", "s_vipnas_res50"])
def test_folded_normalisations_change_nothing(space):
    arch, net = network(space, 0)
    folded, image = with_folded_norms(with_ordinary_modules(net)), torch.randn(1, 3, *arch.input)
    before, after = (sum(isinstance(m, torch.nn.BatchNorm2d) for m in n.modules()) for n in (net, folded))
    assert after <= 3 < before or after == 0
    with torch.no_grad():
        compared([output.numpy() for output in folded(image)], net(image))


def test_blocks_that_do_not_say_their_operations_are_named():
    assert unwritten(Space.load("litepose").widest.plan(17)) == []
    assert unwritten(Space.load("levitpose").widest.plan(17))
    assert lacking(network_graph(Space.load("mobilevitpose").widest, 17)) == ["resize", "unfold", "fold", "attention"]
