"""The parts of scripts/chaos: a disk that fills when it is told to, what is compared, and some cases of all ways."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.chaos import children, left
from tests.helpers.commands import ROOT, environment

SHIM = Path(children.__file__).with_name("full_disk.c")
COMPILER = shutil.which("cc")
linux = pytest.mark.skipif(sys.platform != "linux" or COMPILER is None, reason="needs Linux and a C compiler")

WRITES = """
import ctypes, os, sys
count = ctypes.c_long()
ctypes.CDLL(None).chaos_fill_after(ctypes.c_long(2), f"{sys.argv[1]}/".encode(), ctypes.byref(count))
for number in range(4):
    try:
        with open(f"{sys.argv[1]}/{number}", "wb", buffering=0) as file:
            print(file.write(b"12345678"))
    except OSError as error:
        print(error.strerror)
print(count.value)
open(sys.argv[2], "w").write("elsewhere there is room")
"""


@linux
def test_a_disk_is_full_in_the_middle_of_the_third_write_and_in_one_folder_alone(tmp_path):
    library, folder, other = tmp_path / "full_disk.so", tmp_path / "below", tmp_path / "below.log"
    folder.mkdir()
    subprocess.run([str(COMPILER), "-shared", "-fPIC", "-o", str(library), str(SHIM), "-ldl"], check=True)
    command = [sys.executable, "-c", WRITES, str(folder), str(other)]
    done = subprocess.run(
        command, env={**os.environ, "LD_PRELOAD": str(library)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["8", "8", "4", "No space left on device", "4"]
    assert other.read_text() == "elsewhere there is room"


def test_what_differs_by_nature_is_not_compared(tmp_path):
    def folder(name: str, seconds: float, ap: float) -> dict[str, str]:
        made = tmp_path / name
        made.mkdir()
        records = [{"arch": {"a": n}, "result": {"ap": ap, "seconds": seconds + n}} for n in range(3)]
        lines = [json.dumps(record) + "\n" for record in (records if seconds < 2 else records[::-1])]
        (made / "journal.jsonl").write_text("".join(lines))
        (made / "front.csv").write_text(f"ap,seconds\n{ap},{seconds}\n")
        (made / "log.txt").write_text(name)
        return left.left_in(made)

    one, same, other = folder("one", 1.5, 0.5), folder("same", 2.5, 0.5), folder("other", 1.5, 0.6)
    assert left.differences(one, same) == []
    assert left.differences(one, other) == ["front.csv", "journal.jsonl"]


@linux
@pytest.mark.slow
def test_some_cases_of_every_way(tmp_path):
    words = [sys.executable, str(ROOT / "scripts" / "chaos.py"), "--minutes", "1.5", "--seed", "1"]
    words += ["--verb", "train", "--verb", "extract", "--verb", "split", "--csv", str(tmp_path / "chaos.csv")]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with (tmp_path / "chaos.csv").open(newline="") as file:
        cases = list(csv.DictReader(file))
    assert {"kill", "full", "rights", "bits"} <= {case["way"] for case in cases}
