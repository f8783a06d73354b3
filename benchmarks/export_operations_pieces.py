"""Time the operations of a network alone, for export_operations.py: export_operations_pieces.py NET RUNTIME ROUNDS

It imports nothing but what the converter's own environment has.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from litepose_nas.blocks.graph import Feature, Node
from litepose_nas.exporters.graph_module import GraphModule, for_xnnpack
from litepose_nas.exporters.table import FORMATS
from litepose_nas.plan_files.network_graph import network_graph
from litepose_nas.plan_files.simplified import SAME
from litepose_nas.resolve import resolve

JOINTS, SECONDS = 17, 0.1


class Piece(nn.Module):
    """One operation; what it reads besides its first input is constant."""

    def __init__(self, graph: GraphModule, number: int):
        super().__init__()
        self.network, self.number = graph, number
        node = graph.nodes[number]
        for place, feature in enumerate(node.inputs[1:]):
            self.register_buffer(f"other{place}", torch.randn(shape_of(feature)))
        self.others = len(node.inputs) - 1

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        read = [inputs[0], *(self.get_buffer(f"other{place}") for place in range(self.others))]
        return (self.network.computed(self.number, read),)


def shape_of(feature: Feature) -> tuple[int, ...]:
    return feature.shape if feature.tokens else (feature.windows, *feature.shape)


def alike(node: Node) -> tuple[Any, ...]:
    """What decides how long it takes."""
    reads = tuple((feature.shape, feature.tokens, feature.windows) for feature in node.inputs)
    return node.kind, reads, node.shape, node.kernel, node.stride, node.groups, node.act, bool(node.path)


def words(node: Node) -> str:
    reads = " and ".join("x".join(map(str, feature.shape)) for feature in node.inputs)
    kernel = f" {node.kernel}x{node.kernel}" if node.kernel > 1 else ""
    groups = f" in {node.groups} groups" if node.groups > 1 else ""
    return f"{reads} to {'x'.join(map(str, node.shape))}{kernel}{groups}{f', {node.act}' if node.act else ''}"


def write(module: nn.Module, example: Tensor, maps: tuple[bool, bool], runtime: str, path: Path) -> None:
    if runtime == "executorch":
        from litepose_nas.exporters.executorch import lowered

        lowered(module.eval(), example, path)
        return
    from litepose_nas.exporters.litert import convert

    last = example.permute(0, 2, 3, 1).contiguous() if maps[0] else example
    convert(Turned(module, *maps), last, path)


class Turned(nn.Module):
    """Maps lie channels last, as in LiteRT's files; tokens lie so everywhere."""

    def __init__(self, net: nn.Module, inputs: bool, outputs: bool):
        super().__init__()
        self.net, self.inputs, self.outputs = net, inputs, outputs

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        made = self.net(x.permute(0, 3, 1, 2) if self.inputs else x)
        return tuple(each.permute(0, 2, 3, 1) if self.outputs else each for each in made)


def caller(runtime: str, path: Path, example: Tensor, turned: bool) -> Callable[[], Any]:
    """Past the sessions of runtimes/, which take pictures alone."""
    session = FORMATS[runtime].open(path, 1)
    if runtime == "executorch":
        return session.ready(example.numpy())
    interpreter, image = session._interpreter, example.permute(0, 2, 3, 1) if turned else example
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image.contiguous().numpy())
    return interpreter.invoke


def least(run: Callable[[], Any], rounds: int) -> float:
    run()
    found = []
    for _ in range(rounds):
        begun, calls = time.process_time(), 0
        while time.process_time() - begun < SECONDS or not calls:
            run()
            calls += 1
        found.append(1e3 * (time.process_time() - begun) / calls)
    return min(found)


def main() -> None:
    network, runtime, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a converter prints must not come between
    torch.set_num_threads(1)
    torch.manual_seed(0)
    arch = resolve(network, JOINTS).subnet.arch
    whole = for_xnnpack(network_graph(arch, JOINTS))
    assert isinstance(whole, GraphModule)
    counts = Counter(alike(node) for node in whole.nodes if node.kind != SAME)
    first = {alike(node): number for number, node in reversed(list(enumerate(whole.nodes)))}
    operations, failed = [], []
    with tempfile.TemporaryDirectory() as folder:
        path, image = Path(folder) / "net.file", torch.randn(1, 3, *arch.input)
        write(whole, image, (True, True), runtime, path)
        total = least(caller(runtime, path, image, True), rounds)
        for kind, count in counts.items():
            node = whole.nodes[first[kind]]
            example = torch.randn(shape_of(node.inputs[0]))
            piece = Piece(whole, first[kind])
            with torch.no_grad():
                (made,) = piece(example)
            maps = example.dim() == 4, made.dim() == 4
            try:
                write(piece, example, maps, runtime, path)
                ms = least(caller(runtime, path, example, maps[0]), rounds)
            except Exception as error:  # whatever a converter stumbles over in so small a graph
                failed.append(f"{node.kind} {words(node)}: {' '.join(str(error).split())[:200]}")
                continue
            operations.append({"kind": node.kind, "what": words(node), "count": count, "ms": ms})
    replies.write(json.dumps({"whole": total, "operations": operations, "failed": failed}) + "\n")


if __name__ == "__main__":
    main()
