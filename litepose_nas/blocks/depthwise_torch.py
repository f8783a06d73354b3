"""Padded depthwise convolutions whose backward pass is fast on a CPU.

Torch takes ten times as long for the gradient of a large depthwise kernel as for the forward pass. The same numbers are
a convolution of the input with the gradient of the output as its kernel, summed over the pictures. The gradient of the
input is a convolution with the kernel turned around.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


class DepthwiseConv(nn.Conv2d):
    """A convolution of each channel alone, padded by half its odd kernel, without bias."""

    def __init__(self, channels: int, kernel: int, stride: int = 1):
        super().__init__(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        # Only in training: what is exported or counted stays an ordinary convolution.
        if self.training:
            return depthwise_conv(x, self.weight, self.stride[0])
        return super().forward(x)


def depthwise_conv(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Convolve each channel with its kernel. Where ours is faster it is used, and differentiable once."""
    if torch.is_grad_enabled() and weight.requires_grad and _pays(x, weight, stride):
        return _Depthwise.apply(x, weight, stride)
    return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, len(weight))


LEAST_KERNEL, LEAST_MACS = 5, 2**20  # as benchmarks/depthwise.py measured it; each picture is a call of its own


def _pays(x: Tensor, weight: Tensor, stride: int) -> bool:
    kernel = weight.shape[-1]
    macs = math.prod(x.shape[1:]) // stride**2 * kernel**2
    # Under autocast what goes in, the kernel and the gradient have several types.
    plain = x.device.type == "cpu" and x.dtype == weight.dtype and not torch.is_autocast_enabled("cpu")
    return plain and kernel >= LEAST_KERNEL and macs >= LEAST_MACS


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (x, weight), (grad,) = ctx.saved_tensors, grads
        wants_x, wants_weight, _ = ctx.needs_input_grad
        of_x = _input_gradient(x, weight, grad, ctx.stride) if wants_x else None
        of_weight = _weight_gradient(x, weight, grad, ctx.stride) if wants_weight else None
        return of_x, of_weight, None


def _input_gradient(x: Tensor, weight: Tensor, grad: Tensor, stride: int) -> Tensor:
    padding = weight.shape[-1] // 2
    if stride == 1:
        return F.conv2d(grad, weight.flip(2, 3), None, 1, padding, 1, len(weight))
    strides, paddings = [stride, stride], [padding, padding]
    only = [True, False, False]
    backward = torch.ops.aten.convolution_backward
    return backward(grad, x, weight, None, strides, paddings, [1, 1], False, [0, 0], len(weight), only)[0]


def _weight_gradient(x: Tensor, weight: Tensor, grad: Tensor, stride: int) -> Tensor:
    channels, kernel = len(weight), weight.shape[-1]
    rim, (height, width) = kernel // 2, x.shape[2:]
    # Padded here: with padding of its own, a convolution with a kernel as large as the map takes twice as long.
    padded = x.new_zeros(1, channels, height + 2 * rim, width + 2 * rim)
    if x.stride(1) == 1:
        padded = padded.contiguous(memory_format=torch.channels_last)
    middle = padded[0, :, rim : rim + height, rim : rim + width]
    total = torch.zeros_like(weight[:, 0])
    # One picture at a time: all at once, as groups of one picture, all of them would have to be copied.
    for picture, kernels in zip(x, grad, strict=True):
        middle.copy_(picture)
        found = F.conv2d(padded, kernels[:, None], None, 1, 0, stride, channels)  # a stride spreads the kernel
        total += found[0, :, :kernel, :kernel]
    return total[:, None]
