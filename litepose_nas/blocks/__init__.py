"""Blocks: a block is its whole numbers. It can be compared, counted and built; it holds no weights, needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import nn

    from litepose_nas.blocks.ops import Op


class Block(Protocol):
    """What every block offers. Its fields are the axes its tensors have, never quotients of them: the largest block of
    a supernet is the field-by-field maximum.
    """

    def ops(self, h: int, w: int) -> list[Op]:
        """Return the operations on an input of this height and width; every cost follows from them."""

    def out(self, h: int, w: int) -> tuple[int, int, int]:
        """Return channels, height and width of the output."""

    def build(self) -> nn.Module:
        """Return the ordinary module with these numbers."""


class Part(NamedTuple):
    """A block in its place in a network."""

    name: str  # where the module is attached
    down: int  # the input picture is this many times larger than the block's input
    block: Any
    reads: tuple[str, ...] = ()  # the parts whose outputs it takes; none: the one before it, or the picture
    shared: str = ""  # where its tensors live in a supernet, if not under its name: parts of one net may share them
    frozen: bool = False  # trained before, elsewhere: nothing changes its tensors any more

    @property
    def home(self) -> str:
        """Where its tensors live in a supernet."""
        return self.shared or self.name


def ceil_div(a: int, b: int) -> int:
    """Return a / b rounded up: the size after a padded convolution of stride b."""
    return -(-a // b)
