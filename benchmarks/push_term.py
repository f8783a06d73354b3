"""Which remedy makes the tags of different people part in a short training: one small net, drawn stick people, CPU.

    python benchmarks/push_term.py [--steps 400] [--seeds 1] [--only NAME ...]

Each row trains the same net on the same pictures with another tag loss. `found` is the share of visible joints that
have a peak within 8 % of the person's height; `together` is the share of a person's joints that lie in one output pose
(the best one; at most `found`); `capped` is the same with the capped assignment; `poses` is output poses per person;
`push` and `pull` are the unweighted published terms on unseen pictures. Refine is off: it would fill joints from
anywhere and hide bad grouping.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from litepose_nas.pose.bottomup import BottomUp
from litepose_nas.pose.bottomup_decode import combine, decode, decode_tags, position_cue
from litepose_nas.pose.grouping import Grouping
from litepose_nas.pose.losses import LossSettings, bottomup_loss, tag_loss
from litepose_nas.pose.people import People
from litepose_nas.pose.targets import bottomup_targets

SIZE, PEOPLE, JOINTS = 96, 3, 17
LIMBS = [(5, 7), (7, 9), (6, 8), (8, 10), (5, 6), (11, 12), (5, 11), (6, 12), (11, 13), (13, 15), (12, 14), (14, 16)]

ARMS_AND_LEGS = [(5, 7, 9, 0.17, 1.2), (6, 8, 10, 0.17, 1.2), (11, 13, 15, 0.24, 0.4), (12, 14, 16, 0.24, 0.4)]

FLIP_PAIRS = tuple((joint, joint + 1) for joint in range(1, JOINTS, 2))


class Remedy(NamedTuple):
    """One row of the table."""

    name: str
    loss: LossSettings
    tag_init: float = 1.0  # factor on the initial weights of the tag layer
    push_first: float = 1.0  # factor on the push weight that falls to 1 over the first half


CUE_X, CUE_XY = (4.0, 0.0), (4.0, 2.0)
REMEDIES = [
    Remedy("published exp, 0.001", LossSettings()),
    Remedy("exp, push 0.01", LossSettings(push_weight=0.01)),
    Remedy("exp, both 0.01", LossSettings(push_weight=0.01, pull_weight=0.01)),
    Remedy("exp, push 100x first", LossSettings(), push_first=100.0),
    Remedy("exp, tag layer 10x", LossSettings(), tag_init=10.0),
    Remedy("hinge, 0.001", LossSettings(push="hinge")),
    Remedy("hinge, both 0.01", LossSettings(push="hinge", push_weight=0.01, pull_weight=0.01)),
    Remedy("wide hinge, both 0.01", LossSettings(push="wide_hinge", push_weight=0.01, pull_weight=0.01)),
    Remedy("log, both 0.01", LossSettings(push="log", push_weight=0.01, pull_weight=0.01)),
    Remedy("spread, both 0.01", LossSettings(push="spread", push_weight=0.01, pull_weight=0.01)),
    Remedy("exp 0.001, cue x4", LossSettings(tag_cue=CUE_X)),
    Remedy("exp 0.01, cue x4", LossSettings(push_weight=0.01, pull_weight=0.01, tag_cue=CUE_X)),
    Remedy("hinge 0.01, cue x4", LossSettings("hinge", 0.01, 0.01, tag_cue=CUE_X)),
    Remedy("wide hinge 0.01, cue x4", LossSettings("wide_hinge", 0.01, 0.01, tag_cue=CUE_X)),
    Remedy("wide hinge 0.01, cue x4 y2", LossSettings("wide_hinge", 0.01, 0.01, tag_cue=CUE_XY)),
]


def stick_figure(rng: np.random.Generator) -> np.ndarray:
    """Return (17, 2) joints of a figure of height about 1, hips near 0."""
    side = np.array([-1.0, 1.0])
    joints = np.zeros((JOINTS, 2))
    joints[0] = (0, -0.45)
    joints[1:3] = np.stack([-side * 0.03, np.full(2, -0.48)], 1)
    joints[3:5] = np.stack([-side * 0.06, np.full(2, -0.46)], 1)
    joints[5:7] = np.stack([-side * 0.12, np.full(2, -0.32)], 1)
    joints[11:13] = np.stack([-side * 0.08, np.full(2, 0.02)], 1)
    for upper, middle, end, length, swing in ARMS_AND_LEGS:
        angle = rng.uniform(-swing, swing, 2).cumsum() / 1.3
        outward = 1 if upper % 2 else -1
        step = length * np.stack([outward * np.abs(np.sin(angle)), np.cos(angle)], 1)
        joints[middle], joints[end] = joints[upper] + step[0], joints[upper] + step[0] + step[1]
    turn = rng.uniform(-0.25, 0.25)
    return joints @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])


def draw(rng: np.random.Generator, size: int, people: int, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a picture (3, size, size), its joints (most, 17, 3) and the people's heights."""
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1) + 0.5
    picture = rng.uniform(0, 1, 3) + rng.normal(0, 0.08, (size, size, 3))
    joints, heights = np.zeros((most, JOINTS, 3)), np.zeros(most)
    for person in range(people):
        heights[person] = height = SIZE * rng.uniform(0.4, 0.75)
        low = 0.4 * SIZE / size
        place = np.array([rng.uniform(0.15, 0.85), rng.uniform(low, 1 - low)]) * size
        points = stick_figure(rng) * height + place
        colours = rng.uniform(0, 1, (4, 3))
        for limb, (a, b) in enumerate(LIMBS):
            along = points[b] - points[a]
            at = np.clip(((grid - points[a]) @ along) / (along @ along + 1e-9), 0, 1)[..., None]
            near = np.linalg.norm(grid - points[a] - at * along, axis=-1) < height * 0.03
            picture[near] = colours[0 if limb < 4 else 1 if limb < 8 else 2]
        picture[np.linalg.norm(grid - points[0], axis=-1) < height * 0.08] = colours[3]
        # The later person is in front: whose joints are covered is not worked out here, so all count as visible.
        inside = ((points >= 0) & (points < size)).all(1)
        joints[person] = np.concatenate([points, inside[:, None] * 2.0], 1)
    return picture.transpose(2, 0, 1), joints, heights


