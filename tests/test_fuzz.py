"""Broken files in every parser: what once broke one, and some new ones; scripts/fuzz goes further."""

from __future__ import annotations

import math

import pytest

from litepose_nas.errors import UserError
from tests.helpers.fuzz import corpus
from tests.helpers.fuzz.breaking import BREAKERS
from tests.helpers.fuzz.loop import feed, prepare
from tests.helpers.fuzz.oracle import Failure, judge
from tests.helpers.fuzz.table import TARGETS
from tests.helpers.fuzz.target import Target

# Always the same inputs, so that they pass or fail alike on every machine; all take half a minute of a processor.
SEED, INPUTS, FEW = 18, 40, 8  # of each target, and of one that takes long
SEEDS = 3  # good contents that are read as they are


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder to stand in, so that what a command writes stays there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", TARGETS)
def test_every_parser(name, elsewhere):
    target, failures = TARGETS[name], []
    seeds = prepare(target, elsewhere / name)
    for good in seeds[:SEEDS]:
        outcome = judge(target, elsewhere / name, good)
        assert outcome is True or (target.form == "words" and outcome is False), outcome  # words are not good for all
    for path in corpus.saved(name):
        outcome = judge(target, elsewhere / name, path.read_bytes())
        failures += [(path.name, outcome)] if isinstance(outcome, Failure) else []
    most = INPUTS if target.turns == 1 else FEW
    feed(target, elsewhere / name, seeds, SEED, 0, most, math.inf, lambda *one: failures.append(one))
    assert not failures, failures[0]


def test_the_corpus_is_of_targets_and_small():
    folders = sorted(folder.name for folder in corpus.CORPUS.iterdir() if folder.is_dir())
    assert set(folders) <= set(TARGETS)
    assert all(path.stat().st_size < 200_000 for name in folders for path in corpus.saved(name))


def test_the_oracle_sees_what_it_is_for(tmp_path):
    def reads(content: bytes):
        if content == b"long":
            raise UserError("x" * 5_000)
        if content == b"escape":
            raise UserError("\x1b[31mred")
        if content == b"crash":
            raise KeyError(content)
        if content == b"fine":
            return
        raise UserError("mend it")

    target = Target("toy", "toy.txt", "bytes", lambda folder: [b"fine"], lambda path: reads(path.read_bytes()))
    found = [judge(target, tmp_path, content) for content in (b"fine", b"no", b"long", b"escape", b"crash")]
    assert found[:4] == [
        True,
        False,
        False,
        False,
    ]  # a message is cut where it is made, and cleaned where it is printed
    assert found[4].what == "KeyError in the fuzzer itself"


def test_shrinking_keeps_what_fails():
    content = b"a" * 500 + b"!" + b"b" * 300
    small = corpus.shrunk(content, lambda one: b"!" in one)
    assert b"!" in small
    assert len(small) < 20


def test_every_form_of_breaking_has_a_target():
    assert {target.form for target in TARGETS.values()} == set(BREAKERS)
