"""The people of a video as a document: COCO's layout with frames and tracks, or that of PoseTrack18's predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.data.layouts.building import category_for
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.data.video_frames import VideoFrames
from litepose_nas.inference.following import FramePerson

LAYOUTS = ("coco", "posetrack")
COORDINATES = "pixels of the frame; the middle of its first pixel is 0, 0, as in COCO; the third number is a value"


def document_of(
    layout: str, frames: VideoFrames, size: tuple[int, int], people: Sequence[Sequence[FramePerson]], skeleton: Skeleton
) -> dict[str, Any]:
    """The people of each frame (width, height) as a document of a layout."""
    posetrack = layout == "posetrack"
    shown = known_skeleton("posetrack18") if posetrack else skeleton
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for place, found in enumerate(people):
        number = frames.number(place)
        image_id = frames.posetrack_id(place) if posetrack else number
        images.append(
            {
                "id": image_id,
                "frame_id": image_id,
                "frame": place,
                "file_name": frames.pictures[place].name if frames.pictures else f"{frames.name}/{number:06d}.jpg",
                "width": size[0],
                "height": size[1],
            }
        )
        for one in found:
            joints = _in_order_of(one, skeleton, shown) if posetrack else np.asarray(one.keypoints)
            annotations.append(_annotation(image_id, len(annotations) + 1, one, joints))
    return {
        "info": {
            "video": str(frames.source),
            "frames": len(people),
            "rate": frames.rate,
            "coordinates": COORDINATES,
        },
        "images": images,
        "annotations": annotations,
        "categories": [category_for(shown)],
    }


def _annotation(image_id: int, number: int, person: FramePerson, joints: np.ndarray) -> dict[str, Any]:
    known = joints[joints[:, 2] > 0, :2]
    low, high = (known.min(0), known.max(0)) if len(known) else (np.zeros(2), np.zeros(2))
    wide, high_ = (high - low).tolist()
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "track_id": person.track,
        "score": round(person.score, 4),
        "keypoints": np.round(joints, 3).ravel().tolist(),
        "scores": np.round(joints[:, 2], 4).tolist(),
        "num_keypoints": len(known),
        "bbox": np.round([*low, wide, high_], 2).tolist(),
        "area": round(wide * high_, 2),
        "iscrowd": 0,
    }


def _in_order_of(person: FramePerson, skeleton: Skeleton, wanted: Skeleton) -> np.ndarray:
    """A person's joints by the names of another skeleton, zero where there is none of the name."""
    joints = np.zeros((len(wanted.names), 3))
    for place, name in enumerate(wanted.names):
        if name in skeleton.names:
            joints[place] = person.keypoints[skeleton.names.index(name)]
    return joints
