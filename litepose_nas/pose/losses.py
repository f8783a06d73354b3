"""Losses of the bottom-up task: masked heatmap error and associative-embedding tags (pull, and a choice of push)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from litepose_nas.errors import UserError, nearest
from litepose_nas.pose.bottomup_decode import position_cue


class TagStatistics(NamedTuple):
    """What the push terms see of a batch."""

    mean: Tensor  # (B, P): each person's mean tag
    present: Tensor  # (B, P): whether the person has a joint
    people: Tensor  # (B,): how many have


class LossSettings(NamedTuple):
    """What the loss is to be; the defaults are the published ones. A top-down task has no tags."""

    push: str = "exp"
    push_weight: float = 0.001
    pull_weight: float = 0.001
    heatmap_weight: float = 1.0
    foreground: float = 0.0  # how much more an error counts at the middle of a joint than on empty ground
    tag_cue: tuple[float, float] = (0.0, 0.0)  # see bottomup_decode.position_cue: a head start for the tags
    sigma: float = 2.0  # of the targets' Gaussians
    exact: bool = False  # Gaussians around the joint itself; published ones are centred on its pixel


class BottomUpLoss(NamedTuple):
    """The loss of a batch and its parts, unweighted; only `total` is meant for backward."""

    total: Tensor
    heatmap: Tensor
    push: Tensor
    pull: Tensor


def heatmap_loss(prediction: Tensor, target: Tensor, mask: Tensor | None = None, foreground: float = 0.0) -> Tensor:
    """(B,): mean squared error over all joints and pixels, pixels outside mask (B, H, W) counting as zero."""
    # In float32 whatever autocast says: squares of small errors are below what half precision can hold.
    square = (prediction.float() - target) ** 2
    if foreground:
        # Nearly all ground is empty, and zero everywhere is a plateau that short trainings do not leave.
        square = square * (1 + foreground * target)
    if mask is not None:
        square = square * mask[:, None]
    return square.mean((1, 2, 3))


def over_pairs(tags: TagStatistics, price: Callable[[Tensor], Tensor]) -> Tensor:
    """(B,): half the mean of price(difference) over the ordered pairs of different people; 0 below two."""
    difference = tags.mean[:, :, None] - tags.mean[:, None]
    pair = tags.present[:, :, None] & tags.present[:, None]
    pair = pair & ~torch.eye(pair.shape[1], dtype=torch.bool, device=pair.device)
    count = (tags.people * (tags.people - 1)).clamp(min=1)
    return 0.5 * (price(difference) * pair).sum((1, 2)) / count


def push_exp(tags: TagStatistics) -> Tensor:
    """The published push, exp(-d^2): its gradient vanishes where two tags coincide."""
    return over_pairs(tags, lambda d: torch.exp(-d * d))


def push_hinge(tags: TagStatistics) -> Tensor:
    """max(0, 1 - |d|): a constant gradient until people are 1 apart."""
    return over_pairs(tags, lambda d: (1 - d.abs()).clamp(min=0))


def push_wide_hinge(tags: TagStatistics) -> Tensor:
    """max(0, 1 - |d| / 2)^2: strongest where tags coincide, silent when people are 2 apart."""
    # 2 is twice the tag threshold of the decode: half the way stays for the spread inside a person.
    return over_pairs(tags, lambda d: (1 - d.abs() / 2).clamp(min=0) ** 2)


def push_log(tags: TagStatistics) -> Tensor:
    """max(0, -log(|d| / 2 + 0.05)): a gradient that grows toward coincidence, up to 10."""
    return over_pairs(tags, lambda d: (-torch.log(d.abs() / 2 + 0.05)).clamp(min=0))


def push_spread(tags: TagStatistics) -> Tensor:
    """max(0, 1 - deviation / wanted): the people's standard deviation against that of tags 2 apart."""
    people = tags.people.clamp(min=1)
    centre = (tags.mean * tags.present).sum(1) / people
    offset = torch.where(tags.present, tags.mean - centre[:, None], 0.0)
    # The root of a variance has no gradient at zero, hence the 1e-12; with any noise at all it has full strength.
    deviation = ((offset * offset).sum(1) / people + 1e-12).sqrt()
    # n tags at distance 2 from the next one have variance (n^2 - 1) / 3.
    wanted = ((people * people - 1).clamp(min=1) / 3.0).sqrt()
    return (1 - deviation / wanted).clamp(min=0) * (tags.people > 1)


