"""What the machine refuses, and what nobody foresaw: one message and an exit code, never a traceback."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from litepose_nas import Space, UserError, crash, resources
from litepose_nas.cli import _warnings_as_notes, console
from litepose_nas.cli.session import running
from litepose_nas.errors import FaultError
from litepose_nas.executors.base import MISTAKE, reply_to
from litepose_nas.inference.video_writer import VideoWriter
from litepose_nas.machine_errors import explained
from litepose_nas.runs.metrics import Metrics
from litepose_nas.runs.run import Run
from litepose_nas.supernet import Supernet
from litepose_nas.synthetic.dataset import write_toy
from tests.helpers import rights
from tests.helpers.commands import environment

LONG = "x" * 300
linux = pytest.mark.skipif(sys.platform != "linux", reason="this is how Linux does it")


@pytest.fixture
def command(tmp_path, monkeypatch, command):
    """Commands run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return command


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "people"
    write_toy(folder, train=24, val=6, size=64)
    return folder


def refused(result, *words):
    """Assert that a command ended with one short error that holds these words."""
    code, _, errors = result
    assert code == 2, errors
    assert "Traceback" not in errors
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(line) < 1000
    for word in words:
        assert word in line


def shell(line, folder):
    """Run a line of shell in which $RUN is the command."""
    code = f"{sys.executable} -c 'from litepose_nas.__main__ import main; main()'"
    return subprocess.run(
        ["sh", "-c", line.replace("$RUN", code)], cwd=folder, env=environment(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip


# ── names that no file system can have ──


@pytest.mark.parametrize(
    "words",
    [
        f"data stats {LONG}", f"data stats {LONG}.yaml", f"data stats {LONG}.json", f"data check {LONG}",
        f"profile {LONG}", f"profile {LONG}.json", f"space show {LONG}.yaml",
        f"train-supernet --space {LONG} --steps 1",
        f"train-supernet --space litepose-tiny --data {LONG} --steps 1", f"extract {LONG}", f"report {LONG}",
        f"finetune {LONG}", f"evaluate {LONG}", f"import {LONG}", f"search {LONG} --budget 26MMAC",
        f"search --resume --out {LONG}", f"data toy {LONG} --train 1 --val 1 --size 64",
    ],
)  # fmt: skip
def test_a_name_of_300_letters(command, words):
    refused(command(words), "xxx")


def test_a_name_of_300_letters_inside_files(command):
    def images(name):
        return {"images": [{"id": 1, "file_name": name, "width": 6, "height": 6}], "annotations": [], "categories": []}

    Path("long.json").write_text(json.dumps(images(f"{LONG}.jpg")))
    Path("short.json").write_text(json.dumps(images("x.jpg")))
    assert command("data stats long.json")[0] == command("data stats short.json")[0]
    # Inside files a name is what it is everywhere: of a file that is not there.
    for text in (f"train: {{images: {LONG}, annotations: long.json}}\n", f"train: {LONG}\nkpt_shape: [3, 3]\n"):
        Path("data.yaml").write_text(text)
        code, _, errors = command("data check data.yaml")
        assert code in (0, 2)
        assert "Traceback" not in errors


# ── rights ──


@linux
def test_files_that_nobody_may_read(command, people):
    Path("a.json").write_text("{}")
    Path("a.json").chmod(0)
    Path("shut").mkdir(mode=0)
    with rights.that_count():
        refused(command("data stats a.json"), "a.json: Permission denied")
        refused(command("data stats shut/a.json"), "shut/a.json")
        refused(command("report shut"), "shut")


@linux
def test_folders_that_nobody_may_read_or_write(tmp_path, monkeypatch, command):
    for name in ("data", "pictures", "run", "out"):
        Path(name).mkdir()
    Path("data/data.yaml").write_text("train: {images: ., annotations: a.json}\n")
    Metrics("run").append({"step": 1})
    Path("run/metrics.jsonl").chmod(0)
    for name in ("data", "pictures", "out"):
        Path(name).chmod(0)
    with rights.that_count():
        refused(command("data stats data"), "data")
        refused(command("predict none.safetensors pictures"))
        with pytest.raises(UserError, match=r"metrics.jsonl: .*Permission denied"):
            Metrics("run")
        with (
            pytest.raises(UserError, match=r"a.mp4: cannot be written .Permission denied."),
            VideoWriter(Path("out/a.mp4"), 25.0) as film,
        ):
            film.add(np.zeros((8, 8, 3), np.uint8))


@linux
def test_a_run_that_nobody_may_read_does_not_hide_the_others(tmp_path):
    for name in ("old", "new", "newest"):
        Run.create("search", name, base=tmp_path).close()
    (tmp_path / "search" / "newest" / "config.yaml").chmod(0)
    (tmp_path / "search" / "new").chmod(0)
    with rights.that_count(), pytest.warns(UserWarning, match="passed over"):
        assert Run.latest("search", tmp_path).folder.name == "old"
    with rights.that_count(), pytest.warns(UserWarning, match="Permission denied; this run is passed over"):
        assert Run.unfinished("search", tmp_path).folder.name == "old"


# ── memory ──


def raised(call):
    with pytest.raises((MemoryError, RuntimeError, ValueError)) as error:
        call()
    return error.value


def test_memory_that_is_short_is_called_so():
    errors = [
        raised(lambda: torch.empty(1 << 50)),
        raised(lambda: np.empty(1 << 58)),
        MemoryError(),
        RuntimeError("could not create a primitive"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    ]
    for error in errors:
        assert str(explained(error)).startswith("memory is short"), error
    assert explained(RuntimeError("something else")) is None

    def work(job):
        raise MemoryError

    assert reply_to(work, None).kind == MISTAKE


@pytest.mark.parametrize(
    "change", [{"width": [65535]}, {"kernel": [65535]}, {"expand": [65536]}], ids=["width", "kernel", "expand"]
)
def test_a_space_that_is_too_large_is_refused_before_it_is_built(change):
    tree = yaml.safe_load(resources.find("litepose-tiny", "search_spaces", ".yaml").read_text(encoding="utf-8"))
    tree["stages"][-1] |= change
    with pytest.raises(UserError, match=r"parameters; more than 1,000,000,000"):
        Supernet(Space(tree))


def test_a_picture_that_no_network_takes():
    tree = yaml.safe_load(resources.find("litepose-tiny", "search_spaces", ".yaml").read_text(encoding="utf-8"))
    with pytest.raises(UserError, match="resolution: input size 65536: more than 8192 pixels"):
        Space({**tree, "resolution": [64, 65536]})


# ── standard streams ──


@linux
@pytest.mark.parametrize("words", ["space list", "--help", "profile litepose-xs --json"])
def test_standard_output_that_is_full(tmp_path, words):
    done = shell(f"$RUN {words} > /dev/full", tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize("words", ["space list >&-", "space list >&- 2>&-"])
def test_standard_output_that_is_closed(tmp_path, words):
    done = shell(f"$RUN {words}", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@linux
def test_a_mistake_is_one_even_if_nobody_hears_of_it(tmp_path):
    done = shell("$RUN profile nothing > /dev/full 2> /dev/full", tmp_path)
    assert done.returncode == 2


@linux
def test_a_data_folder_whose_name_is_no_text(tmp_path, people, command):
    name = os.fsdecode(b"people\xff")
    os.symlink(people, name)
    done = shell(f"$RUN data stats {name}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "people\\udcff, train" in done.stdout
    (tmp_path / "small.yaml").write_text(
        resources.find("litepose-tiny", "search_spaces", ".yaml").read_text().replace("[64, 96, 128, 160]", "[64]")
    )
    words = f"train-supernet --space small.yaml --data {name} --steps 1 --device cpu --out run batch=2"
    code, _, errors = command(words)
    assert code == 0, errors
    assert b"people\xff" in (tmp_path / "run" / "command.txt").read_bytes()
    assert Run.open(tmp_path / "run").settings["data"] == name
    code, _, errors = command("search run --budget 16MMAC --evals 2 --device cpu")
    assert code == 0, errors
    code, _, errors = command("extract --device cpu")
    assert code == 0, errors


# ── Ctrl-C ──


def test_ctrl_c_while_the_program_is_still_imported(tmp_path):
    """The first import that takes time waits here, as a slow disk would have it."""
    (tmp_path / "typer.py").write_text("import sys, time\nprint('importing', flush=True)\ntime.sleep(30)\n")
    code = "from litepose_nas.__main__ import main; main()"
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment(PYTHONPATH=path), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "importing\n"
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, "")


# ── the last handler ──


def broken(*_):
    raise KeyError("nobody thought of this\n\x1b[31m")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder of temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_fault_of_the_program_is_one_line_and_a_file(command, temporary, monkeypatch):
    monkeypatch.setattr(resources, "names", broken)
    code, _, errors = command("space list")
    assert code == 70
    (report,) = temporary.iterdir()
    assert errors.count("\n") == 1
    assert errors.startswith("error: a fault of litepose-nas: KeyError: ")
    assert "(test_attack_machine.py, line " in errors
    assert str(report) in errors
    assert "report" in errors
    assert "\x1b" not in errors
    text = report.read_text()
    for words in ("command: litepose-nas space list", '"torch": ', "Traceback (most recent call last)", "in broken"):
        assert words in text


def test_a_fault_in_a_run_is_kept_in_its_folder(tmp_path, monkeypatch, temporary):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FaultError) as told, running("search", None, {}, "mine", None):
        broken()
    code, line = crash.ending(told.value)
    assert code == 70
    assert "runs/search/mine/fault.txt" in line
    assert line.endswith("litepose-nas search --resume --out runs/search/mine")
    assert "in broken" in Path("runs/search/mine/fault.txt").read_text()
    assert list(temporary.iterdir()) == []


def test_a_full_disk_in_a_run_says_how_to_go_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = r"a.bin: No space left .* the disk is full.*go on with: litepose-nas search --resume"
    with pytest.raises(UserError, match=words), running("search", None, {}, "mine", None):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a.bin")


def test_the_last_handler_does_not_fail_itself(tmp_path, monkeypatch):
    class OddError(Exception):
        def __str__(self):
            raise ValueError("no words")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "mkstemp", full)
    fault = FaultError(tmp_path / "gone" / "\0", "again")
    fault.__cause__ = OddError()
    code, line = crash.ending(fault)
    assert code == 70
    assert "OddError" in line
    assert "report this line" in line


def test_warnings_of_python_stay_out(capsys):
    with _warnings_as_notes():
        warnings.simplefilter("always")
        warnings.warn("a later version drops this", DeprecationWarning, stacklevel=1)
        warnings.warn("what libraries\ntell users", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "note: what libraries tell users\n"


def test_output_takes_any_text(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    console.open_streams()
    console.out("Gruß \udcff")
    console.flush()
    assert raw.getvalue() == b"Gru\\xdf \\udcff\n"
