"""Time of the batched decode against the literal algorithm (per person, pure-Python assignment), with its split.

    python benchmarks/decode.py [--joints 17] [--size 256] [--people 3 10 30] [--tags 1] [--maps FILE.npz]

One picture, one thread, medians of CPU time (the clock of a shared machine lies). Without --maps the scenes are drawn:
Gaussians around joints (a tenth is missing) on a noisy ground, and at each place the tag of the person whose joint is
nearest, with noise, on a grid four times coarser that is enlarged as a network's own tags are. With --maps they are
read from a file with `heatmaps` (J, H, W) and `tags` (J, H, W, D), for instance the outputs of a trained network.
--tags D keeps the first D tag dimensions of such a file.

The people may differ from those of the literal algorithm without error: the published assignment cost has ties in
crowded scenes, where two solvers that are both optimal part ways. With the same solver they must be equal.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from litepose_nas.pose.bottomup_decode import decode_tags, fill_missing, resize
from litepose_nas.pose.grouping import Grouping, Peaks, group, joint_order
from litepose_nas.pose.peaks import find_peaks, quarter_pixel
from tests.helpers import literal_pose as literal


def milliseconds(work: Callable[[], object], repeat: int) -> float:
    """Return the median time of a call."""
    times = []
    for _ in range(repeat):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1e3 * statistics.median(times)


def literal_split(heatmaps: np.ndarray, tags: np.ndarray, order: list[int], repeat: int) -> list[float]:
    """Return the times of peaks, group, adjust and refine of the literal algorithm."""
    peaks = literal.literal_peaks(heatmaps)

    def people() -> tuple[list, list]:
        return literal.literal_group(peaks, tags, order)

    found, own = people()
    copies = [[[joint and list(joint) for joint in person] for person in found] for _ in range(2 * repeat)]
    return [
        milliseconds(lambda: literal.literal_peaks(heatmaps), repeat),
        milliseconds(people, repeat),
        milliseconds(lambda: literal.literal_adjust(copies.pop(), heatmaps), repeat),
        milliseconds(lambda: literal.literal_refine(copies.pop(), own, heatmaps, tags), repeat),
    ]


def fast_split(heatmaps: np.ndarray, tags: np.ndarray, order: list[int], repeat: int) -> list[float]:
    """Return the times of peaks, group, adjust and refine of the batched decode."""
    maps, tag_maps = torch.from_numpy(heatmaps), torch.from_numpy(tags)
    of_map, pixel = find_peaks(maps[None], 30, 0.1, 5)
    peaks = Peaks(
        of_map.numpy(), maps.flatten(1)[of_map, pixel].numpy(), tag_maps.flatten(1, 2)[of_map, pixel].double().numpy()
    )
    taken = group(peaks, order, Grouping())
    has = (taken >= 0)[..., None]
    x, y = pixel % maps.shape[2], pixel // maps.shape[2]
    table = np.stack([x.numpy(), y.numpy(), peaks.value], 1).astype(np.float32)
    found = np.where(has, table[taken], 0).astype(np.float32)
    means = np.where(has, peaks.tag[taken], 0).sum(1) / has.sum(1)
    return [
        milliseconds(lambda: find_peaks(maps[None], 30, 0.1, 5), repeat),
        milliseconds(lambda: group(peaks, order, Grouping()), repeat),
        milliseconds(lambda: quarter_pixel(maps, of_map, pixel), repeat),
        milliseconds(lambda: fill_missing([found], [means], maps, tag_maps), repeat),
    ]


def drawn_scene(people: int, joints: int, size: int, dims: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the maps of people in random places, with tags 1.5 apart."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0.1, 0.9, (people, 1, 2)) * size
    places = np.clip(centres + rng.normal(0, 0.06, (people, joints, 2)) * size, 1, size - 2)
    heights = rng.uniform(0.3, 1.0, (people, joints)) * (rng.uniform(size=(people, joints)) > 0.1)
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1)
    square = ((grid - places[:, :, None, None]) ** 2).sum(-1)  # (P, J, H, W)
    bells = (heights[:, :, None, None] * np.exp(-square / 8)).max(0)
    own = 1.5 * (np.arange(people) - people / 2)
    tags = own[square[:, :, ::4, ::4].argmin(0)][..., None] + rng.normal(0, 0.1, (joints, size // 4, size // 4, dims))
    ground = rng.uniform(0, 0.05, (1, joints, size // 4, size // 4))
    tag_maps, ground_map = (
        resize(torch.from_numpy(maps), (size, size)).float() for maps in (np.moveaxis(tags, -1, 0), ground)
    )
    heatmaps = np.maximum(ground_map[0].numpy(), bells).astype(np.float32)
    return heatmaps, tag_maps.movedim(0, -1).contiguous().numpy()


def alike(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two arrays of people are the same."""
    return one.shape == other.shape and bool(np.allclose(one, other, atol=1e-4))


def scipy_columns(cost: list[list[float]]) -> list[int]:
    """Return each row's column by the solver that the batched decode uses."""
    return linear_sum_assignment(np.array(cost))[1].tolist()


def report(name: str, heatmaps: np.ndarray, tags: np.ndarray) -> None:
    """Print both times, their ratio, both splits and whether the people are the same."""
    order = joint_order(len(heatmaps))
    batch = torch.from_numpy(heatmaps)[None], torch.from_numpy(tags)[None]
    (people,) = decode_tags(*batch)
    same = [alike(people.keypoints, literal.literal_decode(heatmaps, tags, order)[0])]
    own_solver, literal.hungarian = literal.hungarian, scipy_columns
    same.append(alike(people.keypoints, literal.literal_decode(heatmaps, tags, order)[0]))
    literal.hungarian = own_solver
    slow, fast = literal_split(heatmaps, tags, order, 3), fast_split(heatmaps, tags, order, 15)
    slow_all = milliseconds(lambda: literal.literal_decode(heatmaps, tags, order), 3)
    fast_all = milliseconds(lambda: decode_tags(*batch), 15)
    (plain,) = decode_tags(*batch, Grouping(refine=False))
    filled = int((people.keypoints[:, :, 2] > 0).sum() - (plain.keypoints[:, :, 2] > 0).sum())
    print(f"{name}: {len(people.keypoints)} people out, {filled} joints filled by refine")
    print(f"  same people as the literal algorithm: {same[0]}; with the same assignment solver: {same[1]}")
    for label, total, split in (("literal", slow_all, slow), ("batched", fast_all, fast)):
        parts = "  ".join(f"{part} {value:7.2f}" for part, value in zip(PARTS, split, strict=True))
        print(f"  {label} {total:8.2f} ms   {parts}")
    print(f"  ratio {slow_all / fast_all:.1f}x", flush=True)


PARTS = ("peaks", "group", "adjust", "refine")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--joints", type=int, default=17)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--people", type=int, nargs="+", default=[3, 10, 30])
    parser.add_argument("--tags", type=int, default=1, help="tag dimensions: 2 with a mirrored pass")
    parser.add_argument("--maps", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.maps:
        data = np.load(options.maps)
        report(options.maps.name, data["heatmaps"], np.ascontiguousarray(data["tags"][..., : options.tags]))
        return
    for people in options.people:
        heatmaps, tags = drawn_scene(people, options.joints, options.size, options.tags, seed=people)
        report(f"{people} drawn people, {options.joints} joints, {options.size} px", heatmaps, tags)


if __name__ == "__main__":
    main()
