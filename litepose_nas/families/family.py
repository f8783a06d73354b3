"""What a family of networks offers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from litepose_nas.task_kind import TaskKind

if TYPE_CHECKING:
    from litepose_nas.blocks.block import Part


class ClipFrame(NamedTuple):
    """One frame of the clip that a network sees."""

    name: str
    parts: str  # how the names of its parts begin
    choices: str = ""  # how the paths of its choices begin; empty where it has none
    added: bool = False  # its network gives what is to be added to the heatmaps of the frame before


@dataclass(frozen=True)
class Family:
    name: str  # in a space's YAML, under the key `family`
    plan: Callable[[Any, int], Iterable[Part]]  # (tree, joints) -> blocks; the only place where widths are decided
    forward: Callable[..., Any]  # (net, *inputs): the wiring of the attached blocks, the same for every architecture
    outputs: tuple[str, ...] = ()  # names of what `forward` returns, in order
    task: TaskKind = TaskKind.BOTTOMUP
    # Top-down networks with stages can be used for the later frames of a clip: their forward takes a third argument, a
    # function of a stage's number and feature, and goes on with what that returns.
    stages: int = 0
    clip: Callable[[Any], Sequence[ClipFrame]] = lambda _: ()  # of a tree, the key frame first; none: single pictures
