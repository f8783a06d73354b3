"""What the machine refuses (a disk, a folder's rights, memory) in words that a user can act on."""

from __future__ import annotations

import errno

from litepose_nas.errors import UserError

ADVICE = {
    errno.ENAMETOOLONG: "use a shorter name",
    errno.EACCES: "mend its rights, or name another place",
    errno.EPERM: "mend its rights, or name another place",
    errno.EROFS: "name a place that can be written",
    errno.ENOSPC: "the disk is full: make room and try again",
    errno.EDQUOT: "make room and try again",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EMFILE: "raise the limit on open files (ulimit -n), or take fewer --workers and --loaders",
    errno.ENFILE: "close other programs, or take fewer --workers and --loaders",
    errno.EIO: "check the disk",
    errno.ENOTDIR: "check the path",
    errno.EISDIR: "name a file",
    errno.ELOOP: "check its links",
    errno.ENXIO: "name a file",
    errno.EEXIST: "name another place",
    errno.ENOTEMPTY: "name another place",
}
# What torch, oneDNN, OpenCV, numpy, runtimes and the loader of libraries say when there is no memory left.
NO_MEMORY = (
    "out of memory", "not enough memory", "insufficient memory", "can't allocate memory", "cannot allocate memory",
    "failed to allocate", "unable to allocate", "bad_alloc", "bad allocation", "could not create a primitive",
    "storage size calculation overflowed", "array is too big", "failed to map segment", "can't start new thread",
)  # fmt: skip
SHORT = "try a smaller batch, picture size or network, fewer --workers and --loaders, or a machine with more"


def explained(error: BaseException) -> UserError | None:
    """The error as one that a user can mend; None where it is a fault of the program."""
    if isinstance(error, UserError):
        return error
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or any(words in text.lower() for words in NO_MEMORY):
        return UserError(f"memory is short ({text[:160] or 'nothing more is known'}); {SHORT}")
    if not isinstance(error, OSError):
        return None
    place = "" if error.filename is None else _short(str(error.filename))
    if error.errno in ADVICE:
        return UserError(f"{place}{error.strerror}; {ADVICE[error.errno]}")
    if error.errno == errno.ENOENT and place:
        return UserError(f"{place}{error.strerror}; check the path")
    return None


def _short(name: str) -> str:
    return f"{name if len(name) <= 200 else f'{name[:120]}...{name[-40:]}'}: "
