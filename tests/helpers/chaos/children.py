"""Commands of the program in forks of this process, which has imported all they need; watched, and killed if wanted."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import mmap
import os
import pkgutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

import litepose_nas
from litepose_nas import weights
from litepose_nas.exporters.onnx import to_onnx

LIMIT = 120.0  # seconds
_COUNTED = ctypes.c_long.from_buffer(mmap.mmap(-1, ctypes.sizeof(ctypes.c_long)))  # shared with forks
WRITE_ANYWHERE, READ_ANYWHERE = 1, 2  # what root may do whatever the rights say, as Linux numbers it


class Ended(NamedTuple):
    code: int  # below zero: the signal that ended it
    seconds: float
    told: str  # all it wrote to both outputs

    @property
    def errors(self) -> list[str]:
        return [line for line in self.told.splitlines() if line.startswith("error:")]

    @property
    def message(self) -> str:
        """The last line, which is the error if there is one."""
        lines = [line for line in self.told.splitlines() if line.strip()]
        return (self.errors or lines or [""])[-1]


def import_all() -> None:
    """Import what commands import while they run, so that a fork begins at once."""
    for module in pkgutil.walk_packages(litepose_nas.__path__, "litepose_nas."):
        if "__main__" not in module.name and "standalone" not in module.name:
            importlib.import_module(module.name)
    for name in (
        "onnx",
        "onnxruntime",
        "scipy.optimize",
        "scipy.linalg",
        "rich.progress",
        "torch._dynamo",
        "torch.onnx",
    ):
        try:
            importlib.import_module(name)
        except ImportError:
            continue


def trace_once(net: Path) -> None:
    """Trace the one network that is exported here and in all forks: torch takes ten seconds, and writes nothing."""
    trace = torch.onnx.export

    class TracedError(Exception):
        pass

    def tracing(*args: Any, **how: Any) -> None:
        program = trace(*args, **how)
        torch.onnx.export = lambda *_, **__: program
        raise TracedError

    torch.onnx.export = tracing
    with contextlib.suppress(TracedError):
        found = weights.load(net)
        to_onnx(found, net.with_name("traced.onnx"), (*found.meta["input"],), ("heatmaps_tags", "heatmaps"), {})


def run(
    words: Sequence[str],
    folder: Path,
    log: Path,
    prepare: Callable[[], object] | None = None,
    after: float = 0.0,
    disturb: Callable[[int], object] | None = None,
) -> Ended:
    """Run a command in a folder; `prepare` is called in its process, `disturb` here with its number, seconds after."""
    child = os.fork()
    if not child:
        _be_command(words, folder, log, prepare)
    begun, left_alone = time.monotonic(), disturb is not None
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        passed = time.monotonic() - begun
        if ended:
            break
        if disturb and left_alone and passed >= after:
            disturb(child)
            left_alone = False
        if passed > LIMIT:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.003)
    _end_workers(child)
    return Ended(os.waitstatus_to_exitcode(status), passed, log.read_text(encoding="utf-8", errors="replace"))


def _end_workers(group: int) -> None:
    """End what a killed process left running: it would only take the processor from the next case."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _be_command(words: Sequence[str], folder: Path, log: Path, prepare: Callable[[], object] | None) -> None:
    code = 1
    try:
        os.setsid()
        with open(log, "wb") as out, open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(folder)
        sys.argv = ["litepose-nas", *words]
        warnings.simplefilter("ignore")
        if prepare:
            prepare()
        from litepose_nas import cli

        cli.main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def fill_disk(writes: int, folder: Path) -> Callable[[], object]:
    """Let the disk be full after so many writes below a folder; full_disk.c must have been preloaded."""
    return lambda: ctypes.CDLL(None).chaos_fill_after(
        ctypes.c_long(writes), os.fsencode(f"{folder.resolve()}/"), ctypes.byref(_COUNTED)
    )


def counted_writes() -> int:
    """How many writes the last command tried whose disk could fill."""
    return _COUNTED.value


def obey_rights() -> None:
    """Give up root's right to read and write whatever the rights of files say."""
    if os.geteuid() != 0 or sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, sets)
    sets[0] &= ~(1 << WRITE_ANYWHERE | 1 << READ_ANYWHERE)
    if libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")
