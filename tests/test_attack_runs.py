"""A run folder from a stranger: its links, pipes, devices, bombs and names are refused, or harm nothing outside it."""

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
import torch

from litepose_nas import UserError
from litepose_nas.latency.standalone.conditions import describe_device
from litepose_nas.report.record import load_search
from litepose_nas.runs import journal, metrics
from litepose_nas.runs.metrics import Metrics
from litepose_nas.runs.run import Run, digest
from litepose_nas.search.journal import family_name
from litepose_nas.train import checkpoint
from tests.helpers.bombs import yaml_bomb
from tests.helpers.limits import within

RUN = "runs/theirs"
VERBS = (
    f"train-supernet --resume --out {RUN}",
    f"search {RUN} --budget 16MMAC",
    f"search --resume --out {RUN}",
    f"audit {RUN}",
    f"audit --resume --out {RUN}",
    f"report {RUN}",
    f"finetune --resume --out {RUN}",
    f"finetune {RUN} --candidates 2",
    f"demo --resume --out {RUN}",
    f"latency kit --front {RUN}",
)


@pytest.fixture
def theirs(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "private").mkdir()
    Run.create("search", settings={"seed": 0}, out=RUN).close()
    (Path(RUN) / "journal.jsonl").write_text("{}\n")
    return Path(RUN)


def link(path: Path) -> str:
    path.symlink_to(Path("victim").absolute())
    return "a link"


def link_to_a_folder(path: Path) -> str:
    path.symlink_to(Path("private").absolute())
    return "a link"


def link_to_nothing(path: Path) -> str:
    path.symlink_to(Path("private/new").absolute())
    return "a link"


def device(path: Path) -> str:
    path.symlink_to("/dev/zero")
    return "a link"


def pipe(path: Path) -> str:
    os.mkfifo(path)
    return "a pipe"


NAMES = ("lock", "command.txt", "env.json", "config.yaml", "journal.jsonl", "metrics.jsonl", "log.txt", "checkpoint.pt",
         "weights", "weights/last.safetensors", "report", "best/odd\n\x1b[31m")  # fmt: skip


def spoil(run: Path, name: str, make) -> str:
    path = run / name
    (path.parent).mkdir(exist_ok=True, parents=True)
    path.unlink(missing_ok=True)
    return make(path)


@pytest.mark.parametrize("words", VERBS, ids=lambda words: "-".join(words.split()[:2]))
@pytest.mark.parametrize("make", [link, pipe])
def test_no_verb_goes_through_what_is_no_file(theirs, command, words, make):
    for name in ("lock", "command.txt", "weights/last.safetensors"):
        what = spoil(theirs, name, make)
        with within(60):
            code, _, errors = command(words)
        assert code == 2, errors
        assert f"{theirs / name}: {what}, which a run may not hold" in errors
        assert "put a copy in its place, or remove it" in errors
        assert Path("victim").read_text() == "precious"
        (theirs / name).unlink()


@pytest.mark.parametrize("make", [link, link_to_a_folder, link_to_nothing, device, pipe])
@pytest.mark.parametrize("name", NAMES)
def test_what_leads_out_of_a_run_is_refused(theirs, name, make):
    what = spoil(theirs, name, make)
    for look in (lambda: Run.open(theirs), lambda: Run.resume(theirs), lambda: load_search(theirs)):
        with within(30), pytest.raises(UserError, match=f"{what}, which a run may not hold"):
            look()
    assert Path("victim").read_text() == "precious"
    assert list(Path("private").iterdir()) == []


def test_a_place_that_looks_empty_is_no_way_out_either(tmp_path, monkeypatch, command):
    """A folder with what a killed process leaves is begun in; a lock that is a link is not written through."""
    monkeypatch.chdir(tmp_path)
    Path("victim").write_text("precious")
    Path("out").mkdir()
    Path("out/lock").symlink_to(tmp_path / "victim")
    with pytest.raises(UserError, match=r"lock: cannot be written \(a link, not a file\)"):
        Run.create("search", out="out")
    assert Path("victim").read_text() == "precious"


def test_the_newest_run_may_be_a_strangers(theirs, command):
    made = Path("runs/search/new")
    shutil.copytree(theirs, made)
    (made / "env.json").unlink()
    os.mkfifo(made / "env.json")
    with within(40):
        code, _, errors = command("search --resume")
    assert code == 2
    assert "no run under runs/search" in errors
    (made / "env.json").unlink()
    (made / "env.json").symlink_to(theirs.absolute() / "env.json")
    with within(40):
        assert "a link, which a run may not hold" in command("search --resume")[2]


# ── bombs ──


def test_aliases_in_a_config(theirs, command):
    (theirs / "config.yaml").write_text(yaml_bomb(10) + "\nx: *a9\n")
    for words in VERBS:
        if "report" not in words and "front" not in words:  # they ask the journal alone
            with within(40):
                code, _, errors = command(words)
            assert code == 2, errors
            assert "aliases written out" in errors


