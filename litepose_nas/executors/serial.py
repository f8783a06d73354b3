"""The executor that needs nothing: one job at a time, in this process."""

from __future__ import annotations

import time
from typing import Any

from litepose_nas.executors.base import Done, Work


class SerialExecutor:
    """Does the job it has taken when `wait` is called."""

    workers = 1

    def __init__(self, work: Work):
        self._work = work
        self._jobs: list[Any] = []

    @property
    def free(self) -> int:
        return 1 - len(self._jobs)

    def submit(self, job: Any) -> None:
        self._jobs.append(job)

    def wait(self) -> Done:
        job, start = self._jobs.pop(), time.perf_counter()
        result = self._work(job)
        return Done(job, result, time.perf_counter() - start)

    def close(self) -> None:
        """Nothing is held."""
