"""Which engine is meant."""

from __future__ import annotations

from typing import NamedTuple

from litepose_nas.engines.cluster import Cluster
from litepose_nas.engines.here import Here
from litepose_nas.engines.processes import Processes
from litepose_nas.engines.protocol import Engine, Make, Say, Work
from litepose_nas.errors import UserError, nearest

ENGINES = ("local", "ray")


class Choice(NamedTuple):
    """An engine and its size; without a size one worker, or all that a Ray cluster has room for."""

    engine: str = ENGINES[0]
    workers: int | None = None

    def check(self) -> None:
        """Raise a UserError where there is no such engine, or none of that size."""
        if self.engine not in ENGINES:
            raise UserError(f"--engine {self.engine!r}: {nearest(self.engine, ENGINES)}")
        if self.workers is not None and self.workers < 1:
            raise UserError(f"--workers {self.workers}: expected 1 or more")


def open_engine(choice: Choice, work: Work, make: Make, gpu: bool = False, say: Say = lambda text: None) -> Engine:
    """Return the engine; what does the work here is at hand, elsewhere it is made."""
    choice.check()
    if choice.engine == "ray":
        return Cluster(make, choice.workers, gpu, say)
    if choice.workers is None or choice.workers == 1:
        return Here(work)
    return Processes(make, choice.workers, say)
