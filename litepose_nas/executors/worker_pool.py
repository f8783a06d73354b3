"""What executors with workers in other processes share: which worker has which job, and replacing lost workers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import Any

from litepose_nas.errors import UserError
from litepose_nas.executors.base import CRASH, MISTAKE, READY, Done, Reply, Say

SHORT = "A system short of memory ends processes like that: free some, or take fewer --workers"
TRIES = 3  # give up after this many workers lost with the same job, or in a row before they were ready


class _Queued:
    """A job and how many workers were lost with it."""

    def __init__(self, job: Any):
        self.job, self.lost = job, 0


class WorkerPool(ABC):
    """Workers in other processes: each starts, gets ready, and does one job after the other.

    A lost worker is replaced; its job goes to the first free one.
    """

    def __init__(self, workers: int, say: Say):
        self.workers, self._say = workers, say
        self._idle: list[Any] = []  # ready workers without a job
        self._held: dict[Any, _Queued] = {}
        self._queue: deque[_Queued] = deque()
        self._stillborn = 0  # workers lost, one after the other, before they were ready

    @abstractmethod
    def _start(self) -> None:
        """Start a worker."""

    @abstractmethod
    def _send(self, worker: Any, job: Any) -> None:
        """Give a job to a ready worker; `_next` notices one that is gone."""

    @abstractmethod
    def _next(self) -> tuple[Any, Reply | None]:
        """Wait for a message of a worker; None when it has died, after cleaning up."""

    @abstractmethod
    def close(self) -> None:
        """End all workers."""

    @property
    def free(self) -> int:
        """How many more jobs can start, now or as soon as workers are ready."""
        return max(0, self.workers - len(self._held) - len(self._queue))

    def submit(self, job: Any) -> None:
        self._queue.append(_Queued(job))
        self._hand_out()

    def wait(self) -> Done:
        while True:
            self._hand_out()  # of a lost worker's job, to one that ended another meanwhile
            worker, said = self._next()
            if said is None:
                self._lost(worker)
            elif said.kind == MISTAKE:
                raise UserError(said.value)
            elif said.kind == CRASH:
                raise RuntimeError(f"a worker failed:\n{said.value}")
            else:
                self._idle.append(worker)
                if said.kind != READY:
                    return Done(self._held.pop(worker).job, said.value, said.seconds)
                self._stillborn = 0

    def _hand_out(self) -> None:
        # The one that ended last comes first: what it has in memory may be wanted again.
        while self._queue and self._idle:
            worker, task = self._idle.pop(), self._queue.popleft()
            self._held[worker] = task
            self._send(worker, task.job)

    def _lost(self, worker: Any) -> None:
        task = self._held.pop(worker, None)
        if task:
            task.lost += 1
            if task.lost == TRIES:
                raise UserError(f"{TRIES} workers have died with the same work: {task.job}. {SHORT}")
            self._queue.appendleft(task)
        elif worker in self._idle:
            self._idle.remove(worker)
        else:
            self._stillborn += 1
        self._say(f"a worker was lost, {'what it had in hand goes to another' if task else 'with nothing in hand'}")
        if self._stillborn < TRIES:
            self._start()
            return
        self._stillborn = 0
        self.workers -= 1  # where there is no room for one more, the others go on
        if not self.workers:
            raise UserError(f"all workers have died before they were ready. {SHORT}")
        self._say(f"{TRIES} workers have died before they were ready: going on with {self.workers}")
