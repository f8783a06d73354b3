"""S-ViPNAS: the published networks are points of the spaces, counted to the unit."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

import litepose_nas as ln
from litepose_nas import costs
from litepose_nas.errors import UserError
from litepose_nas.exporters.onnx import to_onnx
from litepose_nas.resolve import resolve
from litepose_nas.search.encoding import Genome
from litepose_nas.space import Space
from litepose_nas.synthetic.dataset import write_toy
from tests.helpers.properties import rough_supernet, sampled, subnet_equals_extraction

PUBLISHED = {  # parameters and MACs at 256x192 with 17 joints
    "s_vipnas-res50": (7_286_772, 1_462_930_272),
    "s_vipnas-mbv3": (5_895_725, 734_151_936),
}


@pytest.mark.parametrize(("name", "counts"), PUBLISHED.items())
def test_published_networks_cost_what_is_published(name, counts):
    arch = resolve(name).subnet.arch
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
        rows = costs.table(resolve(name).subnet.arch, joints=17)
        found = [sum(row.params for row in rows if row.name.startswith(f"stages.{i}.")) for i in range(len(wanted))]
        assert found == wanted


def tiny(name: str) -> Space:
    """A space of the same family, small enough to train inside a test."""
    group = {"lanes": 4, "fewest_groups": 2}
    stage = {"width": [8, 16], "kernel": [3, 5], "attention": [0, 1]}
    if name == "s_vipnas_res50":
        stages = [{**stage, "depth": [1, 2], "groups": [99, 4, 2]}] + 3 * [{**stage, "depth": 1, "groups": [99, 4, 2]}]
    else:
        group["largest_group"] = 4
        stages = [{"depth": 1, "kernel": [3, 5], "each": [1, 2, 4], "attention": [0, 1]}]
        stages += 5 * [{**stage, "depth": 1, "expand": [1, 2], "each": [1, 4]}]
    head = {"width": [8, 16], "kernel": [2, 4], "groups": [99, 4, 2]}
    body = {"entry": {"width": [8, 16], "kernel": [3, 5]}, "stages": stages, "head": head}
    return Space({"family": name, **group, "resolution": ["64x48"], **body}, name="tiny")


@pytest.mark.parametrize("family", ["s_vipnas_res50", "s_vipnas_mbv3"])
def test_an_export_shuffles_channels_once(tmp_path, family):
    onnx = pytest.importorskip("onnx")
    space = tiny(family)
    arch = sampled(space, 3)[2]
    net = ln.extract(rough_supernet(space, 3), arch).eval()
    to_onnx(net, tmp_path / "net.onnx", arch.input, ("heatmaps",), {})  # and refuses what differs from torch
    kinds = Counter(node.op_type for node in onnx.load(str(tmp_path / "net.onnx")).graph.node)
    assert kinds["Transpose"] == 1  # before the first deconv
    assert not kinds["Gather"] + kinds["BatchNormalization"]  # norms are folded into convolutions
    assert kinds["ConvTranspose"] == 3


@pytest.mark.parametrize("family", ["s_vipnas_res50", "s_vipnas_mbv3"])
def test_the_whole_way_on_drawn_people(tmp_path, monkeypatch, said, family):
    monkeypatch.chdir(tmp_path)
    write_toy(tmp_path / "people", train=8, val=3, size=64)
    Path("small.yaml").write_text(yaml.safe_dump(json.loads(tiny(family).source), sort_keys=False))

    said("train-supernet --space small.yaml --data people --recipe vipnas --steps 3 batch=2")
    said("search --budget 1.2MMAC --evals 3")
    said("extract subnet.json")
    said("finetune subnet.safetensors --steps 2")
    assert "true boxes" in said("evaluate subnet-finetuned.safetensors")
    told = json.loads(said("profile subnet-finetuned.safetensors --json"))
    assert 0 < told["macs"] <= 1_200_000
    assert told["of_one"] == "person"
    res50 = family == "s_vipnas_res50"
    for kind in ("GroupedBottleneck", "GroupDeconv") if res50 else ("InvertedResidual", "LaneHeatmapConv"):
        assert kind in said("profile subnet.json")


@pytest.mark.parametrize("name", ["s_vipnas_res50", "s_vipnas_mbv3"])
def test_a_whole_search_round_is_priced_at_once(name):
    space = Space.load(name)
    rows = Genome(space).draw(40, np.random.default_rng(0), 3.0)
    quick = costs.columns(space)(rows)
    exact = [ln.cost(Genome(space).arch(row), joints=17) for row in rows]
    for field in ("macs", "macs_litepose", "params", "weight_bytes"):
        assert quick[field].tolist() == [getattr(cost, field) for cost in exact]


@pytest.mark.parametrize(
    ("family", "path", "value", "message"),
    [
        ("s_vipnas_res50", ("stages", 1, "width"), [8, 18], r"stages\.1\.width: 18 is no multiple of 4"),
        ("s_vipnas_res50", ("stages", 1, "groups"), [3, 2], r"stages\.1\.groups: 3 .* choose from \[2, 4\]"),
        ("s_vipnas_res50", ("stages", 1, "groups"), [4, 1], r"stages\.1\.groups: 1 .* choose from \[2, 4\]"),
        ("s_vipnas_res50", ("fewest_groups",), 3, r"fewest_groups: 3 is no divisor of 4"),
        ("s_vipnas_res50", ("head", "kernel"), [2, 3], r"head\.kernel: expected even kernel sizes, got 3"),
        ("s_vipnas_res50", ("stages", 1, "depth"), [0, 1], r"stages\.1\.depth: expected at least 1"),
        ("s_vipnas_res50", ("stages",), [], r"stages: expected"),
        ("s_vipnas_mbv3", ("stages", 1, "each"), [3, 4], r"stages\.1\.each: 3 channels are no part .* 4"),
        ("s_vipnas_mbv3", ("stages", 1, "each"), [4, 8], r"stages\.1\.each: 8 channels are no part .* 4"),
        ("s_vipnas_mbv3", ("entry", "width"), [6, 8], r"entry\.width: 6 is no multiple of 4"),
        ("s_vipnas_mbv3", ("head", "width"), [8, 10], r"head\.width: 10 is no multiple of 4"),
        ("s_vipnas_mbv3", ("stages", 2, "group"), 4, r"stages\.2\.group: unknown key `group`"),
    ],
)
def test_what_cannot_be_built_is_said(family, path, value, message):
    tree = json.loads(tiny(family).source)
    node = tree
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    with pytest.raises(UserError, match=message):
        Space(tree)


@pytest.mark.parametrize("family", ["s_vipnas_res50", "s_vipnas_mbv3"])
def test_many_pictures_in_another_memory_layout_change_no_bit(family):
    """From 16 pictures on, a 1x1 convolution of one position would be computed differently in a window and its copy."""
    supernet = rough_supernet(tiny(family), 3, memory_format=torch.channels_last)
    pictures = torch.randn(16, 3, 64, 48, generator=torch.Generator().manual_seed(1))
    for arch in sampled(supernet.space, 4):
        subnet_equals_extraction(supernet, arch, (pictures.contiguous(memory_format=torch.channels_last),))


def test_one_channel_a_lane_changes_no_bit():
    """The window's weights of such a normalisation have steps between them, which its copy's have not."""
    space = Space.load(str(Path(__file__).resolve().parent.parent / "benchmarks" / "real_space.yaml"))
    supernet = rough_supernet(space, 3, memory_format=torch.channels_last)
    narrow = {**space.smallest.to_dict(), "resolution": 96}
    pictures = torch.randn(16, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    subnet_equals_extraction(supernet, space.arch(narrow), (pictures,))
