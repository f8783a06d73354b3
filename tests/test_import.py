"""Released weights in: every form of file, the reference forward, cuts and starts of supernets, files to be refused."""

import json
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from litepose_nas import Space, Supernet, UserError, build, extract
from litepose_nas.importers import litepose
from litepose_nas.importers.checkpoint import read_checkpoint
from litepose_nas.importers.convert import convert
from litepose_nas.importers.litepose import import_supernet, import_weights, init_supernet
from litepose_nas.importers.report import ImportReport
from litepose_nas.resolve import resolve
from litepose_nas.weights import load, load_supernet
from tests.helpers.released import formula_state, released_name, released_shapes, with_maps

GOLDEN = Path(__file__).parent / "golden"
TINY = Space.load("litepose-tiny")
SMALL = TINY.arch(
    {
        **TINY.smallest.to_dict(),
        **{"stages.0.width": 16, "stages.0.depth": 2, "stages.1.kernel": 5, "stages.2.expand": 6},
    }
)


def golden_json(name):
    return json.loads((GOLDEN / name).read_text())["state_dict"]


def small_state(joints=5):
    return formula_state(released_shapes(SMALL, joints))


def plain_net(arch, joints, state):
    """The network of an architecture with tensors of the released layout, set one by one."""
    net = build(arch, joints).eval()
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            tensor.copy_(state[released_name(name)])
    return net


def outputs(net, size=64):
    with torch.no_grad():
        return net.eval()(torch.sin(torch.arange(3 * size * size, dtype=torch.float32)).view(1, 3, size, size))


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(outputs(one), outputs(other), strict=True))


@pytest.fixture(scope="module")
def xs_state():
    return formula_state(released_shapes(resolve("litepose-xs").subnet.arch, 14))


@pytest.fixture(scope="module")
def super_state():
    """The released supernet: the largest network of its space at kernel 7 and expansion 6, with maps."""
    return formula_state(with_maps(released_shapes(resolve("litepose-prune-l").subnet.arch, 14)))


@pytest.fixture(scope="module")
def super_file(super_state, tmp_path_factory):
    path = tmp_path_factory.mktemp("released") / "super.pth"
    torch.save(super_state, path)
    return path


# ── what the references say ──


def test_our_layout_of_the_released_files_is_theirs():
    xs, supernet = resolve("litepose-xs").subnet.arch, resolve("litepose-prune-l").subnet.arch
    wanted = {name: tuple(shape) for name, shape in golden_json("state_dict_litepose_XS_14.json").items()}
    assert released_shapes(xs, 14) == wanted
    wanted = {name: tuple(shape) for name, shape in golden_json("state_dict_superlitepose_14.json").items()}
    assert with_maps(released_shapes(supernet, 14)) == wanted


def test_the_reference_forward_is_met(tmp_path):
    torch.save(formula_state(golden_json("state_dict_litepose_XS_14.json")), tmp_path / "xs.pth")
    net = import_weights(tmp_path / "xs.pth", arch="litepose-xs", joints=14)
    reference = np.load(GOLDEN / "forward_xs.npz")
    with torch.no_grad():
        found = net(torch.from_numpy(reference["x128"]))
    for i, output in enumerate(found):
        wanted = reference[f"lite_XS_x128_head{i}"]
        assert np.abs(wanted).max() > 0.1
        assert np.abs(output.numpy() - wanted).max() < 2e-4


# ── names ──


def test_names_go_there_and_back():
    names = [name for name, _ in build(TINY.widest, 5).state_dict().items()]
    for ours in names:
        theirs = released_name(ours)
        assert litepose.to_ours(theirs) == litepose.to_ours(ours) == ours
        assert litepose.to_theirs(ours) == theirs
    assert litepose.to_ours("stage.2.10.Linear5x5.bias") == "stages.2.10.dw.conv.maps.5.bias"
    for foreign in ("stage.0.0.Linear5x3.bias", "first.4.weight", "firstX2.weight", "stage.0.inv.0.weight", "x", ""):
        assert litepose.to_ours(foreign) is None


