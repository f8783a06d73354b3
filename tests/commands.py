"""Running the command line inside the test process."""

import shlex
import sys

import pytest

from litepose_nas.cli import main


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a command as a shell would; return its exit code."""
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)
