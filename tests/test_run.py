"""Runs: how a folder says how it was made, who may write it, and that a resumed table equals an undisturbed one."""

import csv
import errno
import json
import os
import platform
import subprocess
import sys
import textwrap

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from litepose_nas import UserError, files
from litepose_nas.runs import environment
from litepose_nas.runs.metrics import Metrics
from litepose_nas.runs.metrics import read as read_rows
from litepose_nas.runs.run import Run, _yaml, digest
from tests.helpers.odd_json import TREES

SETTINGS = {
    "space": "litepose-tiny",
    "train": {"steps": 100, "lr": 1e-3, "clip": None},
    "words": ["a", "b"],
    "word": "1e-3",
}
ARGV = ["/usr/bin/litepose-nas", "train-supernet", "--name", "my run"]


@pytest.fixture
def base(tmp_path):
    return tmp_path / "runs"


def python(code, *args):
    """Start another process with this checkout's package."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_run_says_how_it_was_made(base, monkeypatch):
    monkeypatch.setattr(sys, "argv", ARGV)
    with Run.create("train-supernet", base=base, settings=SETTINGS) as run:
        run.log("first\nsecond")
        run.weights.joinpath("last").touch()
    assert run.folder == base / "train-supernet" / "run"
    assert yaml.safe_load((run.folder / "config.yaml").read_text()) == SETTINGS
    assert (run.folder / "command.txt").read_text() == "litepose-nas train-supernet --name 'my run'\n"
    env = json.loads((run.folder / "env.json").read_text())
    assert env["python"] == platform.python_version()
    assert env["packages"]["torch"]
    assert [line.partition("  ")[2] for line in (run.folder / "log.txt").read_text().splitlines()] == [
        "first",
        "second",
    ]
    assert Run.open(run.folder).settings == SETTINGS
    assert sorted(p.name for p in run.folder.iterdir()) == [
        *("command.txt", "config.yaml", "env.json", "lock", "log.txt", "weights")
    ]


def test_making_a_run_imports_no_torch(base):
    code = """
        import sys
        from litepose_nas.runs.run import Run
        Run.create("train", base=sys.argv[1])
        assert "torch" not in sys.modules
    """
    _, errors = (process := python(code, base)).communicate()
    assert process.returncode == 0, errors


def test_names_are_never_given_twice(base):
    names = []
    for name in (None, None, "mine", "mine", None):
        with Run.create("search", name, base=base) as run:
            names.append(run.folder.name)
    assert names == ["run", "run-2", "mine", "mine-2", "run-3"]
    assert Run.latest("search", base).folder.name == "run-3"


def test_the_latest_is_by_age_and_by_what_it_has(base):
    with Run.create("train-supernet", "b", base=base) as run:
        run.weights.joinpath("last.safetensors").touch()
    Run.create("train-supernet", "a", base=base).close()
    (base / "train-supernet" / "zzz").mkdir()  # no run at all
    assert Run.latest("train-supernet", base).folder.name == "a"
    assert Run.latest("train-supernet", base, "weights/last.safetensors").folder.name == "b"
    with pytest.raises(UserError, match=r"no run with x in it .* litepose-nas train-supernet"):
        Run.latest("train-supernet", base, "x")
    with pytest.raises(UserError, match="make one with: litepose-nas search"):
        Run.latest("search", base)


def test_the_newest_unfinished_run(base):
    with pytest.raises(UserError, match=r"no run under .*train; begin one with: litepose-nas train"):
        Run.unfinished("train", base)
    for name in ("b", "a", "c"):
        Run.create("train", name, base=base).close()
    assert Run.unfinished("train", base).folder.name == "c"
    for name, left in (("c", "a"), ("a", "b")):
        with Run.resume(base / "train" / name) as run:
            run.end()
        assert Run.unfinished("train", base).folder.name == left
    (base / "train" / "a" / "config.yaml").write_text("edited: 1")  # of no concern to who looks for another
    assert Run.unfinished("train", base).folder.name == "b"
    with Run.resume(base / "train" / "b") as run:
        run.end()
    with pytest.raises(UserError, match=r"every run under .*train has ended; .*--out"):
        Run.unfinished("train", base)


@pytest.mark.parametrize("name", ["../up", "", "/abs", "a/b", "..", "-x", "a\nb"])
def test_a_name_stays_inside(base, name):
    with pytest.raises(UserError, match="expected a name"):
        Run.create("search", name, base=base) if name else Run.create("search", " ", base=base)
    assert not base.exists()


def test_a_place_of_ones_own_must_be_empty(tmp_path):
    with Run.create("search", out=tmp_path / "here") as run:
        assert run.folder == tmp_path / "here"
    with pytest.raises(UserError, match=r"not empty; .* --resume"):
        Run.create("search", out=tmp_path / "here")


def test_resuming_keeps_the_settings_and_notes_the_command(base, monkeypatch):
    Run.create("train", base=base, settings=SETTINGS).close()
    monkeypatch.setattr(sys, "argv", ["litepose-nas", "train", "--resume"])
    with Run.resume(base / "train" / "run") as run:
        assert run.settings == SETTINGS
    assert (run.folder / "command.txt").read_text().endswith("\nlitepose-nas train --resume\n")


def test_a_changed_config_is_noticed(base):
    Run.create("train", base=base, settings=SETTINGS).close()
    config = base / "train" / "run" / "config.yaml"
    config.write_text(config.read_text().replace("100", "101"))
    with pytest.raises(UserError, match="changed since the run began"):
        Run.open(config.parent)


@pytest.mark.parametrize(("name", "told"), [("env.json", "no env.json"), ("config.yaml", "no config.yaml")])
def test_a_folder_that_is_no_run(base, name, told):
    Run.create("train", base=base).close()
    (base / "train" / "run" / name).unlink()
    with pytest.raises(UserError, match=told):
        Run.open(base / "train" / "run")
    with pytest.raises(UserError, match="no such folder"):
        Run.open(base / "nothing")
    (base / "train" / "run" / name).write_text("{ [")
    (base / "train" / "run" / "env.json").touch()
    with pytest.raises(UserError, match="cannot be read"):
        Run.open(base / "train" / "run")


@settings(max_examples=100)
@given(st.dictionaries(st.text(), TREES, max_size=4))
def test_any_settings_are_read_back_as_written(config):
    back = yaml.safe_load(_yaml(config).encode("ascii"))
    assert digest(back) == digest(config)
    assert back == config


# ── one writer ──


def test_a_second_writer_is_refused_but_may_read(base):
    code = """
        import sys
        from litepose_nas.runs.run import Run
        run = Run.create("train", base=sys.argv[1])
        print("ready", flush=True)
        sys.stdin.read()
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(base)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(UserError, match=f"process {process.pid} on .* is writing here"):
            Run.resume(base / "train" / "run")
        assert Run.latest("train", base).settings == {}
        process.kill()
        process.wait()
        Run.resume(base / "train" / "run").close()  # its lock died with it


