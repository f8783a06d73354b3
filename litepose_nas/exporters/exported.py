"""A network that is exported, and all that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from litepose_nas.blocks.graph import Graph
from litepose_nas.errors import UserError
from litepose_nas.exporters.graph_state import graph_state
from litepose_nas.exporters.parity import shape_of
from litepose_nas.network import Network
from litepose_nas.plan_files.network_graph import network_graph, unwritten
from litepose_nas.plan_files.numbers import State
from litepose_nas.space import Arch

GROUPING = "litepose_nas/pose/standalone/group_people.py"


class Exported(NamedTuple):
    net: nn.Module
    arch: Arch
    joints: int
    size: tuple[int, int]  # height and width of pictures
    outputs: Sequence[str]  # their names
    meta: dict[str, Any]  # what the file, or one beside it, says
    more: bool = False  # something stands before or behind the network, which its plan does not know
    reads_bytes: bool = False
    decodes: bool = False  # joints come out, or peaks, before all else
    traced: dict[str, bytes] | None = None  # ONNX programs that are kept: torch takes ten seconds to trace a network

    @property
    def input(self) -> tuple[int, ...]:
        """(height, width) of a picture, or (frames, height, width) of a clip."""
        frames = self.arch.clip_length
        return self.size if frames == 1 else (frames, *self.size)

    def images(self, batch: int, seed: int = 0) -> NDArray[Any]:
        """Random pictures or clips, as the file takes them."""
        draw = np.random.default_rng(seed)
        if self.reads_bytes:
            return draw.integers(0, 256, (batch, *self.size, 3), np.uint8)
        return draw.standard_normal((batch, *shape_of(self.input)), np.float32)

    @property
    def core(self) -> nn.Module:
        """The network itself, without what stands around it in the file."""
        return next((module for module in self.net.modules() if isinstance(module, Network)), self.net)

    def graph(self, format: str) -> tuple[Graph, State]:
        """The network itself as its plan tells it, and its tensors."""
        if missing := unwritten(self.arch.plan(self.joints)):
            raise UserError(
                f"{self.arch.space.name}: {', '.join(missing)} cannot be written as {format} yet; choose onnx or torch"
            )
        frames = self.arch.clip_length
        return network_graph(self.arch, self.joints, self.size), graph_state(self.core, self.size, frames)

    def check_plain(self, format: str, no_places: str, no_bytes: str) -> None:
        """Refuse what a format cannot hold; the words say which operation it lacks."""
        others = "openvino, litert, executorch or torch"
        if self.decodes:
            raise UserError(
                f"--decode: {no_places}; leave it out for {format}, and find joints in the raw maps outside, "
                f"with {GROUPING} for all people of a picture; or choose onnx, {others}"
            )
        if self.reads_bytes:
            raise UserError(f"--uint8: {no_bytes}; leave it out for {format}, or choose onnx, {others}")

    def check_single(self, format: str) -> None:
        if self.arch.clip_length > 1:
            raise UserError(
                f"{self.arch.space.name}: its networks see clips, which the converter to {format} does not take; "
                "choose onnx, openvino, ncnn or torch"
            )
