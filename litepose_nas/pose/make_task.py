"""Making the task of a network from what a recipe or a file of weights says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litepose_nas.data.skeleton import Skeleton
from litepose_nas.pose.bottomup import BottomUp
from litepose_nas.pose.task import Task
from litepose_nas.pose.temporal import Temporal
from litepose_nas.pose.topdown import TopDown
from litepose_nas.task_kind import TaskKind


def make_task(skeleton: Skeleton, info: Mapping[str, Any], kind: str = TaskKind.BOTTOMUP, clip_length: int = 1) -> Task:
    """The task of people with this skeleton; `info` is what a task's `to_info` said, or a recipe's."""
    if TaskKind(kind).clips:
        return Temporal.from_info(skeleton, info, clip_length)
    return (TopDown if TaskKind(kind).one_person else BottomUp).from_info(skeleton, info)
