"""The engine that needs nothing: one job at a time, in this process."""

from __future__ import annotations

import time
from typing import Any

from litepose_nas.engines.protocol import Done, Work


class Here:
    """Does the job it has taken when somebody waits for it."""

    workers = 1

    def __init__(self, work: Work):
        self._work = work
        self._jobs: list[Any] = []

    @property
    def free(self) -> int:
        """One, or none while a job is taken."""
        return 1 - len(self._jobs)

    def submit(self, job: Any) -> None:
        """Take a job in."""
        self._jobs.append(job)

    def wait(self) -> Done:
        """Do the job."""
        job, start = self._jobs.pop(), time.perf_counter()
        result = self._work(job)
        return Done(job, result, time.perf_counter() - start)

    def close(self) -> None:
        """Nothing is held."""
