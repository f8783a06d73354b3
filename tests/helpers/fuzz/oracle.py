"""What may come out of a parser: a value, or one short message that can be printed; in bounded time and memory."""

from __future__ import annotations

import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import litepose_nas
from litepose_nas.errors import LONGEST, UserError
from litepose_nas.latency.standalone.errors import MeasuringError
from litepose_nas.machine_errors import explained
from litepose_nas.untrusted.display import clean_lines
from tests.helpers.fuzz.target import Target

PACKAGE = str(Path(litepose_nas.__file__).parent)
SECONDS = 10  # of the processor for one input
WAITING = 600  # seconds by the clock: a process may be kept waiting for minutes, but not for ever as by a pipe
MEGABYTES = 500  # that one input may add to the most that this process has taken
LETTERS = LONGEST  # of a message


class Failure(NamedTuple):
    what: str  # the same for inputs that break alike
    story: str


class TooSlowError(BaseException):
    """No Exception, so that no parser takes it for an error of its own."""


def judge(target: Target, folder: Path, content: bytes) -> Failure | bool:
    """Let a target read a content: True if it was accepted, False if it was refused as it should be."""
    path = folder / target.file
    path.write_bytes(content)
    before = _most_memory()
    try:
        with warnings.catch_warnings(), _watched():
            warnings.simplefilter("ignore")
            target.read(path)
        found: Failure | bool = True
    except (UserError, MeasuringError) as error:
        found = _fault_of(str(error)) or False
    except OSError as error:  # the command line says these in words: see machine_errors.py
        found = explained(error) is None and Failure(f"{type(error).__name__} in {_place(error)}", _story(error))
    except TooSlowError as error:
        found = Failure(f"slower than {SECONDS} s in {_place(error)}", _story(error))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        found = Failure(f"{type(error).__name__} in {_place(error)}", _story(error))
    taken = _most_memory() - before
    if not isinstance(found, Failure) and taken > MEGABYTES:
        return Failure(f"more than {MEGABYTES} MB", f"{taken} MB for {len(content)} bytes")
    return found


def _fault_of(message: str) -> Failure | None:
    if len(message) > LETTERS:
        return Failure("a long message", f"{len(message)} letters: {message[:300]!r}")
    if not all(letter.isprintable() or letter == "\n" for letter in clean_lines(message)):  # as it is printed
        return Failure("a message with control characters", repr(message))
    return None


def _place(error: BaseException) -> str:
    """The innermost function of the package that an error went through."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(PACKAGE)]
    return f"{Path(own[-1].filename).name}:{own[-1].name}" if own else "the fuzzer itself"


def _story(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-1500:]


def _most_memory() -> int:
    """Megabytes that this process has taken at most."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most >> (20 if sys.platform == "darwin" else 10)


@contextmanager
def _watched() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooSlowError

    timers = ((signal.SIGPROF, signal.ITIMER_PROF, SECONDS), (signal.SIGALRM, signal.ITIMER_REAL, WAITING))
    before = [signal.signal(number, stop) for number, _, _ in timers]
    for _, timer, seconds in timers:
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for (number, timer, _), handler in zip(timers, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)
