"""LEViTPose's family: EfficientViT's published counts, and the properties in a tiny space with every kind of block."""

from __future__ import annotations

import random
from collections.abc import Callable
from fnmatch import fnmatch

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import litepose_nas as ln
from litepose_nas import costs
from litepose_nas.errors import UserError
from litepose_nas.exporters.onnx import to_onnx
from litepose_nas.families.levitpose.convolutions import ConvDownsample, DepthwiseFFN
from litepose_nas.network import Network
from litepose_nas.resolve import resolve
from litepose_nas.space import Arch, Space
from litepose_nas.supernet import Supernet
from tests.helpers import properties
from tests.helpers.properties import CHECKS, Inputs, rough_supernet, sampled

JOINTS = 3
SIZES = {"even": (64, 64), "odd": (75, 49), "more windows": (40, 140)}
# Parameters and millions of MACs of the classifiers at 224.
CLASSIFIERS = {
    "efficientvit-m0": (2_349_436, "79.19"),
    "efficientvit-m1": (2_980_560, "167.05"),
    "efficientvit-m2": (4_187_554, "201.04"),
    "efficientvit-m3": (6_900_722, "262.66"),
    "efficientvit-m4": (8_804_228, "299.31"),
    "efficientvit-m5": (12_473_772, "521.58"),
}
LIKE = {"levitpose-like-t": ("1.065", "0.881"), "levitpose-like-s": ("2.131", "1.381")}  # M parameters, GMACs
STAGE = {
    "depth": [1, 2],
    "attention": ["pool2", "pool3", "window3", "window4"],
    "heads": ["3-3-3", "5-3-1", "3-3", "3"],
    "key": [3, 5],
    "expand": [1, 2],
}
DOWN = {"down": ["depthwise", "conv", "merge"]}
LAYER = {"form": ["plain", "light"], "width": [4, 8], "kernel": [2, 4], "groups": [4, 2, 1]}
TREE = {
    "family": "levitpose",
    "resolution": ["48x32", "64x64"],
    "embedding": ["conv5", "conv7", "light", "conv3x2"],
    "stages": [
        {**STAGE, "width": [8, 12]},
        {**STAGE, **DOWN, "width": [8, 16]},
        {**STAGE, **DOWN, "width": [16, 20]},
    ],
    "head": [LAYER, LAYER],
}
ONE_KIND = {"attention": "window3", "heads": "3-3", "down": "conv"}
SPACE = Space(TREE, name="tiny levitpose")


@pytest.fixture(scope="module")
def supernet() -> Supernet:
    return rough_supernet(SPACE, JOINTS)


def pictures(size: str, memory_format: torch.memory_format = torch.contiguous_format) -> Inputs:
    x = torch.randn(2, 3, *SIZES[size], generator=torch.Generator().manual_seed(1))
    return (x.contiguous(memory_format=memory_format),)


def departing(base: Arch, values: dict[str, object]) -> Arch:
    """An architecture with these values, by patterns of paths; `least` is the smallest choice."""
    changed = {
        gene.path: gene.choices[0] if value == "least" else value
        for gene in SPACE.genes
        for pattern, value in values.items()
        if fnmatch(gene.path, pattern)
    }
    return SPACE.arch(base.to_dict() | changed)


def in_turn(names: list[str]) -> Callable[[nn.Module, Tensor], Tensor]:
    """A wiring: one named block after the other."""

    def forward(net: nn.Module, x: Tensor) -> Tensor:
        for name in names:
            x = net.get_submodule(name)(x)
        return x

    return forward


