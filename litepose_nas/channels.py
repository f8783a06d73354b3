"""Sorting a supernet's channels by importance: windows keep the best ones, the widest network stays the same function.

Channels that are added to each other or read by several layers are one class and move together: residual chains, the
head's raw features, batch statistics.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from litepose_nas.costs import readers
from litepose_nas.network import is_frozen
from litepose_nas.supernet import Supernet

Label = tuple[str, str]  # (part, axis): the axis is out, in0, in1, ... or a name of the layer's own


class Use(NamedTuple):
    """One axis of one stored tensor that belongs to a class of channels."""

    tensor: str
    axis: int
    reads: bool  # the tensor weighs these channels as its input


@torch.no_grad()
def sort_channels(supernet: Supernet, mirrors: Sequence[Tensor] = ()) -> None:
    """Put the channels with the largest weights behind them first, in the store and in flat tensors laid out like it.

    Call it between optimizer steps, with the optimizer's flat momenta as mirrors.
    """
    store = supernet.store
    tensors = store.state_dict()
    copies = [store.views(flat) for flat in (store.grad, *mirrors)]
    for uses in channel_classes(supernet):
        importance = sum(
            tensors[use.tensor].abs().transpose(0, use.axis).flatten(1).sum(1) for use in uses if use.reads
        )
        if isinstance(importance, Tensor):
            order = importance.argsort(descending=True, stable=True)
            for use in uses:
                for group in (tensors, *copies):
                    if use.tensor in group:  # statistics have no gradient
                        group[use.tensor].copy_(group[use.tensor].index_select(use.axis, order))


def channel_classes(supernet: Supernet) -> Iterator[list[Use]]:
    """Yield the classes of channels that can be permuted: for each, every axis of every stored tensor that has them."""
    root, parents = supernet.store.root, {}  # type: nn.Module, dict[Label, Label]

    def find(label: Label) -> Label:
        while label in parents:
            label = parents[label]
        return label

    def join(a: Label, b: Label) -> None:
        if (a := find(a)) != (b := find(b)):
            parents[a] = b

    frozen = {("", "out")}  # the picture's channels stay where they are
    for corner in supernet.space.corners(pairs=True):
        plan = corner.plan(supernet.joints)
        home = {"": "", **{part.name: part.home for part in plan}}
        for part, names in zip(plan, readers(plan), strict=True):
            layer = root.get_submodule(part.home)
            for j, name in enumerate(names):
                join((part.home, f"in{j}"), (home[name], "out"))
                if not hasattr(layer, "axes") or part.frozen:
                    frozen |= {(part.home, f"in{j}"), (part.home, "out")}
            if not any("out" in labels for labels in getattr(layer, "axes", {}).values()):
                frozen.add((part.home, "out"))  # an answer: its channels are joints, whoever reads them
            for a, b in getattr(layer, "tied", ()):
                join((part.home, a), (part.home, b))

    classes: dict[Label, list[Use]] = defaultdict(list)
    for part_name in supernet.largest:
        if is_frozen(root.get_submodule(part_name)):
            continue
        for axis, use in _uses(part_name, root.get_submodule(part_name)):
            classes[find((part_name, axis))].append(use)
    stay = {find(label) for label in frozen}
    for label, uses in classes.items():
        if label not in stay:
            yield uses


def _uses(name: str, layer: nn.Module) -> Iterable[tuple[str, Use]]:
    axes = getattr(layer, "axes", {})
    for path, tensor in layer.state_dict().items():
        prefix = max((key for key in axes if f"{path}.".startswith(f"{key}.")), key=len, default=None)
        labels = axes[prefix][: tensor.dim()] if prefix is not None else ()
        for axis, label in enumerate(labels):
            if label is not None:
                inner = label != "out" and not label.startswith("in")
                reads = tensor.dim() > 1 and (label.startswith("in") or (inner and axis > 0))
                yield label, Use(f"{name}.{path}", axis, reads)
