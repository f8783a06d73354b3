"""MobileViTPose: the published points' counts, the blocks against a literal forward, weights of timm and CVNets in."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

import litepose_nas as ln
from litepose_nas import Space, Supernet, UserError, costs, extract, resources, weights
from litepose_nas.data.pixels import CONVENTIONS
from litepose_nas.families.mobilevitpose.blocks import TransformerLayer
from litepose_nas.families.mobilevitpose.blocks_torch import Attention, fold, unfold
from litepose_nas.formats import subnet_file
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.formats.tensor_file import read_header
from litepose_nas.importers import foreign, mobilevit, starts
from litepose_nas.importers.convert import convert
from litepose_nas.importers.layouts import LAYOUTS
from litepose_nas.resolve import resolve
from litepose_nas.weights import load, load_supernet
from tests.helpers.properties import cost_is_exact
from tests.helpers.released import formula_state

KEYS = Path(__file__).parent / "keys"
SPACE = Space.load("mobilevitpose")
FILES = {"timm": "xxs", "cvnets": "xs"}
POINTS = {  # at 256x192 for 17 joints: parameters, and GMACs to the digits that are published or were measured
    "mobilevitpose-xxs": (4_364_801, 1.3735),
    "mobilevitpose-xs": (5_608_769, 1.8427),
    "mobilevitpose-s": (9_662_129, 2.6127),
    "mobilevitpose-seed-xxs": (4_423_793, 1.3480),
    "mobilevitpose-seed-s": (9_718_017, 2.4583),
}


# ── counts ──


@pytest.mark.parametrize("name", POINTS)
def test_published_points_cost_what_is_known(name):
    subnet = resolve(name).subnet
    params, gmacs = POINTS[name]
    assert (subnet.arch.space, subnet.input, subnet.joints) == (SPACE, (256, 192), 17)
    assert subnet.cost.params == params
    assert round(subnet.cost.macs / 1e9, 4) == gmacs
    assert json.loads(resources.find(name, "mobile_configs", ".json").read_text())["cost"] == subnet.cost._asdict()
    cost_is_exact(SimpleNamespace(joints=17), subnet.arch, (torch.zeros(1, 3, 256, 192),))


def test_what_the_counts_of_the_published_table_were_taken_at():
    arch = resolve("mobilevitpose-seed-s").subnet.arch
    square = ln.cost(arch, (256, 256)).macs
    assert round(square / 1e9, 3) == 3.287  # printed 3.28, for 256x192; without attention's products it is 3.28 here
    assert round(ln.cost(arch).macs / 1e9, 3) == 2.458


def test_the_head_is_most_of_the_smallest():
    rows = costs.table(resolve("mobilevitpose-xxs").subnet.arch)
    head = sum(row.params for row in rows if row.name.startswith("head"))
    assert 0.77 < head / sum(row.params for row in rows) < 0.79


# ── the reference: MobileViT as its paper and code describe it, spelled out ──


def timm_names(part, i=0, j=0):
    stage = f"stages.{i}.1"
    return {
        "stem": ("stem.conv", "stem.bn"),
        "expand": (f"stages.{i}.{j}.conv1_1x1.conv", f"stages.{i}.{j}.conv1_1x1.bn"),
        "dw": (f"stages.{i}.{j}.conv2_kxk.conv", f"stages.{i}.{j}.conv2_kxk.bn"),
        "project": (f"stages.{i}.{j}.conv3_1x1.conv", f"stages.{i}.{j}.conv3_1x1.bn"),
        "local": (f"{stage}.conv_kxk.conv", f"{stage}.conv_kxk.bn"),
        "wide": (f"{stage}.conv_1x1",),
        "norm1": (f"{stage}.transformer.{j}.norm1",),
        "qkv": (f"{stage}.transformer.{j}.attn.qkv",),
        "proj": (f"{stage}.transformer.{j}.attn.proj",),
        "norm2": (f"{stage}.transformer.{j}.norm2",),
        "fc1": (f"{stage}.transformer.{j}.mlp.fc1",),
        "fc2": (f"{stage}.transformer.{j}.mlp.fc2",),
        "end": (f"{stage}.norm",),
        "back": (f"{stage}.conv_proj.conv", f"{stage}.conv_proj.bn"),
        "fusion": (f"{stage}.conv_fusion.conv", f"{stage}.conv_fusion.bn"),
        "last": ("final_conv.conv", "final_conv.bn"),
    }[part]


def cvnets_names(part, i=0, j=0):
    stage = f"layer_{i + 1}.1"
    layer, block = f"{stage}.global_rep.{j}", f"layer_{i + 1}.{j}.block"
    depth = {2: 2, 3: 4, 4: 3}.get(i)

    def unit(place):
        return f"{place}.block.conv", f"{place}.block.norm"

    return {
        "stem": unit("conv_1"),
        "expand": unit(f"{block}.exp_1x1"),
        "dw": unit(f"{block}.conv_3x3"),
        "project": unit(f"{block}.red_1x1"),
        "local": unit(f"{stage}.local_rep.conv_3x3"),
        "wide": (f"{stage}.local_rep.conv_1x1.block.conv",),
        "norm1": (f"{layer}.pre_norm_mha.0",),
        "qkv": (f"{layer}.pre_norm_mha.1.qkv_proj",),
        "proj": (f"{layer}.pre_norm_mha.1.out_proj",),
        "norm2": (f"{layer}.pre_norm_ffn.0",),
        "fc1": (f"{layer}.pre_norm_ffn.1",),
        "fc2": (f"{layer}.pre_norm_ffn.4",),
        "end": (f"{stage}.global_rep.{depth}",),
        "back": unit(f"{stage}.conv_proj"),
        "fusion": unit(f"{stage}.fusion"),
        "last": unit("conv_1x1_exp"),
    }[part]


NAMES = {"timm": timm_names, "cvnets": cvnets_names}


def reference(state, names, x, patch=2, heads=4, depths=(2, 4, 3)):
    """The backbone's last feature, one operation after the other."""

    def unit(x, part, i=0, j=0, stride=1, act=True, groups=1):
        conv, bn = names(part, i, j)
        weight = state[f"{conv}.weight"]
        groups = len(weight) if groups > 1 else 1
        x = F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, groups)
        stats = [state[f"{bn}.{leaf}"] for leaf in ("running_mean", "running_var", "weight", "bias")]
        x = F.batch_norm(x, *stats)
        return F.silu(x) if act else x

    def linear(x, part, i, j):
        (place,) = names(part, i, j)
        return x @ state[f"{place}.weight"].T + state[f"{place}.bias"]

    def norm(x, part, i, j=0):
        (place,) = names(part, i, j)
        middle, spread = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
        return (x - middle) / (spread + 1e-5).sqrt() * state[f"{place}.weight"] + state[f"{place}.bias"]

    def attend(tokens, i, j):
        dim = tokens.shape[-1]
        q, k, v = linear(tokens, "qkv", i, j).split(dim, -1)
        found = []
        for at in range(0, dim, dim // heads):
            one = slice(at, at + dim // heads)
            scores = q[..., one] @ k[..., one].transpose(-1, -2) / (dim // heads) ** 0.5
            found.append(scores.softmax(-1) @ v[..., one])
        return linear(torch.cat(found, -1), "proj", i, j)

    x = unit(x, "stem", stride=2)
    for i in range(5):
        for j in range(3 if i == 1 else 1):
            stride = 2 if i > 0 and j == 0 else 1
            y = unit(unit(x, "expand", i, j), "dw", i, j, stride, groups=2)
            y = unit(y, "project", i, j, act=False)
            x = x + y if stride == 1 and x.shape == y.shape else y
        if i < 2:
            continue
        short, (height, width) = x, x.shape[-2:]
        x = F.conv2d(unit(x, "local", i), state[f"{names('wide', i)[0]}.weight"])
        x = F.interpolate(x, (-(-height // patch) * patch, -(-width // patch) * patch), mode="bilinear")
        after = torch.empty_like(x)
        for a in range(patch):
            for b in range(patch):
                part = x[:, :, a::patch, b::patch]
                tokens = part.flatten(2).transpose(1, 2)
                for j in range(depths[i - 2]):
                    tokens = tokens + attend(norm(tokens, "norm1", i, j), i, j)
                    hidden = F.silu(linear(norm(tokens, "norm2", i, j), "fc1", i, j))
                    tokens = tokens + linear(hidden, "fc2", i, j)
                after[:, :, a::patch, b::patch] = norm(tokens, "end", i).transpose(1, 2).reshape(part.shape)
        x = F.interpolate(after, (height, width), mode="bilinear")
        x = unit(torch.cat([short, unit(x, "back", i)], 1), "fusion", i)
    return unit(x, "last")


@pytest.fixture(scope="module")
def states():
    tables = {kind: json.loads((KEYS / f"mobilevit_{size}_{kind}.json").read_text()) for kind, size in FILES.items()}
    return {kind: formula_state(table) for kind, table in tables.items()}


@pytest.fixture(scope="module")
def files(states, tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    for kind, state in states.items():
        torch.save(state, folder / f"{kind}.pt")
    return {kind: folder / f"{kind}.pt" for kind in states}


def features(net, x):
    found = []
    hook = net.last.register_forward_hook(lambda _, __, output: found.append(output))
    with torch.no_grad():
        net.eval()(x)
    hook.remove()
    return found[0]


def picture(height=96, width=72):
    return torch.sin(torch.arange(2 * 3 * height * width, dtype=torch.float32)).view(2, 3, height, width)


def near(found, wanted):
    assert wanted.abs().max() > 0.05
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


# ── weights of others ──


@pytest.mark.parametrize("kind", FILES)
def test_tables_are_those_of_the_released_classifiers(kind, states):
    numbers = sum(t.numel() for name, t in states[kind].items() if "running" not in name and "num_" not in name)
    assert (len(states[kind]), numbers) == (311, {"timm": 1_272_024, "cvnets": 2_317_848}[kind])


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("size", [(96, 72), (64, 64)])
def test_import_meets_the_reference(kind, size, states, files):
    net = ln.import_weights(files[kind])
    near(features(net, picture(*size)), reference(states[kind], NAMES[kind], picture(*size)))
    arch = subnet_file.from_json({k: v for k, v in net.meta.items() if k != "imported"}, "meta").arch
    assert arch == resolve(f"mobilevitpose-{FILES[kind]}").subnet.arch
    assert net.meta["pixels"] == {"timm": "unit", "cvnets": "unit-bgr"}[kind]
    assert net.meta["source"]["layout"] in str(net.meta["imported"])


def test_a_classifier_gives_a_backbone_and_says_so(files):
    report = ln.import_weights(files["timm"], joints=5).meta["imported"]
    assert report.unmatched == (("head.fc.weight", (1000, 320)), ("head.fc.bias", (1000,)))
    assert {name.split(".")[0] for name, _ in report.missing} == {"head", "heatmaps"}
    assert len(report.matched) == 309
    assert "as at the start of a training: head.0, head.1, head.2, heatmaps" in str(report)
    assert "no tensor tells head, resolution: as in mobilevitpose-xxs" in str(report)
    one, other = (ln.import_weights(files["timm"], joints=5) for _ in range(2))
    assert torch.equal(one.heatmaps.conv.weight, other.heatmaps.conv.weight)


def test_every_layout_is_told_by_its_own_file_alone(states):
    layouts = LAYOUTS
    assert {layout.name for layout in mobilevit.LAYOUTS} <= {layout.name for layout in layouts}
    for kind, layout in zip(FILES, mobilevit.LAYOUTS, strict=True):
        assert [known.name for known in layouts if known.recognises(states[kind].keys())] == [layout.name]
        assert not foreign.is_litepose(states[kind])
    assert all(layout.pixels in CONVENTIONS for layout in layouts)


def refused(state, path, match, **options):
    torch.save(state, path)
    with pytest.raises(UserError, match=match) as error:
        ln.import_weights(path, **options)
    return str(error.value)


def test_misfits_are_refused_with_the_reason(states, tmp_path):
    state, path = states["timm"], tmp_path / "net.pt"
    refused(
        {"layer1.weight": torch.zeros(3)}, path, "none of its 1 tensors .*'layer1.weight'.*; known: .*timm's MobileVi"
    )
    text = refused(state, path, "does not fit", arch="mobilevitpose-xs")
    assert "stages.0.width is 16 in the file, 32 asked" in text
    assert "stages.0.0.conv1_1x1.conv.weight is [32, 16, 1, 1], not [64, 16, 1, 1]" in text
    refused(state, path, "litepose has networks of another family", arch="litepose-xs")
    without = {name: tensor for name, tensor in state.items() if name != "stages.3.1.conv_proj.conv.weight"}
    refused(without, path, "no stages.3.mix.fold.conv.weight")
    without = {name: tensor for name, tensor in state.items() if not name.startswith("stages.4.0.")}
    refused(without, path, "no tensor for stages.4.0.project.conv.weight.*cut short")
    renamed = {name.replace("stages.1.1.", "stages.1.7."): tensor for name, tensor in state.items()}
    refused(renamed, path, "no point of the space mobilevitpose: .*`stages.1.depth` is 8")
    reshaped = {**state, "stages.2.1.norm.weight": torch.zeros(63)}
    refused(reshaped, path, r"stages.2.1.norm.weight is \[63\], not \[64\]")
    refused(
        {**state, "stages.2.1.transformer.0.attn.qkv.weight": torch.zeros(5, 64)}, path, "no shape of timm's Mobile"
    )
    refused({**state, "stem.conv.weight": state["stem.conv.weight"].int()}, path, "is it quantised")
    refused(state, path, "leave one of the two out", arch="mobilevitpose-xxs", resolution=256)
    refused(state, path, "mobilevitpose offers 192x144", resolution="100x100")
    refused(state, path, "joints: expected a whole number", joints=0)


def test_sizes_and_counters(states, tmp_path):
    state = {name: tensor for name, tensor in states["timm"].items() if "num_batches" not in name}
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}, tmp_path / "old.pt")
    net = ln.import_weights(tmp_path / "old.pt", resolution="384x288")
    assert net.meta["input"] == [384, 288]
    near(features(net, picture(64, 64)), reference(states["timm"], timm_names, picture(64, 64)))


def test_convert_writes_what_the_command_promises(files, tmp_path):
    out = tmp_path / "net.safetensors"
    report = convert(files["timm"], out, joints=5)
    assert report.missing
    net = load(out)
    assert (net.meta["pixels"], net.meta["joints"]) == ("unit", 5)
    assert torch.equal(features(net, picture()), features(ln.import_weights(files["timm"], joints=5), picture()))
    with pytest.raises(UserError, match="of this program already"):
        convert(out, tmp_path / "again.safetensors")


# ── supernets started from weights ──


def small_space(**changes):
    """A space around XXS, small enough to be quick."""
    tree = json.loads(SPACE.source)
    tree["resolution"], tree["stem"], tree["block"] = ["64x64", "256x192"], [8, 16], ["official"]
    for i, stage in enumerate(tree["stages"]):
        stage["width"], stage["kernel"], stage["expand"] = [stage["width"][0], (16, 24, 48, 64, 80)[i]], [3, 5], [2, 3]
        stage["width"] = sorted({*stage["width"], (24, 32, 64, 80, 96)[i]})
        if "mix" in stage:
            stage["mix"] |= {"width": [stage["mix"]["width"][0], stage["mix"]["width"][1]], "expand": [1, 2]}
    return Space({**tree, **changes}, name="around-xxs")


@pytest.mark.parametrize("kind", ["timm", "own"])
def test_the_matching_point_of_a_supernet_is_the_original(kind, files, tmp_path):
    space, path = small_space(), files["timm"]
    original = ln.import_weights(path, joints=5)
    if kind == "own":
        path = tmp_path / "own.safetensors"
        convert(files["timm"], path, joints=5)
    torch.manual_seed(3)
    supernet = Supernet(space, 5)
    window = supernet.subnet(space.widest).state_dict()["stem.conv.weight"]  # windows that exist before see it too
    start = starts.init_supernet(supernet, path)
    assert start.pixels == "unit"
    assert torch.equal(window[:16], original.stem.conv.weight)
    xxs = resolve("mobilevitpose-xxs").subnet.arch
    arch = space.arch({path: value for path, value in xxs.to_dict().items() if path in {g.path for g in space.genes}})
    net = extract(supernet, arch)
    assert torch.equal(features(net, picture()), features(original, picture()))
    if kind == "own":
        with torch.no_grad():
            assert torch.equal(net(picture())[0], original(picture())[0])
    else:
        assert "as at the start of a training: head.0, head.1, head.2, heatmaps" in str(start.report)


def test_a_backbone_of_other_joints_starts_all_but_the_outputs(files, tmp_path):
    space = small_space()
    path = tmp_path / "own.safetensors"
    convert(files["timm"], path, joints=16)
    supernet = Supernet(space, 5)
    before = supernet.store.state_dict()["heatmaps.conv.weight"].clone()
    start = starts.init_supernet(supernet, path)
    assert "its outputs are for 16 joints: heatmaps.conv.bias, heatmaps.conv.weight" in str(start.report)
    assert torch.equal(supernet.store.state_dict()["heatmaps.conv.weight"], before)
    assert {name for name, _ in start.report.missing} == {"heatmaps.conv.bias", "heatmaps.conv.weight"}


def test_a_supernet_starts_another(files, tmp_path):
    space = small_space()
    first, start = starts.import_supernet(files["timm"], space, 16)
    weights.save_supernet(first, tmp_path / "first.safetensors", start.pixels)
    second = Supernet(space, 16)
    again = starts.init_supernet(second, tmp_path / "first.safetensors")
    assert torch.equal(first.store.flat, second.store.flat)
    assert again.pixels == "unit"
    other = Supernet(space, 5)
    again = starts.init_supernet(other, tmp_path / "first.safetensors")
    assert {name for name, _ in again.report.missing} == {"heatmaps.conv.bias", "heatmaps.conv.weight"}
    wide = small_space(head=[{"width": [64, 256, 320], "kernel": [2, 4], "groups": [8, 1]}] * 3)
    third = Supernet(wide, 16)
    again = starts.init_supernet(third, tmp_path / "first.safetensors")
    assert "its widest network" in str(again.report)
    same = wide.arch(space.widest.to_dict())
    assert torch.equal(extract(third, same).eval()(picture())[0], extract(first, space.widest).eval()(picture())[0])


def test_import_to_a_space_remembers_the_pixels(files, tmp_path):
    convert(files["cvnets"], tmp_path / "super.safetensors", space="mobilevitpose", joints=3)
    supernet = load_supernet(tmp_path / "super.safetensors")
    assert supernet.joints == 3
    arch = resolve("mobilevitpose-xs").subnet.arch
    assert torch.equal(
        features(extract(supernet, arch), picture(64, 64)),
        features(ln.import_weights(files["cvnets"]), picture(64, 64)),
    )
    header = json.loads(read_header(tmp_path / "super.safetensors").metadata["litepose_nas_supernet"])
    assert header["pixels"] == "unit-bgr"


def test_a_start_that_is_no_point_is_refused_and_changes_nothing(files, tmp_path):
    supernet = Supernet(small_space(stem=[8, 24]), 5)
    before = supernet.store.flat.clone()
    with pytest.raises(UserError, match=r"no point of the space around-xxs: .*`stem` is 16"):
        starts.init_supernet(supernet, files["timm"])
    with pytest.raises(UserError, match="holds timm's MobileViT; topdown-tiny has networks of another family"):
        starts.init_supernet(Supernet(Space.load("topdown-tiny"), 5), files["timm"])
    fixed = Supernet(small_space(stem=8), 5)
    with pytest.raises(UserError, match=r"does not fit: .*stem.conv.weight is \[16, 3, 3, 3\], not \[8, 3, 3, 3\]"):
        starts.init_supernet(fixed, files["timm"])
    assert torch.equal(before, supernet.store.flat)


# ── blocks ──


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_narrow_heads_lie_inside_wide_ones(heads):
    """Zero what a narrow attention does not see of a wide one's weights: the same function."""
    torch.manual_seed(0)
    wide, narrow = (Attention(TransformerLayer(dim, heads, inner, 1, 2, 9, True)) for dim, inner in ((24, 24), (16, 8)))
    x = torch.randn(2, 7, 24)
    with torch.no_grad():
        for mine, theirs in zip(narrow.parameters(), wide.parameters(), strict=True):
            theirs.add_(torch.rand_like(theirs))
            part = tuple(slice(size) for size in mine.shape)
            mine.copy_(theirs[part])
            kept = theirs[part].clone()
            theirs.zero_()[part] = kept
        found = wide(F.pad(x[..., :16], (0, 8)))
        assert (found[..., :16] - narrow(x[..., :16])).abs().max() < 1e-5
        assert not found[..., 16:].any()


@pytest.mark.parametrize("size", [(4, 6), (3, 5), (1, 1)])
@pytest.mark.parametrize("patch", [2, 4])
def test_sequences_are_made_of_the_same_place_of_every_patch(size, patch):
    x = torch.randn(2, 3, *size)
    rows, columns = (-(-side // patch) * patch for side in size)
    large = F.interpolate(x, (rows, columns), mode="bilinear")
    tokens = unfold(x, patch)
    for number in range(len(x)):
        for a in range(patch):
            for b in range(patch):
                wanted = large[number, :, a::patch, b::patch].flatten(1).T
                assert torch.equal(tokens[(number * patch + a) * patch + b], wanted)
    back = fold(tokens, patch, *size)
    assert torch.allclose(back, F.interpolate(large, size, mode="bilinear"))


def test_seeds_attention_is_one_head_of_32_over_the_root_of_the_tokens_width():
    net = ln.build("mobilevitpose-seed-xxs").eval()
    layer = getattr(net.stages, "2").mix.layers.get_submodule("0")
    assert layer.attention.qkv.shape == (3, 32, 64)
    assert layer.attention.qkv_bias is None
    tokens = torch.randn(3, 5, 64)
    q, k, v = (tokens @ weight.T for weight in layer.attention.qkv)
    wanted = (q @ k.transpose(1, 2) / 8).softmax(-1) @ v @ layer.attention.out.T
    assert (layer.attention(tokens) - wanted).abs().max() < 1e-5
    assert net.stem.behind.bn is None
    assert net.last.behind.bn is None


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"block": ["seeds"]}, "block: 'seeds' is not a kind of block; did you mean 'seed'"),
        ({"head": [{"width": 8, "kernel": 2, "groups": 1}] * 4}, "head: expected a list of 1 to 3, got 4"),
        ({"head": [{"width": 8, "kernel": 2, "groups": 3}]}, "head.0.groups: .* cannot be dealt to 3 groups"),
        ({"stages": [{"depth": 1, "width": 8, "kernel": 3, "expand": 2}]}, "stages: expected a list of 5, got 1"),
    ],
)
def test_what_the_family_refuses(change, match):
    with pytest.raises(UserError, match=match):
        Space({**json.loads(SPACE.source), **change})


def test_what_a_stage_does_not_attend_with_does_not_count():
    tree = json.loads(SPACE.source)
    fixed = json.loads(json.dumps(tree), object_hook=lambda node: {k: smallest(v) for k, v in node.items()})
    mix = {
        "depth": [1, 2],
        "mask": ["0", "1"],
        "width": [16, 24],
        "heads": 1,
        "expand": 1,
        "patch": [4, 2],
        "kernel": 1,
    }
    fixed["stages"][2]["mix"] = mix
    space = Space(fixed, "masked")
    archs = list(space)
    assert len(archs) == len(set(archs)) == space.size == 1 + 2 * 2 * 2
    none = space.smallest
    assert none.to_dict() == {"stages.2.mix.mask": "0"}
    assert not any(part.name.startswith("stages.2.mix") for part in none.plan(3))
    assert all(len(arch.to_dict()) == 4 for arch in archs if arch != none)
    with torch.no_grad():
        (found,) = ln.build(none, 3).eval()(picture(64, 64))
    assert found.shape == (2, 3, 16, 16)


def smallest(value):
    return value[0] if isinstance(value, list) and not isinstance(value[0], dict) else value


def test_stages_without_pixels_that_attend():
    tree = json.loads(SPACE.source)
    tree["stages"][2].pop("mix")
    space = Space(tree, name="plain")
    assert ln.cost(space.widest).params < ln.cost(SPACE.widest).params
    tree["stages"][3]["mix"]["depth"] = [0, 1]
    with pytest.raises(UserError, match=r"stages.3.mix.depth: expected at least 1"):
        Space(tree)


def test_timm_agrees():
    timm = pytest.importorskip("timm")
    theirs = timm.create_model("mobilevit_xxs", num_classes=1000).eval()
    state = theirs.state_dict()
    table = json.loads((KEYS / "mobilevit_xxs_timm.json").read_text())
    assert {name: list(tensor.shape) for name, tensor in state.items()} == table
    with torch.no_grad():
        for name, tensor in formula_state(table).items():
            state[name].copy_(tensor)
        x = picture(96, 72)
        near(reference(state, timm_names, x), theirs.forward_features(x))


def test_subnets_travel_with_their_pixels(tmp_path):
    arch = SPACE.smallest
    net = ln.build(arch, 3)
    weights.save(net, tmp_path / "net.safetensors", Subnet(arch, 3, {"pixels": "unit"}))
    assert load(tmp_path / "net.safetensors").meta["pixels"] == "unit"
