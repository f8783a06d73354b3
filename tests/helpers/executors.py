"""What tests of executors share."""

import importlib.util
import random
from pathlib import Path

import pytest

from litepose_nas.executors.base import Done

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")


class Shuffled:
    """Ends jobs in a random order, as workers of different speed do."""

    def __init__(self, work, workers, seed):
        self.workers, self._work, self._rng, self._jobs = workers, work, random.Random(seed), []
        self.most = 0

    @property
    def free(self):
        return self.workers - len(self._jobs)

    def submit(self, job):
        assert self.free > 0
        self._jobs.append(job)
        self.most = max(self.most, len(self._jobs))

    def wait(self):
        job = self._jobs.pop(self._rng.randrange(len(self._jobs)))
        return Done(job, self._work(job), 0.5)

    def close(self):
        pass
