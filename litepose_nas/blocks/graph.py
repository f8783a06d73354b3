"""The operations of a network as a runtime sees them, written down block by block.

A block says in `emit(graph, *inputs)` what its module computes: which operations, in which order, and where in the
module their weights stand. From that, files for any runtime are written without torch (plan_files/). A convolution
takes its normalisation with it, as every runtime folds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from litepose_nas.blocks.block import ceil_div

RELU, RELU6, HSWISH, SILU, GELU, SIGMOID = "relu", "relu6", "hswish", "silu", "gelu", "sigmoid"
GATE, SOFTMAX = "gate", "softmax"  # a gate is half of the input plus a half, from 0 to 1
ACTIVATIONS = (RELU, RELU6, HSWISH, SILU, GELU, SIGMOID, GATE, SOFTMAX)
TOKENS = ("tokens", "cut", "join", "unfold", "attention", "channel_attention", "attend")  # what makes tokens
KEEPS = ("add", "linear", "layer_norm")  # what comes out of tokens is tokens


class Feature(NamedTuple):
    """A tensor of one picture: channels, height and width; or a vector of channels; or sequences of tokens."""

    number: int  # of the node that makes it; -1: the picture
    shape: tuple[int, ...]  # of tokens: sequences, tokens, channels
    tokens: bool = False
    windows: int = 1  # so many, each a feature of this shape by itself

    @property
    def channels(self) -> int:
        return self.shape[-1 if self.tokens else 0]


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
    size: tuple[int, int] = (0, 0)  # of the picture that tokens are of
    first: int = 0  # of the channels or frames that are taken


class Graph:
    """The nodes of a network in the order in which they run."""

    def __init__(self, height: int, width: int, frames: int = 0):
        """Without a number of frames it works on a picture, else on a clip of so many."""
        self.picture = Feature(-1, (3, height, width) if not frames else (frames, 3, height, width))
        self.nodes: list[Node] = []
        self.outputs: list[Feature] = []
        self.at = ""  # the part whose block is being written down
        self.size = height, width  # of the picture that this part works on

    @contextmanager
    def inside(self, path: str) -> Iterator[None]:
        """What is written down meanwhile belongs to this module of the block."""
        at, self.at = self.at, self._join(path)
        yield
        self.at = at

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
        """A product with a feature as large, a vector, a single position, or a map of one channel."""
        return self._add(Node("mul", (x, y), x.shape))

    def concat(self, features: Sequence[Feature], act: str = "") -> Feature:
        """Channels behind one another."""
        _, h, w = features[0].shape
        joined = Node("concat", tuple(features), (sum(each.channels for each in features), h, w), act=act)
        return self._add(joined) if len(features) > 1 or act else features[0]

    def band(self, x: Feature, first: int, channels: int) -> Feature:
        """So many channels from one on."""
        band = Node("band", (x,), (channels, *x.shape[1:]), first=first)
        return x if channels == x.channels else self._add(band)

    def mean(self, x: Feature, position: bool = False) -> Feature:
        """The mean over all positions, a vector or a single position."""
        return self._add(Node("mean", (x,), (x.channels, 1, 1) if position else x.shape[:1]))

    def averages(self, x: Feature, h: int, w: int) -> Feature:
        """Means of h x w areas, which overlap by a row or a column where the size is no multiple."""
        return x if x.shape[1:] == (h, w) else self._add(Node("averages", (x,), (x.channels, h, w)))

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
        """Of a vector, of each token, or of each position of a feature."""
        return self._add(Node("layer_norm", (x,), x.shape, self._join(path), act=act))

    def deal(self, x: Feature, lanes: int) -> Feature:
        """Channel c goes to lane c % lanes; the channels of a lane come to stand side by side."""
        return self._add(Node("deal", (x,), x.shape, groups=lanes))

    def resize(self, x: Feature, h: int, w: int) -> Feature:
        """Bilinear; corners are not aligned."""
        return x if x.shape[1:] == (h, w) else self._add(Node("resize", (x,), (x.shape[0], h, w)))

    def repeat(self, x: Feature, times: int) -> Feature:
        """Every position so many times in both directions."""
        c, h, w = x.shape
        return self._add(Node("repeat", (x,), (c, times * h, times * w), kernel=times))

    def tokens(self, x: Feature) -> Feature:
        """The positions of a feature as a sequence."""
        c, h, w = x.shape
        return self._add(Node("tokens", (x,), (x.windows, h * w, c)))

    def feature(self, x: Feature, h: int, w: int) -> Feature:
        """The feature that each sequence is the positions of."""
        return self._add(Node("feature", (x,), (x.channels, h, w)), windows=x.shape[0])

    def cut(self, x: Feature, h: int, w: int, side: int) -> Feature:
        """Square windows of a picture of h x w tokens, padded with zeros; each is a sequence."""
        count, c = ceil_div(h, side) * ceil_div(w, side), x.channels
        same = count == 1 and h == w == side
        return x if same else self._add(Node("cut", (x,), (count, side * side, c), kernel=side, size=(h, w)))

    def join(self, x: Feature, h: int, w: int, side: int) -> Feature:
        """The tokens of the picture of h x w that was cut into windows."""
        same = x.shape[:2] == (1, h * w)
        return x if same else self._add(Node("join", (x,), (1, h * w, x.channels), kernel=side, size=(h, w)))

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

    def channel_attention(self, x: Feature, heads: int, scale: float) -> Feature:
        """What the channels of each head found in each other, packed as for attention between tokens."""
        sequences, length, packed = x.shape
        return self._add(Node("channel_attention", (x,), (sequences, length, packed // 3), groups=heads, scale=scale))

    def attend(self, q: Feature, k: Feature, v: Feature, scale: float, bias: str = "") -> Feature:
        """What tokens found in others, with one head; `bias` is the path of what is added to the scores."""
        shape = *q.shape[:2], v.channels
        return self._add(Node("attend", (q, k, v), shape, self._join(bias) if bias else "", scale=scale))

    def crop(self, x: Feature, h: int, w: int) -> Feature:
        """The upper left corner."""
        return x if x.shape[1:] == (h, w) else self._add(Node("crop", (x,), (x.channels, h, w)))

    def frame(self, number: int) -> Feature:
        """A picture of the clip."""
        return self._add(Node("frame", (self.picture,), self.picture.shape[1:], first=number))

    def stack(self, features: Sequence[Feature]) -> Feature:
        """What was found in each frame of the clip."""
        return self._add(Node("stack", tuple(features), (len(features), *features[0].shape)))

    def _join(self, *path: str) -> str:
        return ".".join(filter(None, (self.at, *path)))

    def _add(self, node: Node, windows: int = 0) -> Feature:
        self.nodes.append(node)
        tokens = node.kind in TOKENS or (node.kind in KEEPS and node.inputs[0].tokens)
        return Feature(len(self.nodes) - 1, node.shape, tokens, 1 if tokens else windows or node.inputs[0].windows)
