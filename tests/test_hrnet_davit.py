"""HigherHRNet with DaViT beside it: published counts, the counter behind 330.5, masks, outputs, commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from commands import run
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

import litepose_nas as ln
from litepose_nas import costs, target
from litepose_nas.data.toy import write_toy

POINTS = {
    "higherhrnet-w32": (28_645_331, 46_203_404_288, "46.2034"),
    "hrnet_davit": (35_505_043, 55_940_594_432, "55.9406"),
}


def on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return ln.build(target.resolve(name).subnet.arch, 17).eval()


@pytest.mark.parametrize("name", POINTS)
def test_published_points_cost_what_is_printed(name):
    params, macs, printed = POINTS[name]
    subnet = target.resolve(name).subnet
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
    exact = {name: target.resolve(name).subnet.cost.macs for name in POINTS}
    assert f"{exact['hrnet_davit'] / 1e9:.2f}" == "55.94"
    # Without DaViT nothing is wrong but the deconv, which is counted on its output grid: four times its MACs.
    deconv = next(row for row in costs.table(target.resolve("higherhrnet-w32").subnet.arch) if row.name == "head.up.0")
    assert plain.conv == exact["higherhrnet-w32"] + 3 * deconv.macs
    assert exact["hrnet_davit"] < 1.22 * exact["higherhrnet-w32"]  # the printed figures say 6.9 times


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


def test_every_step_takes_the_fusion(tmp_path, monkeypatch, capsys):
    """Six commands on a few drawn people; nets of one, two and three outputs learn from each other on the way."""
    monkeypatch.chdir(tmp_path)
    write_toy(tmp_path / "people", train=8, val=3, size=64)
    Path("fusion.yaml").write_text(yaml.safe_dump(TINY, sort_keys=False))

    def said(command: str) -> str:
        assert run(f"litepose-nas {command}", monkeypatch) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    said("train-supernet --space fusion.yaml --data people --steps 4 batch=2 widest_first=0.25 random_nets=3")
    said("search --budget 60MMAC --evals 2")
    said("extract subnet.json")
    said("finetune subnet.safetensors --steps 2")
    assert "AP" in said("evaluate subnet-finetuned.safetensors --flip")
    assert json.loads(said("profile subnet.json --json"))["macs"] <= 60e6
