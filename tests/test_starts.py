"""Starting from weights, and pictures prepared as the weights are used to: all four steps on drawn people, small."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

import litepose_nas as ln
from litepose_nas import Space, Supernet, UserError, weights
from litepose_nas.data.layouts.toy import toy_split
from litepose_nas.data.loader import Pictures
from litepose_nas.exporters.table import Format
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.importers import starts
from litepose_nas.inference.pictures import predict_image
from litepose_nas.pose.bottomup import BottomUp
from litepose_nas.pose.topdown import TopDown
from litepose_nas.runs.run import Run
from litepose_nas.runtimes.torch import TorchSession
from litepose_nas.steps.evaluate import load
from litepose_nas.synthetic.dataset import write_toy
from tests.helpers.coco_file import read_coco
from tests.helpers.commands import run

YAML = """\
family: mobilevitpose
resolution: ["64x48"]
block: [seed, official]
stem: 8
stages:
- {depth: 1, width: 8, kernel: 3, expand: 2}
- {depth: 1, width: [8, 16], kernel: 3, expand: 2}
- {depth: 1, width: 16, kernel: 3, expand: 2,
   mix: {mask: ["0", "1"], depth: [1, 2], width: [16, 24], heads: [1, 2], expand: 2, patch: [4, 2], kernel: [1, 3]}}
