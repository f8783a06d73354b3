"""What moves on a screen and what stays in a log."""

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from litepose_nas.cli import console, main


class Screen(io.StringIO):
    """A stream that says it is a screen."""

    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")


def test_a_screen_sees_a_bar_with_speed_and_time_left(capsys):
    with redirect_stderr(Screen()) as screen, console.live("training") as show:
        show(3, 10)
        show(4, 10, "7.5 images/s [x]", "a line for logs")
        show(5, 10)
        console.out("a result")
    seen = screen.getvalue()
    for words in ("training", "3/10", "5/10", "7.5 images/s [x]", "--:--"):
        assert words in seen
    assert "a line for logs" not in seen
    assert "a result" not in seen  # standard output may be a file
    assert capsys.readouterr().out == "a result\n"


def test_pictures_have_a_speed():
    with redirect_stderr(Screen()) as screen, console.progress("drawing") as step:
        step(5, 10)
        step(10, 10)
    assert "10/10" in screen.getvalue()
    assert " images/s" in screen.getvalue()


def test_one_line_changes():
    with redirect_stderr(Screen()) as screen, console.status("demo") as tell:
        tell("supernet 3/9")
        tell("supernet 4/9")
    assert "demo" in screen.getvalue()
    assert "supernet 4/9" in screen.getvalue()
    assert screen.getvalue().count("\n") < 4


def test_a_log_gets_plain_lines(capsys):
    with console.live("training") as show:
        show(3, 10)
        show(4, 10, "7.5 images/s", "a line for logs")
    with console.status("demo") as tell:
        tell("supernet 3/9")
    with console.progress("drawing") as step:
        for done in range(1, 9):
            step(done, 8)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "a line for logs", "  supernet 3/9", *(f"drawing: {n} of 8" for n in (2, 4, 6, 8))
    ]  # fmt: skip
    assert "\x1b" not in printed.err


def test_the_package_is_a_program(tmp_path):
    command = [sys.executable, "-m", "litepose_nas"]
    path = str(Path(__file__).parent.parent)
    done = subprocess.run(
        [*command, "space", "list"], cwd=tmp_path, env={"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "litepose-tiny" in done.stdout
    done = subprocess.run(
        [*command, "profile", "nothing"], cwd=tmp_path, env={"PYTHONPATH": path}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")


@pytest.mark.parametrize(
    ("given", "spins"), [({}, "1000"), ({"GOMP_SPINCOUNT": "5"}, "5"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)]
)
def test_waiting_threads_sleep_unless_the_user_says_otherwise(monkeypatch, given, spins):
    monkeypatch.setattr(os, "environ", given)
    monkeypatch.setattr(sys, "argv", ["litepose-nas", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert given.get("GOMP_SPINCOUNT") == spins
