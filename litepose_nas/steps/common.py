"""What several steps need: the pictures of a run, what a subnet.json must say, durations in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from litepose_nas.data.boxes import Boxes, read_boxes
from litepose_nas.data.dataset import Dataset, split
from litepose_nas.data.loader import Pictures
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.data.source import Source
from litepose_nas.errors import UserError
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.metrics.coco import read_truth
from litepose_nas.pose.make_task import make_task
from litepose_nas.pose.task import Task
from litepose_nas.search.scoring import Split
from litepose_nas.space import Arch
from litepose_nas.task_kind import TaskKind
from litepose_nas.train.recipe import Recipe

Say = Callable[[str], None]
SLICE = 0.1  # of the training pictures
MOST_IN_SLICE = 500


class Data(NamedTuple):
    """The pictures of a run: the rest for gradients, the slice to judge by."""

    split: Split
    skeleton: Skeleton

    @property
    def joints(self) -> int:
        return len(self.skeleton.names)


def read_data(
    source: Source, seed: int, most_in_slice: int = MOST_IN_SLICE, task: TaskKind = TaskKind.BOTTOMUP
) -> Data:
    """Read the training pictures and split the slice off them by image id."""
    whole = source.read("train", unlabelled=task.clips)
    share = min(SLICE, most_in_slice / max(1, len(whole.records)))
    rest, held = split(whole, share, seed)
    return Data(Split(Pictures(rest), Pictures(held)), whole.skeleton)


def task_of(arch: Arch, data: Data, recipe: Recipe) -> Task:
    """What a network is trained and judged by on these pictures."""
    return make_task(data.skeleton, recipe.task_info, arch.space.task, arch.clip_length)


def needed(subnet: Subnet, where: str) -> dict[str, Any]:
    """Read what a subnet.json says of its supernet and training, or say what is missing."""
    kinds = {"supernet": dict, "recipe": dict, "data": str, "seed": int}
    for key, kind in kinds.items():
        if not isinstance(subnet.info.get(key), kind):
            raise UserError(
                f"{where}: says nothing of its {key}: only what `litepose-nas search` wrote can be trained on"
            )
    return dict(subnet.info)


def check_joints(data: Data, source: Source, joints: int, of: object) -> None:
    """Refuse pictures whose people have another number of joints than a network."""
    if data.joints != joints:
        raise UserError(
            f"{source.name}: {data.joints} joints, but {of} has {joints}; give the data it was trained on with --data"
        )


def boxes_for(dataset: Dataset, where: str, path: Path, least_score: float = 0.0) -> Boxes:
    """The boxes of a file, of the pictures of a dataset; `where` says in an error which those are."""
    labelled = any(len(record.joints) for record in dataset.records)
    people = {"category_id": read_truth(dataset).category_id} if labelled else {}
    found = read_boxes(path, least_score, **people)
    known = {record.image_id for record in dataset.records} & set(found)
    if not known:
        raise UserError(f"{path}: no box is of a picture of {where}; give the boxes of these pictures")
    return {image: found[image] for image in found if image in known}


def first_of(pictures: Pictures, count: int) -> Pictures:
    return Pictures(pictures.dataset._replace(records=pictures.dataset.records[:count]))


def describe(skeleton: Skeleton, task: Task, category: str = "person") -> dict[str, Any]:
    """What must travel with weights so that their outputs can be decoded and drawn."""
    return {
        **({} if category == "person" else {"category": category}),
        "keypoints": list(skeleton.names),
        "flip_pairs": [list(pair) for pair in skeleton.flip_pairs],
        "skeleton": [list(limb) for limb in skeleton.limbs],
        "sigmas": list(skeleton.sigmas),
        **task.to_info(),
    }


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
