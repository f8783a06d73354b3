"""What holds for every test."""

import os

import pytest

# One thread in each process, before anything imports torch: more only get in each other's way in small operations.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.pop("RAY_ADDRESS", None)  # a cluster that somebody runs is none of a test's business
pytest.register_assert_rewrite("tests.helpers")


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
