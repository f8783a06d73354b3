"""What a runtime is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from torch import Tensor

Session = Callable[[Tensor], Sequence[Tensor]]  # a batch of pictures, or of clips, on the processor to the outputs


class Runtime(Protocol):
    """A function that opens a network's file; without a number of threads the runtime chooses it."""

    def __call__(self, path: str | Path, threads: int | None = None) -> Session: ...