@pytest.mark.parametrize("name", ["env.json", "config.yaml"])
def test_files_of_any_size(theirs, name):
    with (theirs / name).open("ab") as file:
        file.truncate(1 << 40)  # of a sparse file hardly anything is on the disk
    with within(60), pytest.raises(UserError, match=f"{name}: larger than 1 MB"):
        Run.open(theirs)


@pytest.mark.parametrize("name", ["journal.jsonl", "metrics.jsonl"])
def test_lines_of_any_size(theirs, name, monkeypatch):
    monkeypatch.setattr(journal, "MAX_JOURNAL", 1000)
    monkeypatch.setattr(metrics, "MAX_JOURNAL", 1000)
    (theirs / name).write_bytes(bytes(2000))
    for look in {"journal.jsonl": (lambda: journal.read(theirs / name), lambda: load_search(theirs))}.get(
        name, (lambda: metrics.read(theirs / name), lambda: Metrics(theirs))
    ):
        with pytest.raises(UserError, match=f"{name}: cannot be read .larger than 1000 bytes"):
            look()


class Code:
    def __reduce__(self):
        return os.system, ("touch owned",)


def test_a_checkpoint_that_would_run_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("checkpoint.pt")
    torch.save({"step": 1, "odd": Code()}, path)
    with pytest.raises(UserError, match=r"not a checkpoint of this training \(more than numbers in it") as told:
        checkpoint.load(path)
    assert "PyTorch" not in str(told.value)
    assert "torch" not in str(told.value)
    path.write_bytes(pickle.dumps(Code()))
    with pytest.raises(UserError, match="not a checkpoint of this training"):
        checkpoint.load(path)
    assert not Path("owned").exists()


def test_a_checkpoint_that_unpacks_to_more(tmp_path):
    path, packed = tmp_path / "checkpoint.pt", tmp_path / "packed.pt"
    torch.save({"step": 1, "store": torch.zeros(100_000)}, path)
    assert checkpoint.load(path)["step"] == 1
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as small:
        for one in whole.infolist():
            small.writestr(one.filename, whole.read(one))
    with pytest.raises(UserError, match="in it is compressed, and would take"):
        checkpoint.load(packed)


# ── names ──


@pytest.mark.parametrize("name", ["../../out", "/tmp/out", "..", ".", "", "a/b", "a\\b", ".hidden", "a\nb"])
def test_a_family_cannot_be_called_like_a_place(theirs, command, name):
    assert family_name(family_name(name)) == family_name(name) not in (".", "..", "")
    notes = {"budget": ["1GMAC"], "convention": "exact", "families": {name: {}}, "judged": {}}
    family = {"name": name, "space": "x", "tree": {}}
    header = {"journal": 1, "kind": "search", "families": [family, family], "notes": notes}
    (theirs / "journal.jsonl").write_text(json.dumps({**header, "people": "1", "detector_macs": 0}) + "\n")
    code, _, errors = command(f"report {theirs}")
    assert code == 2
    assert "cannot be the name of a folder" in errors


def test_a_measurement_starts_no_program_that_its_journal_names(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    program = Path("python")
    program.write_text("#!/bin/sh\ntouch owned\n")
    program.chmod(0o755)
    header = {"measurement": 1, "device": describe_device(), "runtime": "onnxruntime", "python": "./python"}
    journal.Journal("samples.json.journal", header)
    code, _, errors = command("latency measure --resume")
    assert code == 2
    assert "samples.json.journal: begun with --python './python'; name it again beside --resume" in errors
    assert "begun with --python" in command("latency measure --resume --python ./other")[2]
    assert not Path("owned").exists()


def test_a_run_is_still_a_run(theirs):
    """Folders, files, and what another process removes while they are listed."""
    (theirs / "weights").mkdir()
    (theirs / "weights/last").touch()
    with Run.resume(theirs) as run:
        run.log("a\x1b[31m")
        Metrics(theirs).append({"step": 1})
    assert "\x1b" not in (theirs / "log.txt").read_text()
    assert run.env["config"] == digest({"seed": 0})
    outside = Path("outside")
    outside.symlink_to(theirs.absolute())
    assert Run.open(outside).settings == {"seed": 0}  # the run itself may be named by a link


# ── settings ──

ODD = ({"seed": 0}, {"seed": "x"}, {"recipe": None}, {"budget": 3}, {"size": [1]}, {"scale": {"train": "x"}},
       {"people": "1/0", "budget": ["16MMAC"], "supernets": ["x"]})  # fmt: skip


@pytest.mark.parametrize("settings", ODD, ids=lambda settings: "-".join(map(str, settings)))
def test_settings_of_another_version_or_a_stranger_are_named(theirs, command, settings):
    """Their sum is right, so the file is as it was written."""
    for words in VERBS:
        if "--resume" in words:
            shutil.rmtree(theirs)
            Run.create(words.split()[0], settings=settings, out=theirs).close()
            code, _, errors = command(words)
            assert code == 2, (words, errors)
            assert f"{RUN}/config.yaml: " in errors, errors
