"""EfficientViT's weights in timm's layout against a literal forward of the published network; supernets started so."""

import json
import re
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

import litepose_nas as ln
from litepose_nas import Space, Supernet, UserError, extract
from litepose_nas.formats import subnet_file
from litepose_nas.importers import efficientvit, starts
from litepose_nas.importers.convert import convert
from litepose_nas.importers.layout import translate
from litepose_nas.importers.layouts import LAYOUTS
from litepose_nas.resolve import resolve
from tests.helpers.released import formula

KEYS = Path(__file__).parent / "keys"
DEPTHS = (1, 2, 3)
HEADS = {"m0": (4, 4, 4), "m2": (4, 3, 2)}
PARAMS = {"m0": 2_349_436, "m2": 4_187_554}


@pytest.fixture(scope="module")
def states():
    tables = {name: json.loads((KEYS / f"efficientvit_{name}_timm.json").read_text()) for name in HEADS}
    return {
        name: {key: formula(key, tuple(shape), 0.5) for key, shape in table.items()} for name, table in tables.items()
    }


@pytest.fixture(scope="module")
def files(states, tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    for name, state in states.items():
        torch.save(state, folder / f"{name}.pt")
    return {name: folder / f"{name}.pt" for name in states}


def reference(state, x, heads):
    """The backbone's last feature, one operation after the other; heads have bands of neighbouring channels."""

    def unit(x, name, stride=1):
        weight = state[f"{name}.conv.weight"]
        x = F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, x.shape[1] // weight.shape[1])
        stats = [state[f"{name}.bn.{leaf}"] for leaf in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *stats)

    def feed(x, dw, ffn):
        x = x + unit(x, f"{dw}.m")
        return x + unit(unit(x, f"{ffn}.m.pw1").relu(), f"{ffn}.m.pw2")

    def biases(table, height, width):
        """Enumerated in the order in which pairs of positions of the table's square first have a distance."""
        side = round(len(table) ** 0.5)
        places = [(a, b) for a in range(side) for b in range(side)]
        known = {}
        for a, b in places:
            for c, d in places:
                known.setdefault((abs(a - c), abs(b - d)), len(known))
        inside = [(a, b) for a in range(height) for b in range(width)]
        return torch.stack([torch.stack([table[known[abs(a - c), abs(b - d)]] for c, d in inside]) for a, b in inside])

    def attend(x, name, number):
        found, previous = [], 0
        for j, part in enumerate(x.chunk(number, 1)):
            both = unit(part + previous, f"{name}.qkvs.{j}")
            q, k, v = both[:, :16], both[:, 16:32], both[:, 32:]
            q = unit(q, f"{name}.dws.{j}")
            scores = q.flatten(2).transpose(1, 2) @ k.flatten(2) / 4
            scores = scores + biases(state[f"{name}.attention_biases"][j], *x.shape[2:])
            previous = (v.flatten(2) @ scores.softmax(-1).transpose(1, 2)).view_as(v)
            found.append(previous)
        return unit(torch.cat(found, 1).relu(), f"{name}.proj.1")

    def in_windows(x, name, number):
        side = round(state[f"{name}.attention_biases"].shape[1] ** 0.5)
        height, width = x.shape[2:]
        if height <= side and width <= side:
            return attend(x, name, number)
        padded = F.pad(x, (0, -width % side, 0, -height % side))
        out = torch.empty_like(padded)
        for top in range(0, padded.shape[2], side):
            for left in range(0, padded.shape[3], side):
                here = slice(None), slice(None), slice(top, top + side), slice(left, left + side)
                out[here] = attend(padded[here], name, number)
        return out[:, :, :height, :width]

    for i in range(1, 5):
        x = unit(x, f"patch_embed.conv{i}", 2)
        x = x.relu() if i < 4 else x
    for i, depth in enumerate(DEPTHS):
        if i:
            down = f"stages.{i}.downsample"
            x = feed(x, f"{down}.res1.0", f"{down}.res1.1")
            merge = f"{down}.patchmerge"
            x = unit(unit(x, f"{merge}.conv1").relu(), f"{merge}.conv2", 2).relu()
            gate = x.mean((2, 3), keepdim=True)
            gate = F.conv2d(gate, state[f"{merge}.se.fc1.weight"], state[f"{merge}.se.fc1.bias"]).relu()
            gate = F.conv2d(gate, state[f"{merge}.se.fc2.weight"], state[f"{merge}.se.fc2.bias"]).sigmoid()
            x = unit(x * gate, f"{merge}.conv3")
            x = feed(x, f"{down}.res2.0", f"{down}.res2.1")
        for j in range(depth):
            block = f"stages.{i}.blocks.{j}"
            x = feed(x, f"{block}.dw0", f"{block}.ffn0")
            x = x + in_windows(x, f"{block}.mixer.m.attn", heads[i])
            x = feed(x, f"{block}.dw1", f"{block}.ffn1")
    return x


def features(net, x):
    """The backbone's last feature with its channels where the published network has them."""
    found = []
    *_, last = [module for name, module in net.named_modules() if re.fullmatch(r"stages\.2\.\d+\.after", name)]
    hook = last.register_forward_hook(lambda _, __, output: found.append(output))
    with torch.no_grad():
        net.eval()(x)
    hook.remove()
    heads = len(net.get_submodule("stages.2.0.window").heads)
    return torch.cat([found[0][:, head::heads] for head in range(heads)], 1)


def picture(height, width):
    return torch.sin(torch.arange(2 * 3 * height * width, dtype=torch.float32)).view(2, 3, height, width)


def near(found, wanted):
    assert found.shape == wanted.shape
    assert wanted.abs().max() > 0.05
    assert (found - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def test_tables_are_those_of_the_published_classifiers(states):
    for name, state in states.items():
        assert sum(t.numel() for key, t in state.items() if "running" not in key and "num_" not in key) == PARAMS[name]


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("m2", (160, 96)),
        ("m0", (96, 64)),
        pytest.param("m0", (224, 224), marks=pytest.mark.slow),
        pytest.param("m2", (224, 224), marks=pytest.mark.slow),
    ],
)
def test_import_meets_the_reference(name, size, states, files):
    net = ln.import_weights(files[name])
    near(features(net, picture(*size)), reference(states[name], picture(*size), HEADS[name]))
    arch = subnet_file.from_json({k: v for k, v in net.meta.items() if k != "imported"}, "meta").arch
    assert arch == resolve(f"efficientvit-{name}").subnet.arch
    assert net.meta["pixels"] == "imagenet"


