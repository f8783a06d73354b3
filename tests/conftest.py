"""What holds for every test."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# One thread in each process, before anything imports torch: more only get in each other's way in small operations.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.pop("RAY_ADDRESS", None)  # a cluster that somebody runs is none of a test's business
pytest.register_assert_rewrite("tests.helpers")
signal.signal(signal.SIGINT, signal.default_int_handler)  # under nohup it is ignored, by children too: tests send it
# A busy machine is slow now and then, and a folder for all examples of a test is meant.
HEALTHY = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
settings.register_profile("tests", deadline=None, suppress_health_check=HEALTHY)
settings.load_profile("tests")


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a command where the test stands; return its exit code, output and errors."""
    from tests.helpers.commands import run

    def call(words):
        code = run(f"litepose-nas {words}", monkeypatch)
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def said(command):
    """Run a command that must end with this code; return its output, or its errors if the code is not 0."""

    def call(words, code=0):
        ended, out, errors = command(words)
        assert ended == code, errors
        return errors if code else out

    return call
