"""Rights that count for root as well, as it is in containers."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

OVERRIDES = 0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH of Linux
VERSION = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Capabilities(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


@contextmanager
def that_count() -> Iterator[None]:
    """Put away what lets root open what nobody may open."""
    if os.getuid() != 0 or sys.platform != "linux":
        yield
        return
    libc, header, held = ctypes.CDLL(None, use_errno=True), _Header(VERSION, 0), (_Capabilities * 2)()
    assert libc.capget(ctypes.byref(header), held) == 0
    before = held[0].effective
    held[0].effective = before & ~OVERRIDES
    assert libc.capset(ctypes.byref(header), held) == 0
    try:
        yield
    finally:
        held[0].effective = before
        assert libc.capset(ctypes.byref(header), held) == 0
