"""Writing a page again and again while a run lasts, for a small share of its time."""

from __future__ import annotations

import time
from collections.abc import Callable

from litepose_nas.errors import UserError

LEAST = 10.0  # seconds from one page to the next
SHARE = 0.01  # of the time of a run may go into its page
FIRST = 3.0  # seconds until the first page


class PageRefresher:
    """Writes a page now and then: the longer it takes, the more seldom.

    `write` gets the seconds until the next page. A page that cannot be written does not end the run: the reason is said
    once, and nothing more is written.
    """

    def __init__(
        self,
        write: Callable[[float], object],
        say: Callable[[str], object] = lambda text: None,
        clock: Callable[[], float] = time.perf_counter,
    ):
        self._write, self._say, self._clock = write, say, clock
        self._due, self._every = clock() + FIRST, LEAST
        self.spent = 0.0  # seconds

    def __call__(self) -> None:
        begun = self._clock()
        if begun < self._due:
            return
        try:
            self._write(self._every)
        except UserError as error:
            self._say(f"the page of this run is not written: {error}")
            self._due = float("inf")
            return
        took = self._clock() - begun
        self.spent += took
        self._every = max(LEAST, took / SHARE)
        self._due = begun + self._every
