"""What an engine is: something that takes jobs, as many at a time as it has workers, and hands back what came out."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from litepose_nas.errors import UserError

Work = Callable[[Any], Any]  # does a job
Make = Callable[[], Work]  # called once by every worker, there where it lives; travels to it, so it is small
Say = Callable[[str], None]


class Done(NamedTuple):
    """A job, what came out, and how many seconds the worker had it."""

    job: Any
    result: Any
    seconds: float


class Engine(Protocol):
    """What does jobs; in which order they end is not said."""

    workers: int

    @property
    def free(self) -> int:
        """How many more jobs it can start on now."""

    def submit(self, job: Any) -> None:
        """Take a job in; only while something is free."""

    def wait(self) -> Done:
        """Return the next job that ends; a mistake made in one of them is raised here."""

    def close(self) -> None:
        """Let go of all workers; what they have in hand is lost."""


class Answer(NamedTuple):
    """What a worker in another process says."""

    kind: str  # one of the four below
    value: Any = None
    seconds: float = 0.0


READY, DONE, MISTAKE, CRASH = "ready", "done", "mistake", "crash"


def answer(work: Work, job: Any) -> Answer:
    """Do a job; whatever happens becomes something that can be sent."""
    start = time.perf_counter()
    try:
        return Answer(DONE, work(job), time.perf_counter() - start)
    except UserError as error:
        return Answer(MISTAKE, str(error))
    except Exception:
        return Answer(CRASH, traceback.format_exc())
