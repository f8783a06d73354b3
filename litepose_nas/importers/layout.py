"""What an importer says of a foreign layout of weights: whose names they are, and where each tensor belongs here.

Names differ from ours in a regular way: pairs of templates, a capital in them for a number.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import Tensor

from litepose_nas.errors import UserError
from litepose_nas.importers.report import Shape

Pairs = Iterable[tuple[str, str]]  # (theirs, ours), without the last word of a name, which is the same in both
NOTHING: Mapping[str, int] = MappingProxyType({})
LETTERS = "[DHIJKMS]"  # that stand for numbers


class Layout(NamedTuple):
    """One way in which another program writes the weights of one of our families."""

    name: str  # as a person would say it: "timm's MobileViT"
    family: str  # its name in a space's YAML
    recognises: Callable[[Collection[str]], bool]  # from the names of a file's tensors alone
    names: Pairs  # the file's and ours; what is in none of them has no place here, such as a classifier
    genes: Callable[[Mapping[str, Tensor]], dict[str, Any]]  # tensors under our names -> what their shapes tell
    convert: Callable[[str, Tensor], Tensor] = lambda name, tensor: tensor  # under our name: to our arrangement
    less: Mapping[str, int] = NOTHING  # of `names`, see translate
    pixels: str = "imagenet"  # the convention its pictures were prepared by, a name in data/pixels.py
    # Under the file's names: where one of its tensors is several of ours, or how it lies depends on others.
    unpack: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]] = lambda tensors: tensors


class Renamed(NamedTuple):
    tensors: dict[str, Tensor]  # under our names
    theirs: dict[str, str]  # our name -> the file's
    idle: dict[str, Shape]  # the file's names that have no place here


def rename(state: Mapping[str, Tensor], to_ours: Callable[[str], str | None], where: str) -> Renamed:
    found = Renamed({}, {}, {})
    for name, tensor in state.items():
        ours = to_ours(name)
        if ours is None:
            found.idle[name] = tuple(tensor.shape)
        elif ours in found.tensors:
            raise UserError(f"{where}: {found.theirs[ours]} and {name} are the same tensor; which one is meant?")
        else:
            found.tensors[ours], found.theirs[ours] = tensor, name
    return found


def translate(name: str, pairs: Pairs, less: Mapping[str, int] = NOTHING) -> str | None:
    """Return our name for another program's; the number of a letter in `less` is so much smaller with us.

    Attention has parameters here where others have modules.
    """
    for theirs, ours in pairs:
        if found := _pattern(theirs).fullmatch(name):
            for letter, digits in found.groupdict().items():
                ours = ours.replace(letter, str(int(digits) - less.get(letter, 0)))
            ours = f"{ours}.{found.groups()[-1]}"
            return re.sub(r"\b(qkv|attention\.out)\.(weight|(bias))$", lambda at: at[1] + "_bias" * bool(at[3]), ours)
    return None


@functools.cache
def _pattern(template: str) -> re.Pattern[str]:
    seen: set[str] = set()

    def number(letter: re.Match[str]) -> str:
        again = letter[0] in seen  # the same number once more
        seen.add(letter[0])
        return rf"(?P={letter[0]})" if again else rf"(?P<{letter[0]}>[0-9]+)"

    return re.compile(rf"{re.sub(LETTERS, number, re.escape(template))}\.([a-z_]+)")


def count(names: Iterable[str], prefix: str) -> int:
    """Return how many numbered things there are behind a prefix: one more than the largest number."""
    numbers = [name.removeprefix(prefix).split(".")[0] for name in names if name.startswith(prefix)]
    return 1 + max((int(number) for number in numbers if number.isdigit()), default=-1)
