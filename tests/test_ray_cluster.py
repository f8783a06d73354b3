"""Which Ray cluster is joined or begun, and who else could come; without Ray, with a stand-in for it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from litepose_nas.errors import UserError
from litepose_nas.executors import ray_cluster
from tests.helpers.executors import linux, needs_ray


class StandIn(SimpleNamespace):
    """Ray as far as joining goes; notes how it was begun."""

    def __init__(self, version: str):
        super().__init__(__version__=version, begun={})

    def init(self, **how):
        self.begun = how


@pytest.fixture
def environment(monkeypatch):
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    return monkeypatch


def joined(version: str) -> tuple[StandIn, list[str]]:
    ray, said = StandIn(version), []
    ray_cluster.join(ray, said.append)
    return ray, said


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have 127.0.0.1 alone")
def test_the_cluster_that_is_begun_here_listens_here_alone_and_says_so(environment):
    ray, said = joined("2.60.0")
    assert ray.begun["address"] == "local"
    assert ray.begun["_node_ip_address"].startswith("127.")
    assert ray.begun["_node_ip_address"] != "127.0.0.1"  # Ray replaces that by the machine's own
    assert ray.begun["include_dashboard"] is False
    assert said == ["a Ray cluster of this machine alone: it listens on 127.0.0.2, which no other machine reaches"]


def test_it_asks_for_a_token_before_ray_is_imported(environment):
    import os

    environment.setitem(sys.modules, "ray", StandIn("2.60.0"))
    ray_cluster.imported()
    assert os.environ["RAY_AUTH_MODE"] == "token"
    environment.setenv("RAY_AUTH_MODE", "disabled")  # somebody's own will
    ray_cluster.imported()
    assert os.environ["RAY_AUTH_MODE"] == "disabled"


@pytest.mark.parametrize("version", ["2.9.3", "2.51.1", "1.13.0"])
def test_a_ray_that_lets_anybody_in_is_refused_for_a_cluster_of_others(environment, version):
    environment.setenv("RAY_ADDRESS", "10.0.0.7:6379")
    with pytest.raises(UserError, match=rf"10\.0\.0\.7:6379: Ray {version} lets whoever .* install ray>=2\.52"):
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
    assert "whoever reaches it can run code on all its machines" in said[0]


LISTENS = "0A"  # in /proc/net/tcp


@needs_ray
@linux
@pytest.mark.slow
def test_nothing_of_a_real_cluster_listens_beyond_this_machine(environment):
    def listening() -> set[str]:
        text = "".join(Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6"))
        lines = [line.split() for line in text.splitlines()]
        return {words[1] for words in lines if words[3] == LISTENS}

    before, ray = listening(), ray_cluster.imported()
    ray_cluster.join(ray, print)
    try:
        new = listening() - before
        assert new
        assert {place.partition(":")[0][-2:] for place in new} == {"7F"}  # 127.x, the other way round
    finally:
        ray.shutdown()
