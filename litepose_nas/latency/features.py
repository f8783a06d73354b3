"""What the time of a network is made of: whole numbers that its operations add up to, known without building it.

Each feature is a function of one operation, with plain numbers or with columns of them, so that it adds up over blocks
as MACs do. Runtimes work on 8 or 16 channels at once: what is `padded` counts channels as multiples of 16. Where a
runtime has no kernel of its own it copies what each output sees into a matrix: `columns` are the elements of that
matrix, and `rows` how often such a copy begins anew, once a line of the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from litepose_nas.blocks.block import Block, ceil_div
from litepose_nas.blocks.ops import Op, runs
from litepose_nas.errors import UserError
from litepose_nas.space import Arch

PACKED, GROUP_PACKED = 16, 8  # channels, and channels of a group
DEPTHWISE = (3, 5, 7, 9, 11)  # kernel sizes; a larger one counts as the last
LANES = (1, 2, 4, 8, 16)  # channels of a group that come out, at most; more count as the last
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


def _columns(op: Op) -> Number:
    """Elements of the matrix that one product with the weights would need."""
    if not op.cin:
        return 0
    return op.macs // _one((op.cin if op.kind == DECONV else op.cout) // _one(op.groups))


def _rows(op: Op) -> Number:
    """How many lines of a picture the columns are copied from, as if pictures were square."""
    if not op.cin:
        return 0
    positions = op.read // _one(op.cin) if op.kind == DECONV else op.made // _one(op.cout)
    return _columns(op) // _one(_root(positions))


def _root(number: Number) -> Number:
    """The square root, rounded down; the same of a number and of a column."""
    root = number**0.5
    return int(root) if isinstance(root, float) else root.astype("int64")


def _strided(op: Op) -> Number:
    """Whether a convolution makes fewer positions than it reads."""
    return (op.read // _one(op.cin) > op.made // _one(op.cout)) * (op.kind == "conv")


def _lanes(most: int) -> Callable[[Op], Number]:
    """Whether so many channels of a group come out, and not fewer."""
    at = LANES.index(most)

    def holds(op: Op) -> Number:
        lanes = op.cout // _one(op.groups)
        return (lanes > LANES[at - 1] if at else True) * (lanes <= most if at < len(LANES) - 1 else True)

    return holds


def _up(number: Number, to: Number) -> Number:
    return to * -(-number // to)


def _one(number: Number) -> Number:
    """At least one, for what is switched off."""
    return number + (number == 0)


def _of(kind: str, amount: Callable[[Op], Number]) -> Callable[[Op], Number]:
    return lambda op: _is(op, kind) * amount(op) * (op.macs > 0)


def _moved(op: Op) -> Number:
    return (op.read + op.made) * (op.kind in ("", "move"))


def _bytes(op: Op) -> Number:
    return 4 * ((op.read + op.made) * runs(op) + op.params)


def _in_lanes(amount: Callable[[Op], Number], most: int) -> Callable[[Op], Number]:
    holds = _lanes(most)
    return _of(GROUPED, lambda op: holds(op) * amount(op))


ALL_KINDS = (*KINDS, *(f"depthwise{size}" for size in DEPTHWISE))
COPIED = (DENSE, DECONV, DECONV_GROUPED)
FEATURES: dict[str, Callable[[Op], Number]] = {
    "macs": lambda op: op.macs,
    "operations": lambda op: (op.macs > 0) * 1,
    "moves": lambda op: (op.kind in ("", "move")) * (op.made > 0) * 1,
    "bytes": _bytes,
    "weights": lambda op: op.params,
    "smooth": lambda op: op.smooth,
    "scores": lambda op: op.scores,
    "moved": _moved,
    "activated": lambda op: op.act_elements,
    **{f"{kind}_macs": _of(kind, lambda op: op.macs) for kind in ALL_KINDS},
    **{f"{kind}_padded": _of(kind, _padded_macs) for kind in ALL_KINDS},
    **{f"{kind}_read": _of(kind, lambda op: op.read) for kind in ALL_KINDS},
    **{f"{kind}_made": _of(kind, lambda op: op.made) for kind in ALL_KINDS},
    **{f"{kind}_strided": _of(kind, lambda op: _strided(op) * op.made) for kind in ALL_KINDS if kind.startswith("dep")},
    **{f"{kind}_columns": _of(kind, _columns) for kind in COPIED},
    **{f"{kind}_rows": _of(kind, _rows) for kind in COPIED},
    **{f"{kind}_groups": _of(kind, lambda op: op.groups) for kind in (GROUPED, DECONV_GROUPED)},
    "grouped_strided": _of(GROUPED, lambda op: _strided(op) * _columns(op)),
    **{f"grouped{most}_macs": _in_lanes(lambda op: op.macs, most) for most in LANES},
    **{f"grouped{most}_columns": _in_lanes(_columns, most) for most in LANES},
    **{f"grouped{most}_rows": _in_lanes(_rows, most) for most in LANES},
}


def counts(ops: Sequence[Op], names: Sequence[str]) -> tuple[Number, ...]:
    """How much of each feature the operations of a block are."""
    return tuple([sum(FEATURES[name](op) for op in ops) for name in names])


@lru_cache(maxsize=1 << 16, typed=True)
def _block_counts(block: Block, h: int, w: int) -> tuple[int, ...]:
    return counts(block.ops(h, w), tuple(FEATURES))


def part_features(arch: Arch, joints: int, name: str) -> dict[str, int]:
    """How much of each feature one part of a network is."""
    (h, w), parts = arch.input, {part.name: part for part in arch.plan(joints)}
    if name not in parts:
        raise UserError(f"{name!r} is no part of {arch}; measure again")
    part = parts[name]
    found = _block_counts(part.block, ceil_div(h, part.down), ceil_div(w, part.down))
    return dict(zip(FEATURES, map(int, found), strict=True))


def features(arch: Arch, joints: int, input: tuple[int, int] | None = None) -> dict[str, int]:
    """How much of each feature a network is."""
    h, w = input or arch.input
    plan = arch.plan(joints)
    sums = map(
        sum,
        zip(*[_block_counts(part.block, ceil_div(h, part.down), ceil_div(w, part.down)) for part in plan], strict=True),
    )
    return dict(zip(FEATURES, map(int, sums), strict=True))
