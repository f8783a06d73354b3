"""The backward pass of depthwise convolutions against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch.autograd.graph import Node
from torch.nn import functional as F

import litepose_nas as ln
from litepose_nas.blocks import depthwise_torch
from litepose_nas.blocks.depthwise_torch import DepthwiseConv, depthwise_conv

OURS = "_DepthwiseBackward"


def _gradients(conv, x, weight, stride):
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    y = conv(x, weight, stride)
    rng = torch.Generator().manual_seed(1)
    y.backward(torch.randn(y.shape, generator=rng).to(y.dtype))
    return y.detach(), x.grad, weight.grad


def _torchs(x, weight, stride):
    return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, len(weight))


def _graph(node: Node) -> set[str]:
    """The names of all steps that lead to a tensor."""
    seen, waiting = set(), [node]
    while waiting:
        if (step := waiting.pop()) is not None and step not in seen:
            seen.add(step)
            waiting += [before for before, _ in step.next_functions]
    return {step.name() for step in seen}


@pytest.fixture
def small(monkeypatch):
    """Small maps pay, too, so that tests are fast."""
    monkeypatch.setattr(depthwise_torch, "LEAST_MACS", 1)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [5, 7, 11])
@pytest.mark.parametrize(("height", "width"), [(12, 9), (9, 16), (3, 4), (1, 1)])  # also smaller than the kernel
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_are_torchs(stride, kernel, height, width, layout):
    rng = torch.Generator().manual_seed(kernel)
    x = torch.randn(3, 8, height, width, generator=rng).contiguous(memory_format=layout)
    weight = torch.randn(8, 1, kernel, kernel, generator=rng)
    expected = _gradients(_torchs, x.double(), weight.double(), stride)
    for one, other in zip(_gradients(depthwise_conv, x, weight, stride), expected, strict=True):
        assert float((one - other).abs().max()) <= 1e-5 * float(other.abs().max())


def test_where_it_pays():
    def uses_ours(kernel, stride, size, training=True, grad=True):
        conv = DepthwiseConv(4, kernel, stride).train(training)
        with torch.set_grad_enabled(grad):
            found = conv(torch.randn(1, 4, size, size)).grad_fn
        return found is not None and OURS in _graph(found)

    assert uses_ours(7, 1, size=74)
    assert uses_ours(5, 1, size=103)
    assert uses_ours(7, 2, size=148)
    assert not uses_ours(7, 1, size=73)
    assert not uses_ours(5, 1, size=102)
    assert not uses_ours(7, 2, size=146)
    assert not uses_ours(3, 1, size=256)
    assert not uses_ours(7, 1, size=74, training=False)
    assert not uses_ours(7, 1, size=74, grad=False)


@pytest.mark.usefixtures("small")
def test_half_precision_is_torchs():
    conv = DepthwiseConv(4, 7)
    with torch.autocast("cpu", torch.bfloat16):
        made = conv(torch.randn(2, 4, 9, 9))
    assert OURS not in _graph(made.grad_fn)
    made.float().sum().backward()
    assert conv.weight.grad.dtype == torch.float32
    half = conv.bfloat16()(torch.randn(2, 4, 9, 9).bfloat16())
    half.float().sum().backward()


@pytest.mark.usefixtures("small")
def test_only_asked_gradients_are_made():
    conv = DepthwiseConv(4, 7)
    x = torch.randn(1, 4, 9, 9, requires_grad=True)
    (of_x,) = torch.autograd.grad(conv(x).sum(), x)
    assert of_x.shape == x.shape
    conv(x.detach()).sum().backward()
    assert conv.weight.grad is not None
    conv.weight.requires_grad_(False)
    assert OURS not in _graph(conv(x).grad_fn)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", ["litepose", "s_vipnas_mbv3", "mobilevitpose"])
def test_networks_have_the_same_gradients(name, monkeypatch):
    torch.manual_seed(0)
    space = ln.Space.load(name)
    kernels = {gene: size for gene, size in space.widest.to_dict().items() if gene.endswith("kernel")}
    net = ln.build(space.arch({**space.smallest.to_dict(), **kernels}), joints=17).train()
    pictures = torch.randn(2, 3, 64, 64)

    def gradients():
        net.zero_grad()
        outputs = net(pictures)
        graph = _graph(outputs[0].grad_fn)
        sum(out.square().mean() for out in outputs).backward()
        return [param.grad.clone() for param in net.parameters()], OURS in graph

    ours, used = gradients()
    monkeypatch.setattr(depthwise_torch, "_pays", lambda *_: False)
    torchs, not_used = gradients()
    assert used
    assert not not_used
    largest = max(float(grad.abs().max()) for grad in torchs)
    for one, other in zip(ours, torchs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5 * largest)
