"""HigherHRNet with DaViT beside it: published counts, the counter behind 330.5, masks, outputs, commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

import litepose_nas as ln
from litepose_nas import costs
from litepose_nas.blocks.block import Part
from litepose_nas.blocks.deconv import HeatmapConv
from litepose_nas.families.hrnet_davit.davit import ChannelBlock, LayerNorm2d, PatchEmbed, PatchStem, WindowBlock
from litepose_nas.families.hrnet_davit.davit_torch import PatchConv
from litepose_nas.formats import subnet_file
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.network import Network
from litepose_nas.resolve import resolve
from litepose_nas.synthetic.dataset import write_toy
from tests.helpers import properties
from tests.helpers.commands import run

POINTS = {
    "higherhrnet-w32": (28_645_331, 46_203_404_288, "46.2034"),
    "hrnet_davit": (35_505_043, 55_940_594_432, "55.9406"),
}


def on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return ln.build(resolve(name).subnet.arch, 17).eval()


@pytest.mark.parametrize("name", POINTS)
def test_published_points_cost_what_is_printed(name):
    params, macs, printed = POINTS[name]
    subnet = resolve(name).subnet
    assert (subnet.joints, subnet.input) == (17, (512, 512))
    assert (subnet.cost.params, subnet.cost.macs) == (params, macs)
    assert f"{macs / 1e9:.4f}" == printed
    net = on_meta(name)
    # The meta device, because fused attention on a processor is counted as nothing.
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        outputs = net(torch.zeros(1, 3, 512, 512, device="meta"))
    assert counter.get_total_flops() == 2 * macs
    assert sum(param.numel() for param in net.parameters()) == params
    assert [tuple(output.shape) for output in outputs] == [(1, 34, 128, 128), (1, 17, 256, 256)]


class Summary(TorchFunctionMode):
    """The rule of the model summary that HigherHRNet's code prints, whose figures both papers give.

    A convolution, transposed or not, counts its weights once for each place of the output. A linear layer counts its
    output times `input.size(1)`: the input's width for a row of features, but for (batch, tokens, channels) the number
    of tokens. Products of attention are not counted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = self.linear = self.true_linear = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func in (F.conv2d, F.conv_transpose2d):
            self.conv += args[1].numel() * out.shape[2:].numel()
        elif func is F.linear:
            self.linear += out.numel() * args[0].size(1)
            self.true_linear += out.numel() * args[1].size(1)
        return out


def test_the_fusion_has_a_sixth_of_the_printed_count():
    """55.94 GMACs, printed as 330.5: the summary takes 16,384 tokens of a map for the 64 channels of each.

    Its convolutions are worth 50.7 G; its linear layers 6.6 G, for which it says 279.8.
    """
    counted = {}
    for name in POINTS:
        with Summary() as summary, torch.no_grad():
            on_meta(name)(torch.zeros(1, 3, 512, 512, device="meta"))
        counted[name] = summary
    plain, fusion = counted["higherhrnet-w32"], counted["hrnet_davit"]
    assert (f"{plain.conv / 1e9:.4f}", plain.linear) == ("47.8643", 0)
    assert f"{(fusion.conv + fusion.linear) / 1e9:.4f}" == "330.5031"
    assert (f"{fusion.conv / 1e9:.3f}", f"{fusion.linear / 1e9:.3f}") == ("50.724", "279.779")
    assert f"{fusion.true_linear / 1e9:.1f}" == "6.6"
    exact = {name: resolve(name).subnet.cost.macs for name in POINTS}
    assert f"{exact['hrnet_davit'] / 1e9:.2f}" == "55.94"
    # Without DaViT nothing is wrong but the deconv, which is counted on its output grid: four times its MACs.
    deconv = next(row for row in costs.table(resolve("higherhrnet-w32").subnet.arch) if row.name == "head.up.0")
    assert plain.conv == exact["higherhrnet-w32"] + 3 * deconv.macs
    assert exact["hrnet_davit"] < 1.22 * exact["higherhrnet-w32"]  # the printed figures say 6.9 times


# ── classifiers of the same blocks ──

CLASSIFIERS = {
    "tiny": ((96, 192, 384, 768), (1, 1, 3, 1), 28_360_168, "4.5218"),
    "small": ((96, 192, 384, 768), (1, 1, 9, 1), 49_745_896, "8.7730"),
    "base": ((128, 256, 512, 1024), (1, 1, 9, 1), 87_954_408, "15.4738"),
}


