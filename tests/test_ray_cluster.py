"""Which Ray cluster is joined or begun, and who else could come, with a stand-in for Ray."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from litepose_nas.errors import UserError
from litepose_nas.executors import ray_cluster
from tests.helpers import commands
from tests.helpers.executors import linux, needs_ray


class StandIn(SimpleNamespace):
    """Ray as far as joining goes; notes how it was begun."""

    def __init__(self, version: str, address: str = "127.0.0.1"):
        super().__init__(__version__=version, begun={}, util=SimpleNamespace(get_node_ip_address=lambda: address))

    def init(self, **how):
        self.begun = how


@pytest.fixture
def environment(monkeypatch):
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    return monkeypatch


def joined(version: str, address: str = "127.0.0.1") -> tuple[StandIn, list[str]]:
    ray, said = StandIn(version, address), []
    ray_cluster.join(ray, said.append)
    return ray, said


def test_the_cluster_that_is_begun_here_says_who_reaches_it(environment):
    environment.setenv("RAY_AUTH_MODE", "token")
    ray, said = joined("2.60.0")
    assert ray.begun["address"] == "local"
    assert ray.begun["include_dashboard"] is False
    assert said == ["a Ray cluster of this machine: it listens here alone, and lets nobody in without its token"]
    _, said = joined("2.60.0", address="10.0.0.7")  # where Ray was imported, and told otherwise, before
    assert "it listens to other machines, too, and lets nobody in without its token" in said[0]
    environment.setenv("RAY_AUTH_MODE", "disabled")  # somebody's own will
    assert "whoever reaches the Ray cluster (local) may run code" in joined("2.60.0")[1][0]


def test_ray_is_told_before_it_is_imported(environment):
    import os

    environment.setitem(sys.modules, "ray", StandIn("2.60.0"))
    ray_cluster.imported()
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    environment.setenv("RAY_AUTH_MODE", "disabled")  # somebody's own will
    ray_cluster.imported()
    assert os.environ["RAY_AUTH_MODE"] == "disabled"


@pytest.mark.parametrize("version", ["2.9.3", "2.51.1", "1.13.0"])
def test_a_ray_that_lets_anybody_in_is_refused(environment, version):
    for where in ("10.0.0.7:6379", "local"):
        environment.setenv("RAY_ADDRESS", where)
        with pytest.raises(UserError, match=rf"{where}: Ray {version} lets whoever .* install ray>=2\.52"):
            joined(version)


def test_a_cluster_of_others_is_joined_as_it_is(environment):
    environment.setenv("RAY_ADDRESS", "10.0.0.7:6379")
    environment.setenv("RAY_AUTH_MODE", "token")
    ray, said = joined("2.52.0")
    assert ray.begun == {"address": "10.0.0.7:6379", "log_to_driver": False, "logging_level": "ERROR"}
    assert said == []
    environment.setenv("RAY_AUTH_MODE", "disabled")
    ray, said = joined("3.0.0.dev0")
    assert len(said) == 1
    assert "whoever reaches the Ray cluster (10.0.0.7:6379) may run code on all its machines" in said[0]


LISTENING = """
import os, re, time
from pathlib import Path
from litepose_nas.executors.open_executor import ExecutorOptions, open_executor
from tests.helpers import executor_search

def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

def mine(pid):
    while pid > 1:
        if pid == os.getpid():
            return True
        pid = parent(pid)
    return False

def sockets(pid):
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        try:
            yield os.readlink(handle)
        except OSError:
            continue

executor = open_executor(ExecutorOptions("ray", 1), print, executor_search.doubling, say=print)
executor.submit(3)
executor.wait()
owned = set()
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        if mine(int(pid)):
            owned |= set(sockets(pid))
    except OSError:
        continue
for table in ("tcp", "tcp6"):
    for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == "0A" and f"socket:[{words[9]}]" in owned:
            print("listens", words[1].partition(":")[0])
executor.close()
"""
# 127.0.0.1 as Linux writes it: of IPv4, and of IPv4 within IPv6.
LOOPBACKS = {"0100007F", "0000000000000000FFFF00000100007F"}


@needs_ray
@linux
def test_nothing_of_the_cluster_listens_to_other_machines(tmp_path):
    environment = {name: value for name, value in commands.environment().items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", LISTENING], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "it listens here alone, and lets nobody in without its token" in done.stdout
    found = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("listens ")]
    assert len(found) >= 4  # the cluster's head, this machine's node, a worker, and who began it
    assert set(found) <= LOOPBACKS
