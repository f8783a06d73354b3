"""The operations and constants of an ONNX graph, written down one by one; tensors are known by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class OnnxOps:
    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def op(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        from onnx import helper

        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def shaped(self, x: str, *shape: int) -> str:
        return self.op("Reshape", [x, self.whole(*shape)])

    def turned(self, x: str, *order: int) -> str:
        return self.op("Transpose", [x], perm=order)

    def part(self, x: str, first: Sequence[int], last: Sequence[int], axes: Sequence[int]) -> str:
        return self.op("Slice", [x, *(self.whole(*each) for each in (first, last, axes))])

    def scalar(self, value: float) -> str:
        return self.constant(f"number{value}", np.float32(value))

    def whole(self, *values: int) -> str:
        return self.constant("whole" + "_".join(map(str, values)), np.array(values, np.int64))

    def constant(self, name: str, values: np.ndarray | np.generic) -> str:
        from onnx import numpy_helper

        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.asarray(values), name)
        return name