def test_the_report_says_what_came_and_what_did_not(states, files):
    report = ln.import_weights(files["m2"], joints=5).meta["imported"]
    names = {name for name, _ in report.unmatched}
    assert names == {name for name in states["m2"] if name.startswith("head.")}
    assert {name.split(".")[0] for name, _ in report.missing} == {"head", "heatmaps"}
    assert "as at the start of a training: head.0.light, " in str(report)
    assert "no tensor tells head, resolution: as in efficientvit-m2" in str(report)
    with_table = {**states["m2"], "stages.0.blocks.0.mixer.m.attn.attention_bias_idxs": torch.zeros(49, 49).long()}
    assert translate(list(with_table)[-1], efficientvit.NAMES) is None


def test_told_by_its_own_file_alone(states):
    for state in states.values():
        known = [layout.name for layout in LAYOUTS if layout.recognises(state.keys())]
        assert known == ["timm's EfficientViT"]


def test_misfits_are_refused_with_the_reason(states, tmp_path):
    def refused(changed, match, **options):
        torch.save(changed, tmp_path / "net.pt")
        with pytest.raises(UserError, match=match):
            ln.import_weights(tmp_path / "net.pt", **options)

    state = states["m2"]
    refused(state, "does not fit: .*stages.0.width is 128 in the file, 64 asked", arch="efficientvit-m0")
    refused({k: v for k, v in state.items() if ".proj.1." not in k}, "cut short")
    refused({k: v for k, v in state.items() if not k.startswith("stages.2.")}, "cut short")
    lacking = {k: v for k, v in state.items() if k != "stages.1.downsample.patchmerge.se.fc1.bias"}
    refused(lacking, "no stages.1.down.merge.squeeze.bias")
    refused({**state, "stages.1.blocks.0.dw0.m.conv.weight": torch.zeros(5)}, "cut short")
    refused({**state, "stages.0.blocks.0.mixer.m.attn.attention_biases": torch.zeros(4, 48)}, "no shape of timm's Eff")
    refused({**state, "stages.2.blocks.0.mixer.m.attn.dws.2.conv.weight": torch.zeros(16, 1, 3, 3)}, "EfficientViT")


def small_space():
    """A space around M0, small enough to be quick."""
    tree = json.loads(Space.load("efficientvit").source)
    tree["resolution"] = [64, 224]
    for stage, widths in zip(tree["stages"], ([48, 64], [96, 128, 144], [192, 224]), strict=True):
        stage |= {"width": widths, "heads": ["5-5-5-5", "7-5"]}
    for layer in tree["head"]:
        layer |= {"form": ["plain", "light"], "width": [32, 128], "kernel": [4], "groups": [4]}
    return Space(tree, name="around-m0")


@pytest.mark.parametrize("kind", ["timm", "own"])
def test_the_matching_point_of_a_supernet_is_the_original(kind, states, files, tmp_path):
    space, path = small_space(), files["m0"]
    if kind == "own":
        path = tmp_path / "own.safetensors"
        convert(files["m0"], path, joints=5)
    torch.manual_seed(3)
    supernet = Supernet(space, 5)
    start = starts.init_supernet(supernet, path)
    assert start.pixels == "imagenet"
    point = space.arch({**space.widest.to_dict(), **resolve("efficientvit-m0").subnet.arch.to_dict()})
    net = extract(supernet, point)
    original = ln.import_weights(files["m0"], joints=5)
    for mine, theirs in zip(net.modules(), original.modules(), strict=True):
        if isinstance(mine, torch.nn.BatchNorm2d) and kind == "timm":
            mine.load_state_dict(theirs.state_dict())  # a supernet keeps no statistics of one point
    x = picture(96, 64)
    near(features(net, x), features(original, x))