- {depth: 1, width: 16, kernel: [3, 5], expand: 2}
- {depth: 1, width: 24, kernel: 3, expand: 2, mix: {depth: 1, width: 24, heads: 2, expand: 2, patch: 2, kernel: 3}}
last: {expand: 2}
head:
- {width: [16, 24], kernel: [2, 4], groups: [4, 1]}
- {width: 16, kernel: 4, groups: 1}
- {width: 16, kernel: 2, groups: 16}
"""


@pytest.fixture
def room(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_toy(tmp_path / "people", train=12, val=2, size=64)
    (tmp_path / "small.yaml").write_text(YAML)
    return tmp_path


def own_network(path, arch, joints, **info):
    torch.manual_seed(1)
    net = ln.build(arch, joints).eval()
    weights.save(net, path, Subnet(arch, joints, info))
    return net


def test_every_step_goes_on_from_weights_and_their_pixels(room, monkeypatch, said):
    space = Space.load("small.yaml")
    start = own_network(room / "start.safetensors", space.widest, 9, pixels="unit")
    printed = said(
        "train-supernet --space small.yaml --data people --init start.safetensors --steps 2 batch=2 widest_first=0"
    )
    assert "pixels=unit: pictures are prepared as these weights are used to" in printed
    assert "its outputs are for 9 joints" in printed
    folder = Path("runs/train-supernet/supernet")
    assert Run.open(folder).settings["recipe"]["pixels"] == "unit"
    said("search --budget 2MMAC --evals 3")
    assert json.loads(Path("subnet.json").read_text())["pixels"] == "unit"
    said("extract subnet.json")
    said("finetune subnet.safetensors --steps 2")
    assert ln.load("subnet-finetuned.safetensors").meta["pixels"] == "unit"
    assert load("subnet-finetuned.safetensors", "cpu").task.pixels == "unit"
    said("evaluate subnet-finetuned.safetensors")
    said("predict subnet-finetuned.safetensors people/val")
    said("finetune subnet.safetensors --steps 1 pixels=imagenet --name other")
    assert ln.load("subnet-finetuned.safetensors").meta["pixels"] == "imagenet"
    # The supernet of that run starts another; and one may ask for other pixels.
    printed = said(
        f"train-supernet --space small.yaml --data people --init {folder}/weights/last.safetensors --steps 1 batch=2 "
        "pixels=imagenet --name again"
    )
    assert "pixels=imagenet, as asked, though these weights are used to unit" in printed
    assert Run.open(Path("runs/train-supernet/again")).settings["recipe"]["pixels"] == "imagenet"
    assert start.stem.conv.weight.shape == (8, 3, 3, 3)


def test_files_that_start_nothing(room, monkeypatch, capsys):
    torch.save({"layer1.weight": torch.zeros(3)}, "net.pth")
    command = "litepose-nas train-supernet --space small.yaml --data people --steps 1 --init"
    assert run(f"{command} net.pth", monkeypatch) == 2
    assert "none of its 1 tensors belongs to a network that is known" in capsys.readouterr().err
    assert run(f"{command} none.pth", monkeypatch) == 2
    assert "no such file" in capsys.readouterr().err
    assert run("litepose-nas train-supernet --space small.yaml --data people --steps 1 pixels=units", monkeypatch) == 2
    assert "did you mean 'unit'" in capsys.readouterr().err
    own_network(room / "odd.safetensors", Space.load("small.yaml").widest, 17, pixels="grey")
    with pytest.raises(UserError, match=r"odd.safetensors: pixels: 'grey' is not a convention"):
        load("odd.safetensors", "cpu")


def test_an_exported_file_says_how_its_pictures_are_prepared(room, monkeypatch, said):
    written = []

    def write(what, path):
        written.append(what.meta)
        path.touch()
        nets[path] = what.net

    nets = {}
    own = Format(".onnx", write, lambda path: TorchSession(nets[path]), "torch", describes_itself=True)
    monkeypatch.setattr("litepose_nas.exporters.table.FORMATS", {"onnx": own})
    arch = Space.load("small.yaml").widest
    own_network(room / "net.safetensors", arch, 17, pixels="unit-bgr")
    own_network(room / "usual.safetensors", arch, 17)
    for name in ("net", "usual"):
        said(f"export {name}.safetensors")
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    wanted = {"name": "unit-bgr", "order": "BGR", "range": [0, 1], "mean": [0, 0, 0], "std": [1, 1, 1]}
    assert written[0]["input_pixels"] == wanted
    assert written[1]["input_pixels"] == wanted | {"name": "imagenet", "order": "RGB", "mean": mean, "std": std}


@pytest.mark.parametrize("name", ["litepose-tiny", "topdown-tiny"])
@pytest.mark.parametrize("maps", [False, True])
def test_a_network_of_ours_starts_a_supernet_at_its_own_place(name, maps, tmp_path):
    space = Space.load(name)
    arch = space.sample(random.Random(2))
    net = own_network(tmp_path / "net.safetensors", arch, 5)
    supernet = Supernet(space, 5, kernel_maps=maps)
    start = starts.init_supernet(supernet, tmp_path / "net.safetensors")
    assert start.pixels is None
    assert start.report.complete
    x = torch.sin(torch.arange(3 * 64 * 64, dtype=torch.float32)).view(1, 3, 64, 64)
    with torch.no_grad():
        found, wanted = ln.extract(supernet, arch).eval()(x), net(x)
    for one, other in zip(found, wanted, strict=True):
        assert (one - other).abs().max() <= (1e-5 if maps else 0) * other.abs().max()


@pytest.mark.parametrize("task", [TopDown(17, pixels="unit"), BottomUp(17, pixels="unit")], ids=["topdown", "bottomup"])
def test_every_look_at_a_picture_is_prepared_alike(task, tmp_path):
    """Training, scoring and prediction show the same values: those of bytes over 255, and nothing else."""
    write_toy(tmp_path / "people", train=3, val=1, size=64)
    pictures = Pictures(read_coco(*toy_split(tmp_path / "people", "train")))
    shown = [task.train_batch(pictures, (64, 48), 2, 0, 0, None).images]
    shown += [batch.images for batch, _ in task.eval_batches(pictures, (64, 48))]

    def net(images):
        shown.append(images)
        heat = torch.zeros(len(images), 17, 16, 12)
        return (heat,) if isinstance(task, TopDown) else (torch.zeros(len(images), 34, 16, 12), heat)

    predict_image(net, task, np.full((64, 48, 3), 51, np.uint8), (64, 48), False, 0.1)
    assert torch.allclose(shown[-1], torch.full_like(shown[-1], 0.2))
    for images in shown:
        bytes_ = images * 255
        assert (bytes_ - bytes_.round()).abs().max() < 1e-4
        assert 0 <= images.min() <= images.max() <= 1
