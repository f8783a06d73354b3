"""Operations as counters see them: what one computes, what it stores, and what must be in memory while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from litepose_nas.blocks.block import ceil_div
from litepose_nas.blocks.graph import GELU, HSWISH, RELU, SILU, SOFTMAX

SMOOTH = (SILU, GELU, HSWISH)


class Op(NamedTuple):
    """One convolution, deconvolution, linear map or matrix product, with the normalisation and activation behind it."""

    macs: int
    params: int
    norm: int = 0  # channels of batch normalisation: their two running statistics are stored as well
    norm_elements: int = 0
    act_elements: int = 0
    extra_macs: int = 0  # what a deconvolution gains when counted on its output grid, as LitePose's paper does
    live: int = 0  # elements made inside the block that are in memory while this runs, its own output included
    inputs: tuple[int, ...] = ()  # which inputs of the block must still be in memory
    kind: str = ""  # conv, deconv, linear, attention, or move; none: `flow` knows what is moved
    kernel: int = 1
    groups: int = 1
    cin: int = 0
    cout: int = 0
    read: int = 0  # elements that go in, and that come out
    made: int = 0
    activation: str = ""  # behind it, whether LitePose's paper counts it or not
    scores: int = 0  # elements that go through a softmax

    @property
    def smooth(self) -> Any:
        """Elements that go through SiLU, GELU or h-swish, which take time of their own."""
        return self.made * (self.activation in SMOOTH)


def conv(
    h: int,
    w: int,
    cin: int,
    cout: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    *,
    norm: bool = True,
    act: bool = True,
    activation: str = "",
    bias: bool = False,
    held: int = 0,
    inputs: tuple[int, ...] = (),
) -> Op:
    """A padded convolution on h x w; `held` counts the block's other elements in memory beside its output.

    `act` counts an activation behind it as LitePose's paper does, a ReLU if `activation` names no other.
    """
    out = ceil_div(h, stride) * ceil_div(w, stride)
    weights = cout * (cin // groups) * kernel * kernel
    return Op(
        macs=out * weights,
        params=weights + cout * bias + 2 * cout * norm,
        norm=cout * norm,
        norm_elements=out * cout * norm,
        act_elements=out * cout * act,
        live=held + out * cout,
        inputs=inputs,
        kind="conv",
        kernel=kernel,
        groups=groups,
        cin=cin,
        cout=cout,
        read=h * w * cin,
        made=out * cout,
        activation=activation or (RELU if act else ""),
    )


def deconv(
    h: int,
    w: int,
    cin: int,
    cout: int,
    kernel: int,
    groups: int = 1,
    *,
    norm: bool = False,
    act: bool = False,
    held: int = 0,
    inputs: tuple[int, ...] = (),
) -> Op:
    """A deconvolution of stride 2 on h x w, counted on its input grid."""
    weights = cin * (cout // groups) * kernel * kernel
    return Op(
        macs=h * w * weights,
        params=weights + 2 * cout * norm,
        norm=cout * norm,
        norm_elements=4 * h * w * cout * norm,
        act_elements=4 * h * w * cout * act,
        extra_macs=3 * h * w * weights,
        live=held + 4 * h * w * cout,
        inputs=inputs,
        kind="deconv",
        kernel=kernel,
        groups=groups,
        cin=cin,
        cout=cout,
        read=h * w * cin,
        made=4 * h * w * cout,
        activation=RELU if act else "",
    )


def linear(tokens: int, cin: int, cout: int, *, bias: bool = True, activation: str = "") -> Op:
    made = tokens * cout
    macs, params, read = made * cin, cin * cout + cout * bias, tokens * cin
    return Op(macs, params, kind="linear", cin=cin, cout=cout, read=read, made=made, activation=activation)


def attention(queries: int, keys: int, width: int, values: int) -> Op:
    """The two products of attention, fused: the scores of queries and keys are never in memory as a whole."""
    macs, read = queries * keys * (width + values), queries * width + keys * (width + values)
    return Op(macs, 0, kind="attention", read=read, made=queries * values, activation=SOFTMAX)


def norm(channels: int) -> Op:
    """A normalisation of tokens, which stores a scale and a shift."""
    return Op(macs=0, params=2 * channels)


def weights(number: int) -> Op:
    """Weights that take part in no product, such as a table of biases."""
    return Op(macs=0, params=number)


def maybe(condition: Any) -> bool:
    """Whether something holds; in a column of networks it may: ask only what changes no sum, as copies do."""
    try:
        return bool(condition)
    except ValueError:  # numpy's word for several answers
        return True


COPY = Op(macs=0, params=0)  # numbers are moved, padded, pooled or added, not multiplied with weights
UNTIMED = COPY._replace(kind="untimed")  # a copy that in a column of networks only some may make


def move(read: int, made: int) -> Op:
    """Return a copy, a sum or a mean of so many elements."""
    return COPY._replace(kind="move", read=read, made=made)


def runs(op: Op) -> Any:
    """Whether an operation that takes time runs: in columns of networks some are switched off in some of them."""
    return (op.macs > 0) * (op.kind != "") + (op.kind in ("", "move")) * (op.made > 0)


class Step(NamedTuple):
    """One operation in a block's flow of tensors: what it makes, how large, from what (a number: one of the inputs)."""

    makes: str
    elements: int
    op: Op
    reads: tuple[int | str, ...]


def flow(steps: Sequence[Step]) -> list[Op]:
    """The operations with what is in memory during each: a tensor lives until its last reader is done.

    An operation that writes over what it reads, or only looks at it in another way, makes nothing (0 elements): whoever
    reads the result names what lies below it.
    """
    last = {name: i for i, step in enumerate(steps) for name in step.reads}
    sizes: dict[int | str, int] = {step.makes: step.elements for step in steps}
    ops = []
    for i, step in enumerate(steps):
        made = [other for other in steps[: i + 1] if last.get(other.makes, len(steps)) >= i]
        inputs = tuple(name for name, end in last.items() if isinstance(name, int) and end >= i)
        op = step.op._replace(live=sum(other.elements for other in made), inputs=inputs)
        if not op.kind:  # of the block's inputs nobody knows here how large they are: about as large as what is made
            op = op._replace(read=sum(sizes.get(name, step.elements) for name in step.reads), made=step.elements)
        ops.append(op)
    return ops
