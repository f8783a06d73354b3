"""What is refused leaves no file, a disk that cannot be written ends all, and files say what they are."""

import errno
import json

import numpy as np
import pytest

from litepose_nas.exporters import table
from litepose_nas.exporters.table import Format
from litepose_nas.plan_files.onnx_file import write_onnx
from litepose_nas.runtimes import onnxruntime
from litepose_nas.steps import benchmark as step
from litepose_nas.steps import verified_export
from tests.helpers.drawn_room import write_room

pytest.importorskip("onnxruntime")


def from_plan(what, path):
    graph, state = what.graph("onnx")
    write_onnx(graph, path, what.outputs, state)


QUICK = Format(".onnx", from_plan, onnxruntime.open_session, "onnxruntime")  # torch's exporter takes seconds


class Diverging:
    """A session whose answers are no numbers."""

    keeps_time = False

    def __init__(self, session):
        self.ready = session.ready
        self.session = session

    def __call__(self, batch):
        return [output * np.nan for output in self.session(batch)]


def numbers_once(format):
    """The format, whose files answer with numbers on noise, where they are opened first, and never again."""
    opened = []

    def open_session(path, threads=None):
        opened.append(path)
        session = format.open(path, threads)
        return session if len(opened) == 1 else Diverging(session)

    return format._replace(open=open_session)


@pytest.fixture
def room(tmp_path, monkeypatch):
    write_room(tmp_path, train=4)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(step, "FORMATS", {"quick": QUICK})
    monkeypatch.setattr(step, "HALVED", {"quick": None})
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


WORDS = "benchmark net.safetensors --data people --images 2 --seconds 0 --out made"


def test_files_say_in_which_precision_they_are_and_on_which_images_they_were_judged(room, monkeypatch, said):
    monkeypatch.setattr(step, "half_format", lambda name: QUICK)
    found = json.loads(said(f"{WORDS} --json"))
    assert [row["precision"] for row in found["rows"]] == ["fp32", "fp16"]
    assert names(room / "made") == ["fp16.onnx", "fp16.onnx.json", "fp32.onnx", "fp32.onnx.json"]
    for row in found["rows"]:
        meta = json.loads((room / "made" / f"{row['precision']}.onnx.json").read_text())
        assert meta["precision"] == row["precision"]
        assert meta["images"] == {**{key: found[key] for key in meta["images"]}, "rows": [row]}
        assert meta["images"]["images"] == 2
        assert meta["checked"]["parity"] is not None
    assert "made: there is something already" in said(WORDS, 2)


def test_a_file_that_is_no_number_on_images_is_left_out_and_not_kept(room, monkeypatch, said):
    monkeypatch.setattr(step, "half_format", lambda name: numbers_once(QUICK))
    words = said(WORDS)
    assert "left out: onnxruntime fp16: fp16.onnx: not written, for it answers with NaN or infinity on images" in words
    assert names(room / "made") == ["fp32.onnx", "fp32.onnx.json"]


def test_a_disk_that_cannot_be_written_ends_the_command(room, monkeypatch, said):
    def full(what, path):
        path.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(step, "half_format", lambda name: QUICK._replace(write=full))
    before = names(room)
    assert "fp16.onnx: cannot be written (No space left on device: the disk is full)" in said(WORDS, 2)
    assert names(room) == before


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_an_export_that_is_no_number_on_images_leaves_all_as_it_was(precision, room, monkeypatch, said):
    broken = numbers_once(QUICK._replace(describes_itself=False))
    monkeypatch.setitem(table.FORMATS, "onnx", broken if precision == "fp32" else QUICK)
    monkeypatch.setattr(verified_export, "half_format", lambda name: broken)
    (room / "net.onnx").write_text("mine")
    before = names(room)
    half = " --half" if precision == "fp16" else ""
    why = said(f"export net.safetensors --data people --images 2 --out net.onnx{half}", 2)
    assert f"net.onnx: not written, for it answers with NaN or infinity on images, in onnxruntime, {precision}" in why
    assert names(room) == before
    assert (room / "net.onnx").read_text() == "mine"
