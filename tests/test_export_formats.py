"""Every format of `export`: a file gives torch's outputs in its runtime, says what it is, and is not kept if not."""

import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from litepose_nas import Subnet, UserError, save
from litepose_nas.data.loader import to_input
from litepose_nas.data.pixels import CONVENTIONS
from litepose_nas.exporters import table
from litepose_nas.exporters.checked import export
from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.onnx import write_program
from litepose_nas.exporters.parity import shape_of
from litepose_nas.exporters.table import FORMATS
from litepose_nas.pose.codecs import CODECS, encode
from litepose_nas.pose.in_graph import Decoded, FromBytes
from litepose_nas.pose.topdown import TopDown
from litepose_nas.runtimes import onnxruntime
from litepose_nas.runtimes.table import runtime_of
from litepose_nas.steps import export as step
from tests.test_plan_files import network

NEEDS = {
    "openvino": "openvino",
    "ncnn": "ncnn",
    "litert": "litert_torch",
    "executorch": "executorch",
}
RUNTIME = [pytest.param(name, marks=pytest.mark.runtime) for name in NEEDS]
SPACES = ("litepose-tiny", "s_vipnas_mbv3", "mobilevitpose", "levitpose", "hrnet_davit", "t_vipnas-tiny")


def made(space, seed=1, size=None):
    """A network with weights that do something, ready to be exported."""
    arch, net = network(space, seed)
    outputs = arch.space.family.outputs
    with torch.no_grad():
        frames = (arch.clip_length,) if arch.clip else ()
        found = net(torch.zeros(1, *shape_of((*frames, *(size or arch.input)))))
    return Exported(net, arch, 5, size or arch.input, outputs[: len(found)], {"joints": 5, "cost": {"macs": 7}})


def outputs_of(path, format, what):
    image = torch.randn(1, *shape_of(what.input))
    with torch.no_grad():
        wanted = what.net(image)
    return FORMATS[format].open(path)(image.numpy()), wanted


@pytest.mark.parametrize("format", ["torch", *RUNTIME])
@pytest.mark.parametrize("space", SPACES)
def test_a_file_gives_torchs_outputs_and_says_what_it_is(format, space, tmp_path):
    if format in NEEDS:
        pytest.importorskip(NEEDS[format])
    what = made(space, size=(64, 96) if space == "litepose-tiny" else None)
    path = tmp_path / f"net{FORMATS[format].suffix}"
    if format in ("litert", "executorch") and what.arch.clip_length > 1:
        with pytest.raises(UserError, match="choose onnx, openvino, ncnn or torch"):
            export(what, path, FORMATS[format])
        assert not list(tmp_path.iterdir())
        return
    checked = export(what, path, FORMATS[format])
    assert checked.parity is not None
    assert max(checked.parity.difference.values()) < 1e-4 * max(1, checked.parity.scale)
    for output, want in zip(*outputs_of(path, format, what), strict=True):
        assert np.abs(output - want.numpy()).max() < 1e-4 * max(1.0, float(want.abs().max()))
    said = json.loads(Path(f"{path}.json").read_text())
    assert said["joints"] == 5
    assert said["outputs"] == list(what.outputs)
    assert said["checked"]["runtime"] == format


@pytest.mark.runtime
def test_files_for_openvino_and_for_ncnn_lie_in_one_folder(tmp_path):
    for name in ("openvino", "ncnn"):
        pytest.importorskip(name)
    what = made("litepose-tiny")
    paths = {name: tmp_path / f"net{FORMATS[name].suffix}" for name in ("openvino", "ncnn")}
    for name, path in paths.items():
        export(what, path, FORMATS[name])
    for name, path in paths.items():
        for output, want in zip(*outputs_of(path, name, what), strict=True):
            np.testing.assert_allclose(output, want.numpy(), rtol=1e-3, atol=1e-4)


class Lying:
    """A runtime whose every answer is off by one."""

    keeps_time = False

    def __init__(self, session):
        self.session = session

    def __call__(self, batch):
        return [output + 1 for output in self.session(batch)]


def test_a_file_that_differs_is_not_kept(tmp_path):
    own = FORMATS["torch"]
    lying = own._replace(open=lambda path: Lying(own.open(path)))
    with pytest.raises(UserError, match=r"net\.pt2: not written, for torch differs from torch by 1\.0e\+00"):
        export(made("litepose-tiny"), tmp_path / "net.pt2", lying)
    assert not list(tmp_path.iterdir())


