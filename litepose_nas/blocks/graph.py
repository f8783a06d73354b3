"""The operations of a network as a runtime sees them, written down block by block.

A block says in `emit(graph, *inputs)` what its module computes: which operations, in which order, and where in the
module their weights stand. From that, files for any runtime are written without torch (plan_files/). A convolution
takes its normalisation with it, as every runtime folds it.
"""

from __future__ import annotations

from typing import NamedTuple

from litepose_nas.blocks.block import ceil_div

RELU, RELU6, HSWISH, SILU = "relu", "relu6", "hswish", "silu"
GATE = "gate"  # half of the input plus a half, from 0 to 1


class Feature(NamedTuple):
    """A tensor of one picture: channels, height and width; or a vector of channels; or sequences of tokens."""

    number: int  # of the node that makes it; -1: the picture
    shape: tuple[int, ...]  # of tokens: sequences, tokens, channels
    tokens: bool = False


class Node(NamedTuple):
    """One operation, with the normalisation folded into it and the activation behind it."""

    kind: str
    inputs: tuple[Feature, ...]
    shape: tuple[int, ...]
    path: str = ""  # of the module with its weights, from the network's root
    norm: str = ""  # of the batch normalisation to be folded into them
    bias: bool = False  # weights of its own beside a normalisation's
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    act: str = ""
    scale: float = 1.0  # of the products of queries and keys


class Graph:
    """The nodes of a network in the order in which they run."""

    def __init__(self, height: int, width: int):
        self.picture = Feature(-1, (3, height, width))
        self.nodes: list[Node] = []
        self.outputs: list[Feature] = []
        self.at = ""  # the part whose block is being written down
        self.size = height, width  # of the picture that this part works on

    def conv_bn(
        self, x: Feature, path: str, cout: int, kernel: int = 1, stride: int = 1, groups: int = 1, act: str = ""
    ) -> Feature:
        """A padded convolution with batch normalisation, the modules `conv` and `bn` of a path."""
        return self.conv(x, f"{path}.conv", cout, kernel, stride, groups, act, f"{path}.bn")

    def conv(
        self,
        x: Feature,
        path: str,
        cout: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        act: str = "",
        norm: str = "",
        bias: bool = False,
    ) -> Feature:
        """A padded convolution; `norm` is the path of the batch normalisation behind it."""
        _, h, w = x.shape
        shape = cout, ceil_div(h, stride), ceil_div(w, stride)
        norm = norm and self._join(norm)
        return self._add(Node("conv", (x,), shape, self._join(path), norm, bias, kernel, stride, groups, act))

    def deconv(
        self, x: Feature, path: str, cout: int, kernel: int, groups: int = 1, norm: str = "", act: str = ""
    ) -> Feature:
        """A deconv of stride 2 with an even kernel."""
        _, h, w = x.shape
        norm = norm and self._join(norm)
        shape = cout, 2 * h, 2 * w
        return self._add(Node("deconv", (x,), shape, self._join(path), norm, False, kernel, 2, groups, act))

    def max_pool(self, x: Feature) -> Feature:
        """The largest value of every 3x3, with stride 2."""
        c, h, w = x.shape
        return self._add(Node("max_pool", (x,), (c, ceil_div(h, 2), ceil_div(w, 2)), kernel=3, stride=2))

    def batch_norm(self, x: Feature, path: str, act: str = "") -> Feature:
        """A batch normalisation that stands alone, for it is behind a sum."""
        return self._add(Node("batch_norm", (x,), x.shape, self._join(path), act=act))

    def add(self, x: Feature, y: Feature, act: str = "") -> Feature:
        """A sum; a vector is added at every position."""
        return self._add(Node("add", (x, y), x.shape, act=act))

    def mul(self, x: Feature, y: Feature) -> Feature:
        """A product with a feature as large, a vector, or a map of one channel."""
        return self._add(Node("mul", (x, y), x.shape))

    def mean(self, x: Feature) -> Feature:
        """The mean over all positions, a vector."""
        return self._add(Node("mean", (x,), x.shape[:1]))

    def total(self, x: Feature) -> Feature:
        """The sum over all positions, a vector."""
        return self._add(Node("sum", (x,), x.shape[:1]))

    def softmax(self, x: Feature) -> Feature:
        """Over the positions of a map of one channel."""
        return self._add(Node("softmax", (x,), x.shape))

    def linear(self, x: Feature, path: str, cout: int, act: str = "", bias: bool = True) -> Feature:
        """A linear map of a vector, or of each token."""
        return self._add(Node("linear", (x,), (*x.shape[:-1], cout), self._join(path), bias=bias, act=act))

    def layer_norm(self, x: Feature, path: str, act: str = "") -> Feature:
        """Of a vector, or of each token."""
        return self._add(Node("layer_norm", (x,), x.shape, self._join(path), act=act))

    def deal(self, x: Feature, lanes: int) -> Feature:
        """Channel c goes to lane c % lanes; the channels of a lane come to stand side by side."""
        return self._add(Node("deal", (x,), x.shape, groups=lanes))

    def resize(self, x: Feature, h: int, w: int) -> Feature:
        """Bilinear; corners are not aligned."""
        return x if x.shape[1:] == (h, w) else self._add(Node("resize", (x,), (x.shape[0], h, w)))

    def unfold(self, x: Feature, patch: int) -> Feature:
        """Tokens: pixels at the same place of their patches are a sequence."""
        c, h, w = x.shape
        return self._add(Node("unfold", (x,), (patch * patch, h * w // patch**2, c), kernel=patch))

    def fold(self, x: Feature, patch: int, h: int, w: int) -> Feature:
        """The picture that tokens were cut from."""
        return self._add(Node("fold", (x,), (x.shape[2], h, w), kernel=patch))

    def attention(self, x: Feature, heads: int, scale: float) -> Feature:
        """What tokens found in each other; queries, keys and values come packed, in heads side by side."""
        sequences, length, packed = x.shape
        return self._add(Node("attention", (x,), (sequences, length, packed // 3), groups=heads, scale=scale))

    def crop(self, x: Feature, h: int, w: int) -> Feature:
        """The upper left corner."""
        same = x.tokens or x.shape[1:] == (h, w)
        return x if same else self._add(Node("crop", (x,), (x.shape[0], h, w)))

    def _join(self, *path: str) -> str:
        return ".".join(filter(None, (self.at, *path)))

    def _add(self, node: Node) -> Feature:
        self.nodes.append(node)
        keeps = node.kind in ("add", "linear", "layer_norm") and node.inputs[0].tokens
        return Feature(len(self.nodes) - 1, node.shape, keeps or node.kind in ("unfold", "attention"))
