"""The layers of an ncnn network, one line each, and their numbers; tensors are known by their names.

A line has a kind, a name, how many tensors go in and come out, their names, and numbers such as 0=3. Tensors have up
to four axes: 2 (channels), 11 (depth), 1 (rows) and 0 (columns).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

HALF = 0x01306B47  # ncnn's mark of numbers of 16 bits


class NcnnLayers:
    def __init__(self, half: bool = False) -> None:
        self.half = half  # whether the weights of layers take 16 bits a number
        self.lines = ["Input in0 0 1 in0"]
        self.blobs = 1
        self.data: list[bytes] = []

    def add(self, line: str, inputs: Sequence[str], name: str = "") -> str:
        """A layer of one output: its kind, and its numbers."""
        kind, _, numbers = line.partition(" ")
        name = name or f"b{len(self.lines)}"
        self.line(kind, inputs, [name], numbers)
        return name

    def line(self, kind: str, inputs: Sequence[str], outputs: Sequence[str], numbers: str) -> None:
        words = [kind, f"l{len(self.lines)}", str(len(inputs)), str(len(outputs)), *inputs, *outputs, numbers]
        self.lines.append(" ".join(filter(None, words)))
        self.blobs += len(outputs)

    def copies(self, blob: str, uses: int) -> list[str]:
        """A tensor has one reader in ncnn; more of them read copies, which cost nothing."""
        if uses < 2:
            return [blob]
        names = [f"{blob}_{i}" for i in range(uses)]
        self.line("Split", [blob], names, "")
        return names

    def shaped(self, x: str, *shape: int) -> str:
        """Two to four axes, the outermost first."""
        keys = {1: (0,), 2: (1, 0), 3: (2, 1, 0), 4: (2, 11, 1, 0)}[len(shape)]
        return self.add("Reshape " + " ".join(f"{key}={n}" for key, n in sorted(zip(keys, shape, strict=True))), [x])

    def turned(self, x: str, order: int) -> str:
        return self.add(f"Permute 0={order}", [x])

    def weights(self, weight: np.ndarray, bias: np.ndarray | None) -> None:
        """Those of a layer, behind a mark that says what they are; a bias has always 32 bits."""
        if self.half:
            short = np.ascontiguousarray(weight, np.float16).tobytes()
            self.data += [HALF.to_bytes(4, "little"), short, bytes(-len(short) % 4)]
        else:
            self.data.append(bytes(4))
            self.write(weight)
        self.write(*([] if bias is None else [bias]))

    def write(self, *arrays: np.ndarray) -> None:
        self.data += [np.ascontiguousarray(array, np.float32).tobytes() for array in arrays]
