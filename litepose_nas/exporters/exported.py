"""A network that is exported, and all that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from litepose_nas.blocks.graph import Graph
from litepose_nas.errors import UserError
from litepose_nas.exporters.graph_state import graph_state
from litepose_nas.network import Network
from litepose_nas.plan_files.network_graph import network_graph, unwritten
from litepose_nas.plan_files.numbers import State
from litepose_nas.space import Arch


class Exported(NamedTuple):
    net: Network
    arch: Arch
    joints: int
    size: tuple[int, int]  # height and width of pictures
    outputs: Sequence[str]  # their names
    meta: dict[str, Any]  # what the file, or one beside it, says

    @property
    def input(self) -> tuple[int, ...]:
        """(height, width) of a picture, or (frames, height, width) of a clip."""
        frames = self.arch.clip_length
        return self.size if frames == 1 else (frames, *self.size)

    def graph(self, format: str) -> tuple[Graph, State]:
        """The network as its plan tells it, and its tensors."""
        if missing := unwritten(self.arch.plan(self.joints)):
            raise UserError(f"{self.arch.space.name}: {', '.join(missing)} cannot be written as {format} yet")
        frames = self.arch.clip_length
        return network_graph(self.arch, self.joints, self.size), graph_state(self.net, self.size, frames)

    def check_single(self, format: str) -> None:
        if self.arch.clip_length > 1:
            raise UserError(
                f"{self.arch.space.name}: its networks see clips, which the converter to {format} does not take; "
                "choose onnx, openvino or ncnn"
            )
