"""Opening the executor that the user asked for."""

from __future__ import annotations

from typing import NamedTuple

from litepose_nas.errors import UserError, nearest
from litepose_nas.executors.base import Executor, Make, Say, Work
from litepose_nas.executors.processes import ProcessExecutor
from litepose_nas.executors.ray import RayExecutor
from litepose_nas.executors.serial import SerialExecutor

EXECUTORS = ("local", "ray")


class ExecutorOptions(NamedTuple):
    """Kind and size; `workers` None: one, or all that a Ray cluster has room for."""

    engine: str = EXECUTORS[0]
    workers: int | None = None

    def check(self) -> None:
        """Raise a UserError for an unknown kind or size."""
        if self.engine not in EXECUTORS:
            raise UserError(f"--engine {self.engine!r}: {nearest(self.engine, EXECUTORS)}")
        if self.workers is not None and self.workers < 1:
            raise UserError(f"--workers {self.workers}: expected 1 or more")


def open_executor(
    options: ExecutorOptions, work: Work, make: Make, gpu: bool = False, say: Say = lambda text: None
) -> Executor:
    """Return the executor; in this process it uses `work`, workers elsewhere call `make`."""
    options.check()
    if options.engine == "ray":
        return RayExecutor(make, options.workers, gpu, say)
    if options.workers is None or options.workers == 1:
        return SerialExecutor(work)
    return ProcessExecutor(make, options.workers, say)