def test_a_run_that_is_open_cannot_be_opened_again(base):
    with Run.create("train", base=base) as run, pytest.raises(UserError, match=str(os.getpid())):
        Run.resume(run.folder)
    with pytest.raises(RuntimeError, match="opened for reading"):
        run.log("after closing")
    with pytest.raises(RuntimeError, match="opened for reading"):
        Run.open(run.folder).write("x", "y")


def test_only_one_of_many_takes_over_a_dead_ones_lock(base):
    Run.create("train", base=base).close()
    lock = base / "train" / "run" / "lock"
    dead = python("pass")
    dead.communicate()
    lock.write_text(json.dumps({"pid": dead.pid, "host": platform.node(), "started": "1"}))
    code = """
        import sys, time
        from litepose_nas.runs.run import Run
        from litepose_nas.errors import UserError
        try:
            run = Run.resume(sys.argv[1])
        except UserError:
            sys.exit(3)
        print("mine", flush=True)
        time.sleep(1.5)
    """
    processes = [python(code, lock.parent) for _ in range(4)]
    for process in processes:
        process.communicate()
    assert sorted(process.returncode for process in processes) == [0, 3, 3, 3]


@pytest.mark.parametrize("content", ["", "{", '{"pid": 1}', "null"])
def test_half_a_lock_is_none(base, content):
    Run.create("train", base=base).close()
    (base / "train" / "run" / "lock").write_text(content)
    Run.resume(base / "train" / "run").close()


def test_a_lock_of_another_machine_is_respected_and_a_reused_number_is_not(base):
    Run.create("train", base=base).close()
    lock = base / "train" / "run" / "lock"
    lock.write_text(json.dumps({"pid": 1, "host": "elsewhere", "started": None}))
    with pytest.raises(UserError, match=r"delete .*lock"):
        Run.resume(lock.parent)
    if platform.system() == "Linux":
        lock.write_text(json.dumps({"pid": os.getppid(), "host": platform.node(), "started": "long ago"}))
        Run.resume(lock.parent).close()


