"""What the backward pass of depthwise convolutions costs, ours against torch's, by layer and in a whole training step.

    scripts/bench benchmarks/depthwise.py

One thread, processor time, runs in turn, medians. The step is forward, a loss and backward of LitePose-XS with other
kernels, 256 px, batch 8, in channels last as in training; the sandwich is the widest, the smallest and two
random networks of litepose-tiny, 128 px, batch 16. In `torch` no layer is said to pay.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import litepose_nas as ln
from litepose_nas.blocks import depthwise_torch
from litepose_nas.blocks.depthwise_torch import depthwise_conv
from litepose_nas.resolve import resolve

ROUNDS, STEPS = 7, 5
LAYERS = (  # batch, channels, height, width, kernel, stride
    *((8, 96, 64, 64, kernel, 1) for kernel in (5, 7)),
    *((8, 192, 32, 32, kernel, 1) for kernel in (5, 7, 9)),
    *((8, 288, 16, 16, kernel, 1) for kernel in (5, 7, 11)),
    (32, 288, 12, 9, 7, 1),
    *((8, 96, 64, 64, kernel, 2) for kernel in (5, 7)),
    (32, 64, 16, 16, 5, 1),
)
KERNELS = (3, 5, 7, 11)


@contextmanager
def torchs() -> Iterator[None]:
    """Let torch do every backward pass."""
    ours = depthwise_torch._pays
    depthwise_torch._pays = lambda *_: False
    try:
        yield
    finally:
        depthwise_torch._pays = ours


def timed(run: Callable[[], object]) -> float:
    begun = time.process_time()
    run()
    return time.process_time() - begun


def side_by_side(run: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the median milliseconds of torch's and of ours, and run both once before."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        with torchs():
            one = timed(run)
        other = timed(run)
        if number:
            times[0].append(one)
            times[1].append(other)
    return 1e3 * statistics.median(times[0]), 1e3 * statistics.median(times[1])


def layer(batch: int, channels: int, height: int, width: int, kernel: int, stride: int) -> Callable[[], None]:
    x = torch.randn(batch, channels, height, width).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(channels, 1, kernel, kernel, requires_grad=True)
    grad = torch.randn_like(F.conv2d(x.detach(), weight.detach(), None, stride, kernel // 2, 1, channels))
    return lambda: depthwise_conv(x, weight, stride).backward(grad)


def network(kernel: int) -> nn.Module:
    """Return LitePose-XS with all kernels of its stages of one size; its own are 7x7."""
    arch = resolve("litepose-xs").subnet.arch
    kernels = {gene: kernel for gene in arch.to_dict() if gene.endswith("kernel")}
    changed = arch.space.arch({**arch.to_dict(), **kernels})
    return ln.build(changed, joints=17).to(memory_format=torch.channels_last).train()


def step(nets: Sequence[nn.Module], pictures: Tensor) -> None:
    for net in nets:
        outputs = net(pictures)
        sum((out.square().mean() for out in outputs), torch.zeros(())).backward()


def pictures(batch: int, size: int) -> Tensor:
    return torch.randn(batch, 3, size, size).contiguous(memory_format=torch.channels_last)


def row(name: str, run: Callable[[], object], rounds: int) -> str:
    torchs_ms, ours_ms = side_by_side(run, rounds)
    return f"| {name} | {torchs_ms:.2f} | {ours_ms:.2f} | {torchs_ms / ours_ms:.2f} |"


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, 1 thread\n\n| forward and backward of | torch ms | ours ms | torch / ours |")
    print("|---|---|---|---|")
    for batch, channels, height, width, kernel, stride in LAYERS:
        name = f"{kernel}x{kernel} stride {stride}, {batch} x {channels} x {height} x {width}"
        print(row(name, layer(batch, channels, height, width, kernel, stride), ROUNDS), flush=True)
    for kernel in KERNELS:
        run = partial(step, [network(kernel)], pictures(8, 256))
        print(row(f"litepose-xs with {kernel}x{kernel}", run, STEPS), flush=True)
    space, rng = ln.Space.load("litepose-tiny"), random.Random(0)
    supernet = ln.Supernet(space, joints=17)
    archs = [space.widest, space.smallest, space.sample(rng), space.sample(rng)]
    nets = [supernet.subnet(arch).train() for arch in archs]
    print(row("the sandwich of litepose-tiny", partial(step, nets, pictures(16, 128)), STEPS))


if __name__ == "__main__":
    main()