# ── all forms of file ──

FORMS = {
    "plain": lambda state: state,
    "training": lambda s: {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in s.items()}, "perf": 0.5},
    "best": lambda s: {"best_state_dict": s, "state_dict": {f"module.{k}": v * 0 for k, v in s.items()}},
    "half": lambda s: {f"1.{k}": v.half() if v.is_floating_point() else v for k, v in s.items()},
    "half, parallel": lambda s: {
        "state_dict": {f"module.1.{k}": v.half() if v.is_floating_point() else v for k, v in s.items()}
    },
    "parameters": lambda s: {k: torch.nn.Parameter(v) if v.is_floating_point() else v for k, v in s.items()},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("old", [False, True], ids=["zip", "before zip"])
def test_forms(form, old, tmp_path):
    state = small_state()
    torch.save(FORMS[form](state), tmp_path / "net.pth.tar", _use_new_zipfile_serialization=not old)
    read = read_checkpoint(tmp_path / "net.pth.tar")
    assert read.keys() == state.keys()
    half = "half" in form
    wanted = {k: v.half().float() if half and v.is_floating_point() else v for k, v in state.items()}
    assert all(torch.equal(read[name], tensor) for name, tensor in wanted.items())
    net = import_weights(tmp_path / "net.pth.tar", resolution=64)
    assert equal(net, plain_net(SMALL, 5, wanted))
    report = net.meta["imported"]
    assert report.complete
    assert (len(report.matched), report.unmatched) == (len(state), ())
    assert not net.training


def test_safetensors_under_any_name(tmp_path):
    state = small_state()
    for name in ("net.safetensors", "net.bin"):
        save_file(state, tmp_path / name)
        assert equal(import_weights(tmp_path / name, SMALL), plain_net(SMALL, 5, state))


def test_a_file_of_our_own_layout_is_a_checkpoint_too(tmp_path):
    state = small_state()
    torch.save(plain_net(SMALL, 5, state).state_dict(), tmp_path / "own.pth")
    assert equal(import_weights(tmp_path / "own.pth"), plain_net(SMALL, 5, state))


def test_extra_tensors_are_reported(tmp_path):
    torch.save({**small_state(), "ema.decay": torch.ones(2)}, tmp_path / "net.pth")
    report = import_weights(tmp_path / "net.pth").meta["imported"]
    assert report.unmatched == (("ema.decay", (2,)),)
    assert "not used    1 tensors\n" in str(report)
    assert "ema.decay [2]" in str(report)


# ── what is read off the shapes ──


@pytest.mark.parametrize("joints", [1, 5, 17])
def test_architecture_and_joints_are_read_off_the_file(joints, tmp_path):
    torch.save(formula_state(released_shapes(SMALL, joints)), tmp_path / "net.pth")
    net = import_weights(tmp_path / "net.pth", resolution=96)
    assert [part.block for part in SMALL.plan(joints)] == [p.block for p in _arch(net).plan(joints)]
    assert (net.meta["joints"], net.meta["input"]) == (joints, [96, 96])


def _arch(net):
    from litepose_nas.formats.subnet_file import from_json

    return from_json({key: value for key, value in net.meta.items() if key != "imported"}, "meta").arch


@pytest.mark.parametrize("name", ["litepose-xs", "litepose-prune-s"])
def test_published_numbers_tell_the_resolution(name, tmp_path):
    arch = resolve(name).subnet.arch
    torch.save({n: torch.zeros(s) for n, s in released_shapes(arch, 14).items()}, tmp_path / "net.pth")
    net = import_weights(tmp_path / "net.pth")
    assert _arch(net) == arch
    assert f"those of {name}" in str(net.meta["imported"])


def test_an_unknown_resolution_is_said_to_be_so(tmp_path):
    torch.save(small_state(), tmp_path / "net.pth")
    net = import_weights(tmp_path / "net.pth")
    assert net.meta["input"] == [512, 512]
    assert "no tensor tells the resolution" in str(net.meta["imported"])
    with pytest.raises(UserError, match="resolution 0"):
        import_weights(tmp_path / "net.pth", resolution=0)
    with pytest.raises(UserError, match="leave one of the two out"):
        import_weights(tmp_path / "net.pth", SMALL, resolution=64)


