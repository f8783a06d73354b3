"""Names of tensors that differ from ours in a regular way: pairs of templates, a capital in them for a number."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

Pairs = Iterable[tuple[str, str]]  # (theirs, ours), without the last word of a name, which is the same in both


def translate(name: str, pairs: Pairs, less: Mapping[str, int] = MappingProxyType({})) -> str | None:
    """Return our name for another program's; the number of a letter in `less` is so much smaller with us."""
    for theirs, ours in pairs:
        if found := _pattern(theirs).fullmatch(name):
            for letter, digits in found.groupdict().items():
                ours = ours.replace(letter, str(int(digits) - less.get(letter, 0)))
            return f"{ours}.{found.groups()[-1]}"
    return None


@functools.cache
def _pattern(template: str) -> re.Pattern[str]:
    letters = re.sub("[A-Z]", lambda letter: rf"(?P<{letter[0]}>\d+)", re.escape(template))
    return re.compile(rf"{letters}\.([a-z_]+)")


def count(names: Iterable[str], prefix: str) -> int:
    """Return how many numbered things there are behind a prefix: one more than the largest number."""
    numbers = [name.removeprefix(prefix).split(".")[0] for name in names if name.startswith(prefix)]
    return 1 + max((int(number) for number in numbers if number.isdigit()), default=-1)
