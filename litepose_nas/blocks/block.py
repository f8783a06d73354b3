"""A block is its whole numbers. It can be compared, counted and built; it holds no weights and needs no torch.

The numbers of `X` stand in x.py. Beside it in x_torch.py, `XModule(block)` is the ordinary PyTorch module with
them. A module knows nothing of supernets, but for these hooks, each where it is needed:

- `centred`: the axes of a module's own weights that shrink around their middle (kernels), not from their end;
- `window(key, big)`: where the module's own weight lives in a larger one, if not at the head of every axis;
- `plain_weights()`: the plain weights of a module whose weights are computed;
- `graph_weights()`: weights that the nodes of its block's graph have under other names or in another shape;
- `as_plain()`: the torch module that does the same, which is what an export writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from torch import nn

    from litepose_nas.blocks.ops import Op

Shape = tuple[int, int, int]  # channels, height, width
Module: TypeAlias = "nn.Module"


class Block(Protocol):
    """What every block offers: a NamedTuple, for plans make many, and nothing else is as quick.

    Its fields are the axes its tensors have, never quotients of them: the largest block of a supernet is the
    field-by-field maximum. Where a supernet keeps more than the largest block has, or keeps it in another arrangement,
    the block has `store()`, which returns that module.

    With `emit(graph, *inputs)` (see graph.py) a block says its operations to runtimes: the files of a network of such
    blocks are written in a moment, those of others by torch's exporter.
    """

    def ops(self, h: int, w: int) -> list[Op]:
        """The operations on an input of this height and width; every cost follows from them."""

    def out(self, h: int, w: int) -> Shape: ...

    def build(self) -> Module: ...


class Part(NamedTuple):
    """A block in its place in a network."""

    name: str  # where the module is attached
    down: int  # the input picture is this many times larger than the block's input
    block: Any
    reads: tuple[str, ...] = ()  # the parts whose outputs it takes; none: the one before it, or the picture
    shared: str = ""  # where its tensors live in a supernet, if not under its name: parts of one net may share them
    frozen: bool = False  # trained before, elsewhere: nothing changes its tensors any more
    answers: bool = False  # the network returns its output, and other parts read it too

    @property
    def home(self) -> str:
        """Where its tensors live in a supernet."""
        return self.shared or self.name


def ceil_div(a: int, b: int) -> int:
    """a / b rounded up: the size after a padded convolution of stride b."""
    return -(-a // b)
