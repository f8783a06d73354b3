"""Files, YAML and names of strangers: what hangs, fills memory or commands a screen is refused or written out."""

import io
import itertools
import os
import socket
import zipfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from litepose_nas import UserError, files
from litepose_nas.errors import LONGEST, nearest
from litepose_nas.untrusted import opening, yaml_text
from litepose_nas.untrusted.archives import check_stored
from litepose_nas.untrusted.display import clean, clean_lines, in_html, short, some
from tests.helpers.bombs import yaml_bomb
from tests.helpers.limits import within
from tests.helpers.odd_json import TREES

NO_FILES = {"pipe": "a pipe", "socket": "a socket", "device": "a device", "folder": "directory"}


@pytest.fixture
def odd(tmp_path, monkeypatch) -> dict[str, Path]:
    """One of each that is no file."""
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
    os.mkdir("folder")
    return {**{name: tmp_path / name for name in ("pipe", "socket", "folder")}, "device": Path("/dev/zero")}


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_not_opened(odd, kind, tmp_path):
    (tmp_path / "link").symlink_to(odd[kind])
    for path in (odd[kind], tmp_path / "link"):
        with within(30), pytest.raises(OSError, match=NO_FILES[kind]) as told:
            opening.read_bytes(path)
        assert told.value.filename == str(path)
    with within(30), pytest.raises(OSError, match=NO_FILES[kind]):
        opening.open_in_place(odd[kind], os.O_RDWR)


def test_files_are_read_up_to_a_size_and_through_links(tmp_path):
    (tmp_path / "file").write_bytes(bytes(100))
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert opening.read_bytes(tmp_path / "link", 100) == bytes(100)
    with pytest.raises(OSError, match="larger than 99 bytes"):
        opening.read_bytes(tmp_path / "link", 99)
    with pytest.raises(FileNotFoundError):
        opening.read_bytes(tmp_path / "nothing")


@pytest.mark.parametrize("make", [os.symlink, os.link], ids=["link", "hard link"])
def test_nothing_is_written_through_a_link(tmp_path, make):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    make(victim, tmp_path / "log")
    for write in (lambda: files.append(tmp_path / "log", b"more"), lambda: files.cut(tmp_path / "log", 0)):
        with pytest.raises(UserError, match=r"log: cannot be written \(.*link"):
            write()
    assert victim.read_text() == "precious"


def test_a_dangling_link_makes_no_file(tmp_path):
    (tmp_path / "log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="a link, not a file"):
        files.append(tmp_path / "log", b"more")
    assert not (tmp_path / "elsewhere").exists()


# ── YAML ──


MERGED = "a: &a {k: v}\n" + "\n".join(
    f"{key}: &{key} {{<<: [{', '.join(['*' + before] * 9)}]}}" for before, key in itertools.pairwise("abcdefghi")
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (yaml_bomb(10), "aliases written out"),
        (yaml_bomb(40, 2), "aliases written out"),
        (MERGED, "aliases written out"),
        (f"a: &a {'x' * 9000}\nb: [{', '.join(['*a'] * 200)}]", "aliases written out"),
        ("a: &a [*a]", "line 1: an alias contains itself"),
        ("a: &a {b: {c: *a}}", "an alias contains itself"),
        ("a0: &a0 [x]\n" + "\n".join(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 200)), "nested too deep"),
        ("[" * 5000, "nested too deep"),
        (f"a: {'9' * 5000}", "a number of 5000 letters"),
        (f"a: 0x{'f' * 9999}", "a number of 10001 letters"),
        (f"a: {'1:' * 9999}1", "a number of"),
        (f"a: {'1:' * 9999}1.5", "a number of"),
        ("a: !!int ''", "not what it is called"),
        ("a: !!bool x", "not what it is called"),
        ("a: !!timestamp x", "not what it is called"),
        ("a: !!python/name:os.system", "could not determine a constructor"),
    ],
)  # fmt: skip
def test_yaml_that_is_larger_than_its_text(text, words):
    with within(30), pytest.raises((yaml.YAMLError, ValueError), match=words):
        yaml_text.load(text)


@given(TREES)
def test_other_yaml_is_read_as_ever(tree):
    text = yaml.safe_dump(tree)
    assert yaml_text.load(text) == yaml.safe_load(text)


def test_aliases_that_people_write():
    text = "a: &a {k: 1, l: [1, 2]}\nb: *a\nc: {<<: *a, k: 2}\n"
    assert yaml_text.load(text) == yaml.safe_load(text)
    assert yaml_text.load("") is None


# ── what is shown ──


@given(TREES, st.integers(1, 90))
def test_short_is_the_beginning_of_the_repr(tree, most):
    if "'" not in repr(tree) or '"' not in repr(tree):  # which quotes are taken depends on the whole
        assert short(tree, most) == repr(tree)[:most]


def test_short_shows_tuples_as_they_are_written():
    assert [short(value) for value in ((), (1,), (1, 2), ("a",))] == ["()", "(1,)", "(1, 2)", "('a',)"]


def test_short_makes_no_more_than_it_shows():
    value = ["x"]
    for _ in range(60):
        value = [value] * 10
    with within(20):
        assert short(value) == "[" * 60
        assert short({"a": value, "b": 1}, 20) == "{'a': " + "[" * 14
    loop: list = []
    loop.append(loop)
    assert short(loop, 9) == "[" * 9


@given(st.text(st.characters(), max_size=50))
def test_what_is_shown_holds_no_codes(text):
    assert clean(text).isprintable()
    assert clean(clean(text)) == clean(text)
    assert "\x1b" not in clean_lines(text)
    clean(text).encode()


def test_names_are_written_out():
    assert clean("a\x1b[31m\x9b1m\n\udcff\u202e") == "a\\x1b[31m\\x9b1m\\n\\udcff\\u202e"
    assert clean_lines("a\nb\x07") == "a\nb\\x07"
    assert in_html("<b>\x1b") == "&lt;b&gt;\\x1b"
    assert some(range(5), 3) == "0, 1, 2 and 2 more"
    assert len(some(["x" * 1000] * 1000)) < 600


def test_messages_fit_a_screen():
    text = str(UserError(f"file.yaml: {'x, ' * 5000}; mend it"))
    assert len(text) <= LONGEST
    assert text.startswith("file.yaml: x")
    assert text.endswith("; mend it")
    assert str(UserError("x" * LONGEST)) == "x" * LONGEST
    assert nearest("z", [f"name{n}" for n in range(100)]).endswith("name29 and 70 more")


def test_compressed_parts_of_what_is_never_compressed():
    for method, size in ((zipfile.ZIP_STORED, 10), (zipfile.ZIP_DEFLATED, 100_000)):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as made:
            made.writestr("data/0", bytes(size))
        with zipfile.ZipFile(file) as parts:
            if method == zipfile.ZIP_STORED:
                check_stored(parts)
            else:
                with pytest.raises(ValueError, match="'data/0' in it is compressed, and would take 100,000 bytes"):
                    check_stored(parts)