def classifier(dims: tuple[int, ...], depths: tuple[int, ...]) -> Iterator[Part]:
    """DaViT as it was published: four stages of pairs, then a norm and 1,000 classes of the average."""
    for i, (dim, depth) in enumerate(zip(dims, depths, strict=True)):
        yield Part(f"stages.{i}.embed", 2 << i if i else 1, PatchEmbed(dims[i - 1], dim, 2) if i else PatchStem(dim))
        for j in range(depth):
            yield Part(f"stages.{i}.{j}0", 4 << i, WindowBlock(dim, dim, 32, 4 * dim, 7))
            yield Part(f"stages.{i}.{j}1", 4 << i, ChannelBlock(dim, dim, 32, 4 * dim))
    yield Part("norm", 224, LayerNorm2d(dims[-1]))
    yield Part("classes", 224, HeatmapConv(dims[-1], 1000))


def classify(net: Network, x: torch.Tensor) -> torch.Tensor:
    for stage in net.stages.children():
        for block in stage.children():
            x = block(x)
    return net.classes(net.norm(x.mean((2, 3), keepdim=True)))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_published_davits_are_made_of_our_blocks(name):
    dims, depths, params, printed = CLASSIFIERS[name]
    plan = list(classifier(dims, depths))
    counted = costs.plan_cost(plan, 224, 224)
    assert (counted.params, f"{counted.macs / 1e9:.4f}") == (params, printed)
    with torch.device("meta"):
        net = Network(plan, classify, lambda part: part.block.build())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        assert net(torch.zeros(1, 3, 224, 224, device="meta")).shape == (1, 1000, 1, 1)
    assert counter.get_total_flops() == 2 * counted.macs
    assert sum(param.numel() for param in net.parameters()) == params


def test_topdown_hrnet_is_the_same_network_without_its_deconv():
    """HRNet-W32 of 16 joints: one answer of 16 maps, which are heatmaps and tags of 8 joints here."""
    space, values = ln.Space.load("hrnet_davit"), resolve("higherhrnet-w32").subnet.arch.to_dict()
    plain = {path: value for path, value in values.items() if not path.startswith("head.blocks")}
    counted = costs.cost(space.arch({**plain, "head.depth": 0}), (256, 256), 8)
    assert (counted.params, f"{counted.macs / 1e9:.4f}") == (28_536_080, "10.1932")


# ── small networks of the family ──

ORDERS = ["channel", "spatial", "channel-spatial", "spatial-channel"]
STAGE = {"depth": [1, 2], "width": [8, 12], "head": [4, 8], "expand": [1, 2], "window": [3, 4], "order": ORDERS}
LATER = {**STAGE, "embed": [2, 3]}
MASKS = ["0000", "1000", "0100", "0110", "0001", "1111"]
TINY = {
    "family": "hrnet_davit",
    "resolution": 64,
    "stem": 8,
    "bottlenecks": {"depth": 1, "width": 4},
    "branches": [{"width": [4, 6]}, {"width": [6, 8]}, {"width": 8}, {"width": 8}],
    "stages": [
        {"depth": 1, "blocks": {"depth": 1}},
        {"depth": [1, 2], "blocks": {"depth": [1, 2]}},
        {"depth": 1, "blocks": {"depth": 1}},
    ],
    "davit": {"mask": MASKS, "join": ["add", "gate", "concat1", "concat3"], "blocks": [STAGE, LATER, LATER, LATER]},
    "head": {"depth": [0, 1, 2], "blocks": {"depth": [0, 1], "width": [4, 6]}},
}


def tiny_space(**changes) -> ln.Space:
    return ln.Space({**TINY, **changes}, "tiny fusion")


def departing(space: ln.Space, **departures) -> ln.Arch:
    """The widest architecture but for these values, given by the last word of their paths."""
    values = space.widest.to_dict()
    changed = {path: departures[path.rpartition(".")[2]] for path in values if path.rpartition(".")[2] in departures}
    return space.arch({**values, **changed})


def names(arch: ln.Arch) -> list[str]:
    return [part.name for part in arch.plan(3)]