# ── files that do not fit ──


def refused(state, tmp_path, match, **options):
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(UserError, match=match) as error:
        import_weights(tmp_path / "net.pth", **options)
    assert "net.pth" in str(error.value)
    return str(error.value)


def test_misfits_are_refused_with_the_reason(tmp_path):
    state = small_state()
    without = {name: tensor for name, tensor in state.items() if "deconv_raw.1" not in name}
    renamed = {name.replace("stage.0.1.", "stage.0.2."): tensor for name, tensor in state.items()}
    reshaped = {**state, "first.1.0.weight": torch.zeros(32, 1, 5, 5)}
    text = refused(state, tmp_path, "the file's head has 5 joints, 17 asked", joints=17)
    assert "final_refined.0.conv.3.weight" in text
    refused(state, tmp_path, "stages.0.width is 16 in the file, 8 asked", arch=TINY.smallest)
    refused(state, tmp_path, "stages.0.depth is 2 in the file, 6 asked", arch="litepose-xs")
    shallow = TINY.arch({**SMALL.to_dict(), "stages.0.depth": 1})
    assert "stage.0.1." in refused(state, tmp_path, "stages.0.depth is 2 in the file, 1 asked", arch=shallow)
    assert "deconv_raw.1.weight is missing" in refused(without, tmp_path, "does not fit")
    assert "has no place" in refused(renamed, tmp_path, "does not fit")
    assert "[32, 1, 5, 5], not [32, 1, 3, 3]" in refused(reshaped, tmp_path, "does not fit")
    refused({"layer1.weight": torch.zeros(3)}, tmp_path, "none of its 1 tensors belongs to a LitePose")
    refused({"first.2.weight": torch.zeros(8, 32, 1, 1)}, tmp_path, "no tensor stage.0.0.inv.0.weight")
    refused({**state, "stage.1.0.inv.0.weight": torch.zeros(3)}, tmp_path, "expected 4 dimensions")
    refused({**state, "stage.1.0.inv.0.weight": torch.zeros(50, 16, 1, 1)}, tmp_path, "16 channels expand to 50")
    refused({**state, "stem.conv.conv.weight": torch.zeros(2)}, tmp_path, "are the same tensor")
    refused(state, tmp_path, "joints: expected a whole number", joints=0)
    quantised = {**state, "first.2.weight": state["first.2.weight"].int()}
    refused(quantised, tmp_path, "first.2.weight holds torch.int32, expected torch.float32")
    supernet = Supernet(TINY, 5)
    before = supernet.store.flat.clone()
    with pytest.raises(UserError, match=r"holds torch\.int32"):
        init_supernet(supernet, tmp_path / "net.pth")
    assert torch.equal(before, supernet.store.flat)


def test_the_residual_that_only_the_released_code_adds(tmp_path):
    arch = TINY.arch({**SMALL.to_dict(), "stages.2.width": 32, "stages.3.width": 32})
    refused(formula_state(released_shapes(arch, 5)), tmp_path, "stages 3 and 4 both have 32")


class Harm:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("form", ["zip", "before zip", "bare pickle", "inside"])
def test_a_pickle_that_would_run_code_does_not(form, tmp_path):
    mark, path = tmp_path / "harm", tmp_path / "net.pth"
    if form == "bare pickle":
        path.write_bytes(pickle.dumps(Harm(mark)))
    else:
        content = {**small_state(), "x": Harm(mark)} if form == "inside" else Harm(mark)
        torch.save(content, path, _use_new_zipfile_serialization=form != "before zip")
    for attempt in (lambda: import_weights(path), lambda: init_supernet(Supernet(TINY, 5), path)):
        with pytest.raises(UserError, match=r"would run code.*\.system"):
            attempt()
    assert not mark.exists()
    pickle.loads(pickle.dumps(Harm(mark)))  # the harm is real where it is let in
    assert mark.exists()


