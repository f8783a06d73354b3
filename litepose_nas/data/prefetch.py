"""Working ahead: threads prepare the next results while the last one is used, in order and with the same answers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def work_ahead(
    work: Callable[[T], R], items: Iterable[T], ahead: int = 3, workers: int = 1
) -> Iterator[tuple[T, R, float]]:
    """Yield (item, work(item), seconds waited for it) in the order of the items, which may be endless.

    Up to `ahead` results are prepared in advance; with no workers each is made when it is asked for. What `work` raises
    is raised here, at its item's turn. Threads are enough: OpenCV and file reads let go of the interpreter.
    """
    if workers < 1 or ahead < 1:
        for item in items:
            start = time.perf_counter()
            result = work(item)
            yield item, result, time.perf_counter() - start
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="ahead")
    waiting: deque[tuple[T, Future[R]]] = deque()
    source = iter(items)
    try:
        while True:
            for item in source:
                waiting.append((item, pool.submit(work, item)))
                if len(waiting) >= ahead:
                    break
            if not waiting:
                return
            item, future = waiting.popleft()
            start = time.perf_counter()
            result = future.result()
            yield item, result, time.perf_counter() - start
    finally:  # the consumer stopped, or something was raised: what is under way ends by itself, the rest never begins
        pool.shutdown(wait=False, cancel_futures=True)