PUSHES: dict[str, Callable[[TagStatistics], Tensor]] = {
    "exp": push_exp,
    "hinge": push_hinge,
    "wide_hinge": push_wide_hinge,
    "log": push_log,
    "spread": push_spread,
}


def tag_loss(tags: Tensor, index: Tensor, seen: Tensor, push: str = "exp") -> tuple[Tensor, Tensor]:
    """(push, pull), each (B,): tags (B, J, H, W) read at index (B, P, J) wherever seen (B, P, J)."""
    if push not in PUSHES:
        raise UserError(f"the tag loss knows no push {push!r}: {nearest(push, PUSHES)}")
    flat = tags.flatten(1)
    flat = flat if flat.dtype == torch.float64 else flat.float()
    read = flat.gather(1, index.flatten(1)).view(index.shape)
    # where, not a product: a NaN that is read by mistake at an unseen joint must not leak in.
    read = torch.where(seen, read, 0.0)
    joints = seen.sum(2)
    mean = read.sum(2) / joints.clamp(min=1)
    offset = torch.where(seen, read - mean[:, :, None], 0.0)
    present = joints > 0
    people = present.sum(1)
    pull = ((offset * offset).sum(2) / joints.clamp(min=1)).sum(1) / people.clamp(min=1)
    return PUSHES[push](TagStatistics(mean, present, people)), pull


def bottomup_loss(
    outputs: Sequence[Tensor],
    heatmaps: Sequence[Tensor],
    masks: Sequence[Tensor | None],
    indices: tuple[Tensor, Tensor],
    settings: LossSettings = LossSettings(),  # noqa: B008
) -> BottomUpLoss:
    """The loss of outputs (B, 2J, h, w), (B, J, H, W), ... against their targets, the mean over pictures.

    A network may have fewer outputs than there are targets: the finer ones are not asked of it.
    """
    joints = heatmaps[0].shape[1]
    tags = outputs[0][:, joints:]
    if any(settings.tag_cue):
        tags = tags.float() + position_cue(settings.tag_cue, tags.shape[2], tags.shape[3], tags.float())
    of_scale = [
        heatmap_loss(output[:, :joints], target, mask, settings.foreground)
        for output, target, mask in zip(outputs, heatmaps, masks, strict=False)
    ]
    heatmap = torch.stack(of_scale).sum(0).mean()
    push, pull = (part.mean() for part in tag_loss(tags, *indices, settings.push))
    total = settings.heatmap_weight * heatmap + settings.push_weight * push + settings.pull_weight * pull
    return BottomUpLoss(total, heatmap, push, pull)


def distillation_loss(
    outputs: Sequence[Tensor],
    teacher: Sequence[Tensor],
    joints: int,
    settings: LossSettings = LossSettings(),  # noqa: B008
) -> Tensor:
    """How far outputs are from a teacher's: heatmaps everywhere, tags where the teacher sees a joint."""
    teacher = [output.detach().float() for output in teacher]
    seen = teacher[0][:, :joints].clamp(0, 1)
    heat = sum(
        heatmap_loss(output[:, :joints], wanted[:, :joints].clamp(0, 1), None, settings.foreground).mean()
        for output, wanted in zip(outputs, teacher, strict=False)  # either may have finer ones
    )
    apart = (outputs[0][:, joints:].float() - teacher[0][:, joints:]) ** 2
    tags = (seen * apart).sum() / seen.sum().clamp(min=1)
    return settings.heatmap_weight * heat + settings.pull_weight * tags