class Moved(Lying):
    """A runtime that finds some joints elsewhere, as on noise."""

    def __init__(self, session, share, value=0.0):
        super().__init__(session)
        self.share, self.value = share, value

    def __call__(self, batch):
        (joints,) = self.session(batch)
        count = round(self.share * joints[..., 0].size)
        joints = joints.copy()
        joints.reshape(-1, 3)[:count] += [20, 10, self.value]
        return [joints]


def test_joints_on_noise_may_be_elsewhere_but_not_most_of_them(tmp_path):
    what = made("topdown-tiny")
    subnet = Subnet(what.arch, 5, {"codec": "dark"})
    decoding, own = step.exported(what.net, subnet, what.size, False, decode=True), FORMATS["torch"]
    export(decoding, tmp_path / "few.pt2", own._replace(open=lambda path: Moved(own.open(path), 0.3)))
    for share, value in ((0.6, 0.0), (0.3, 0.1)):
        moved = own._replace(open=lambda path, how=(share, value): Moved(own.open(path), *how))
        with pytest.raises(UserError, match="differs from torch"):
            export(decoding, tmp_path / "many.pt2", moved)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["few.pt2", "few.pt2.json"]


def test_what_cannot_be_written_leaves_all_as_it_was(tmp_path, monkeypatch):
    what = made("litepose-tiny")
    (tmp_path / "net.ncnn.param").mkdir()
    (tmp_path / "net.ncnn.bin").write_text("mine")
    with pytest.raises(UserError, match=r"net\.ncnn\.param: a folder"):
        export(what, tmp_path / "net.ncnn.param", FORMATS["ncnn"])
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"net\.pt2: cannot be written .*; choose another place with --out"):
        export(what, tmp_path / "file" / "net.pt2", FORMATS["torch"])

    def full(path, content):
        raise UserError(f"{path}: writing failed (the disk is full)")

    monkeypatch.setattr("litepose_nas.exporters.torch_program.files.write", full)
    with pytest.raises(UserError, match="the disk is full"):
        export(what, tmp_path / "net.pt2", FORMATS["torch"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "net.ncnn.bin", "net.ncnn.param"]
    assert (tmp_path / "net.ncnn.bin").read_text() == "mine"


def test_a_file_that_cannot_be_run_here_says_so(tmp_path, monkeypatch, said):
    monkeypatch.chdir(tmp_path)
    what = made("litepose-tiny")
    save(what.net, "net.safetensors", Subnet(what.arch, 5, {}))
    absent = runtime_of("ncnn")._replace(package="ncnn_that_is_nowhere")
    monkeypatch.setattr("litepose_nas.exporters.checked.runtime_of", lambda name: absent)
    words = said("export net.safetensors --format ncnn --input 64x96")
    assert "not checked in ncnn: ncnn_that_is_nowhere is not installed; get it with: pip install ncnn" in words
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "net.ncnn.bin", "net.ncnn.param", "net.ncnn.param.json", "net.safetensors",
    ]  # fmt: skip
    told = json.loads(Path("net.ncnn.param.json").read_text())
    assert told["checked"]["parity"] is None
    assert told["input"] == [64, 96]
    assert told["input_pixels"]["name"] == "imagenet"
    document = json.loads(said("export net.safetensors --format ncnn --json"))
    assert document["not_checked"].startswith("ncnn_that_is_nowhere is not installed")
    assert document["runtime"] == "ncnn"


def test_core_ml_is_written_and_marked_as_never_run_or_its_package_is_named(tmp_path, monkeypatch):
    what = made("topdown-tiny")
    path = tmp_path / "net.mlpackage"
    with monkeypatch.context() as absent:
        absent.setitem(sys.modules, "coremltools", None)
        with pytest.raises(UserError, match=r"pip install 'litepose-nas\[coreml\]'"):
            export(what, path, FORMATS["coreml"])
    assert not list(tmp_path.iterdir())
    pytest.importorskip("coremltools")
    for _ in range(2):  # an earlier package is replaced
        checked = export(what, path, FORMATS["coreml"])
    assert checked.parity is None
    assert "never run" in checked.why_not
    assert (path / "Manifest.json").is_file()
    assert "never run" in json.loads(Path(f"{path}.json").read_text())["checked"]["why_not"]


