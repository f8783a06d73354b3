"""Journals: nothing written is lost, half a line is no line, and a journal of something else stays as it is."""

import errno
import json
import math
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litepose_nas import UserError
from litepose_nas.runs import journal as journal_file
from litepose_nas.runs.journal import Journal, plain, read
from tests.helpers.unsummed import without_sums

HEADER = {"kind": "search", "space": "toy", "tree": {"depth": [1, 2]}, "seed": 3}
RECORDS = [{"n": n, "arch": {"depth": n}, "score": n / 7} for n in range(6)]


@pytest.fixture
def path(tmp_path):
    journal = Journal(tmp_path / "deep" / "journal.jsonl", HEADER, {"by": "test"})
    for record in RECORDS:
        assert journal.append(record) == record
    return journal.path


def test_what_was_appended_is_there_again(path):
    before = path.read_bytes()
    assert Journal(path, HEADER).records == RECORDS == read(path).records
    assert path.read_bytes() == before
    assert read(path).header == {"journal": 1, **HEADER, "notes": {"by": "test"}}


def test_cut_anywhere_it_reopens_with_the_whole_lines_and_goes_on(path):
    whole = path.read_bytes()
    for cut in sorted({*range(0, len(whole), 7), *(i + d for i in _ends(whole) for d in (-1, 0, 1))}):
        path.write_bytes(whole[:cut])
        journal = Journal(path, HEADER, {"by": "test"})
        done = len(journal.records)
        assert whole.startswith(path.read_bytes())
        assert abs(whole[:cut].count(b"\n") - 1 - done) <= 1  # a record whose newline alone is missing is whole
        for record in RECORDS[done:]:
            journal.append(record)
        assert path.read_bytes() == whole


def _ends(data):
    return [i for i, byte in enumerate(data[:-1]) if byte == ord("\n")]


def test_any_flipped_bit_is_refused_or_changes_nothing(path, monkeypatch):
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            flipped = whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :]
            monkeypatch.setattr(journal_file, "read_bytes", lambda *_, data=flipped: data)
            try:
                found = read(path)
            except UserError as error:
                assert str(path) in str(error)  # noqa: PT017
            else:
                assert (found.header, found.records) == ({"journal": 1, **HEADER, "notes": {"by": "test"}}, RECORDS)


@pytest.mark.parametrize("line", [2, 6])
def test_a_changed_number_or_a_lost_sum_is_told_with_its_line_and_the_way_out(path, line):
    lines = path.read_bytes().splitlines(keepends=True)
    for harm in (lines[line].replace(b'"n": ', b'"n": 1'), b'{"n": 9}\n', b'{"n": 9, "sun": "12345678"}\n'):
        path.write_bytes(b"".join([*lines[:line], harm, *lines[line + 1 :]]))
        with pytest.raises(UserError, match=f"line {line + 1} is damaged; .* delete this line and those after it"):
            Journal(path, HEADER)
    path.write_bytes(b"".join(lines[:line]))
    assert len(Journal(path, HEADER).records) == line - 1


def test_spaces_and_the_order_of_keys_are_no_damage(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line, sort_keys=True, separators=(",", ":")) + "\n" for line in lines))
    assert Journal(path, HEADER).records == RECORDS


def test_a_journal_of_the_past_has_no_sums_and_goes_on_without(path):
    without_sums(path)
    old = path.read_bytes()
    assert b"sum" not in old
    journal = Journal(path, HEADER)
    assert journal.records == RECORDS
    journal.append({"n": 6})
    assert path.read_bytes() == old + b'{"n": 6}\n'
    path.write_bytes(old + b'{"n": ')
    assert Journal(path, HEADER).records == RECORDS
    assert path.read_bytes() == old


def test_reading_leaves_the_file_alone(path):
    path.write_bytes(path.read_bytes()[:-5])
    before = path.read_bytes()
    assert read(path).records == RECORDS[:-1]
    assert path.read_bytes() == before


@pytest.mark.parametrize("harm", [b"garbage\n", b"\n", b"[1]\n", b'{"n": 1\n', b"\xff\xfe\n", b"\0\0\0\n"])
@pytest.mark.parametrize("line", [1, 3])
def test_damage_that_no_kill_explains_is_refused_by_line(path, harm, line):
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line] = harm
    path.write_bytes(b"".join(lines))
    with pytest.raises(UserError, match=f"line {line + 1} is damaged"):
        Journal(path, HEADER)
    assert path.read_bytes() == b"".join(lines)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 4}, "another seed: 3, not 4"),
        ({"space": "other"}, "another space: 'toy', not 'other'"),
        ({"tree": {"depth": list(range(50))}}, "another tree; continue"),
        ({"kind": "training"}, "another kind"),
        ({"joints": 14}, "another joints: None, not 14"),
    ],
)
def test_a_journal_of_something_else_is_refused_and_kept(path, change, told):
    before = path.read_bytes()
    with pytest.raises(UserError, match=told):
        Journal(path, {**HEADER, **change})
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"my diary", b"my diary\n", b'{"some": "json"}\n', b'{"some": "json"}', b'{"jour'])
def test_a_file_that_is_no_journal_is_refused_and_kept(tmp_path, content):
    (tmp_path / "diary").write_bytes(content)
    if content == b'{"jour':  # as far as a first line got before a kill: ours to begin again
        assert Journal(tmp_path / "diary", HEADER).records == []
        return
    with pytest.raises(UserError, match=r"not a journal|line 1 is damaged"):
        Journal(tmp_path / "diary", HEADER)
    assert (tmp_path / "diary").read_bytes() == content


def test_a_newer_version_is_refused(path):
    path.write_bytes(path.read_bytes().replace(b'{"journal": 1', b'{"journal": 9', 1))
    with pytest.raises(UserError, match="version 9"):
        Journal(path, HEADER)


def test_a_full_disk_leaves_what_was_there(path, monkeypatch):
    journal, before, write = Journal(path, HEADER), path.read_bytes(), os.write

    def full(handle, data):
        if len(data) > 5:
            return write(handle, data[:5])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(UserError, match="No space left"):
        journal.append({"n": 99, "text": "12345678901"})
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert journal.records == RECORDS
    journal.append({"n": 6})
    assert read(path).records == [*RECORDS, {"n": 6}]


def test_numbers_come_back_as_they_went():
    values = {"f": np.float32(0.1), "i": np.int64(3), "b": np.bool_(True), "t": (1, 2), "nan": math.nan, "inf": -np.inf}
    kept = plain(values)
    assert kept == {"f": float(np.float32(0.1)), "i": 3, "b": True, "t": [1, 2], "nan": "nan", "inf": "-inf"}
    assert kept["b"] is True
    assert math.isnan(float(kept["nan"]))
    with pytest.raises(TypeError, match="expected text, numbers"):
        plain({"x": object()})


SIMPLE = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text()


@settings(max_examples=60)
@given(st.lists(st.dictionaries(st.text().filter(lambda key: key != "sum"), SIMPLE | st.lists(SIMPLE)), max_size=4))
def test_any_records_survive(tmp_path, records):
    (tmp_path / "any").unlink(missing_ok=True)
    journal = Journal(tmp_path / "any", HEADER)
    told = [journal.append(record) for record in records]
    assert told == plain(records) == Journal(tmp_path / "any", HEADER).records
    for line in (tmp_path / "any").read_text(encoding="ascii").splitlines():
        json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
