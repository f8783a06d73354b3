"""Small attention inside a block, on or off: a global context that is added, or a gate for every channel."""

from __future__ import annotations

from typing import Any

from litepose_nas.blocks.ops import COPY, Op, Step, conv, linear, norm

# A hidden width of 0 switches it off. It may be a column of numbers, as when a whole search round is priced at once:
# then the steps stay and count nothing where they are off.


def context(x: str, channels: Any, hidden: Any, h: int, w: int) -> list[Step]:
    """The flow of a global context (GCNet, 2019) of a feature; the last step makes the new feature.

    Positions are weighed by a softmax and summed, not multiplied as matrices: the sum counts no MACs.
    """
    if _off(hidden):
        return []
    on, size = hidden > 0, channels * h * w
    mask = conv(h, w, channels, 1, 1, norm=False, act=False, bias=True)
    down = linear(1, channels, hidden)._replace(act_elements=hidden)
    up = linear(1, hidden, channels, bias=False)
    return [
        Step("logits", h * w, _times(mask, on), (x,)),
        Step("weights", h * w, COPY, ("logits",)),
        Step("weighed", size, COPY, (x, "weights")),
        Step("context", channels, COPY, ("weighed",)),
        Step("squeezed", hidden, down, ("context",)),
        Step("normed", hidden, norm(hidden), ("squeezed",)),
        Step("found", channels, up._replace(params=up.params + channels * on), ("normed",)),
        Step("attended", size, COPY, (x, "found")),
    ]


def gate(x: str, channels: Any, hidden: Any, h: int, w: int) -> list[Step]:
    """The flow of squeeze and excitation (2018) of a feature; the last step makes the new feature."""
    if _off(hidden):
        return []
    on = hidden > 0
    down = linear(1, channels, hidden)._replace(act_elements=hidden)
    up = linear(1, hidden, channels, bias=False)
    return [
        Step("mean", channels, COPY, (x,)),
        Step("squeezed", hidden, down, ("mean",)),
        Step("gate", channels, up._replace(params=up.params + channels * on), ("squeezed",)),
        Step("attended", channels * h * w, COPY, (x, "gate")),
    ]


def _off(hidden: Any) -> bool:
    return isinstance(hidden, int) and not hidden


def _times(op: Op, on: Any) -> Op:
    return op._replace(macs=op.macs * on, params=op.params * on)
