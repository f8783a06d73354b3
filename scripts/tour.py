"""A tour of the idea in Python: one supernet, any architecture out of it, equal to the bit."""

import random

import torch

import litepose_nas as ln

space = ln.Space.load("litepose-tiny")
supernet = ln.Supernet(space, joints=17)
rng = random.Random(0)
pictures = torch.randn(2, 3, 96, 96)
print(f"{space.size:,} networks share {supernet.store.flat.numel():,} numbers\n")
for _ in range(4):
    arch = space.sample(rng)
    with torch.no_grad():
        window = supernet.subnet(arch)(pictures)
        plain = ln.extract(supernet, arch).train()(pictures)
    equal = all(torch.equal(a, b) for a, b in zip(window, plain, strict=True))
    cost = ln.cost(arch)
    print(f"{cost.macs / 1e6:7.1f} MMAC  {cost.params / 1e3:6.1f} k parameters  extraction equal to the bit: {equal}")
    assert equal