def test_files_that_are_no_checkpoint(tmp_path):
    path = tmp_path / "net.pth"
    torch.save(small_state(), path)
    whole = path.read_bytes()
    contents = {
        "empty": b"",
        "text": b"hello, I am no checkpoint\n",
        "zeros": bytes(1000),
        "cut": whole[: len(whole) // 2],
        "cut late": whole[:-100],
        "zip": b"PK\x05\x06" + bytes(18),
        "header too long": struct.pack("<Q", 1 << 40) + b"{}",
        "cut pickle": pickle.dumps({"a": [1, 2, 3]})[:-5],
    }
    for content in contents.values():
        path.write_bytes(content)
        with pytest.raises(UserError, match="damaged"):
            import_weights(path)
    for content, reason in (
        ([1, 2], "expected a state dict"),
        ({"a": 1}, "no tensors in it"),
        ({"state_dict": {}}, "no tensors in it"),
        ({"first.2.weight": torch.ones(3, dtype=torch.complex64)}, "real numbers"),
        ({"first.2.weight": torch.ones(3).to_sparse()}, "plain tensor"),
        ({"first.2.weight": torch.ones(1).expand(10**6, 10**6)}, "fewer numbers behind it"),
        ({"first.2.weight": torch.tensor([1.0, float("nan")])}, "a training that diverged"),
        ({"first.2.weight": torch.tensor([float("inf"), 1.0]).half()}, "a training that diverged"),
    ):
        torch.save(content, path)
        with pytest.raises(UserError, match=reason):
            import_weights(path)
    with pytest.raises(UserError, match="no such file"):
        import_weights(tmp_path / "none.pth")
    with pytest.raises(UserError, match="a folder"):
        import_weights(tmp_path)


# ── supernets ──


def sliced(state, shapes):
    """The rule of the released supernet, spelled out: the first channels, the middle of a kernel."""
    cut = {}
    for name, shape in shapes.items():
        tensor = state[name]
        if len(shape) == 0:
            cut[name] = tensor
        elif len(shape) == 1:
            cut[name] = tensor[: shape[0]]
        else:
            rim = (tensor.shape[2] - shape[2]) // 2
            cut[name] = tensor[: shape[0], : shape[1], rim : rim + shape[2], rim : rim + shape[3]]
    return cut


@pytest.mark.parametrize("name", ["litepose-xs", "litepose-m"])
def test_a_released_supernet_windowed_is_the_net_of_its_slices(name, super_state, super_file):
    arch = resolve(name).subnet.arch
    wanted = plain_net(arch, 14, sliced(super_state, released_shapes(arch, 14)))
    supernet, report = import_supernet(super_file, "litepose")
    assert len(report.unmatched) == 4 * 34  # no maps asked for
    assert equal(extract(supernet, arch), wanted)
    cut = import_weights(super_file, arch)
    assert equal(cut, wanted)
    assert "calibrate" in str(cut.meta["imported"])


def test_a_released_supernet_as_a_network_is_its_largest(super_state, super_file):
    net = import_weights(super_file)
    assert _arch(net) == resolve("litepose-prune-l").subnet.arch
    assert equal(net, plain_net(resolve("litepose-prune-l").subnet.arch, 14, super_state))
    with pytest.raises(UserError, match="14 joints, 17 asked"):
        import_weights(super_file, "litepose-xs", 17)


def test_learned_maps_make_the_smaller_kernels(super_state, super_file):
    space = Space.load("litepose")
    values = resolve("litepose-xs").subnet.arch.to_dict()
    arch = space.arch({**values, "stages.1.kernel": 5, "stages.2.kernel": 3, "stages.0.expand": 4})
    state = sliced(super_state, released_shapes(arch, 14))
    for i, kernel, depth in ((1, 5, 8), (2, 3, 10)):
        for j in range(depth):
            name = f"stage.{i}.{j}"
            weight, bias = (super_state[f"{name}.Linear{kernel}x{kernel}.{leaf}"] for leaf in ("weight", "bias"))
            rows = [weight @ row.flatten() + bias for row in state[f"{name}.depth_conv.0.weight"]]
            state[f"{name}.depth_conv.0.weight"] = torch.stack(rows).view(-1, 1, kernel, kernel)
    wanted = outputs(plain_net(arch, 14, state))
    supernet = Supernet(space, 14, kernel_maps=True)
    report = init_supernet(supernet, super_file)
    assert report.unmatched == ()
    for net in (extract(supernet, arch), import_weights(super_file, arch)):
        for one, other in zip(outputs(net), wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    plain = plain_net(arch, 14, sliced(super_state, released_shapes(arch, 14)))
    assert (outputs(plain)[0] - wanted[0]).abs().max() > 1e-2


@pytest.mark.parametrize("maps", [False, True])
def test_a_network_starts_a_supernet_at_its_own_place(maps, tmp_path):
    state = small_state()
    torch.save(state, tmp_path / "net.pth")
    torch.manual_seed(0)
    supernet = Supernet(TINY, 5, kernel_maps=maps)
    for name, tensor in supernet.store.state_dict().items():
        if maps and ".maps." in name:
            tensor.normal_()  # whatever was learned before, the network comes out as it went in
    before = {name: tensor.clone() for name, tensor in supernet.store.state_dict().items()}
    subnet = supernet.subnet(SMALL)  # windows that exist before must see it too
    report = init_supernet(supernet, tmp_path / "net.pth")
    assert isinstance(report, ImportReport)
    assert len(report.matched) == len(state)
    assert equal(extract(supernet, SMALL), plain_net(SMALL, 5, state))
    window = subnet.state_dict()["stages.0.0.dw.bn.running_mean"]
    assert torch.equal(window, state["stage.0.0.depth_conv.1.running_mean"])
    store = supernet.store.state_dict()
    wide = store["stages.0.0.dw.bn.running_mean"]
    assert torch.equal(wide[: len(window)], window)
    assert torch.equal(wide[len(window) :], before["stages.0.0.dw.bn.running_mean"][len(window) :])
    assert len(wide) > len(window)
    assert torch.equal(store["stages.2.2.dw.conv.weight"], before["stages.2.2.dw.conv.weight"])


def test_a_start_that_is_no_point_is_refused_and_changes_nothing(super_file, tmp_path):
    supernet = Supernet(TINY, 14)
    before = supernet.store.flat.clone()
    with pytest.raises(UserError, match=r"no point of the space litepose-tiny: .*`stem` is 24"):
        init_supernet(supernet, super_file)
    torch.save(small_state(5), tmp_path / "net.pth")
    with pytest.raises(UserError, match="5 joints, 14 asked"):
        init_supernet(supernet, tmp_path / "net.pth")
    assert torch.equal(before, supernet.store.flat)
    fixed = Space({**json.loads(TINY.source), "stem": 16}, name="fixed")
    with pytest.raises(UserError, match="stem: fixed fixes Stem"):
        init_supernet(Supernet(fixed, 5), tmp_path / "net.pth")


def test_convert_writes_what_the_command_promises(super_file, tmp_path):
    torch.save(small_state(), tmp_path / "net.pth")
    report = convert(tmp_path / "net.pth", tmp_path / "net.safetensors", resolution=64)
    assert report.complete
    net = load(tmp_path / "net.safetensors")
    assert equal(net, plain_net(SMALL, 5, small_state()))
    assert net.meta["source"] == {"imported_from": "net.pth"}
    convert(super_file, tmp_path / "super.safetensors", space="litepose")
    arch = resolve("litepose-xs").subnet.arch
    assert equal(extract(load_supernet(tmp_path / "super.safetensors"), arch), import_weights(super_file, arch))
    with pytest.raises(UserError, match="--space"):
        convert(super_file, tmp_path / "x.safetensors", space="litepose", arch="litepose-xs")
    assert not (tmp_path / "x.safetensors").exists()
