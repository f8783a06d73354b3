"""A script in a process of its own, which answers a line with a line of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .errors import LostError, MeasuringError

if TYPE_CHECKING:
    from collections.abc import Sequence


class LineProcess:
    """It ends when this process does, however that ends: its input ends. `command` begins with an interpreter."""

    def __init__(self, command: Sequence[object], threads: int | None = None):
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        limits = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        try:
            self._process = subprocess.Popen(
                list(map(str, command)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                env={**os.environ, **limits, "PYTHONDONTWRITEBYTECODE": "1"},
                start_new_session=True,  # Ctrl-C is for this process alone
            )
        except OSError as error:
            self._errors.close()
            raise MeasuringError(f"--python {command[0]}: cannot be started ({error.strerror})") from error

    def ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        with suppress(OSError):  # it has ended, and the reply says so
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        return self.reply()

    def reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            code = self._process.wait()
            self._errors.seek(0)
            last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
            raise LostError(f"its process ended with {code}{': ' + last[0][:300] if last else ''}")
        said: dict[str, Any] = json.loads(line)
        return said

    def peak_bytes(self) -> int | None:
        """The most memory that the process has had so far; None where the system does not tell, as Linux does."""
        with suppress(OSError, ValueError), open(f"/proc/{self._process.pid}/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return 1024 * int(line.split()[1])
        return None

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was to be written has no reader any more
                    pipe.close()
        self._errors.close()
