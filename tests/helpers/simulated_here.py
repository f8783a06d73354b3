"""The simulated runtime as one that is installed on this machine, and profiles of it, which know its truth."""

import json
import random
import sys
from pathlib import Path

from litepose_nas.exporters.measured import MEASURED_FORMATS, MeasuredFormat
from litepose_nas.latency import profile as profile_file
from litepose_nas.latency.samples import LatencySample, LatencySamples
from litepose_nas.latency.standalone import rounds
from litepose_nas.latency.standalone.children import Target
from litepose_nas.latency.standalone.conditions import describe_device
from litepose_nas.plan_files.network_graph import network_graph
from litepose_nas.runtimes.table import RUNTIMES, KnownRuntime
from tests.helpers import simulated_runtime

FILE = Path(simulated_runtime.__file__)


class SimulatedRuntime(KnownRuntime):
    @property
    def path(self):
        return FILE

    def version(self):
        return simulated_runtime.version()


def operations(arch):
    return node_operations(network_graph(arch, 17))


def node_operations(graph):
    """The multiplications of each operation, the bytes it moves, and whether it is depthwise."""
    found = []
    for node in graph.nodes:
        cin, (cout, *size) = node.inputs[0].shape[0], node.shape
        positions = size[0] * size[1] if size else 1
        macs = cout * (cin // node.groups) * node.kernel**2 * positions if node.path else 0
        moved = 4 * (sum(each.shape[0] * (each.shape[1:] or [1])[0] ** 2 for each in node.inputs) + cout * positions)
        found.append((macs, moved, node.groups > 1))
    return found


def truth(arch):
    return simulated_runtime.truth(operations(arch))


def write(arch, path):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(operations(arch)))


def write_nodes(graph, path):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(node_operations(graph)))


def target(threads=1):
    return Target("simulated", FILE, "pip install nothing", sys.executable, threads)


def install(monkeypatch, name="simulated"):
    """Put the runtime on the list of those that are installed; return a function that says what its device is like."""
    monkeypatch.setattr(rounds, "VISIT", 0.001)
    monkeypatch.setattr(rounds, "LEAST_ROUNDS", 3)
    monkeypatch.setitem(RUNTIMES, name, SimulatedRuntime(name, "", "simulated", "json", "nothing"))
    files = MeasuredFormat(".json", lambda arch, joints, path: write(arch, path), lambda arch, joints: "")
    monkeypatch.setitem(MEASURED_FORMATS, "simulated", files)
    return lambda **wishes: monkeypatch.setenv("SIMULATED", json.dumps(wishes))


def measured(space, count=30, name="simulated", seed=3):
    """What measuring random networks of a space would have found, four anchors among them."""
    rng = random.Random(seed)
    archs = list(dict.fromkeys(space.sample(rng) for _ in range(count)))
    roles = ["anchor"] * 4 + ["random"] * len(archs)
    rows = [LatencySample(arch, truth(arch), truth(arch), 9, role) for arch, role in zip(archs, roles, strict=False)]
    return LatencySamples(describe_device(), name, simulated_runtime.version(), 1, "fp32", 1, 17, 0.0, rows)


def profile(space, path, name="simulated"):
    """Write a profile of a space."""
    made = profile_file.make([(str(path), measured(space, name=name))])
    profile_file.write(path, made)
    return made


def surprises(archs, factor):
    """What the device has to be like for some networks to take another time than their profile says."""
    return {f"{truth(arch):.9f}": factor for arch in archs}
