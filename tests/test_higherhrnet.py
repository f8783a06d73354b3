"""Weights of HigherHRNet, its fusion with DaViT and DaViT alone: names, shapes, outputs of a plain reference."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

import litepose_nas as ln
from litepose_nas import weights
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.importers import davit, foreign, higherhrnet, starts
from litepose_nas.importers.layout import translate
from litepose_nas.importers.layouts import LAYOUTS
from litepose_nas.resolve import resolve
from tests.helpers.hrnet_reference import da_vit, higher_hrnet
from tests.helpers.released import formula_state

KEYS = Path(__file__).parent / "keys"
HRNET = json.loads((KEYS / "higherhrnet.json").read_text())
DAVIT = json.loads((KEYS / "davit.json").read_text())
W32 = {"stem": 64, "mid": 64, "wide": 256, "c0": 32, "c1": 64, "c2": 128, "c3": 256, "up": 32, "j": 17}
SEED = {"d0": 64, "d1": 128, "d2": 192, "d3": 256}
TINY = {"stem": 8, "mid": 4, "wide": 16, "c0": 6, "c1": 8, "c2": 10, "c3": 12, "up": 5, "j": 3}
SIDE = {"d0": 16, "d1": 32, "d2": 48, "d3": 64}
TINY_SPACE = ln.Space(
    {
        "family": "hrnet_davit",
        "resolution": [64],
        "stem": 8,
        "bottlenecks": {"depth": 4, "width": 4},
        "branches": [{"width": [4, 6]}, {"width": 8}, {"width": 10}, {"width": 12}],
        "stages": [{"depth": depth, "blocks": {"depth": 4}} for depth in (1, 4, 3)],
        "davit": {
            "mask": ["0000", "1111"],
            "join": ["add", "concat3"],
            "blocks": [
                {
                    **{"depth": 3 if i == 2 else 1, "width": 16 * (i + 1), "head": [16, 32], "expand": 4, "window": 7},
                    **{"order": "spatial-channel", **({"embed": 2} if i else {})},
                }
                for i in range(4)
            ],
        },
        "head": {"depth": 1, "blocks": {"depth": 4, "width": 5}},
    },
    "small hrnet",
)


# ── tables of names and shapes ──


def names(pattern: str) -> list[str]:
    """Spell out {1-3} and {a,b}."""
    parts = re.split(r"\{(.*?)\}", pattern)
    for i in range(1, len(parts), 2):
        low, dash, high = parts[i].partition("-")
        parts[i] = list(map(str, range(int(low), int(high) + 1))) if dash else parts[i].split(",")
    return ["".join(words) for words in itertools.product(*([p] if isinstance(p, str) else p for p in parts))]


def number(word: int | str, sizes: dict[str, int]) -> int:
    """A size such as 3, c0 or c0+2j."""
    if isinstance(word, int):
        return word
    terms = [re.fullmatch(r"(\d*)([a-z]+\d?)", term) for term in word.split("+")]
    return sum(int(term[1] or 1) * sizes[term[2]] for term in terms)


def spelled(table: dict, sizes: dict[str, int], prefix: str = "") -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for pattern, shape in table["weights"].items():
        shapes |= {f"{prefix}{name}.weight": tuple(number(n, sizes) for n in shape) for name in names(pattern)}
    leaves = {"biases": ("bias",), "scales": ("weight",)}
    leaves["norms"] = ("weight", "bias", "running_mean", "running_var")
    for kind, words in leaves.items():
        for pattern, channels in table.get(kind, {}).items():
            for name in names(pattern):
                shapes |= {f"{prefix}{name}.{word}": (number(channels, sizes),) for word in words}
                shapes |= {f"{prefix}{name}.num_batches_tracked": ()} if kind == "norms" else {}
    return shapes


def joins(sizes: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """The fusion's own layers: a convolution of both features, its normalisation."""
    shapes = {}
    for i, (size, main) in enumerate(zip((128, 64, 32, 16), ("stem", "c1", "c2", "c3"), strict=True)):
        out = sizes[main]
        shapes[f"conv_{size}.weight"] = (out, out + sizes[f"d{i}"], 3, 3)
        shapes |= {f"bn1_{size}.{leaf}": (out,) for leaf in ("weight", "bias", "running_mean", "running_var")}
        shapes[f"bn1_{size}.num_batches_tracked"] = ()
    return shapes


def fusion(sizes: dict[str, int]) -> dict[str, tuple[int, ...]]:
    return spelled(HRNET, sizes) | spelled(DAVIT["authors"], sizes, "davit.") | joins(sizes)


def picture(height: int = 64, width: int = 64) -> Tensor:
    return torch.sin(0.37 * torch.arange(2 * 3 * height * width, dtype=torch.float32)).view(2, 3, height, width)


