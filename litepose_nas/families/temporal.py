"""Temporal groups: a frozen network for the key frame, a light one of its own for every frame after it (after ViPNAS).

A group is one network. Its key frame goes through a trained top-down network that nothing changes any more; each later
frame through a network of a top-down family that is also given the heatmaps of the frame before, at a place and in a
way of its own. The networks of the later frames share the tensors of one supernet, and their costs add up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from litepose_nas.blocks.block import Part
from litepose_nas.blocks.temporal import WAYS, TemporalFuse
from litepose_nas.errors import UserError, nearest
from litepose_nas.families.family import ClipFrame, Family
from litepose_nas.task_kind import TaskKind
from litepose_nas.untrusted.display import short

NAME = "temporal"
KEY, FRAMES, SHARED = "key", "frames", "later"  # how names begin: of the key network, of later ones, of their store
NONE = "none"
GRADIENTS = {"stopped": False, "through": True}  # at the heatmaps of the frame before
ANSWERS = {"fresh": False, "added": True}  # what a later network says: all, or what is to be added to the frame before


@dataclass(frozen=True)
class FrameGroup:
    """The plan and the wiring of groups whose networks are of these two families."""

    key: Family
    later: Family
    added: bool = False  # a later network gives what is to be added to the heatmaps before
    through: bool = False  # gradients go on into the frame before

    def plan(self, tree: Any, joints: int) -> Iterator[Part]:
        """Yield the blocks of the key network, then those of every later frame."""
        for node in (tree.key, tree.frames):
            node.family  # noqa: B018 - it is read where the space is made
        tree.gradient, tree.answer  # noqa: B018 - these too
        before = ""
        for part in self.key.plan(tree.key, joints):
            before = f"{KEY}.{part.name}"
            reads = tuple(_within(KEY, name) for name in part.reads)
            yield part._replace(name=before, reads=reads, shared="", frozen=True)
        if tree.frames.depth < 1:
            raise UserError("frames.depth: expected at least 1: a group without later frames is its key network")
        for number, frame in enumerate(tree.frames.blocks[: tree.frames.depth]):
            parts = list(_fused(list(self.later.plan(frame, joints)), frame.fuse, before, joints, self.through))
            own = f"{FRAMES}.{number}"
            for part in parts:
                reads = tuple(name if name == before else _within(own, name) for name in part.reads)
                yield part._replace(name=f"{own}.{part.name}", reads=reads, shared=f"{SHARED}.{part.home}")
            before = f"{own}.{parts[-1].name}"

    def forward(self, net: Any, image: Any, before: Any = None, place: int = 0) -> tuple[Any, ...]:
        """The heatmaps of clips (B, F, 3, H, W), F of any length, or of single frames (B, 3, H, W).

        The first frame stands at that place of the group, 0 for its key frame, and is given the heatmaps of the frame
        before; a later one without any takes zeros. After the last place comes the next key frame.
        """
        if image.dim() == 4:
            return (self._look(net, image, before, place),)
        import torch

        size, heatmaps = length(net), []
        for frame in image.unbind(1):
            before = self._look(net, frame, before, place)
            heatmaps.append(before)
            place = (place + 1) % size
        return (torch.stack(heatmaps, 1),)

    def _look(self, net: Any, image: Any, before: Any, place: int) -> Any:
        if place == 0:
            return self.key.forward(net.key, image)[0]
        own = getattr(net.frames, str(place - 1))

        def fuse(stage: int, feature: Any) -> Any:
            for position, ways in own.fuse.named_children() if hasattr(own, "fuse") else ():
                if position == str(stage + 1):
                    for block in ways.children():
                        feature = block(feature, before)
            return feature

        (heatmaps,) = self.later.forward(own, image, fuse)
        if not self.added or before is None:
            return heatmaps
        return heatmaps + (before if self.through else before.detach())


def family_of(tree: Mapping[str, Any], known: Mapping[str, Family]) -> Family:
    """The family of groups that a space's tree describes, made of two of the families that are known."""
    found = []
    for name in (KEY, FRAMES):
        node = tree.get(name)
        family = node.get("family") if isinstance(node, Mapping) else None
        if not isinstance(family, str):
            raise UserError(f"{name}: expected a mapping with the key `family`, that of its networks")
        if family not in known and family != NAME:
            raise UserError(f"{name}.family: {family!r} is not one; {nearest(family, known)}")
        if family == NAME or not known[family].task.once_a_person:
            raise UserError(f"{name}.family: {family} does not see one person at a time; name a top-down family")
        found.append(known[family])
    key, later = found
    if not later.stages:
        raise UserError(f"{FRAMES}.family: {later.name} has no stages to join heatmaps at; name another")
    group = FrameGroup(key, later, _word(tree, "answer", ANSWERS), _word(tree, "gradient", GRADIENTS))
    return Family(NAME, group.plan, group.forward, ("heatmaps",), TaskKind.TEMPORAL, clip=clip)


def clip(tree: Any) -> list[ClipFrame]:
    """The frames of a group: the key frame, whose network is fixed, then those with networks of their own."""
    added = ANSWERS[tree.answer]
    later = (ClipFrame(str(n + 1), f"{FRAMES}.{n}.", f"{FRAMES}.blocks.{n}.", added) for n in range(tree.frames.depth))
    return [ClipFrame(KEY, f"{KEY}."), *later]


def key_everywhere(net: Any, clips: Any) -> tuple[Any, ...]:
    """The heatmaps of a group's key network on every frame of clips: what the lighter ones can learn from."""
    family = net.wiring.__self__
    return (family.key.forward(net.key, clips.flatten(0, 1))[0].unflatten(0, clips.shape[:2]),)


def length(net: Any) -> int:
    """How many frames a group has, its key frame among them."""
    return 1 + len(list(net.frames.children()))


def _fused(parts: list[Part], fuse: str, before: str, joints: int, through: bool) -> Iterator[Part]:
    """Yield the parts of a frame's network, with the fusion after the stage where it belongs."""
    parts[0] = parts[0]._replace(reads=parts[0].reads or ("",))  # the picture, for in a group there is a part before it
    if fuse == NONE:
        yield from parts
        return
    stage, _, way = fuse.partition(".")
    inside = [
        i for i, part in enumerate(parts) if stage.isdecimal() and part.name.startswith(f"stages.{int(stage) - 1}.")
    ]
    if not inside or way not in WAYS:
        stages = sorted({part.name.split(".")[1] for part in parts if part.name.startswith("stages.")})
        known = [NONE, *(f"{int(i) + 1}.{way}" for i in stages for way in WAYS)]
        raise UserError(f"frames.blocks.fuse: {fuse!r} is no place and way to join heatmaps; {nearest(fuse, known)}")
    at = inside[-1]
    last, then = parts[at], parts[at + 1]
    block = TemporalFuse(joints, last.block.out(8, 8)[0], WAYS[way], through)
    joined = Part(f"fuse.{fuse}", then.down, block, (last.name, before))
    yield from parts[: at + 1]
    yield joined
    for part in parts[at + 1 :]:
        yield part._replace(reads=tuple(joined.name if name == last.name else name for name in part.reads))


def _word(tree: Mapping[str, Any], key: str, words: Mapping[str, bool]) -> bool:
    word = tree.get(key)
    if not isinstance(word, str) or word not in words:
        raise UserError(f"{key}: {short(word, 40)} is not one; {nearest(str(word), words)}")
    return words[word]


def _within(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if name else ""  # the picture is nobody's
