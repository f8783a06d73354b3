"""S-ViPNAS: the published networks are points of the spaces, counted to the unit."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import litepose_nas as ln
from litepose_nas import costs, resources
from litepose_nas.formats import subnet_file

PUBLISHED = {  # parameters and MACs at 256x192 with 17 joints
    "s_vipnas-res50": (7_286_772, 1_462_930_272),
    "s_vipnas-mbv3": (5_895_725, 734_151_936),
}


def published(name: str) -> ln.Arch:
    return subnet_file.read(resources.find(name, "mobile_configs", ".json")).arch


@pytest.mark.parametrize(("name", "counts"), PUBLISHED.items())
def test_published_networks_cost_what_is_published(name, counts):
    arch = published(name)
    assert arch.input == (256, 192)
    cost = ln.cost(arch, joints=17)
    assert (cost.params, cost.macs) == counts
    with torch.device("meta"):
        net = ln.build(arch, 17).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            (heatmaps,) = net(torch.zeros(1, 3, 256, 192))
    assert heatmaps.shape == (1, 17, 64, 48)
    assert counter.get_total_flops() == 2 * counts[1]
    assert sum(param.numel() for param in net.parameters()) == counts[0]


def test_every_stage_has_the_published_parameters():
    stages = {
        "s_vipnas-res50": [80_036, 553_280, 2_408_390, 4_105_561],
        "s_vipnas-mbv3": [756, 77_112, 302_400, 729_040, 1_343_216, 3_431_360],
    }
    for name, wanted in stages.items():
        rows = costs.table(published(name), joints=17)
        found = [sum(row.params for row in rows if row.name.startswith(f"stages.{i}.")) for i in range(len(wanted))]
        assert found == wanted
