"""Broken inputs one after another into one target, each given by target, seed and number alone."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.helpers.fuzz.breaking import broken
from tests.helpers.fuzz.oracle import Failure, judge
from tests.helpers.fuzz.target import Target


class Count(NamedTuple):
    inputs: int = 0
    accepted: int = 0
    refused: int = 0

    def plus(self, other: Count) -> Count:
        return Count(*(mine + its for mine, its in zip(self, other, strict=True)))


Found = Callable[[int, bytes, Failure], None]  # the number of the input, the input, how it broke


def prepare(target: Target, folder: Path) -> list[bytes]:
    """Fill a folder with what stands around a target's file; return good contents of it."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds = list(target.make(folder))
    (folder / target.file).parent.mkdir(parents=True, exist_ok=True)
    return seeds


def input_of(target: Target, seeds: list[bytes], seed: int, number: int) -> bytes:
    return broken(random.Random(f"{target.name} {seed} {number}"), target.form, seeds)


def feed(
    target: Target, folder: Path, seeds: list[bytes], seed: int, first: int, most: int, until: float, found: Found
):
    """Feed the inputs from number `first` on, at most so many and until this time by the clock."""
    count = Count()
    for number in range(first, first + most):
        if time.monotonic() > until:
            break
        content = input_of(target, seeds, seed, number)
        outcome = judge(target, folder, content)
        count = count.plus(Count(1, outcome is True, outcome is False))
        if isinstance(outcome, Failure):
            found(number, content, outcome)
    return count
