"""Targets of the bottom-up task: Gaussians around joints and the places where tags are read, for a whole batch."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor


def scale_joints(joints: Tensor, input_size: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Joints (B, P, J, 3) given in pixels of the input (height, width) in pixels of a map of another size."""
    # Not times a tensor of the ratios: it would have to be copied to a GPU, which waits for it.
    ratios = (size[1] / input_size[1], size[0] / input_size[0])
    return torch.stack([joints[..., 0] * ratios[0], joints[..., 1] * ratios[1], joints[..., 2]], -1)


def joint_pixels(joints: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """(x, y, seen), each (B, P, J): the truncated pixel of each joint and whether it is labelled and inside."""
    labelled = joints[..., 2] > 0
    # Rows that only fill up the batch may hold anything, NaN as well: they become pixel 0 and stay unseen.
    place = torch.where(labelled[..., None], joints[..., :2], 0.0).trunc()
    x, y = place[..., 0], place[..., 1]
    seen = labelled & (x >= 0) & (y >= 0) & (x < width) & (y < height)
    return torch.where(seen, x, 0.0).long(), torch.where(seen, y, 0.0).long(), seen


def joint_indices(joints: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(index, seen), each (B, P, J): where in a flattened (J, H, W) map each joint of each person is read."""
    height, width = size
    x, y, seen = joint_pixels(joints, height, width)
    joint = torch.arange(joints.shape[2], device=joints.device)
    return torch.where(seen, (joint * height + y) * width + x, 0), seen


def gaussian_heatmaps(joints: Tensor, size: tuple[int, int], sigma: float = 2.0, exact: bool = False) -> Tensor:
    """(B, J, H, W) heatmaps of joints (B, P, J, 3) in map pixels: a Gaussian each, the maximum over people.

    The published Gaussian stands on the middle of its joint's pixel, an exact one on the joint itself.
    """
    height, width = size
    batch, _, count = joints.shape[:3]
    reach = int(3 * sigma + 1)
    span = torch.arange(-reach, reach + 1, device=joints.device)

    # The canvas has a margin as wide as the patch, so no patch needs clipping; joints outside write zeros.
    rows, columns = height + 2 * reach, width + 2 * reach
    x, y, seen = joint_pixels(joints, height, width)
    picture = torch.arange(batch, device=joints.device)[:, None, None]
    joint = torch.arange(count, device=joints.device)
    centre = ((picture * count + joint) * rows + y + reach) * columns + x + reach
    if joints.device.type == "cpu":  # most rows only fill up a batch; a GPU would have to wait to be asked who is seen
        joints, centre, seen = joints[seen], centre[seen], seen[seen]
    where = centre[..., None, None] + span[:, None] * columns + span
    if exact:
        offset = torch.where(seen[..., None], joints[..., :2] - joints[..., :2].trunc() - 0.5, 0.0)
        across, down = (-((span - offset[..., None]) ** 2) / (2 * sigma * sigma)).exp().unbind(-2)
        patch = down[..., :, None] * across[..., None, :]
    else:
        patch = _published_patch(reach, sigma, joints.device)
    value = patch * seen[..., None, None]
    canvas = torch.zeros(batch * count * rows * columns, device=joints.device)
    canvas.scatter_reduce_(0, where.flatten(), value.flatten(), reduce="amax")
    return canvas.view(batch, count, rows, columns)[:, :, reach : reach + height, reach : reach + width]


@functools.lru_cache(maxsize=16)  # or every step would wait for a copy to a GPU
def _published_patch(reach: int, sigma: float, device: torch.device) -> Tensor:
    # Float64 and rounded once: the patch is tiny and the same numbers come out on every device.
    span = torch.arange(-reach, reach + 1, dtype=torch.float64)
    bell = (-(span**2) / (2 * sigma * sigma)).exp()
    return (bell[:, None] * bell).float().to(device)


def bottomup_targets(
    joints: Tensor,
    input_size: tuple[int, int],
    sizes: Sequence[tuple[int, int]],
    sigma: float = 2.0,
    exact: bool = False,
) -> tuple[list[Tensor], tuple[Tensor, Tensor]]:
    """The heatmaps of every output and the tag indices on the first one, from joints in input pixels."""
    on_map = [scale_joints(joints, input_size, size) for size in sizes]
    heatmaps = [gaussian_heatmaps(placed, size, sigma, exact) for placed, size in zip(on_map, sizes, strict=True)]
    return heatmaps, joint_indices(on_map[0], sizes[0])