# ── metrics ──

ROWS = [{"step": n, "loss": 1 / (n + 1), **({"ap": n / 10} if n >= 4 else {}), 'a,"b"': n} for n in range(10)]
ROWS[7] = {"step": 7, "loss": float("nan"), "grad": float("inf")}


def test_the_table_grows_columns(base):
    with Run.create("train", base=base) as run:
        for row in ROWS:
            run.metrics.append(row)
    with (run.folder / "metrics.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["step", "loss", 'a,"b"', "ap", "grad"]
    assert [float(row["loss"]) for row in table[:7]] == [row["loss"] for row in ROWS[:7]]
    assert table[0]["ap"] == ""
    assert (table[7]["loss"], table[7]["grad"], table[8]['a,"b"']) == ("nan", "inf", "8")
    assert [row["step"] for row in read_rows(run.folder / "metrics.jsonl")] == list(range(10))


@pytest.mark.parametrize("last", range(-1, 10))
def test_a_resumed_table_equals_an_undisturbed_one(tmp_path, last):
    for folder in ("straight", "resumed"):
        (tmp_path / folder).mkdir()
        metrics = Metrics(tmp_path / folder)
        for row in ROWS:
            metrics.append(row)
    # Killed in the middle of a row, some steps after the checkpoint it will resume from.
    lines, table = tmp_path / "resumed" / "metrics.jsonl", tmp_path / "resumed" / "metrics.csv"
    lines.write_bytes(lines.read_bytes()[:-9])
    table.write_bytes(table.read_bytes()[:-20])
    metrics = Metrics(tmp_path / "resumed", last)
    for row in ROWS[min(last, 8) + 1 :]:
        metrics.append(row)
    for name in ("metrics.jsonl", "metrics.csv"):
        assert (tmp_path / "resumed" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


def test_a_damaged_row_is_named(base):
    with Run.create("train", base=base) as run:
        for row in ROWS[:3]:
            run.metrics.append(row)
    path = run.folder / "metrics.jsonl"
    path.write_text(path.read_text().replace('{"step": 1', "{'step' 1"))
    with Run.resume(run.folder) as run, pytest.raises(UserError, match="line 2 is no row"):
        run.metrics_until(1)
    with pytest.raises(ValueError, match="a whole one as `step`"):
        Metrics(base).append({"loss": 1})


# ── a full disk ──


def test_appending_is_all_or_nothing(tmp_path, monkeypatch):
    path, write = tmp_path / "log.txt", os.write
    files.append(path, b"kept\n")

    def full(handle, data):
        if len(data) < 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data[:4])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(UserError, match=r"log.txt: writing failed \(No space left"):
        files.append(path, b"0123456789")
    assert path.read_bytes() == b"kept\n"


def test_a_run_that_cannot_be_begun_leaves_no_folder(base, monkeypatch):
    def full(self, *args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(UserError, match="No space left"):
        Run.create("train", base=base, settings=SETTINGS)
    assert list((base / "train").iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="limits on the size of files are the kernel's")
def test_a_real_limit_on_files_stops_with_whole_rows(base):
    code = """
        import resource, sys
        from litepose_nas.errors import UserError
        from litepose_nas.runs.run import Run
        run = Run.create("train", base=sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
        try:
            for step in range(10_000):
                run.metrics.append({"step": step, "loss": 1 / (step + 1)})
        except UserError as error:
            print(error)
    """
    output, errors = (process := python(code, base)).communicate()
    assert process.returncode == 0, errors
    assert "metrics.jsonl: writing failed (File too large); what it held before is unchanged" in output
    rows = read_rows(base / "train" / "run" / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(len(rows)))
    assert (base / "train" / "run" / "metrics.jsonl").read_bytes().endswith(b"\n")
    assert len(rows) > 100


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root may write anywhere")
def test_a_place_that_may_not_be_written(base):
    base.mkdir()
    base.chmod(0o500)
    with pytest.raises(UserError, match="cannot be made"):
        Run.create("train", base=base)


def test_a_file_in_the_way_is_told(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        Run.create("train", base=tmp_path / "runs")


def test_the_commit_is_that_of_this_code_or_none():
    found = environment.commit()
    inside = subprocess.run(["git", "rev-parse", "HEAD"], cwd=os.path.dirname(__file__), capture_output=True, text=True)
    assert found is None or found.removesuffix("-dirty") == inside.stdout.strip()
