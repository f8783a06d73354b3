"""Networks that nobody trained, whose outputs are so large that they find people: what they find is noise, but much."""

import torch

import litepose_nas as ln
from litepose_nas import weights
from litepose_nas.data.skeleton import make_skeleton
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.pose.make_task import make_task
from litepose_nas.steps import common
from litepose_nas.train.recipe import Recipe


def lively(path, space, skeleton, factor, category="person"):
    """Write the smallest network of a space, its last weights multiplied."""
    torch.manual_seed(1)
    space = ln.Space.load(space)
    net = ln.build(space.smallest, len(skeleton.names))
    with torch.no_grad():
        for name, value in net.named_parameters():
            if (name.startswith("head.out") and name.endswith("project.weight")) or name == "heatmaps.conv.weight":
                value.mul_(factor)
    described = common.describe(skeleton, make_task(skeleton, Recipe().task_info, space.task), category)
    info = {"data": "people", "score": {"ap": 0.25, "loss": 1.5, "of": "fine-tuned weights"}, **described}
    weights.save(net.eval(), path, Subnet(space.smallest, len(skeleton.names), info))
    return path


def odd_skeleton():
    """Three joints with names that a page must not take for markup."""
    return make_skeleton(["<b>left</b>", "ri|ght", "tail"], [(0, 1), (1, 2)], [0.1, 0.1, 0.1], [(0, 1)])
