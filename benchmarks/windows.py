"""What windows cost in training: forward + backward of a subnet against the same plain network, 128 px, batch 2."""

from __future__ import annotations

import functools
import random
import statistics

import torch
from timing import in_turn, ratio

import litepose_nas as ln

ROUNDS = 41


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    pictures = torch.randn(2, 3, 128, 128)
    print(f"torch {torch.__version__}, 1 thread, forward + backward, 128x128, batch 2, {ROUNDS} rounds in turn\n")
    print("| space | network | plain ms | windows ms | windows / plain (quartiles) |")
    print("|---|---|---|---|---|")
    for name in ("litepose", "litepose-tiny"):
        space = ln.Space.load(name)
        supernet = ln.Supernet(space, joints=17)
        rng = random.Random(0)
        for label, arch in (("widest", space.widest), ("smallest", space.smallest), ("random", space.sample(rng))):
            subnet = supernet.subnet(arch)
            plain = ln.extract(supernet, arch).train()

            for param in plain.parameters():
                param.grad = torch.zeros_like(param)  # gradients are added in both, and zeroed in neither

            def step(net: torch.nn.Module) -> None:
                sum(out.square().mean() for out in net(pictures)).backward()

            ours, base = in_turn([functools.partial(step, subnet), functools.partial(step, plain)], ROUNDS)
            middle, low, high = ratio(ours, base)
            ms = [1e3 * statistics.median(times) for times in (base, ours)]
            print(f"| {name} | {label} | {ms[0]:.1f} | {ms[1]:.1f} | {middle:.3f} ({low:.3f}-{high:.3f}) |")


if __name__ == "__main__":
    main()
