"""Simulated devices: how long a network takes is known in closed form, from the graph that runtimes get.

Each operation takes an overhead and what is slower of computing and moving (a roofline), channels are rounded up, an
activation costs nothing where it is fused, and a measurement has noise. Nothing of it is shared with the fit.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from litepose_nas.blocks.graph import Graph
from litepose_nas.latency.samples import LatencySample, LatencySamples
from litepose_nas.plan_files.network_graph import network_graph
from litepose_nas.space import Arch, Space


class SimulatedDevice(NamedTuple):
    """A processor with a runtime on it."""

    overhead: float = 0.005  # ms of an operation
    gmacs: float = 50.0  # a second, of a 1x1 convolution
    gigabytes: float = 12.0  # a second
    packed: int = 8  # channels are worked on so many at once
    depthwise: Mapping[int, float] = MappingProxyType(
        {3: 2.2, 5: 1.5, 7: 1.2, 9: 1.4, 11: 1.5}
    )  # beside a 1x1, per MAC
    grouped: float = 2.5
    deconv: float = 1.7
    noise: float = 0.01  # standard deviation of the least of a few rounds

    def true(self, arch: Arch, joints: int = 17) -> float:
        """Milliseconds without noise."""
        return self.of_graph(network_graph(arch, joints))

    def of_graph(self, graph: Graph) -> float:
        total = 0.0
        for node in graph.nodes:
            made = math.prod(node.shape)
            read = sum(math.prod(one.shape) for one in node.inputs)
            moving = 4 * (read + made) / self.gigabytes / 1e6
            computing = self._macs(node) / self.gmacs / 1e6
            total += self.overhead + max(computing, moving)
        return total

    def _macs(self, node) -> float:
        if node.kind not in ("conv", "deconv", "linear"):
            return 0.0
        cin, cout = node.inputs[0].shape[0], node.shape[0]
        positions = math.prod(node.shape[1:]) / (4 if node.kind == "deconv" else 1)
        up = -(-cout // self.packed) * self.packed
        macs = positions * node.kernel**2 * cin / node.groups * up
        if node.kind == "deconv":
            return macs * self.deconv * (self.grouped if node.groups > 1 else 1)
        if node.groups > 1:
            return macs * (self.depthwise[node.kernel] if node.groups == cin == cout else self.grouped)
        return macs

    def sampled(self, arch: Arch, rng: random.Random, role: str = "random", joints: int = 17) -> LatencySample:
        """A measurement."""
        ms = self.true(arch, joints) * math.exp(rng.gauss(0, self.noise))
        return LatencySample(arch, ms, 1.02 * ms, 5, role)

    def samples(self, space: Space, count: int, seed: int = 0, joints: int = 17) -> LatencySamples:
        """Measurements of random networks and of the smallest and the widest."""
        rng = random.Random(seed)
        ends = [self.sampled(arch, rng, "extreme", joints) for arch in (space.smallest, space.widest)]
        rest = [self.sampled(space.sample(rng), rng, "random", joints) for _ in range(count)]
        device = {"processor": "simulated", "cores": 1}
        return LatencySamples(device, "onnxruntime", "1.0", 1, "fp32", 1, joints, self.noise, [*ends, *rest])
