"""Processes with an open network each, or with a few small ones, on this machine: see worker.py."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from .errors import LostError, MeasuringError

WORKER = Path(__file__).with_name("worker.py")


class Target(NamedTuple):
    """What runs the networks."""

    runtime: str  # its name
    file: Path  # its code
    pip: str  # how its package is installed
    python: str  # the interpreter
    threads: int
    imports: str = ""  # a folder that its code imports from


class Child:
    """A process with open networks; it ends when this one does, however that ends."""

    def __init__(self, target: Target, *networks: tuple[Path, tuple[int, ...]]):
        self._target = target
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        words: list[Any] = [target.python, WORKER, target.file, target.threads]
        for path, shape in networks:
            words += [path, "x".join(map(str, shape))]
        paths = filter(None, [target.imports, os.environ.get("PYTHONPATH")])
        try:
            self._process = subprocess.Popen(
                list(map(str, words)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                env={
                    **os.environ,
                    "OMP_NUM_THREADS": str(target.threads),
                    "PYTHONPATH": os.pathsep.join(paths),
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
                start_new_session=True,  # Ctrl-C is for this process alone
            )
        except OSError as error:
            raise MeasuringError(f"--python {target.python}: cannot be started ({error.strerror})") from error

    def opened(self) -> str:
        """Wait until all are open; return the version of the runtime."""
        said = self._reply()
        if "missing" in said:
            raise MeasuringError(f"{said['missing']}: {self._target.runtime} needs {self._target.pip}")
        if "failed" in said:
            raise LostError(said["failed"])
        return str(said["ready"])

    def visit(self, seconds: float, which: int = 0) -> tuple[list[float], list[float]]:
        """The milliseconds of calls, by the wall clock and by the processor's."""
        assert self._process.stdin is not None
        with suppress(OSError):  # it has ended, and the reply says so
            self._process.stdin.write(f"{seconds} {which}\n")
            self._process.stdin.flush()
        said = self._reply()
        return said["ms"], said["cpu_ms"]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was to be written has no reader any more
                    pipe.close()
        self._errors.close()

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            code = self._process.wait()
            self._errors.seek(0)
            last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
            raise LostError(f"its process ended with {code}{': ' + last[0][:300] if last else ''}")
        said: dict[str, Any] = json.loads(line)
        return said