def near(found: Tensor, wanted: Tensor) -> None:
    assert wanted.abs().max() > 0.05
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def without(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def tiny_arch(mask: str, head: int = 16) -> ln.Arch:
    davit_genes = {f"davit.blocks.{i}.head": head for i in range(4)} | {"davit.join": "concat3"}
    return TINY_SPACE.arch({**TINY_SPACE.widest.to_dict(), **davit_genes, "davit.mask": mask})


# ── imports ──


@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
def test_higherhrnet_imports_to_the_reference(size, tmp_path):
    state = formula_state(spelled(HRNET, TINY))
    torch.save(state, tmp_path / "hrnet.pth")
    net = ln.import_weights(tmp_path / "hrnet.pth", arch=tiny_arch("0000"))
    for found, wanted in zip(net(picture(*size)), higher_hrnet(state, picture(*size)), strict=True):
        near(found, wanted)
    report = net.meta["imported"]
    assert (report.unmatched, report.missing, net.meta["joints"], net.meta["pixels"]) == ((), (), 3, "imagenet")


def test_the_fusion_imports_to_the_reference(tmp_path):
    state = formula_state(fusion(TINY | SIDE))
    torch.save({"state_dict": {f"1.{name}": tensor for name, tensor in state.items()}}, tmp_path / "fusion.pth.tar")
    net = ln.import_weights(tmp_path / "fusion.pth.tar", arch=tiny_arch("1111"))
    side = da_vit(without(state, "davit."), picture(), 16)
    for found, wanted in zip(net(picture()), higher_hrnet(state, picture(), side), strict=True):
        near(found, wanted)
    assert "the published fusion" in str(net.meta["imported"])


@pytest.mark.parametrize("kind", ["authors", "timm"])
@pytest.mark.parametrize("size", [(64, 64), (68, 52)])
def test_davit_imports_to_the_reference(kind, size, tmp_path):
    sizes = {"d0": 32, "d1": 64, "d2": 64, "d3": 96}
    tree = json.loads(TINY_SPACE.source)
    for i, block in enumerate(tree["davit"]["blocks"]):
        block["width"] = sizes[f"d{i}"]
    state = formula_state(spelled(DAVIT[kind], sizes))
    torch.save(state, tmp_path / "davit.pt")
    space = ln.Space(tree, "small davit")
    net = ln.import_weights(tmp_path / "davit.pt", arch=space.widest, joints=3)
    named = state if kind == "authors" else {in_authors_words(name): tensor for name, tensor in state.items()}
    ends: list[Tensor] = []
    for i in range(4):  # behind the norm of the authors' backbone, which timm's classifier has not
        stage = getattr(net.davit, str(i))
        watched = stage.norm if kind == "authors" else list(list(stage.pairs.children())[-1].children())[-1]
        watched.register_forward_hook(lambda _, __, out: ends.append(out))
    with torch.no_grad():
        net(picture(*size))
    for found, wanted in zip(ends, da_vit(named, picture(*size), 32), strict=True):
        near(found, wanted)
    report = net.meta["imported"]
    unused = {"head.fc.weight", "head.fc.bias", "head.norm.weight", "head.norm.bias"} if kind == "timm" else set()
    assert {name for name, _ in report.unmatched} == unused
    assert not [name for name, _ in report.missing if name.startswith("davit.") and ".norm.norm." not in name]


def in_authors_words(name: str) -> str:
    """timm's names in the authors' words."""
    name = re.sub(r"^stem\.(conv|norm)", r"patch_embeds.0.\1", name)
    name = re.sub(r"^stages\.(\d)\.downsample", r"patch_embeds.\1", name)
    name = re.sub(r"^stages\.(\d)\.blocks", r"main_blocks.\1", name)
    name = re.sub(r"cpe(\d)", lambda found: f"cpe.{int(found[1]) - 1}", name)
    return re.sub(r"(patch_embeds\.\d)\.conv", r"\1.proj", name)


PUBLISHED = {
    "higherhrnet-w32": (lambda: spelled(HRNET, W32), 28_645_331),
    "hrnet_davit": (lambda: fusion(W32 | SEED), 35_505_043),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_released_files_are_the_published_points(name):
    shapes, params = PUBLISHED[name][0](), PUBLISHED[name][1]
    trained = [shape for key, shape in shapes.items() if "running" not in key and "num_batches" not in key]
    assert sum(torch.Size(shape).numel() for shape in trained) == params
    state = {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}
    file = foreign.read("released.pth", state)
    published = resolve(name).subnet
    values = {**published.arch.to_dict(), **file.genes}
    assert foreign.point(published.arch.space, values, "here") == published.arch
    assert foreign.file_joints(file, published.arch) == 17
    _, report = foreign.fit(file, Subnet(published.arch, 17), name, [])
    assert report.complete
    assert not report.unmatched


def test_an_imagenet_hrnet_gives_the_backbone():
    """Its last exchange has all branches and a classifier stands behind: neither has a place here."""
    shapes = {key: shape for key, shape in spelled(HRNET, W32).items() if not key.startswith(("final", "deconv"))}
    extra = {key.replace("stage4.1", "stage4.2"): shape for key, shape in shapes.items() if "stage4.1.fuse" in key}
    state = {key: torch.zeros(()).expand(shape) for key, shape in {**extra, **shapes}.items()}
    state["incre_modules.0.0.conv1.weight"] = torch.zeros(32, 32, 1, 1)
    file = foreign.read("hrnetv2_w32.pth", state)
    subnet = resolve("higherhrnet-w32").subnet
    _, report = foreign.fit(file, subnet, "higherhrnet-w32", [])
    assert {name.split(".")[0] for name, _ in report.missing} == {"head"}
    idle = {name for name, _ in report.unmatched}
    assert "incre_modules.0.0.conv1.weight" in idle
    assert all("stage4.2.fuse_layers" in name for name in idle - {"incre_modules.0.0.conv1.weight"})
    assert "head.depth" not in file.genes


def test_timms_tiny_and_small_are_points_and_base_is_not():
    space = ln.Space.load("hrnet_davit")
    for sizes, stop in (((96, 192, 384, 768), None), ((128, 256, 512, 1024), "is 128")):
        shapes = spelled(DAVIT["timm"], {f"d{i}": size for i, size in enumerate(sizes)})
        file = foreign.read("davit.pt", {key: torch.zeros(()).expand(shape) for key, shape in shapes.items()})
        assert {file.genes[f"davit.blocks.{i}.head"] for i in range(4)} == {32}
        values = {**resolve("hrnet_davit").subnet.arch.to_dict(), **file.genes}
        if stop:
            with pytest.raises(ln.UserError, match=stop):
                foreign.point(space, values, "davit.pt")
        else:
            arch = foreign.point(space, values, "davit.pt")
            assert [block.width for block in arch.tree.davit.blocks] == list(sizes)


def test_a_supernet_starts_from_the_fusion(tmp_path):
    state = formula_state(fusion(TINY | SIDE))
    torch.save(state, tmp_path / "fusion.pth")
    torch.manual_seed(0)
    supernet = ln.Supernet(TINY_SPACE, 3)
    start = starts.init_supernet(supernet, tmp_path / "fusion.pth")
    net = ln.extract(supernet, tiny_arch("1111")).eval()
    side = da_vit(without(state, "davit."), picture(), 16)
    for found, wanted in zip(net(picture()), higher_hrnet(state, picture(), side), strict=True):
        near(found, wanted)
    assert start.pixels == "imagenet"


def test_every_layout_is_told_by_its_own_file_alone():
    files = {
        higherhrnet.LAYOUTS[0].name: spelled(HRNET, TINY),
        higherhrnet.LAYOUTS[1].name: fusion(TINY | SIDE),
        davit.LAYOUTS[0].name: spelled(DAVIT["authors"], SIDE),
        davit.LAYOUTS[1].name: spelled(DAVIT["timm"], SIDE),
    }
    for name, shapes in files.items():
        assert [layout.name for layout in LAYOUTS if layout.recognises(shapes.keys())] == [name]
        assert not foreign.is_litepose(dict.fromkeys(shapes, torch.zeros(1)))


def test_a_file_cut_short_or_of_another_size_is_refused(tmp_path):
    state = formula_state(spelled(HRNET, TINY))
    path = tmp_path / "hrnet.pth"
    for change, match in (
        ({"final_layers.0.weight": None}, "no whole HigherHRNet.*cut short"),
        ({"stage3.2.branches.1.3.conv1.weight": None}, "no stages.1.2.branches.1.3.first.conv.weight"),
        ({"transition2.2.0.0.weight": torch.zeros(11, 8, 3, 3)}, "transition2.2.0.0.weight is"),
    ):
        changed = {name: tensor for name, tensor in {**state, **change}.items() if tensor is not None}
        torch.save(changed, path)
        with pytest.raises(ln.UserError, match=match):
            ln.import_weights(path, arch=tiny_arch("0000"))


def test_templates():
    pairs = (("aI.J", "b.J.I"), ("c.K", "d.K"))
    assert translate("a3.4.weight", pairs, {"J": 2}) == "b.2.3.weight"
    assert translate("c.1.running_mean", pairs) == "d.1.running_mean"
    assert translate("c.1.2.weight", pairs) is None


def test_our_names_all_come_from_somewhere():
    net = weights.skeleton(Subnet(tiny_arch("1111"), 3)).state_dict()
    state = {key: torch.zeros(()).expand(shape) for key, shape in fusion(TINY | SIDE).items()}
    assert set(foreign.read("fusion.pth", state).tensors) == set(net)