def test_every_format_has_a_runtime_and_a_name_of_its_own():
    assert all(format.why_not_run or runtime_of(format.runtime) for format in FORMATS.values())
    assert len({format.suffix for format in FORMATS.values()}) == len(FORMATS)
    assert table.FORMATS["onnx"].describes_itself


class Plain(torch.nn.Module):
    """Gives its pictures back, as a network whose heatmaps are known."""

    def forward(self, *inputs):
        return (inputs[0],)


@pytest.mark.parametrize("codec", CODECS)
def test_joints_in_a_file_are_those_of_the_decoder(codec, tmp_path):
    size, maps = (96, 64), (24, 16)
    task = TopDown(17, codec=codec)
    draw = torch.Generator().manual_seed(0)
    joints = torch.rand(20, 17, 3, generator=draw) * torch.tensor([64.0, 96.0, 2.0])
    joints[..., 2] = joints[..., 2].round()  # some are not there: their heatmaps are noise
    heatmaps, _ = encode(joints, size, maps, CODECS[codec])
    heatmaps = heatmaps + 0.05 * torch.rand(heatmaps.shape, generator=draw)
    write_program(Decoded(Plain(), codec, size), tmp_path / "net.onnx", heatmaps[:2], ("joints",), {})
    (found,) = onnxruntime.open_session(tmp_path / "net.onnx")(heatmaps.numpy())
    for one, people in zip(found, task.people([heatmaps], None, size), strict=True):
        np.testing.assert_allclose(one, people.keypoints[0], atol=0.01)


@pytest.mark.parametrize("pixels", CONVENTIONS)
def test_bytes_in_a_file_are_prepared_as_a_training_prepares_them(pixels, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (3, 24, 16, 3), np.uint8)
    write_program(FromBytes(Plain(), pixels), tmp_path / "net.onnx", torch.from_numpy(image[:2]), ("out",), {})
    (found,) = onnxruntime.open_session(tmp_path / "net.onnx")(image)
    np.testing.assert_allclose(found, to_input(list(image), pixels).numpy(), atol=1e-6)


def test_a_file_of_bytes_and_joints_from_the_command_line(tmp_path, monkeypatch, said):
    monkeypatch.chdir(tmp_path)
    what = made("topdown-tiny")
    save(what.net, "net.safetensors", Subnet(what.arch, 5, {"codec": "udp", "pixels": "unit-bgr"}))
    assert "outputs joints" in said("export net.safetensors --decode --uint8")
    image = np.random.default_rng(1).integers(0, 256, (5, *what.size, 3), np.uint8)
    (found,) = onnxruntime.open_session(Path("net.onnx"))(image)
    with torch.no_grad():
        heatmaps = what.net(to_input(list(image), "unit-bgr"))
    people = TopDown(5, codec="udp").people(heatmaps, None, what.size)
    np.testing.assert_allclose(found[..., :2], [one.keypoints[0, :, :2] for one in people], atol=0.01)
    for words, why in (
        ("net.safetensors --decode --format ncnn", "no layer that reads a map at places that were computed (gather)"),
        ("net.safetensors --uint8 --format ncnn", "ncnn's networks take numbers; its Mat::from_pixels"),
        ("litepose-xs --untrained --decode --format ncnn", "leave it out for ncnn, and find joints in the raw maps"),
        ("litepose-xs --untrained --maps", "--maps: comes with --decode, for bottom-up networks"),
        ("net.safetensors --decode --maps", "--maps: comes with --decode, for bottom-up networks"),
        ("t_vipnas-tiny.safetensors --decode", "files of temporal networks give raw outputs alone"),
        ("t_vipnas-tiny.safetensors --uint8", "clips are taken as numbers"),
    ):
        if words.startswith("t_vipnas"):
            clip = made("t_vipnas-tiny")
            save(clip.net, "t_vipnas-tiny.safetensors", Subnet(clip.arch, 5, {}))
        assert why in said(f"export {words}", 2)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["torch", *RUNTIME])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("space", ["litepose", "litepose-blocks", "s_vipnas_res50", "efficientvit", "topdown-tiny"])
def test_more_networks(format, space, seed, tmp_path):
    if format in NEEDS:
        pytest.importorskip(NEEDS[format])
    random.seed(seed)
    export(made(space, seed), tmp_path / f"net{FORMATS[format].suffix}", FORMATS[format])
