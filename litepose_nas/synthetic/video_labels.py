"""What an annotator writes of a drawn video, in PoseTrack18's layout: tracks, heads, regions to ignore.

An annotator sees the whole video: a joint that something hides is placed while it was seen a moment ago or will be.
People who show too little are not labelled but ignored, as far crowds are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.layouts.building import labelled_box
from litepose_nas.synthetic.figure import Floats
from litepose_nas.synthetic.files import DrawnCounts
from litepose_nas.synthetic.scene import outlines
from litepose_nas.synthetic.video import DrawnFrame, DrawnFramePerson

REMEMBERED = 5  # frames before and after in which a hidden joint must be seen
MIN_SEEN_JOINTS = 3  # joints of a person who is labelled
MIN_SEEN_PIXELS = 12.0  # pixels of a person who is ignored: annotators overlook less
SPARSE = 4  # at the ends of a video every fourth frame is labelled
JOINTS = 17  # slots of the layout; ears (3, 4) are never labelled


def labelled_frames(frames: int) -> list[bool]:
    """Which frames are labelled: all in the middle, every fourth in the first and the last sixth."""
    end = frames // 6
    return [end <= frame < frames - end or frame % SPARSE == 0 for frame in range(frames)]


def annotate(
    frames: Sequence[DrawnFrame], size: tuple[int, int], names: Sequence[str], video: int, category: dict[str, Any]
) -> tuple[dict[str, Any], DrawnCounts]:
    """The annotations of one video, whose frames (width, height) lie in files of these names.

    Of the frames' pictures nothing is asked.
    """
    points, seen = _points(frames)
    labelled = np.array(labelled_frames(len(frames)))
    shown = (seen.sum(axis=2) >= MIN_SEEN_JOINTS) & labelled[:, None]
    placed = _placed(points, seen) & shown[..., None]
    images, annotations, found = [], [], []
    for number, (frame, name) in enumerate(zip(frames, names, strict=True)):
        image_id = 10_000_000_000 + video * 10_000 + number  # 1, six digits of the video, four of the frame
        regions = _regions(frame, shown[number]) if labelled[number] else []
        found += regions
        images.append(
            {
                "id": image_id,
                "frame_id": image_id,
                "file_name": name,
                "width": size[0],
                "height": size[1],
                "vid_id": f"{video:06d}",
                "nframes": len(frames),
                "is_labeled": bool(labelled[number]),
                "has_no_densepose": True,
                "ignore_regions_x": [xs for xs, _ in regions],
                "ignore_regions_y": [ys for _, ys in regions],
            }
        )
        for place, person in enumerate(np.flatnonzero(shown[number]).tolist()):
            known = placed[number, person]
            joints = np.column_stack([np.where(known[:, None], points[number, person], 0), known])
            annotations.append(
                {
                    "id": image_id * 100 + place,
                    "image_id": image_id,
                    "track_id": person,
                    "category_id": category["id"],
                    "keypoints": [round(n, 2) if n % 1 else int(n) for n in joints.ravel().tolist()],
                    "scores": [],
                    "bbox": [round(side, 2) for side in labelled_box(joints)],
                    "bbox_head": [round(side, 2) for side in frame.people[person].head],
                }
            )
    document = {"images": images, "annotations": annotations, "categories": [category]}
    counts = len(annotations), len(found), placed.sum(), (placed & ~seen).sum(), shown.any(axis=0).sum()
    return document, DrawnCounts(*map(int, counts))


def _points(frames: Sequence[DrawnFrame]) -> tuple[Floats, NDArray[np.bool_]]:
    """The joints (T, P, 17, 2), NaN where they cannot be labelled, and which are seen (T, P, 17)."""
    all_points = np.array([[_slots(person) for person in frame.people] for frame in frames]).reshape(
        len(frames), -1, JOINTS, 3
    )
    flags = all_points[..., 2]
    return np.where(flags[..., None] > 0, all_points[..., :2], np.nan), flags == 2


def _slots(person: DrawnFramePerson) -> Floats:
    slots = np.zeros((JOINTS, 3))
    slots[0], slots[1], slots[2], slots[5:] = person.joints[0], person.neck, person.crown, person.joints[5:]
    return slots


def _placed(points: Floats, seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which joints are labelled (T, P, 17): in the frame, and seen in one that is not far."""
    near = np.zeros_like(seen)
    for away in range(-REMEMBERED, REMEMBERED + 1):
        first, last = max(0, away), len(seen) + min(0, away)
        near[first - away : last - away] |= seen[first:last]
    return near & ~np.isnan(points[..., 0])


Region = tuple[list[float], list[float]]  # x and y of the corners


def _regions(frame: DrawnFrame, shown: NDArray[np.bool_]) -> list[Region]:
    """The regions of unlabelled people."""
    others = [person for person, named in zip(frame.people, shown, strict=True) if not named]
    regions = [_box_region(person) for person in others if person.seen[4] >= MIN_SEEN_PIXELS]
    crowd = [] if frame.crowd is None else outlines(frame.crowd.mask, 1.0, MIN_SEEN_PIXELS)
    return regions + [(corners[:, 0].astype(float).tolist(), corners[:, 1].astype(float).tolist()) for corners in crowd]


def _box_region(person: DrawnFramePerson) -> Region:
    left, top, wide, high, _ = person.seen
    return [left, left + wide, left + wide, left], [top, top, top + high, top + high]
