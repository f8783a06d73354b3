"""Costs that need no network: many at once equal one by one, the two conventions, memory by hand."""

import random

import numpy as np
import pytest

from litepose_nas import Space, cost, costs, resources
from litepose_nas.blocks.block import Part
from litepose_nas.families.hrnet_davit.davit import LayerNorm2d
from litepose_nas.families.hrnet_davit.hrnet import BasicBlock

SPACES = resources.names("search_spaces", ".yaml")


@pytest.mark.parametrize("name", SPACES)
def test_many_at_once_equal_one_by_one(name):
    space, rng = Space.load(name), random.Random(0)
    archs = [space.sample(rng) for _ in range(200)]
    assert np.array_equal(costs.many(archs, 14), [cost(arch, joints=14)[:4] for arch in archs])


@pytest.mark.parametrize("name", SPACES)
def test_the_table_adds_up(name):
    arch = Space.load(name).sample(random.Random(1))
    rows, whole = costs.table(arch, (250, 130), 5), cost(arch, (250, 130), 5)
    for column in ("macs", "macs_litepose", "params"):
        assert sum(getattr(row, column) for row in rows) == getattr(whole, column)


def test_a_larger_picture_and_more_joints_cost_more():
    arch = Space.load("litepose").smallest
    small, tall, many = cost(arch), cost(arch, (512, 256)), cost(arch, joints=30)
    assert small.macs < tall.macs
    assert small.peak_bytes < tall.peak_bytes
    assert small.params == tall.params
    assert small.params < many.params
    assert small.macs < many.macs
    assert small.macs < small.macs_litepose


def test_blocks_of_two_kinds_with_the_same_numbers_cost_their_own():
    first, second = Part("mix", 4, BasicBlock(16)), Part("norm", 4, LayerNorm2d(16))
    assert first.block == second.block  # as tuples are, which once let one be counted as the other
    counted = [costs.plan_cost([part], 64, 64) for part in (first, second)]
    assert [cost.params for cost in counted] == [2 * (9 * 16 * 16 + 32), 32]
    assert [cost.peak_bytes for cost in counted] == [4 * (3 * 64 * 64 + 16 * 16 * 16 * n) for n in (2, 1)]
