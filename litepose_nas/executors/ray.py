"""Jobs on actors of a Ray cluster; the actors of a dead process or machine are replaced."""

from __future__ import annotations

import os
import time
from typing import Any

from litepose_nas import __version__
from litepose_nas.errors import UserError
from litepose_nas.executors import ray_cluster
from litepose_nas.executors.base import CRASH, MISTAKE, READY, Make, Reply, Say, Work, reply_to
from litepose_nas.executors.worker_pool import WorkerPool

PATIENCE = 300.0  # seconds in which a cluster may have room for no actor at all


class RayExecutor(WorkerPool):
    """One actor a processor or GPU, up to `workers`, of the cluster in RAY_ADDRESS or of this machine."""

    def __init__(self, make: Make, workers: int | None = None, gpu: bool = False, say: Say = lambda text: None):
        self._ray = ray_cluster.imported()
        self._make, self._kind = make, "GPU" if gpu else "CPU"
        self._mine = not self._ray.is_initialized()
        self._born: dict[Any, Any] = {}  # reference that resolves when an actor is ready: the actor
        self._doing: dict[Any, Any] = {}
        self._alone_since: float | None = None
        if self._mine:
            ray_cluster.join(self._ray, say)
        try:
            room = int(self._ray.cluster_resources().get(self._kind, 0))
            if room < 1:
                raise UserError(f"--engine ray: no {self._kind} in this cluster; choose another --device")
            if workers and workers > room:
                say(f"{room} workers and not {workers}: that is what this cluster has room for ({self._kind})")
            super().__init__(min(workers or room, room), say)
            # Ray's own restarts are off: they would repeat a job silently.
            options = {"num_cpus": 1, "num_gpus": int(gpu), "max_restarts": 0, "max_task_retries": 0}
            self._actor = self._ray.remote(**options)(_Actor)
            for _ in range(self.workers):
                self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        actor = self._actor.remote()
        self._born[actor.begin.remote(self._make, os.getcwd(), __version__)] = actor

    def _send(self, worker: Any, job: Any) -> None:
        self._doing[worker.do.remote(job)] = worker

    def _next(self) -> tuple[Any, Reply | None]:
        while True:
            ready, _ = self._ray.wait([*self._born, *self._doing], num_returns=1, timeout=5)
            if ready:
                self._alone_since = None
                break
            self._check_room()
        (ref,) = ready
        worker = self._born.pop(ref, None) or self._doing.pop(ref)
        try:
            return worker, Reply(*self._ray.get(ref))
        except self._ray.exceptions.RayActorError:  # its process or its machine is gone, or cannot be reached
            self._ray.kill(worker)
            return worker, None

    def _check_room(self) -> None:
        """Give up after a while if no actor finds room in the cluster; the run can be resumed later."""
        if self._doing or self._idle:
            return
        now = time.monotonic()
        self._alone_since = self._alone_since or now
        if now - self._alone_since > PATIENCE:
            raise UserError(
                f"the Ray cluster has had no room for any of {self.workers} workers ({self._kind}) for "
                f"{PATIENCE / 60:.0f} minutes; see `ray status`"
            )

    def close(self) -> None:
        """Kill all actors; leave Ray if this joined it."""
        for actor in {*self._born.values(), *self._doing.values(), *getattr(self, "_idle", ())}:
            self._ray.kill(actor)
        self._born.clear()
        self._doing.clear()
        if self._mine:
            with ray_cluster.quiet():
                self._ray.shutdown()


class _Actor:
    """A worker: holds what its jobs need."""

    def __init__(self) -> None:
        self._work: Work | None = None

    def begin(self, make: Make, folder: str, version: str) -> Reply:
        """Build what the jobs need; relative paths mean what they mean to the caller."""
        node = os.uname().nodename if hasattr(os, "uname") else "a machine"
        if version != __version__:
            return Reply(MISTAKE, f"{node} has litepose-nas {__version__}, not {version}; install the same everywhere")
        try:
            os.chdir(folder)
        except OSError:
            return Reply(
                MISTAKE, f"{folder}: not on {node} of the Ray cluster; work in a folder that all its machines share"
            )
        begun = reply_to(lambda _: make(), None)
        if begun.kind in (MISTAKE, CRASH):
            return begun
        self._work = begun.value
        return Reply(READY)

    def do(self, job: Any) -> Reply:
        assert self._work is not None
        return reply_to(self._work, job)
