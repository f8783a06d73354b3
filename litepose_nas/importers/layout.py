"""What an importer says of a foreign layout of weights: whose names they are, and where each tensor belongs here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from litepose_nas.importers.templates import NOTHING, Pairs


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
