"""Several processes of this machine, each with its own pipe: a killed one blocks no other."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from litepose_nas.errors import AssumedWarning
from litepose_nas.executors.base import CRASH, MISTAKE, READY, Make, Reply, Say, reply_to
from litepose_nas.executors.worker_pool import WorkerPool

POLITE = 10.0  # seconds between asking a process to end and making it


class ProcessExecutor(WorkerPool):
    """Spawned processes; each builds what its jobs need."""

    def __init__(self, make: Make, workers: int, say: Say = lambda text: None):
        super().__init__(workers, say)
        self._make = make
        self._processes: dict[Connection, Any] = {}
        for _ in range(workers):
            self._start()

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes.values()]

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        mine, its = context.Pipe()
        process = context.Process(target=_live, args=(self._make, its), daemon=True)
        with _deaf_to_ctrl_c():
            process.start()
        its.close()  # so that this end reads the end of the file when the process is gone
        self._processes[mine] = process

    def _send(self, worker: Connection, job: Any) -> None:
        with suppress(OSError):  # it is gone, and `_next` will see that
            worker.send(job)

    def _next(self) -> tuple[Connection, Reply | None]:
        for pipe in wait(list(self._processes)):
            assert isinstance(pipe, Connection)
            try:
                return pipe, pipe.recv()
            except (EOFError, OSError):
                pipe.close()
                process = self._processes.pop(pipe)
                process.terminate()  # a process may close its pipe and live
                _bury(process)
                return pipe, None
        raise RuntimeError("there is no worker to wait for")

    def close(self) -> None:
        """End all processes: politely, for a training saves its state then."""
        for process in self._processes.values():
            process.terminate()
        for pipe, process in self._processes.items():
            _bury(process)
            pipe.close()
        self._processes.clear()


def die_with_parent() -> None:
    """End this process when its parent is gone, however the parent ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _live(make: Make, pipe: Connection) -> None:
    """Do jobs until the pipe closes: the main function of a worker process."""
    warnings.simplefilter("ignore", AssumedWarning)  # the parent has said it
    threading.Thread(target=die_with_parent, daemon=True).start()
    try:
        begun = reply_to(lambda _: make(), None)
        if begun.kind in (MISTAKE, CRASH):
            return pipe.send(begun)
        pipe.send(Reply(READY))
        while True:
            pipe.send(reply_to(begun.value, pipe.recv()))
    except (EOFError, OSError, KeyboardInterrupt):  # the parent has closed the pipe, or asks a training to end
        pass


def _bury(process: Any) -> None:
    """Wait for a process that was asked to end; kill it if it does not."""
    process.join(POLITE)
    if process.is_alive():
        process.kill()
        process.join()


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Start processes that ignore Ctrl-C: a terminal sends it to the whole group, and the parent handles it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