# ── counts ──


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_efficientvit_classifiers(name):
    """The backbone of a published point and the classifier's end: by the plan, and as torch counts what is built."""
    arch = resolve(name).subnet.arch
    backbone = [part for part in arch.plan(16) if part.name.startswith(("embedding", "stages"))]
    width, classes = arch.tree.stages[-1].width, 1000
    params, macs = CLASSIFIERS[name]
    cost = costs.plan_cost(backbone, 224, 224)
    assert cost.params + 2 * width + classes * width + classes == params
    assert f"{(cost.macs + classes * width) / 1e6:.2f}" == macs
    with torch.device("meta"):
        features = Network(backbone, in_turn([part.name for part in backbone]), lambda part: part.block.build())
        end = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(width), nn.Linear(width, classes))
        net, picture = nn.Sequential(features, end).eval(), torch.empty(1, 3, 224, 224)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        assert net(picture).shape == (1, classes)
    assert sum(param.numel() for param in net.parameters()) == params
    assert counter.get_total_flops() == 2 * (cost.macs + classes * width)


@pytest.mark.parametrize("name", LIKE)
def test_points_like_levitpose(name):
    subnet = resolve(name).subnet
    assert (subnet.input, subnet.joints) == ((256, 256), 16)
    params, macs = LIKE[name]
    assert (f"{subnet.cost.params / 1e6:.3f}", f"{subnet.cost.macs / 1e9:.3f}") == (params, macs)
    assert "not public" in subnet.info["source"]["network"]