def test_a_mask_says_where_davit_is_joined_and_ends():
    space = tiny_space()
    for mask in MASKS:
        arch = departing(space, mask=mask)
        assert [f"join.{i}" in " ".join(names(arch)) for i in range(4)] == [bit == "1" for bit in mask]
        kept = len(mask.rstrip("0"))
        assert [f"davit.{i}.embed" in names(arch) for i in range(4)] == [i < kept for i in range(4)]
        # What nobody reads is no part of the architecture either: two that differ in it alone are one.
        assert {path.split(".")[2] for path in arch.to_dict() if path.startswith("davit.blocks")} == set("0123"[:kept])
        assert ("davit.join" in arch.to_dict()) == (mask != "0000")
    plain = departing(space, mask="0000")
    assert not [name for name in names(plain) if "davit" in name or "join" in name]
    assert departing(space, mask="0000", join="add", order="spatial") == plain


def test_a_space_with_a_mask_is_counted_exactly():
    one = {"depth": 1, "width": 8, "head": 4, "expand": 1, "window": 3, "order": ["channel", "spatial"]}
    davit = {"mask": ["0000", "0100", "1001"], "join": ["add", "gate"], "blocks": [one, *[{**one, "embed": 2}] * 3]}
    space = tiny_space(davit=davit, branches=[{"width": 4}] * 4, stages=[{"depth": 1, "blocks": {"depth": 1}}] * 3)
    head = 1 + 4 + 4**2
    assert space.size == head * (1 + 2 * 2**2 + 2 * 2**4)
    archs = list(space)
    assert len(set(archs)) == len(archs) == space.size
    assert len({tuple(arch.plan(3)) for arch in archs}) == space.size


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"davit": {**TINY["davit"], "mask": ["000", "111"]}}, "davit.mask: expected 4 of 0 and 1"),
        ({"davit": {**TINY["davit"], "mask": ["1111", "0000"]}}, "further to the right"),
        ({"davit": {**TINY["davit"], "mask": [0, 1111]}}, "in quotes"),
        ({"davit": {**TINY["davit"], "join": "ad"}}, "did you mean 'add'"),
        ({"davit": {**TINY["davit"], "blocks": [STAGE, LATER]}}, "expected 4 mappings"),
        ({"davit": {**TINY["davit"], "blocks": [STAGE, LATER, LATER, {**LATER, "order": "spatal"}]}}, "did you mean"),
        ({"davit": {**TINY["davit"], "blocks": [STAGE, LATER, LATER, {**LATER, "embed": 4}]}}, "3 that overlap"),
        ({"davit": {**TINY["davit"], "blocks": [STAGE, LATER, LATER, {**LATER, "window": 0}]}}, "from 1 up"),
        ({"davit": {**TINY["davit"], "blocks": [STAGE, LATER, LATER, {**LATER, "windows": 7}]}}, "'window'"),
        ({"branches": [{"width": 8}] * 3}, "branches: expected a list of 4, got 3"),
        ({"bottlenecks": {"depth": 0, "width": 4}}, "bottlenecks.depth: expected at least 1"),
    ],
)
def test_a_wrong_tree_is_told_where(change, message):
    with pytest.raises(ln.UserError, match=message):
        tiny_space(**change)


