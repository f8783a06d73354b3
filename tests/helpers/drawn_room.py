"""A folder with drawn people and a top-down network of them, as untrained as it is quick."""

from pathlib import Path

import torch

from litepose_nas import Space, Subnet, build, save
from litepose_nas.data.source import open_source
from litepose_nas.pose.topdown import TopDown
from litepose_nas.steps.common import describe
from litepose_nas.synthetic.dataset import write_toy


def write_room(folder: Path, train: int = 90) -> None:
    write_toy(folder / "people", train, 8, 64, 0, "easy")
    skeleton = open_source(str(folder / "people")).read("train").skeleton
    arch = Space.load("topdown-tiny").smallest
    torch.manual_seed(1)
    info = describe(skeleton, TopDown(17, skeleton.flip_pairs))
    save(build(arch, 17), folder / "net.safetensors", Subnet(arch, 17, info))
