"""What a runtime is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np


class Session(Protocol):
    """An open network."""

    keeps_time: bool  # what `ready` returns tells the milliseconds itself, as for a GPU that works on its own

    def __call__(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        """The outputs for a batch of pictures, or of clips."""

    def ready(self, batch: np.ndarray) -> Callable[[], Any]:
        """Put a batch where the runtime wants it; what is returned runs the network on it once, to be timed."""


class Runtime(Protocol):
    """The module of a runtime."""

    def open_session(self, path: str | Path, threads: int | None = None) -> Session:
        """Open a network's file; without a number of threads the runtime chooses it."""

    def version(self) -> str:
        """The version of its package."""
