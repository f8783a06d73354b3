"""Decode of the bottom-up task: heatmaps and tags of a batch become people (peaks, grouping, quarter pixel, refine)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from litepose_nas import devices
from litepose_nas.errors import UserError
from litepose_nas.pose.grouping import Grouping, Peaks, group, joint_order
from litepose_nas.pose.peaks import find_peaks, quarter_pixel
from litepose_nas.pose.people import DivergedError, People
from litepose_nas.pose.refine import best_pixels

if TYPE_CHECKING:
    from litepose_nas.pose.bottomup import BottomUp


def position_cue(cue: Sequence[float], height: int, width: int, like: Tensor) -> Tensor:
    """(H, W): cue[0] * x + cue[1] * y with x and y running from -0.5 to 0.5 over the picture."""
    x = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) / width - 0.5
    y = (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) / height - 0.5
    return cue[0] * x + cue[1] * y[:, None]


# Thousands of tiny operations: two threads that meet after each were 130 times slower than one on a busy machine.
@devices.one_thread()
def decode_tags(heatmaps: Tensor, tags: Tensor, settings: Grouping = Grouping()) -> list[People]:  # noqa: B008
    """Group heatmaps (B, J, H, W) and tags (B, J, H, W, D) into people, in pixels of these maps.

    People stand in the order of their creation; a score is the mean value over all joints before refine.
    """
    heatmaps, tags = checked(heatmaps, tags, settings)
    batch, joints, _, width = heatmaps.shape
    maps, tag_maps = heatmaps.flatten(0, 1), tags.flatten(0, 1)  # one row for each joint of each picture
    of_map, pixel = find_peaks(heatmaps, settings.max_people, settings.detection_threshold, settings.nms_kernel)
    value = maps.flatten(1)[of_map, pixel]
    tag = tag_maps.flatten(1, 2)[of_map, pixel]
    x, y = (pixel % width).to(value.dtype), (pixel // width).to(value.dtype)
    if settings.adjust:
        dx, dy = quarter_pixel(maps, of_map, pixel)
        x, y = x + dx + 0.5, y + dy + 0.5
    table = torch.stack([of_map.to(value.dtype), x, y, value, *tag.unbind(1)], dim=1).cpu().double().numpy()

    # One copy to the host, one plain loop over pictures: the assignment is tiny and sequential.
    order = joint_order(joints)
    picture = table[:, 0].astype(np.int64) // joints
    found: list[NDArray[np.float32]] = []
    means: list[NDArray[np.float64]] = []
    for index in range(batch):
        rows = table[picture == index]
        joint = rows[:, 0].astype(np.int64) - index * joints
        taken = group(Peaks(joint, rows[:, 3].astype(np.float32), rows[:, 4:]), order, settings)
        has = (taken >= 0)[..., None]
        found.append(np.where(has, rows[taken, 1:4], 0.0).astype(np.float32) if len(taken) else empty(joints))
        sums = np.where(has, rows[taken, 4:], 0.0).sum(1) if len(taken) else np.zeros((0, tags.shape[-1]))
        means.append(sums / has.sum(1) if len(taken) else sums)
    scores = [person[:, :, 2].mean(1, dtype=np.float64).astype(np.float32) for person in found]
    if settings.refine:
        fill_missing(found, means, maps, tag_maps)
    return [People(keypoints, score) for keypoints, score in zip(found, scores, strict=True)]


def fill_missing(
    found: list[NDArray[np.float32]], means: list[NDArray[np.float64]], maps: Tensor, tag_maps: Tensor
) -> None:
    """Give each missing joint of each person the pixel that suits its tag best, in place, if it is warm at all."""
    joints, width = found[0].shape[1] if found else 0, maps.shape[-1]
    sizes = [len(person) for person in found]
    keypoints = np.concatenate(found) if found else empty(joints)
    person, joint = np.nonzero(keypoints[:, :, 2] == 0)
    if not len(person):
        return
    picture = np.repeat(np.arange(len(found)), sizes)[person]
    used, of_used = np.unique(picture * joints + joint, return_inverse=True)
    device, dtype = maps.device, maps.dtype
    used_t, row_t = torch.as_tensor(used, device=device), torch.as_tensor(of_used.reshape(-1), device=device)
    wanted = torch.as_tensor(np.concatenate(means)[person], device=device, dtype=dtype)
    heat = maps if len(used) == len(maps) else maps[used_t]
    tag = tag_maps.movedim(-1, 0) if len(used) == len(maps) else tag_maps[used_t].movedim(-1, 0)
    pixel = best_pixels(heat, tag, row_t, wanted)
    dx, dy = quarter_pixel(heat, row_t, pixel)
    value = heat.flatten(1)[row_t, pixel]
    x, y = pixel % width + 0.5 + dx, pixel // width + 0.5 + dy
    filled = (torch.stack([x, y, value], dim=1) * (value > 0)[:, None]).cpu().numpy()
    keypoints[person, joint] = filled
    for index, part in enumerate(np.split(keypoints, np.cumsum(sizes)[:-1])):
        found[index] = part


def empty(joints: int) -> NDArray[np.float32]:
    return np.zeros((0, joints, 3), dtype=np.float32)


def checked(heatmaps: Tensor, tags: Tensor, settings: Grouping) -> tuple[Tensor, Tensor]:
    """Both as float32 tensors without history; an error says what is wrong with them."""
    heatmaps, tags = torch.as_tensor(heatmaps).detach(), torch.as_tensor(tags).detach()
    if heatmaps.dim() != 4 or tags.dim() != 5 or tags.shape[:4] != heatmaps.shape:
        raise UserError(
            f"decode_tags got heatmaps {tuple(heatmaps.shape)} and tags {tuple(tags.shape)}: "
            "it needs (B, J, H, W) and (B, J, H, W, D) with the same B, J, H, W"
        )
    if settings.nms_kernel % 2 == 0 or settings.nms_kernel < 1:
        raise UserError(f"the window of the peak search is {settings.nms_kernel} pixels wide: use an odd width, e.g. 5")
    for name, maps in (("heatmaps", heatmaps), ("tags", tags)):
        # The sum is a cheap alarm (it may ring for mere overflow); the pixels are looked at only when it rings.
        if not bool(torch.isfinite(maps.sum())):
            bad = (~torch.isfinite(maps)).flatten(1).any(1).nonzero().flatten().tolist()
            if bad:
                raise DivergedError(
                    f"the {name} of picture {bad[0]} of this batch hold NaN or infinity ({len(bad)} of {len(maps)} "
                    "pictures do): the network has diverged; go back to an earlier checkpoint or learn slower"
                )
    return heatmaps.float(), tags.float()


def decode(
    outputs: Sequence[Tensor],
    task: BottomUp,
    flipped: Sequence[Tensor] | None = None,
    input_size: tuple[int, int] | None = None,
) -> list[People]:
    """Turn the network's outputs (and those of the mirrored pictures) into people, in pixels of the input.

    outputs: (B, 2J, h, w) heatmaps + tags, then any number of finer (B, J, H, W) heatmaps, mostly one. input_size is
    (height, width), by default four times the size of the first output.
    """
    size = input_size or (outputs[0].shape[2] * 4, outputs[0].shape[3] * 4)
    heatmaps, tags = combine(outputs, task, flipped, size)
    scale = np.array([size[1] / heatmaps.shape[3], size[0] / heatmaps.shape[2], 1.0], dtype=np.float32)
    return [People(keypoints * scale, scores) for keypoints, scores in decode_tags(heatmaps, tags, task.grouping)]


def combine(
    outputs: Sequence[Tensor], task: BottomUp, flipped: Sequence[Tensor] | None, input_size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """The averaged heatmaps (B, J, H, W) and the stacked tags (B, J, H, W, 1 or 2)."""
    heatmaps, tags = merge_scales(outputs, task)
    stack = [tags]
    if flipped is not None:
        # Mirror the maps back, then let left and right joints change places: in the mirrored picture they did.
        mirrored = torch.tensor(mirror_order(task.joints, task.flip_pairs), device=heatmaps.device)
        flip_heatmaps, flip_tags = (maps.flip(-1)[:, mirrored] for maps in merge_scales(flipped, task))
        heatmaps = (heatmaps + flip_heatmaps) / 2
        stack.append(flip_tags)
    if task.decode_at_input and tuple(heatmaps.shape[2:]) != tuple(input_size):
        heatmaps, *stack = (resize(maps, input_size) for maps in (heatmaps, *stack))
    return heatmaps, torch.stack(stack, dim=-1)


def mirror_order(joints: int, flip_pairs: Sequence[tuple[int, int]]) -> list[int]:
    """For each joint the joint it becomes in a mirrored picture."""
    order = list(range(joints))
    for left, right in flip_pairs:
        order[left], order[right] = right, left
    return order


def merge_scales(outputs: Sequence[Tensor], task: BottomUp) -> tuple[Tensor, Tensor]:
    """Heatmaps averaged over the outputs and tags, both (B, J, H, W) at the finest size, as float32."""
    coarse, *finer = (output.detach().float() for output in outputs)
    wanted = [2 * task.joints, *[task.joints] * len(finer)]
    if (found := [output.shape[1] for output in (coarse, *finer)]) != wanted:
        raise UserError(
            f"the outputs have {' and '.join(map(str, found))} channels, a task of {task.joints} joints needs "
            f"{' and '.join(map(str, wanted))}: was the network built for other joints?"
        )
    tags = coarse[:, task.joints :]
    if any(task.tag_cue):
        tags = tags + position_cue(task.tag_cue, tags.shape[2], tags.shape[3], tags)
    size = [(output.shape[2], output.shape[3]) for output in outputs][-1]
    maps = [resize(coarse[:, : task.joints], size), *(resize(fine, size) for fine in finer[:-1]), *finer[-1:]]
    return sum(maps[1:], maps[0]) / len(maps), resize(tags, size)


def resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """The maps at another size, bilinear, with pixel edges (not centres) aligned."""
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
