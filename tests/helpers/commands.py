"""Running the command line inside the test process, and programs outside it."""

import os
import shlex
import sys
from pathlib import Path

import pytest

from litepose_nas.cli import main

ROOT = Path(__file__).parents[2]


def environment(**more: str) -> dict[str, str]:
    """Return the environment in which a program finds this package and these helpers."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a command as a shell would; return its exit code."""
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)
