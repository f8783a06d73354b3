"""Damaged files, and what a killed process leaves: each is refused by name, or swept; nothing ends in a traceback."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
import yaml

from litepose_nas import Space, UserError, costs, files, resources
from litepose_nas.budget import Budget
from litepose_nas.metrics.results import tabulate
from litepose_nas.report.record import load_search
from litepose_nas.runs import lock
from litepose_nas.runs.journal import Journal
from litepose_nas.runs.metrics import Metrics
from litepose_nas.runs.run import Run
from litepose_nas.search import random_search
from litepose_nas.search.journal import evaluations, header, upgraded
from litepose_nas.search.loop import run_search
from litepose_nas.search.problem import Problem
from litepose_nas.search.ranking import by_ap_or_loss
from litepose_nas.train import checkpoint
from tests.helpers.commands import environment
from tests.helpers.unsummed import without_sums

DEEP = "[" * 9000 + "]" * 9000


@pytest.fixture
def base(tmp_path):
    Run.create("search", "mine", base=tmp_path, settings={"a": 1}).close()
    return tmp_path


# ── predictions ──


@pytest.mark.parametrize(
    "change",
    [
        {"keypoints": ["1.0", *[1.0] * 5]}, {"keypoints": [[1.0]] * 6}, {"keypoints": [True] * 6}, {"score": "0.5"},
        {"score": [0.5]}, {"score": True}, {"bbox": [1, 2, "3", "4"]}, {"bbox": [[1], [2], [3], [4]]},
        {"keypoints": [10**400] * 6}, {"keypoints": [None] * 6},
    ],
)  # fmt: skip
def test_results_hold_numbers_and_not_words_of_numbers(change):
    good = {"image_id": 1, "category_id": 1, "keypoints": [1.0, 2, 1] * 2, "score": 0.5, "bbox": [1, 2, 3.5, 4]}
    assert tabulate([good], 2, {1}, 1).areas == [14]
    (key,) = change
    with pytest.raises(UserError, match=f"other than numbers in '{key}'"):
        tabulate([good, {**good, **change}], 2, {1}, 1)


# ── files of a run ──


@pytest.mark.parametrize(
    "content", ['{"pid": "1", "host": "h", "started": null}', '{"pid": 1e30, "host": 1, "started": []}', DEEP,
    json.dumps({"pid": 10**30, "host": "h", "started": "1"}), '{"pid": -1, "host": "h", "started": null}'],
)  # fmt: skip
def test_a_damaged_lock_is_none(base, content):
    (base / "search" / "mine" / "lock").write_text(content)
    Run.resume(base / "search" / "mine").close()


@pytest.mark.parametrize("content", ["[]", "1.5", "null", DEEP, "[" * 9000, '{"created": Infinity}'])
def test_a_damaged_env_is_named_and_does_not_hide_the_others(base, content):
    Run.create("search", "newer", base=base).close()
    (base / "search" / "newer" / "env.json").write_text(content)
    assert Run.latest("search", base).folder.name == "mine"
    assert Run.unfinished("search", base).folder.name == "mine"
    with pytest.raises(UserError, match=r"newer.*(env.json|changed)"):
        Run.open(base / "search" / "newer")


@pytest.mark.parametrize(
    "content",
    ["a: 2001-01-01\n", "a: &a [*a]\n", "[" * 9000, DEEP, "? [a]\n: b\n", "[1]", "a: !!timestamp x", '!!int ""'],
)
def test_a_damaged_config_is_named(base, content):
    (base / "search" / "mine" / "config.yaml").write_text(content)
    with pytest.raises(UserError, match=r"config.yaml") as told:
        Run.open(base / "search" / "mine")
    assert len(str(told.value)) < 600


@pytest.mark.parametrize(
    "line",
    [
        '{"step": 3, "loss": NaN}', '{"step": 3, "loss": 1e999}', '{"step": [1]}', '{"step": "x"}', '{"step": true}',
        '{"step": 3, "lo\\ud800ss": 1}', '{"step": 3, "loss": ' + DEEP + "}", '{"step": 3, "loss": {}}', "[]", "3",
        '{"step": 3, "widest/ap": "good"}', '{"step": 3, "held/ap": "0.5"}',
    ],
)  # fmt: skip
def test_a_damaged_row_of_metrics_is_named(tmp_path, line):
    Metrics(tmp_path).append({"step": 1, "loss": 0.5})
    path = tmp_path / "metrics.jsonl"
    path.write_text(f"{line}\n{path.read_text()}")
    with pytest.raises(UserError, match=r"metrics.jsonl: line 1 is no row of metrics"):
        Metrics(tmp_path, 1)


FAMILY = "litepose-tiny"
SPACE = Space.load(FAMILY)
PROBLEM = Problem(SPACE, Budget.of(["60MMAC"]), costs.cost, by_ap_or_loss)
ONE = ("journal.jsonl", header({FAMILY: (SPACE, "")}, 0, objectives=["macs"], method="random", rank="auto"))


def searched(folder):
    """Write the journal of a search; return its records."""
    notes = {"budget": ["60MMAC"], "convention": "exact", "families": {FAMILY: {"joints": 17, "info": {}}}}
    journal = Journal(folder / ONE[0], ONE[1], notes)
    results = iter(range(1, 9))
    run_search(
        PROBLEM, random_search.searcher(PROBLEM, 0), lambda _: {"ap": next(results) / 10, "loss": 0.5}, journal, 4
    )
    journal.append({"again": 1, "arch": journal.records[0]["arch"], "result": {"ap": 0.1, "loss": 0.5}})
    return without_sums(folder / ONE[0])


def put(record, path, value):
    *above, last = path
    for key in above:
        record = record[key]
    record[last] = value


DAMAGE = [
    *((1, ["result"], value) for value in ([1], None, "x", 3, {"ap": {}}, {"ap": [1]}, {"loss": "x"}, {"ap": 10**400})),
    *((1, ["n"], value) for value in ([1], "1", None, 1.5, True)),
    *((1, ["cost"], value) for value in ([1], "x", 3, {"macs": 1}, {"latency_ms": {}})),
    *((1, ["cost", "macs"], value) for value in ("x", [1], None, float("nan"), float("inf"))),
    *((1, ["arch"], value) for value in ([1], None, 5, "x", {"resolution": [64]}, {"resolution": {}})),
    *((-1, ["again"], value) for value in ([1], "x", {})),
    (-1, ["result"], [1]),
    (1, ["result", "ap"], float("nan")),
    (1, ["ahead"], [1]),
    (1, ["ahead"], {}),
    (1, ["measured"], "x"),
]


@pytest.mark.parametrize(("line", "path", "value"), DAMAGE)
def test_a_damaged_evaluation_is_named(tmp_path, line, path, value):
    records = searched(tmp_path)
    assert len(load_search(tmp_path).families[FAMILY].found) == 4
    put(records[line], path, value)
    (tmp_path / ONE[0]).write_text("".join(json.dumps(record) + "\n" for record in records))
    with pytest.raises(UserError, match=r"journal.jsonl: line \d"):
        load_search(tmp_path)
    if path[0] not in ("ahead", "measured"):
        with pytest.raises(UserError, match=r"journal.jsonl: line \d"):
            list(evaluations(SPACE, Journal(tmp_path / ONE[0], ONE[1], {}, upgraded)))


def test_an_evaluation_without_a_cost_is_priced_again(tmp_path):
    records = searched(tmp_path)
    before = [one.cost for one in load_search(tmp_path).families[FAMILY].found]
    for record in records[1:]:
        record.pop("cost", None)
    (tmp_path / ONE[0]).write_text("".join(json.dumps(record) + "\n" for record in records))
    assert [one.cost for one in load_search(tmp_path).families[FAMILY].found] == before


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["notes"], [1]), (["rank"], [1]), (["families", 0, "tree"], [1]), (["families"], 3), (["families", 0], [1]),
        (["notes", "budget"], 5), (["notes", "families"], [1]), (["objectives"], 3), (["first_look"], [1]),
        (["notes", "latency"], 7), (["families", 0, "tree"], "x"),
    ],
)  # fmt: skip
def test_a_damaged_first_line_is_named(tmp_path, path, value):
    records = searched(tmp_path)
    put(records[0], path, value)
    (tmp_path / ONE[0]).write_text("".join(json.dumps(record) + "\n" for record in records))
    with pytest.raises(UserError, match=r"journal.jsonl"):
        load_search(tmp_path)
    if path[0] != "notes":
        with pytest.raises(UserError, match=r"journal.jsonl"):
            Journal(tmp_path / ONE[0], ONE[1], {}, upgraded)


def test_a_journal_that_is_nested_without_end(tmp_path):
    searched(tmp_path)
    path = tmp_path / ONE[0]
    path.write_text(path.read_text() + '{"a": ' + DEEP + "}\n")
    with pytest.raises(UserError, match="line 7 is damaged"):
        load_search(tmp_path)


# ── spaces ──


@pytest.mark.parametrize("words", [[[0, 1], 1], [[0, 1], [0, 1]], {"a": 1}, [[[0]]]])
def test_lists_within_a_list_of_choices(words):
    tree = yaml.safe_load(resources.find("s_vipnas_mbv3", "search_spaces", ".yaml").read_text(encoding="utf-8"))
    tree["stages"][1]["attention"] = words
    with pytest.raises(UserError):
        Space(tree)


# ── what a killed process leaves ──


def killed(code, folder):
    """Run code in a process that kills itself."""
    code = f"import os, signal\n{textwrap.dedent(code)}\nos.kill(os.getpid(), signal.SIGKILL)"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment(), check=False)
    assert done.returncode == -signal.SIGKILL


def left(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="there are no locks to tell the dead by")
def test_what_a_killed_writer_left_goes_when_the_target_is_written_again(tmp_path):
    killed(
        """
        from litepose_nas import files
        file = files.replacing("net.onnx"); file.__enter__().write_bytes(b"half")
        folder = files.new_folder("data"); (folder.__enter__() / "a").write_bytes(b"half")
        """,
        tmp_path,
    )
    assert [name.startswith(".partial-") for name in left(tmp_path)] == [True, True]
    with files.replacing(tmp_path / "net.onnx") as temporary:
        temporary.write_bytes(b"whole")
    with files.new_folder(tmp_path / "data") as folder:
        (folder / "b").write_bytes(b"whole")
    assert left(tmp_path) == ["data", "net.onnx"]
    assert left(tmp_path / "data") == ["b"]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no locks to tell the dead by")
@pytest.mark.parametrize("last", ["old", "new"])
def test_killed_while_a_new_folder_takes_the_place_of_an_old_one(tmp_path, last):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_bytes(b"old")
    killed(
        f"""
        from litepose_nas import files, partial
        from pathlib import Path
        rename = Path.rename
        def dying(path, target):
            if "{last}" == "old" and path.name == ".partial-data.0":
                os.kill(os.getpid(), signal.SIGKILL)  # the old one is away, and the new one not there
            return rename(path, target)
        Path.rename = dying
        remove = partial.remove
        partial.remove = lambda path: os.kill(os.getpid(), signal.SIGKILL)  # the new one is there
        with files.new_folder("data", replace=True) as folder:
            (folder / "b").write_bytes(b"new")
        """,
        tmp_path,
    )
    assert ("data" in left(tmp_path), len(left(tmp_path))) == (last == "new", 2)
    with pytest.raises(UserError, match="there is something already"), files.new_folder(tmp_path / "data"):
        pass
    if last == "new":
        assert (left(tmp_path), left(tmp_path / "data")) == (["data"], ["b"])
        return
    assert left(tmp_path / "data") == ["a"]
    with files.new_folder(tmp_path / "data", replace=True) as folder:
        (folder / "b").write_bytes(b"new")
    assert (left(tmp_path), left(tmp_path / "data")) == (["data"], ["b"])


def test_a_living_writers_file_stays(tmp_path):
    with files.replacing(tmp_path / "a.txt") as first:
        first.write_bytes(b"first")
        files.write(tmp_path / "a.txt", "second")
        assert (tmp_path / "a.txt").read_text() == "second"
        assert first.read_bytes() == b"first"
    assert (tmp_path / "a.txt").read_text() == "first"
    assert left(tmp_path) == ["a.txt"]


def test_a_link_in_the_way_of_a_temporary_file_is_not_followed(tmp_path):
    (tmp_path / "victim").write_text("precious")
    for number in range(3):
        (tmp_path / f".partial-a.txt.{number}.txt").symlink_to(tmp_path / "victim")
    files.write(tmp_path / "a.txt", "new")
    assert (tmp_path / "victim").read_text() == "precious"
    assert (tmp_path / "a.txt").read_text() == "new"


def test_a_run_killed_while_it_is_made_keeps_its_name(tmp_path):
    for place in ("lock.take", "Run.write"):
        killed(
            f"""
            from litepose_nas.runs import lock
            from litepose_nas.runs.run import Run
            {place} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
            Run.create("finetune", "finetune", base=".")
            """,
            tmp_path,
        )
        assert left(tmp_path / "finetune") == ["finetune"]
    (tmp_path / "finetune" / "finetune" / ".partial-env.json.0.json").write_bytes(b"half")
    with Run.create("finetune", "finetune", base=tmp_path) as run:
        assert run.folder.name == "finetune"
        assert Run.create("finetune", "finetune", base=tmp_path).folder.name == "finetune-2"  # this one lives
    assert left(tmp_path / "finetune" / "finetune") == ["command.txt", "config.yaml", "env.json", "lock"]


def test_a_run_being_made_by_a_living_process_keeps_its_folder(tmp_path):
    folder = tmp_path / "finetune" / "finetune"
    folder.mkdir(parents=True)
    lock.take(folder / "lock")
    assert Run.create("finetune", "finetune", base=tmp_path).folder.name == "finetune-2"
    with pytest.raises(UserError, match=f"process {os.getpid()} on .* is writing here"):
        Run.create("finetune", out=folder)


# ── a full disk ──


class Filling(io.FileIO):
    """A file on a disk that has room for so many bytes."""

    room = 0

    def write(self, data):
        if self.tell() + len(data) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


@pytest.mark.parametrize("room", [0, 100, 1000])  # full at the first byte, or while torch writes
def test_a_full_disk_under_a_checkpoint_is_called_so(tmp_path, monkeypatch, room):
    path, opened = tmp_path / "checkpoint.pt", Path.open
    checkpoint.save(path, {"step": 1})

    def full(file, *mode, **how):
        return Filling(file, *mode) if file.name.startswith(".partial-") else opened(file, *mode, **how)

    monkeypatch.setattr(Filling, "room", room)
    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(UserError, match=r"checkpoint.pt: writing failed \(No space left on device: the disk is full\)"):
        checkpoint.save(path, {"step": 2, "store": torch.zeros(1000)})
    monkeypatch.undo()
    assert checkpoint.load(path) == {"step": 1}
    assert left(tmp_path) == ["checkpoint.pt"]