@pytest.mark.parametrize("name", [*CLASSIFIERS, *LIKE])
def test_a_published_point_is_what_torch_counts(name):
    subnet = resolve(name).subnet
    with torch.device("meta"):
        net, picture = ln.build(subnet.arch, subnet.joints).eval(), torch.empty(1, 3, *subnet.input)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        (heatmaps,) = net(picture)
    assert heatmaps.shape == (1, 16, subnet.input[0] // 4, subnet.input[1] // 4)
    assert counter.get_total_flops() == 2 * subnet.cost.macs
    assert sum(param.numel() for param in net.parameters()) == subnet.cost.params
    assert subnet.info["cost_by_joints"]["16"] == subnet.cost._asdict()


def test_blocks_of_two_kinds_with_the_same_numbers_cost_their_own():
    assert DepthwiseFFN(8, 16) == ConvDownsample(8, 16)  # as tuples: one must not be taken for the other
    conv, feed = (costs._block_sums(kind(8, 16), 4, 4)[0] for kind in (ConvDownsample, DepthwiseFFN))
    assert (conv, feed) == (4 * 9 * 8 * 16, 16 * (9 * 8 + 2 * 8 * 16))


def test_many_at_once_equal_one_by_one():
    rng = random.Random(0)
    archs = [SPACE.sample(rng) for _ in range(100)]
    assert costs.many(archs, 14).tolist() == [list(ln.cost(arch, joints=14)[:4]) for arch in archs]


def test_rows_of_choices_are_priced_like_networks():
    """Many rows with the same words, which are counted at once where blocks take columns; these do not."""
    space = Space(
        {
            **TREE,
            "embedding": "light",
            "stages": [stage | {k: v for k, v in ONE_KIND.items() if k in stage} for stage in TREE["stages"]],
        }
    )
    rng = random.Random(0)
    archs = [space.sample(rng) for _ in range(300)]
    rows = np.array(
        [
            [g.choices.index(v) if v is not None else -1 for g, v in zip(space.genes, a.values, strict=True)]
            for a in archs
        ]
    )
    priced = costs.columns(space, 5)(rows)
    for field in ("macs", "params"):
        assert priced[field].tolist() == [getattr(ln.cost(arch, joints=5), field) for arch in archs]


# ── properties ──


QUICK = {name: check for name, check in CHECKS.items() if name != "peak"}


@pytest.mark.parametrize("check", QUICK.values(), ids=QUICK.keys())
def test_property(supernet, check):
    for arch, size in zip(sampled(SPACE, 4), [*SIZES, "odd"], strict=True):
        check(supernet, arch, pictures(size))


def test_peak(supernet):
    for arch in sampled(SPACE, 3)[1:]:  # slow to trace: the others in the slow tests
        properties.peak_is_exact(supernet, arch, pictures("odd"))


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
def test_property_slow(supernet, check):
    for arch in sampled(SPACE, 50):
        for size in SIZES:
            check(supernet, arch, pictures(size))


WIDTHS = {"*.width": "least", "*.key": "least", "*.expand": "least", "head.*.kernel": "least"}


@pytest.mark.parametrize(
    ("narrow", "both"),
    [
        (WIDTHS, {}),
        (WIDTHS, {"*.heads": "3-3", "*.attention": "window3", "embedding": "light", "*.form": "plain"}),
        (WIDTHS, {"*.heads": "5-3-1", "head.*.groups": 2, "embedding": "conv7", "*.down": "conv"}),
        ({"*.width": "least"}, {"*.heads": "3-3-3", "*.down": "depthwise", "head.1.groups": 4}),
        ({"head.*.groups": 4}, {"embedding": "conv5"}),
    ],
)
def test_networks_with_windows_nest(supernet, narrow, both):
    wide = departing(SPACE.widest, both)
    for size in SIZES:
        properties.lies_inside(supernet, departing(wide, narrow), wide, pictures(size))


def test_another_number_of_heads_is_another_network(supernet):
    small = departing(SPACE.widest, {"*.heads": "3-3"})
    with pytest.raises(AssertionError, match="does not lie inside"):
        properties.lies_inside(supernet, small, SPACE.widest, pictures("even"))


def test_bfloat16(supernet):
    with torch.autocast("cpu", torch.bfloat16):
        for arch, size in zip(sampled(SPACE, 4), [*SIZES, "odd"], strict=True):
            properties.subnet_equals_extraction(supernet, arch, pictures(size))


def test_channels_last():
    supernet = rough_supernet(SPACE, JOINTS, memory_format=torch.channels_last)
    for arch, size in zip(sampled(SPACE, 4), [*SIZES, "odd"], strict=True):
        properties.subnet_equals_extraction(supernet, arch, pictures(size, torch.channels_last))
        properties.fresh_net_is_equal(supernet, arch, pictures(size, torch.channels_last))


def test_random_archs_build(supernet):
    properties.all_build(supernet, 300)


def test_exports(supernet):
    properties.exports(supernet, sampled(SPACE, 3)[-1], pictures("odd"))


@pytest.mark.slow
def test_compiles_and_exports_slow(supernet):
    for arch in sampled(SPACE, 8):
        properties.exports(supernet, arch, pictures("even"))
        properties.compiles(supernet, arch, pictures("more windows"))


@pytest.mark.slow
def test_onnx(supernet, tmp_path):
    """A file is kept only if ONNX Runtime agrees with torch."""
    pytest.importorskip("onnxruntime")
    for number, arch in enumerate([*sampled(SPACE, 3), departing(SPACE.smallest, {"*.attention": "window3"})]):
        net = ln.calibrate(ln.extract(supernet, arch), [pictures("even")[0]])
        to_onnx(net, tmp_path / f"{number}.onnx", SIZES["odd"], ("heatmaps",), {})


# ── what a user can get wrong ──


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"embedding": "conv9"}, "did you mean .conv"),
        ({"embedding": "conv3x4"}, "head: expected a list of 4"),
        ({"head": [LAYER]}, "head: expected a list of 2, got 1"),
        ({"head": "two"}, "head: expected a list"),
        ({"stages": TREE["stages"][:2]}, "stages: expected a list of 3, got 2"),
        ({"head": [{**LAYER, "groups": [3, 1]}, LAYER]}, "head.0.groups: 3 do not divide 20"),
    ],
)
def test_trees_that_describe_no_network(changes, words):
    with pytest.raises(UserError, match=words):
        Space(TREE | changes)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("attention", "pooled", "write pool7, window7"),
        ("attention", "window0", "write pool7, window7"),
        ("heads", "3,3,3", "as 7-5-3-3"),
        ("heads", "3-4-3", "an odd kernel for each"),
        ("heads", "3-3-3-3-3", "up to 4,"),
        ("depth", 0, "stages.0.depth: expected at least 1"),
        ("down", "merged", "did you mean .merge"),
    ],
)
def test_stages_that_are_none(key, value, words):
    with pytest.raises(UserError, match=words):
        Space(TREE | {"stages": [{**stage, key: value} for stage in TREE["stages"]]})
