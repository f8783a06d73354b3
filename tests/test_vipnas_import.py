"""Released S-ViPNAS checkpoints: the imported network computes what the released tensors do, written out plainly."""

from __future__ import annotations

import pytest
import torch

import litepose_nas as ln
from litepose_nas.errors import UserError
from litepose_nas.importers import starts, vipnas
from litepose_nas.importers.layouts import LAYOUTS
from litepose_nas.resolve import resolve
from litepose_nas.space import Space
from tests.helpers import released_vipnas as released

HEADS = {"0.x": "keypoint_head", "1.x": "head"}
NETS = {
    "s_vipnas-res50": (released.res50_state, released.run_res50),
    "s_vipnas-mbv3": (released.mbv3_state, released.run_mbv3),
}
CASES = [(name, version) for name in NETS for version in HEADS]


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    apart = (one - other).abs().max() / other.abs().max()
    assert apart <= 1e-5, f"{apart:.1e} apart"
    assert other.std() > 0.01, "nothing to compare"


@pytest.mark.parametrize(("name", "version"), CASES)
@torch.no_grad()
def test_it_computes_what_the_released_tensors_do(tmp_path, name, version):
    make, forward = NETS[name]
    state = make(HEADS[version])
    torch.save({"meta": {"epoch": 210}, "state_dict": state}, tmp_path / "released.pth")
    net = ln.import_weights(tmp_path / "released.pth")
    assert net.meta["arch"] == resolve(name).subnet.arch.to_dict()
    assert net.meta["pixels"] == "imagenet"
    report = net.meta["imported"]
    assert not report.unmatched
    assert not report.missing
    assert len(report.matched) == len(state)
    picture = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    close(net(picture)[0], forward(state, HEADS[version], picture))


@torch.no_grad()
def test_a_supernet_starts_from_a_released_network(tmp_path):
    state = released.res50_state("head")
    torch.save(state, tmp_path / "released.pth")
    supernet, start = starts.import_supernet(tmp_path / "released.pth", "s_vipnas_res50")
    assert start.pixels == "imagenet"
    picture = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    net = ln.extract(supernet, resolve("s_vipnas-res50").subnet.arch).eval()
    close(net(picture)[0], released.run_res50(state, "head", picture))


def test_from_the_command_line_with_other_joints(tmp_path, monkeypatch, said):
    monkeypatch.chdir(tmp_path)
    torch.save(released.mbv3_state("head", joints=14), "vipnas.pth")
    assert "MobileNetV3" in said("import vipnas.pth")
    net = ln.load("vipnas.safetensors")
    assert net.meta["joints"] == 14
    assert net.meta["input"] == [256, 192]
    assert net.meta["space"] == "s_vipnas_mbv3"


def test_a_backbone_alone_keeps_the_head_of_a_start(tmp_path):
    state = {name: tensor for name, tensor in released.mbv3_state("head").items() if name.startswith("backbone.")}
    torch.save(state, tmp_path / "backbone.pth")
    report = ln.import_weights(tmp_path / "backbone.pth").meta["imported"]
    assert len(report.matched) == len(state)
    assert {name.split(".")[0] for name, _ in report.missing} == {"head", "heatmaps"}


def test_other_networks_are_not_taken_for_it(tmp_path):
    plain = {name: tensor for name, tensor in released.res50_state("head").items() if ".attention." not in name}
    short = {name: tensor for name, tensor in released.mbv3_state("head").items() if ".layer21." not in name}
    for state in (plain, short):
        assert not any(layout.recognises(state.keys()) for layout in vipnas.LAYOUTS)
    for name, (make, _) in NETS.items():
        for head in HEADS.values():
            names = make(head).keys()
            found = [layout.family for layout in LAYOUTS if layout.recognises(names)]
            assert found == [name.replace("-", "_")]


def test_a_file_cut_short_or_of_other_shapes_is_refused(tmp_path):
    path = tmp_path / "damaged.pth"
    state = released.res50_state("head")
    del state["backbone.layer3.2.conv2.weight"]
    torch.save(state, path)
    with pytest.raises(UserError, match=r"no stages\.2\.2\.spatial\.conv\.weight"):
        ln.import_weights(path)
    state = released.res50_state("head")
    state["backbone.layer2.0.conv1.weight"] = torch.zeros(150, 80, 1, 1)
    torch.save(state, path)
    with pytest.raises(UserError, match=r"backbone\.layer2\.0\.conv1\.weight: \[150, 80, 1, 1\] is no shape"):
        ln.import_weights(path)


def test_the_genes_that_are_read_off_are_those_of_any_point_with_lanes_dealt_alike():
    """What is read off our own tensors is what they were made from, also where it is not what was published."""
    space = Space.load("s_vipnas_res50")
    arch = space.arch(resolve("s_vipnas-res50").subnet.arch.to_dict() | {"stages.1.groups": 640, "stages.2.groups": 8})
    with torch.device("meta"):
        tensors = ln.build(arch, 17).state_dict()
    assert vipnas.res50_genes(tensors) == {k: v for k, v in arch.to_dict().items() if k != "resolution"}
