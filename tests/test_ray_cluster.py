"""Which Ray cluster is joined or begun, and who else could come, with a stand-in for Ray."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from litepose_nas.errors import UserError
from litepose_nas.executors import ray_cluster


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


def test_the_cluster_that_is_begun_here_asks_for_its_token_and_says_so(environment):
    environment.setenv("RAY_AUTH_MODE", "token")
    ray, said = joined("2.60.0")
    assert ray.begun["address"] == "local"
    assert ray.begun["include_dashboard"] is False
    assert ray.begun.get("_node_ip_address", "127.0.0.2") == "127.0.0.2"  # Ray replaces 127.0.0.1 by the machine's own
    assert len(said) == 1
    assert "lets none in without its token" in said[0]
    environment.setenv("RAY_AUTH_MODE", "disabled")  # somebody's own will
    assert "whoever reaches the Ray cluster (local) may run code" in joined("2.60.0")[1][0]


def test_it_asks_for_a_token_before_ray_is_imported(environment):
    import os

    environment.setitem(sys.modules, "ray", StandIn("2.60.0"))
    ray_cluster.imported()
    assert os.environ["RAY_AUTH_MODE"] == "token"
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
