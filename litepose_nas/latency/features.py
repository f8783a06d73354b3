"""What the time of a network is made of: whole numbers that its operations add up to, known without building it.

Each feature is a function of one operation, with plain numbers or with columns of them, so that it adds up over blocks
as MACs do. Runtimes work on 8 or 16 channels at once: what is `padded` counts channels as multiples of 16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from litepose_nas.blocks.block import Block, ceil_div
from litepose_nas.blocks.ops import Op
from litepose_nas.space import Arch

PACKED, GROUP_PACKED = 16, 8  # channels, and channels of a group
DEPTHWISE = (3, 5, 7, 9, 11)  # kernel sizes; a larger one counts as the last
POINTWISE, DENSE, GROUPED, ATTENTION, DECONV, DECONV_GROUPED = KINDS = (
    "pointwise", "dense", "grouped", "attention", "deconv", "deconv_grouped",
)  # fmt: skip

Number = Any  # a whole number, or a column of them


def _is(op: Op, kind: str) -> Number:
    """Whether an operation is of a kind: 0 or 1, or a column of these."""
    if kind == ATTENTION:
        return int(op.kind == ATTENTION)
    if kind in (DECONV, DECONV_GROUPED):
        return (op.kind == DECONV) * ((op.groups == 1) if kind == DECONV else (op.groups != 1))
    if op.kind not in ("conv", "linear"):
        return 0
    one, dense, depthwise = op.kernel == 1, op.groups == 1, (op.groups == op.cin) * (op.cin > 1)
    if kind == POINTWISE:
        return one * dense
    if kind == DENSE:
        return (one == 0) * dense
    apart = depthwise * (op.cout == op.cin)
    if kind == GROUPED:
        return (dense == 0) * (apart == 0)
    at = DEPTHWISE.index(int(kind.removeprefix("depthwise")))
    above = (op.kernel > DEPTHWISE[at - 1]) if at else True
    below = (op.kernel <= DEPTHWISE[at]) if at < len(DEPTHWISE) - 1 else True
    return (dense == 0) * apart * above * below


def _padded_macs(op: Op) -> Number:
    """MACs with the channels that come out rounded up: those of a group, all those of a depthwise convolution."""
    if not op.cin:
        return op.macs
    outputs = op.cout // _one(op.groups)
    alone = outputs == 1
    channels = alone * _up(op.cout, PACKED) + (alone == 0) * op.groups * _up(
        outputs, GROUP_PACKED + (op.groups == 1) * (PACKED - GROUP_PACKED)
    )
    return op.macs // _one(op.cout) * channels


def _up(number: Number, to: Number) -> Number:
    return to * -(-number // to)


def _one(number: Number) -> Number:
    """At least one, for what is switched off."""
    return number + (number == 0)


def _runs(op: Op) -> Number:
    """Whether an operation runs at all: in columns some are switched off in some networks."""
    return (op.macs > 0) * (op.kind != "") + (op.kind in ("", "move")) * (op.made > 0)


def _of(kind: str, amount: Callable[[Op], Number]) -> Callable[[Op], Number]:
    return lambda op: _is(op, kind) * amount(op) * (op.macs > 0)


def _moved(op: Op) -> Number:
    return (op.read + op.made) * (op.kind in ("", "move"))


def _bytes(op: Op) -> Number:
    return 4 * ((op.read + op.made) * _runs(op) + op.params)


ALL_KINDS = (*KINDS, *(f"depthwise{size}" for size in DEPTHWISE))
FEATURES: dict[str, Callable[[Op], Number]] = {
    "macs": lambda op: op.macs,
    "operations": lambda op: (op.macs > 0) * 1,
    "moves": lambda op: (op.kind in ("", "move")) * (op.made > 0) * 1,
    "bytes": _bytes,
    "moved": _moved,
    "activated": lambda op: op.act_elements,
    **{f"{kind}_macs": _of(kind, lambda op: op.macs) for kind in ALL_KINDS},
    **{f"{kind}_padded": _of(kind, _padded_macs) for kind in ALL_KINDS},
    **{f"{kind}_read": _of(kind, lambda op: op.read) for kind in ALL_KINDS},
    **{f"{kind}_made": _of(kind, lambda op: op.made) for kind in ALL_KINDS},
}


def counts(ops: Sequence[Op], names: Sequence[str]) -> tuple[Number, ...]:
    """How much of each feature the operations of a block are."""
    return tuple([sum(FEATURES[name](op) for op in ops) for name in names])


@lru_cache(maxsize=1 << 16, typed=True)
def _block_counts(block: Block, h: int, w: int) -> tuple[int, ...]:
    return counts(block.ops(h, w), tuple(FEATURES))


def features(arch: Arch, joints: int, input: tuple[int, int] | None = None) -> dict[str, int]:
    """How much of each feature a network is."""
    h, w = input or arch.input
    plan = arch.plan(joints)
    sums = map(
        sum,
        zip(*[_block_counts(part.block, ceil_div(h, part.down), ceil_div(w, part.down)) for part in plan], strict=True),
    )
    return dict(zip(FEATURES, map(int, sums), strict=True))
