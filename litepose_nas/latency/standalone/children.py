"""Processes with an open network each, or with a few small ones, on this machine: see worker.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from .errors import LostError, MeasuringError
from .line_process import LineProcess

WORKER = Path(__file__).with_name("worker.py")


class Target(NamedTuple):
    """What runs the networks."""

    runtime: str  # its name
    file: Path  # its code
    pip: str  # how its package is installed
    python: str  # the interpreter
    threads: int
    through: str = ""  # a script that runs others, with what the runtime's code imports; see latency/elsewhere.py


class Child:
    """A process with open networks."""

    def __init__(self, target: Target, *networks: tuple[Path, tuple[int, ...]]):
        self._target = target
        through = [target.through] if target.through else []
        words: list[Any] = [target.python, *through, WORKER, target.file, target.threads]
        for path, shape in networks:
            words += [path, "x".join(map(str, shape))]
        self._process = LineProcess(words, target.threads)

    def opened(self) -> str:
        """Wait until all are open; return the version of the runtime."""
        said = self._process.reply()
        if "missing" in said:
            raise MeasuringError(f"{said['missing']}: {self._target.runtime} needs {self._target.pip}")
        if "failed" in said:
            raise LostError(said["failed"])
        return str(said["ready"])

    def visit(self, seconds: float, which: int = 0) -> tuple[list[float], list[float]]:
        """The milliseconds of calls, by the wall clock and by the processor's."""
        said = self._process.ask(f"{seconds} {which}")
        return said["ms"], said["cpu_ms"]

    def peak_bytes(self) -> int | None:
        """The most memory that the process has had so far; None where the system does not tell."""
        return self._process.peak_bytes()

    def close(self) -> None:
        self._process.close()
