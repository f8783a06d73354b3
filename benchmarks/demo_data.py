"""Is the demo's task worth solving? What its validation people look like, and what trivial answers score on them.

    python benchmarks/demo_data.py                      the people alone, drawn afresh for seeds 0 to 4
    python benchmarks/demo_data.py runs/demo/demo       those of a demo, and its searched network without its tags

`mean pose` is the AP of the average pose of the training people put into the true boxes. `no tags` is the AP of the
fine-tuned network when the tags it answers are replaced by a constant, the cue of place that is added to them included,
so that nothing but the heatmaps is left to tell people apart; `cue alone` keeps that cue.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from litepose_nas.data.dataset import Dataset
from litepose_nas.data.loader import Pictures
from litepose_nas.data.source import Source, open_source
from litepose_nas.demo.contenders import SEARCHED
from litepose_nas.demo.scale import FULL
from litepose_nas.evaluation import Net, evaluate
from litepose_nas.metrics.coco import coco_ap, read_truth
from litepose_nas.steps.evaluate import load
from litepose_nas.synthetic.dataset import write_toy


class Figures(NamedTuple):
    """What the validation people of a dataset look like."""

    pictures: int
    people: int
    fewest: int  # in a picture
    most: int
    hidden: float  # share of the labelled joints
    mean_pose: float  # AP


def figures(source: Source) -> Figures:
    train, val = source.read("train"), source.read("val")
    counts = [len(record.joints) for record in val.records]
    flags = np.concatenate([record.joints[:, :, 2].ravel() for record in val.records])
    hidden = (flags == 1).sum() / (flags > 0).sum()
    return Figures(
        len(counts), sum(counts), min(counts), max(counts), float(hidden), mean_pose_ap(val, mean_pose(train))
    )


def mean_pose(dataset: Dataset) -> np.ndarray:
    """The average place of each joint in a person's box, as shares of its sides."""
    shares = [
        np.where(person[:, 2:] > 0, (person[:, :2] - box[:2]) / box[2:], np.nan)
        for record in dataset.records
        for person, box in zip(record.joints, record.boxes, strict=True)
    ]
    return np.nanmean(shares, axis=0)


def mean_pose_ap(dataset: Dataset, pose: np.ndarray) -> float:
    """The AP of one pose in every true box."""
    results = [
        {
            "image_id": record.image_id,
            "category_id": 1,
            "keypoints": np.column_stack((pose * box[2:] + box[:2], np.ones(len(pose)))).ravel().tolist(),
            "score": 1.0,
        }
        for record in dataset.records
        for box in record.boxes
    ]
    return coco_ap(read_truth(dataset), results).ap


def without_tags(net: Net, joints: int) -> Net:
    """A network that answers the same heatmaps and a tag of 0 everywhere."""

    def answer(images: Tensor) -> Sequence[Tensor]:
        coarse, fine = net(images)
        return torch.cat([coarse[:, :joints], torch.zeros_like(coarse[:, joints:])], dim=1), fine

    return answer


def tag_loss(run: Path) -> tuple[float, float, float]:
    """The AP of a demo's searched, fine-tuned network: as it is, with constant tags, with the cue alone."""
    loaded = load(str(run / "networks" / SEARCHED / "subnet-finetuned.safetensors"), "cpu")
    pictures = Pictures(open_source(str(run / "people")).read("val"))
    blind = without_tags(loaded.net, loaded.task.joints)
    constant = loaded.task._replace(tag_cue=(0.0, 0.0))
    whole, none, cue = (
        evaluate(net, pictures, task, loaded.size)[0].ap
        for net, task in ((loaded.net, loaded.task), (blind, constant), (blind, loaded.task))
    )
    return whole, none, cue


def line(name: str, found: Figures) -> str:
    return (
        f"{name:<12} {found.pictures:>8} {found.people:>7} {found.fewest:>6}-{found.most} {100 * found.hidden:>7.1f} % "
        f"{found.mean_pose:>10.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="folders of demos")
    runs = parser.parse_args().runs
    torch.set_num_threads(1)
    print(f"{'people of':<12} {'pictures':>8} {'people':>7} {'a picture':>8} {'hidden':>9} {'mean pose':>10}")
    for run in runs:
        print(line(run.name, figures(open_source(str(run / "people")))))
    if not runs:
        for seed in range(5):
            with tempfile.TemporaryDirectory() as folder:
                place = Path(folder) / "people"
                write_toy(place, FULL.train, FULL.val, FULL.size, seed, FULL.setting)
                print(line(f"seed {seed}", figures(open_source(str(place)))))
                sys.stdout.flush()
        return
    print(f"\n{'network of':<12} {'AP':>6} {'no tags':>8} {'lost':>6} {'cue alone':>10} {'lost':>6}")
    for run in runs:
        whole, none, cue = tag_loss(run)
        print(f"{run.name:<12} {whole:>6.3f} {none:>8.3f} {whole - none:>6.3f} {cue:>10.3f} {whole - cue:>6.3f}")


if __name__ == "__main__":
    main()
