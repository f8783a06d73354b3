"""Joining the Ray cluster that somebody runs, or beginning one that is reached from here alone, and with a token."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from litepose_nas.errors import UserError
from litepose_nas.executors.base import Say
from litepose_nas.optional import need

STORE = 100 * 2**20  # bytes for objects on this machine: jobs and answers are small
LOCAL = "local"
LOOPBACK = "127.0.0.1"
# Whether Ray is for several machines. On Linux it is, and then listens on all addresses, whatever address it is given.
MANY_MACHINES = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
ASKS = (2, 52)  # the first version that can ask for a token whoever comes
MODE = "RAY_AUTH_MODE"


def address() -> str:
    """The cluster in RAY_ADDRESS; this machine alone if none is."""
    return os.environ.get("RAY_ADDRESS") or LOCAL


def imported() -> Any:
    """Ray, told what it reads once, when it is imported."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers otherwise
    if address() == LOCAL:
        os.environ.setdefault(MODE, "token")
        os.environ.setdefault(MANY_MACHINES, "0")
    return need("ray", "ray")


def join(ray: Any, say: Say) -> None:
    """Join the cluster that RAY_ADDRESS names, or begin one on this machine; say who else can come."""
    where = address()
    _check_asks(ray, where)
    asked = os.environ.get(MODE) == "token"
    alone: dict[str, Any] = {}
    if where == LOCAL:
        alone = {"include_dashboard": False, "object_store_memory": STORE}
    if not asked:
        say(f"note: {MODE} is not token, so whoever reaches the Ray cluster ({where}) may run code on all its machines")
    try:
        with quiet():
            ray.init(address=where, log_to_driver=False, logging_level="ERROR", **alone)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(
            f"RAY_ADDRESS={where}: no Ray cluster can be joined there ({str(error)[:200]}); start one with "
            "`ray start --head`, or unset RAY_ADDRESS to use this machine alone"
        ) from error
    if where == LOCAL and asked:
        # Whoever imported Ray before us may have told it otherwise.
        listens = (
            "listens here alone" if ray.util.get_node_ip_address() == LOOPBACK else "listens to other machines, too"
        )
        say(f"a Ray cluster of this machine: it {listens}, and lets nobody in without its token")


def _check_asks(ray: Any, where: str) -> None:
    """Refuse a Ray that lets anybody in."""
    if _version(ray) < ASKS:
        floor = ".".join(map(str, ASKS))
        raise UserError(
            f"RAY_ADDRESS={where}: Ray {ray.__version__} lets whoever reaches a cluster run code on all its machines; "
            f"install ray>={floor} on them, and start them with {MODE}=token"
        )


def _version(ray: Any) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", str(ray.__version__))[:2]))


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the warnings of Ray's own files from the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