class Block(nn.Module):
    """An inverted bottleneck with a 7 x 7 depthwise convolution."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        middle = width_in * 4
        self.body = nn.Sequential(
            nn.Conv2d(width_in, middle, 1, bias=False), nn.BatchNorm2d(middle), nn.ReLU6(),
            nn.Conv2d(middle, middle, 7, stride, 3, groups=middle, bias=False), nn.BatchNorm2d(middle), nn.ReLU6(),
            nn.Conv2d(middle, width, 1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip
        self.skip = stride == 1 and width_in == width

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        return x + self.body(x) if self.skip else self.body(x)


class SmallNet(nn.Module):
    """A net with the two outputs of LitePose: heatmaps and tags at 1/4, heatmaps at 1/2."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.quarter = nn.Sequential(Block(16, 16, 2), Block(16, 16, 1))
        self.eighth = nn.Sequential(Block(16, 24, 2), Block(24, 24, 1), Block(24, 24, 1))
        self.sixteenth = nn.Sequential(Block(24, 40, 2), Block(40, 40, 1), Block(40, 40, 1))
        self.up8 = nn.Sequential(nn.ConvTranspose2d(40, 24, 4, 2, 1, bias=False), nn.BatchNorm2d(24))
        self.up4 = nn.Sequential(nn.ConvTranspose2d(24, 24, 4, 2, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        self.up2 = nn.Sequential(nn.ConvTranspose2d(24, 24, 4, 2, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        self.heat4, self.tag4 = self.head(40), self.head(40)
        self.heat2 = self.head(40)

    @staticmethod
    def head(width: int) -> nn.Sequential:
        """Return a separable 5 x 5 prediction layer."""
        return nn.Sequential(
            nn.Conv2d(width, width, 5, 1, 2, groups=width, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, JOINTS, 1, bias=False),
        )  # fmt: skip

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return both outputs."""
        half = self.stem(x)
        quarter = self.quarter(half)
        eighth = self.eighth(quarter)
        up4 = self.up4(torch.relu(self.up8(self.sixteenth(eighth)) + eighth))
        coarse = torch.cat([up4, quarter], 1)
        fine = torch.cat([self.up2(up4), half], 1)
        return torch.cat([self.heat4(coarse), self.tag4(coarse)], 1), self.heat2(fine)


def judge(poses: list[People], joints: np.ndarray, heights: np.ndarray) -> tuple[float, float, float]:
    """Return found, together and poses per person."""
    found, together, people, count = [], [], 0, 0
    for picture, truth, tall in zip(poses, joints, heights, strict=True):
        count += len(picture.keypoints)
        for person in range(len(truth)):
            seen = truth[person, :, 2] > 0
            if not seen.any():
                continue
            people += 1
            offset = picture.keypoints[:, seen, :2] - truth[person, seen, :2]
            near = (np.linalg.norm(offset, axis=-1) < 0.08 * tall[person]) & (picture.keypoints[:, seen, 2] > 0)
            found.append(near.any(0).mean() if len(near) else 0.0)
            together.append(near.mean(1).max() if len(near) else 0.0)
    return float(np.mean(found)), float(np.mean(together)), count / people


class Pictures(NamedTuple):
    """Drawn pictures with the truth about them."""

    pictures: Tensor
    joints: Tensor
    heights: np.ndarray


def make_pictures(count: int, seed: int) -> Pictures:
    """Return drawn pictures."""
    rng = np.random.default_rng(seed)
    drawn = [draw(rng, SIZE, rng.integers(2, PEOPLE + 1), PEOPLE) for _ in range(count)]
    pictures, joints, heights = (np.stack(part) for part in zip(*drawn, strict=True))
    return Pictures(torch.from_numpy(pictures).float(), torch.from_numpy(joints).float(), heights)


SIZES = ((SIZE // 4, SIZE // 4), (SIZE // 2, SIZE // 2))


def train(remedy: Remedy, data: Pictures, steps: int, batch: int, seed: int) -> SmallNet:
    """Return a net trained with the remedy."""
    torch.manual_seed(seed)
    net = SmallNet()
    with torch.no_grad():
        net.tag4[-1].weight.mul_(remedy.tag_init)
    optimizer = torch.optim.Adam(net.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.1)
    order = torch.Generator().manual_seed(seed)
    for step in range(steps):
        chosen = torch.randint(len(data.pictures), (batch,), generator=order)
        heatmaps, indices = bottomup_targets(data.joints[chosen], (SIZE, SIZE), SIZES)
        early = max(0.0, 1 - step / (steps / 2))
        settings = remedy.loss._replace(push_weight=remedy.loss.push_weight * remedy.push_first**early)
        loss = bottomup_loss(net(data.pictures[chosen]), heatmaps, [None, None], indices, settings)
        optimizer.zero_grad()
        loss.total.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return net


@torch.no_grad()
def crowd(net: SmallNet, remedy: Remedy, file: Path) -> None:
    """Print how a picture of 512 x 512 with 30 people is grouped; save its maps for benchmarks/decode.py --maps."""
    drawn, joints, heights = draw(np.random.default_rng(3), 512, 30, 30)
    picture = torch.from_numpy(drawn).float()[None]
    wider = 512 / SIZE  # the cue grows by so much a pixel as it did in training
    task = BottomUp(JOINTS, FLIP_PAIRS, tag_cue=(remedy.loss.tag_cue[0] * wider, remedy.loss.tag_cue[1] * wider))
    heatmaps, tags = combine(net.eval()(picture), task, net(picture.flip(-1)), (512, 512))
    np.savez(file, heatmaps=heatmaps[0].numpy(), tags=tags[0].numpy())
    for assignment in ("reference", "capped"):
        (people,) = decode_tags(heatmaps, tags, Grouping(refine=False, assignment=assignment))
        people = People(people.keypoints * np.array([2, 2, 1]), people.scores)
        found, together, poses = judge([people], joints[None], heights[None])
        print(f"  crowd of 30, {assignment:17} {found:8.3f} {together:8.3f} {'':8} {poses:8.3f}", flush=True)


@torch.no_grad()
def score(net: SmallNet, remedy: Remedy, data: Pictures) -> list[float]:
    """Return the figures of a row."""
    outputs = net.eval()(data.pictures)
    cue = remedy.loss.tag_cue
    _, indices = bottomup_targets(data.joints, (SIZE, SIZE), SIZES)
    tags = outputs[0][:, JOINTS:]
    tags = tags + position_cue(cue, *SIZES[0], tags)
    push, pull = (part.mean().item() for part in tag_loss(tags, *indices))
    row: list[float] = []
    for assignment in ("reference", "capped"):
        task = BottomUp(JOINTS, tag_cue=cue, grouping=Grouping(refine=False, assignment=assignment))
        row += judge(decode(outputs, task), data.joints.numpy(), data.heights)
    found, together, poses, _, capped, _ = row
    return [found, together, capped, poses, push, pull]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="rows whose names begin with one of these")
    parser.add_argument(
        "--save-maps", type=Path, help="also group a crowd; keep the last net's maps for benchmarks/decode.py"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    learn, test = make_pictures(1000, 1), make_pictures(100, 2)
    print(f"{options.steps} steps of {options.batch}, {SIZE} px, means of {options.seeds} seeds", flush=True)
    print(f"{'remedy':28} {'found':>8} {'together':>8} {'capped':>8} {'poses':>8} {'push':>8} {'pull':>8} {'s':>5}")
    for remedy in REMEDIES:
        if options.only and not any(remedy.name.startswith(start) for start in options.only):
            continue
        start = time.perf_counter()
        nets = [train(remedy, learn, options.steps, options.batch, seed) for seed in range(options.seeds)]
        rows = [score(net, remedy, test) for net in nets]
        seconds = (time.perf_counter() - start) / options.seeds
        figures = " ".join(f"{value:8.3f}" for value in np.mean(rows, axis=0))
        print(f"{remedy.name:28} {figures} {seconds:5.0f}", flush=True)
        if options.save_maps:
            crowd(nets[-1], remedy, options.save_maps)


if __name__ == "__main__":
    main()
