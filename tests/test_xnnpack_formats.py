"""LiteRT and ExecuTorch: decoding, bytes, half precision and integers in their files, run in their runtimes."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

from litepose_nas import Space, Subnet, build
from litepose_nas.data.loader import to_input
from litepose_nas.exporters.checked import export
from litepose_nas.exporters.half import half_format
from litepose_nas.exporters.int8 import base_of
from litepose_nas.exporters.int8_table import quantiser_of
from litepose_nas.exporters.table import FORMATS
from litepose_nas.pose.codecs import CODECS, encode
from litepose_nas.pose.in_graph import Decoded, FromBytes
from litepose_nas.pose.topdown import TopDown
from litepose_nas.steps.export import exported
from litepose_nas.steps.int8_search import relative_error

NEEDS = {"litert": "litert_torch", "executorch": "executorch"}
pytestmark = [pytest.mark.runtime, pytest.mark.filterwarnings("ignore")]  # the converters warn of their own future


@pytest.fixture(params=NEEDS)
def format(request):
    pytest.importorskip(NEEDS[request.param])
    return request.param


class Plain(torch.nn.Module):
    """Gives its pictures back, as a network whose heatmaps are known."""

    def forward(self, *inputs):
        return (inputs[0],)


def written(module, example, names, format, path, reads_bytes=False):
    if format == "executorch":
        importlib.import_module("litepose_nas.exporters.executorch").lowered(module.eval(), example, path)
    else:
        litert = importlib.import_module("litepose_nas.exporters.litert")
        last = example if reads_bytes else example.permute(0, 2, 3, 1).contiguous()
        litert.convert(litert.ChannelsLast(module, names, reads_bytes), last, path)
    return FORMATS[format].open(path, 1)


@pytest.mark.parametrize("codec", CODECS)
def test_joints_in_a_file_are_those_of_the_decoder(codec, format, tmp_path):
    size, maps, draw = (96, 64), (24, 16), torch.Generator().manual_seed(0)
    joints = torch.rand(6, 17, 3, generator=draw) * torch.tensor([64.0, 96.0, 2.0])
    joints[..., 2] = joints[..., 2].round()  # some are not there: their heatmaps are noise
    heatmaps, _ = encode(joints, size, maps, CODECS[codec])
    heatmaps = heatmaps + 0.05 * torch.rand(heatmaps.shape, generator=draw)
    session = written(Decoded(Plain(), codec, size), heatmaps[:1], ["joints"], format, tmp_path / "net.file")
    for one, people in zip(heatmaps, TopDown(17, codec=codec).people([heatmaps], None, size), strict=True):
        (found,) = session(one[None].numpy())
        np.testing.assert_allclose(found[0], people.keypoints[0], atol=0.01)


@pytest.mark.parametrize("pixels", ["imagenet", "unit-bgr"])
def test_bytes_in_a_file_are_prepared_as_a_training_prepares_them(pixels, format, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (1, 24, 16, 3), np.uint8)
    module = FromBytes(Plain(), pixels)
    session = written(module, torch.from_numpy(image), ["out"], format, tmp_path / "net.file", reads_bytes=True)
    (found,) = session(image)
    np.testing.assert_allclose(found, to_input(list(image), pixels).numpy(), atol=1e-5)


def lively(space="topdown-tiny", **how):
    """A network whose outputs are of the size that trained ones have."""
    arch = Space.load(space).smallest
    torch.manual_seed(0)
    net = build(arch, 5)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        net.train()(torch.randn(8, 3, *arch.input))
    return exported(net.eval(), Subnet(arch, 5, {}), arch.input, False, **how)


def outputs(what, image):
    with torch.no_grad():
        return [output.numpy() for output in what.net(torch.from_numpy(image))]


def test_integers_are_near_and_layers_that_are_kept_are_not_in_integers(format, tmp_path):
    what = lively()
    images = [what.images(1, seed) for seed in range(4)]
    base = base_of(what, images)
    quantiser, path = quantiser_of(format)(base), tmp_path / f"net{FORMATS[format].suffix}"
    names = {layer.name for layer in quantiser.layers}
    assert names == {layer.name for layer in base.layers}
    wanted = outputs(what, images[0])
    plain = tmp_path / f"plain{FORMATS[format].suffix}"
    FORMATS[format].write(what, plain)
    for kept, near in ((set(), 0.2), (set(sorted(names)[:3]), 0.2), (names, 1e-4)):
        quantiser.write(path, kept)
        assert quantiser.in_int8(path) == names - kept
        assert relative_error(FORMATS[format].open(path, 1)(images[0]), wanted) < near
        assert kept or path.stat().st_size < 0.6 * plain.stat().st_size


def test_integers_leave_the_places_of_joints_alone(format, tmp_path):
    what = lively(decode=True)
    images = [what.images(1, seed) for seed in range(4)]
    quantiser, path = quantiser_of(format)(base_of(what, images)), tmp_path / f"net{FORMATS[format].suffix}"
    quantiser.write(path, ())
    assert quantiser.in_int8(path) == {layer.name for layer in quantiser.layers}
    (wanted,), (found,) = outputs(what, images[0]), FORMATS[format].open(path, 1)(images[0])
    np.testing.assert_allclose(found[..., 2], wanted[..., 2], atol=0.2 * wanted[..., 2].max())
    height, width = what.size
    places = found[..., :2][found[..., 2] > 0]
    quarters = places - 0.5  # of a pixel of the heatmap, which is four of the input
    assert np.abs(quarters - quarters.round()).max() < 1e-3
    assert (places < [width, height]).all()


def test_half_precision_halves_the_bytes(tmp_path):
    pytest.importorskip("litert_torch")
    what, path, plain = lively(), tmp_path / "net.tflite", tmp_path / "plain.tflite"
    export(what, path, half_format("litert"))
    export(what, plain, FORMATS["litert"])
    assert path.stat().st_size < 0.7 * plain.stat().st_size
    image = what.images(1)
    assert 1e-6 < relative_error(FORMATS["litert"].open(path, 1)(image), outputs(what, image)) < 0.02


def test_half_precision_of_ncnn(tmp_path):
    pytest.importorskip("ncnn")
    what, paths = lively(), [tmp_path / "net.ncnn.param", tmp_path / "plain.ncnn.param"]
    for path, made in zip(paths, (half_format("ncnn"), FORMATS["ncnn"]), strict=True):
        export(what, path, made)
    small, large = (Path(str(path).replace(".param", ".bin")).stat().st_size for path in paths)
    assert small < 0.6 * large
    image = what.images(1)
    assert 1e-6 < relative_error(FORMATS["ncnn"].open(paths[0], 1)(image), outputs(what, image)) < 0.02


@pytest.mark.parametrize("maps", [False, True])
def test_peaks_and_bytes(maps, format, tmp_path):
    what, path = lively("litepose-tiny", decode=True, reads_bytes=True, maps=maps), tmp_path / "net.file"
    checked = export(what, path, FORMATS[format])
    assert checked.parity is not None
    image = what.images(1, seed=3)
    for output, wanted in zip(FORMATS[format].open(path, 1)(image), outputs(what, image), strict=True):
        np.testing.assert_allclose(output, wanted, atol=1e-3)
