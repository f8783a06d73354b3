"""The executor protocol: it takes as many jobs at a time as it has workers, and returns results as they end."""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from litepose_nas.machine_errors import explained

Work = Callable[[Any], Any]  # does a job
Make = Callable[[], Work]  # called once by each worker, in its own process; it is pickled, so keep it small
Say = Callable[[str], None]


class Done(NamedTuple):
    """A job, what came out, and how many seconds the worker had it."""

    job: Any
    result: Any
    seconds: float


class Executor(Protocol):
    """Runs jobs; they may end in any order."""

    workers: int

    @property
    def free(self) -> int:
        """How many more jobs can start now."""

    def submit(self, job: Any) -> None:
        """Take a job; only while `free` is above 0."""

    def wait(self) -> Done:
        """Return the next job that ends; an error in a job is raised here."""

    def close(self) -> None:
        """End all workers; the jobs they are doing are lost."""


def run_all(executor: Executor, jobs: Iterable[Any]) -> Iterator[Done]:
    """Do all jobs, as many at a time as are free; they come back in the order in which they end."""
    waiting, running = deque(jobs), 0
    while waiting or running:
        while waiting and executor.free:
            executor.submit(waiting.popleft())
            running += 1
        yield executor.wait()
        running -= 1


class Reply(NamedTuple):
    """A message from a worker in another process."""

    kind: str  # one of the four below
    value: Any = None
    seconds: float = 0.0


READY, DONE, MISTAKE, CRASH = "ready", "done", "mistake", "crash"


def reply_to(work: Work, job: Any) -> Reply:
    """Do a job; its result or its error becomes a message."""
    start = time.perf_counter()
    try:
        return Reply(DONE, work(job), time.perf_counter() - start)
    except Exception as error:
        known = explained(error)
        return Reply(CRASH, traceback.format_exc()) if known is None else Reply(MISTAKE, str(known))