@pytest.mark.parametrize("size", [(64, 64), (50, 77)])
def test_every_deconv_adds_an_output_of_twice_the_size(size):
    space, image = tiny_space(), torch.randn(1, 3, *size)
    head = {"head.blocks.0.depth": 1, "head.blocks.0.width": 4, "head.blocks.1.depth": 0, "head.blocks.1.width": 6}
    for number in range(3):
        arch = space.arch({**space.widest.to_dict(), **head, "head.depth": number})
        outputs = ln.build(arch, 3).eval()(image)
        assert [output.shape[1] for output in outputs] == [6, 3, 3][: number + 1]
        for i, output in enumerate(outputs):
            assert tuple(output.shape[2:]) == tuple(-(-pixels // (4 >> i)) for pixels in size)


def test_each_choice_changes_what_is_computed():
    """Wiring that forgot a join, an order or a bit of the mask would go unnoticed by counts alone."""
    space = tiny_space()
    torch.manual_seed(0)
    supernet = ln.Supernet(space, 3)
    image = torch.randn(1, 3, 64, 64)
    seen: list[torch.Tensor] = []
    departures = [{"mask": mask} for mask in MASKS] + [{"order": order} for order in ORDERS[:3]]
    departures += [{"join": join} for join in ("add", "gate", "concat1")]
    departures += [{key: value} for key, value in (("head", 4), ("expand", 1), ("window", 3), ("embed", 2))]
    for each in departures:
        with torch.no_grad():
            out = ln.extract(supernet, departing(space, **each))(image)[0]
        assert not any(torch.allclose(out, other, atol=1e-4) for other in seen), each
        seen.append(out)


def test_what_is_narrow_lies_inside_what_is_wide():
    """Not so widths of DaViT, whose normalisations weigh all channels; what fits between them does."""
    space, image = tiny_space(), (torch.randn(1, 3, 50, 77),)
    supernet = properties.rough_supernet(space, 3)
    for narrow, wide in (
        ({"mask": "0000", "width": 4}, {"mask": "0000"}),
        ({"expand": 1}, {}),
        ({"join": "concat1"}, {}),
        ({"embed": 2, "order": "channel"}, {"order": "channel"}),
    ):
        narrow_values = {key: value for key, value in narrow.items() if key != "width"}
        arch, around = departing(space, **narrow_values), departing(space, **wide)
        if "width" in narrow:
            widths = {path: 4 if path == "branches.0.width" else 6 for path in ("branches.0.width", "branches.1.width")}
            arch = space.arch({**arch.to_dict(), **widths, "head.blocks.0.width": 4, "head.blocks.1.width": 4})
        properties.lies_inside(supernet, arch, around, image)


def test_queries_keys_and_values_are_windows_of_their_own():
    """Packed on one axis, values of a wide network would be keys of a narrow one, and no output would tell."""
    space = tiny_space()
    supernet = ln.Supernet(space, 3)
    narrow = supernet.subnet(space.arch({**space.widest.to_dict(), "davit.blocks.1.width": 8})).davit
    wide = supernet.store.root.davit
    for kind in ("spatial", "channel"):
        mine = getattr(getattr(getattr(narrow, "1").pairs, "0"), kind).qkv
        store = getattr(getattr(getattr(wide, "1").pairs, "0"), kind).qkv
        assert mine.shape == (3, 8, 8)
        assert mine.data_ptr() == store.data_ptr()
        for part in range(3):
            assert torch.equal(mine[part], store[part, :8, :8])


@pytest.mark.slow
def test_export_names_the_outputs_that_there_are(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    space = tiny_space()
    for number in range(3):
        values = {**space.widest.to_dict(), "davit.mask": "0100", "head.depth": number}
        subnet_file.write("net.json", Subnet(space.arch(values), 3))
        assert run("litepose-nas export net.json --untrained --json", monkeypatch) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["outputs"] == ["heatmaps_tags", "heatmaps", "heatmaps_fine"][: number + 1]


@pytest.mark.parametrize("size", [(8, 8), (7, 10)])
def test_touching_patches_lie_in_overlapping_ones(size):
    large, small = PatchConv(4, 6, 3), PatchConv(4, 6, 2)
    x = torch.randn(1, 4, *size)
    with torch.no_grad():
        small.weight.copy_(small.window("weight", large.weight))
        small.bias.copy_(small.window("bias", large.bias))
        large.weight[:, :, 0], large.weight[:, :, :, 0] = 0, 0
        padded = F.pad(x, (0, size[1] % 2, 0, size[0] % 2))
        assert torch.allclose(large(x), small(padded), atol=1e-6)


def test_every_step_takes_the_fusion(tmp_path, monkeypatch, said):
    """Six commands on a few drawn people; nets of one, two and three outputs learn from each other on the way."""
    monkeypatch.chdir(tmp_path)
    write_toy(tmp_path / "people", train=8, val=3, size=64)
    Path("fusion.yaml").write_text(yaml.safe_dump(TINY, sort_keys=False))

    said("train-supernet --space fusion.yaml --data people --steps 4 batch=2 widest_first=0.25 random_nets=3")
    said("search --budget 60MMAC --evals 2")
    said("extract subnet.json")
    said("finetune subnet.safetensors --steps 2")
    assert "AP" in said("evaluate subnet-finetuned.safetensors --flip")
    assert json.loads(said("profile subnet.json --json"))["macs"] <= 60e6
