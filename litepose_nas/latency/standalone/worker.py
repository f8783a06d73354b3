"""One network in a process of its own: opened once, then asked for its time again and again.

    python worker.py RUNTIME_FILE THREADS NETWORK SHAPE [NETWORK SHAPE ...]        such as 1x3x256x256

It needs Python 3.8, numpy and the runtime, and nothing of this project, so that any interpreter can run it. It says one
line of JSON when the network is open. Each line that comes in is a number of seconds, and which network: it runs it for
about so long, and answers with the milliseconds of each call, by the wall clock and by the processor's.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_CALLS = 50  # of a visit


def main() -> None:
    if sys.path and os.path.abspath(sys.path[0] or ".") == os.path.dirname(os.path.abspath(__file__)):
        del sys.path[0]  # files beside this one have names that others use too
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a runtime prints must not come between the replies

    def reply(value: dict) -> None:
        replies.write(json.dumps(value) + "\n")
        replies.flush()

    runtime_file, threads, *rest = sys.argv[1:]
    try:
        opened = [
            _open(runtime_file, rest[at], int(threads), [int(n) for n in rest[at + 1].split("x")])
            for at in range(0, len(rest), 2)
        ]
    except ImportError as error:
        return reply({"missing": str(error)})
    except Exception as error:
        return reply({"failed": f"{type(error).__name__}: {error}"[:500]})
    reply({"ready": opened[0][2]})
    for line in sys.stdin:
        seconds, which = line.split()
        run, keeps_time, _ = opened[int(which)]
        reply(_visit(run, keeps_time, float(seconds)))


def _open(runtime_file: str, network: str, threads: int, shape: list[int]) -> tuple[Callable[[], Any], bool, str]:
    import numpy

    spec = importlib.util.spec_from_file_location("latency_runtime", runtime_file)
    runtime = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(runtime)  # type: ignore[union-attr]
    session = runtime.open_session(network, threads)
    picture = numpy.random.default_rng(0).standard_normal(shape).astype(numpy.float32)
    return session.ready(picture), session.keeps_time, runtime.version()


def _visit(run: Callable[[], Any], keeps_time: bool, seconds: float) -> dict[str, list[float]]:
    """Run for about so many seconds. The first call brings the network back into the caches.

    It counts where it is the only one: what takes longer than a visit is asked once, and in more rounds.
    """
    wall: list[float] = []
    processor: list[float] = []
    begin = time.perf_counter()
    while not wall or (len(wall) <= MOST_CALLS and time.perf_counter() - begin < seconds):
        before, cpu = time.perf_counter(), time.process_time()
        told = run()
        cpu, took = time.process_time() - cpu, time.perf_counter() - before
        wall.append(told if keeps_time else 1e3 * took)
        processor.append(1e3 * cpu)
    first = len(wall) > 1
    return {"ms": wall[first:], "cpu_ms": processor[first:]}


if __name__ == "__main__":
    main()
