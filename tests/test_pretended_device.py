"""The steps of trainings, scoring and decoding on a GPU that is not there: nothing mixes devices, nothing waits."""

import contextlib

import pytest
import torch

from litepose_nas import devices
from litepose_nas.data.loader import batches
from litepose_nas.data.source import open_source
from litepose_nas.network import build
from litepose_nas.pose import bottomup
from litepose_nas.pose.people import DivergedError
from litepose_nas.runs.run import Run
from litepose_nas.search.scoring import Protocol, Scorer, SupernetScorer
from litepose_nas.space import Space
from litepose_nas.steps.common import read_data, task_of
from litepose_nas.supernet import Supernet
from litepose_nas.synthetic.dataset import write_toy
from litepose_nas.train.loop import Every, fit
from litepose_nas.train.recipe import Recipe, changed
from litepose_nas.train.trainee import NetTrainee, SupernetTrainee
from tests.helpers.pretended_device import MixedDevicesError, PretendedDevice

STEPS, SIZE, GPU = 3, (64, 64), torch.device("cuda", 0)
# The steps that do not report: the last one does, and saves.
QUIET = range(1, STEPS)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    write_toy(folder / "people", train=8, val=4, size=64)
    return open_source(str(folder / "people"))


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    write_toy(folder / "videos", 2, 1, size=64, subject="video", frames=8)
    return open_source(str(folder / "videos"))


def trainee_of(kind, space, data, recipe):
    task = task_of(space.widest, data, recipe)
    torch.manual_seed(0)
    if kind == "supernet":
        net = Supernet(space, data.joints, device=GPU, memory_format=devices.layout(GPU))
        return SupernetTrainee(net, recipe, STEPS, 0, SIZE, task)
    return NetTrainee(build(space.smallest, data.joints), recipe, SIZE, GPU, data.joints, None, task)


def trained(device, kind, source, name, folder, settings=()):
    """Train a few steps; return the trainee, and the waits of each step that does not report."""
    space = Space.load(name)
    data, settings = read_data(source, 0, task=space.task), ["batch=2", "widest_first=0", *settings]
    recipe = changed(Recipe(), settings, space.task)
    trainee = trainee_of(kind, space, data, recipe)

    def stream(start):
        make = trainee.task.train_batch
        return batches(
            data.split.train, SIZE, 2, 0, recipe.augment, start, STEPS * recipe.accumulate, workers=0, make_batch=make
        )

    counts = [len(device.waits)]
    with Run.create("pretended", settings={}, out=folder) as run:
        every = Every(STEPS, STEPS, STEPS)
        fit(trainee, stream, run, STEPS, every=every, tick=lambda *_: counts.append(len(device.waits)))
    return trainee, [device.waits[counts[step - 1] : counts[step]] for step in QUIET]


@pytest.mark.parametrize(("name", "settings"), [
    ("litepose-tiny", ()),
    ("litepose-tiny", ("widest_every=2", "random_nets=1")),
    ("litepose-tiny", ("push=exp", "exact=false")),
    ("topdown-tiny", ()),
    ("topdown-tiny", ("joints_weight=true", "half_body=0.5", "codec=plain")),
])  # fmt: skip
def test_no_step_of_a_supernet_waits_between_reports(name, settings, people, tmp_path):
    with PretendedDevice() as device:
        trainee, waits = trained(device, "supernet", people, name, tmp_path / "run", settings)
        assert trainee.store.flat.device == trainee.store.grad.device == GPU
    first, *others = waits
    # What is the same in every step may be copied in the first.
    assert [str(wait) for step in others for wait in step] == []
    assert len(first) <= 2, [str(wait) for wait in first]


def test_no_step_on_clips_waits_between_reports(videos, tmp_path):
    with PretendedDevice() as device:
        _, waits = trained(device, "supernet", videos, "t_vipnas-tiny", tmp_path / "run")
    assert [str(wait) for step in waits[1:] for wait in step] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [
    "litepose", "hrnet_davit", "s_vipnas_res50", "s_vipnas_mbv3", "mobilevitpose", "levitpose", "efficientvit",
])  # fmt: skip
def test_no_step_of_the_full_spaces_waits_between_reports(name, people, tmp_path):
    with PretendedDevice() as device:
        _, waits = trained(device, "supernet", people, name, tmp_path / "run")
    assert [str(wait) for step in waits[1:] for wait in step] == []


@pytest.mark.parametrize("settings", [("ema=0.9",), ("accumulate=2", "clip=0.1")])
@pytest.mark.parametrize("name", ["litepose-tiny", "topdown-tiny"])
def test_no_step_of_a_single_network_waits_between_reports(name, settings, people, tmp_path):
    with PretendedDevice() as device:
        _, waits = trained(device, "single", people, name, tmp_path / "run", settings)
    assert [str(wait) for step in waits[1:] for wait in step] == []


def test_the_pretended_device_changes_no_number(people):
    losses = []
    for number, device in enumerate((PretendedDevice(), contextlib.nullcontext())):
        with device:
            space = Space.load("litepose-tiny")
            data, recipe = read_data(people, 0, task=space.task), changed(Recipe(), ["batch=2", "widest_first=0"])
            torch.manual_seed(0)
            supernet = Supernet(space, data.joints, device="cpu" if number else GPU, memory_format=devices.layout(GPU))
            trainee = SupernetTrainee(supernet, recipe, 1, 0, SIZE, task_of(space.widest, data, recipe))
            batch = trainee.task.train_batch(data.split.train, SIZE, 2, 0, 0, recipe.augment)
            batch = batch.to(supernet.store.flat.device)
            found = trainee.backward(batch.images, batch.joints, batch.masks, 0)
            losses.append([*(value.cpu() for value in found.values()), supernet.store.grad.cpu()])
    for there, here in zip(*losses, strict=True):
        # A GPU is given all rows that fill up a batch, a CPU those with people: sums may differ in their last bits.
        torch.testing.assert_close(there, here, rtol=1e-4, atol=1e-5)


def test_what_waits_and_what_mixes_devices_is_caught_in_the_loss(people, tmp_path, monkeypatch):
    true = bottomup.BottomUp.target

    def planted(change):
        def target(self, outputs, joints, masks, size, settings):
            return true(self, change(outputs), joints, masks, size, settings)

        monkeypatch.setattr(bottomup.BottomUp, "target", target)

    def looked_at(outputs):
        outputs[0].detach().cpu()
        return outputs

    planted(looked_at)
    with PretendedDevice() as device:
        _, waits = trained(device, "supernet", people, "litepose-tiny", tmp_path / "waits")
    assert all(any("a copy to the CPU" in str(wait) for wait in step) for step in waits)

    planted(lambda outputs: [output + torch.zeros(output.shape) for output in outputs])
    with PretendedDevice() as device, pytest.raises(MixedDevicesError, match=r"aten\.add"):
        trained(device, "supernet", people, "litepose-tiny", tmp_path / "mixes")


@pytest.mark.parametrize("name", ["litepose-tiny", "topdown-tiny"])
def test_networks_are_calibrated_scored_and_decoded_there(name, people):
    space = Space.load(name)
    data, recipe = read_data(people, 0, task=space.task), changed(Recipe(), ["batch=2"])
    task, protocol = task_of(space.widest, data, recipe), Protocol(calibration=4, batch=2)
    arch = space.smallest
    torch.manual_seed(0)
    there = Supernet(space, data.joints)
    expected = SupernetScorer(there, Scorer(data.split, task, recipe, torch.device("cpu"), protocol))(arch)
    with PretendedDevice():
        torch.manual_seed(0)
        supernet = Supernet(space, data.joints, device=GPU)
        found = SupernetScorer(supernet, Scorer(data.split, task, recipe, GPU, protocol))(arch)
    assert found == pytest.approx(expected, rel=1e-4)


# ── the device itself ──


def test_a_training_that_diverges_between_reports_writes_nothing_over_what_is_good(people, tmp_path, monkeypatch):
    true, checked = bottomup.BottomUp.target, []

    def diverged(self, *args):
        loss = true(self, *args)
        return lambda outputs: {name: value * float("nan") for name, value in loss(outputs).items()}

    monkeypatch.setattr(bottomup.BottomUp, "target", diverged)
    space = Space.load("litepose-tiny")
    data, recipe = read_data(people, 0, task=space.task), changed(Recipe(), ["batch=2"])
    with PretendedDevice(), Run.create("diverged", settings={}, out=tmp_path / "run") as run:
        trainee = trainee_of("single", space, data, recipe)
        make = trainee.task.train_batch

        def stream(start):
            return batches(data.split.train, SIZE, 2, 0, recipe.augment, start, STEPS, workers=0, make_batch=make)

        def check(step, average):
            checked.append(step)
            return {}

        with pytest.raises(DivergedError, match="the loss is nan at step 1; no checkpoint was made yet"):
            fit(trainee, stream, run, STEPS, every=Every(STEPS, 2, STEPS), check=check)
    assert checked == []


def test_where_tensors_are_and_what_waits():
    with PretendedDevice() as device:
        here = torch.ones(2, 3)
        there = here.pin_memory().to("cuda", non_blocking=True)
        assert device.waits == []
        assert (here.device.type, there.device, (2 * there)[0].device) == ("cpu", GPU, GPU)
        assert (there.is_cuda, here.is_cuda, torch.zeros(2, device="cuda").device) == (True, False, GPU)
        assert torch.zeros_like(there).device == there.new_zeros(3).device == GPU
        for wait in (
            lambda: here.to("cuda"), lambda: there.cpu(), lambda: there.sum().item(), lambda: there.tolist(),
            lambda: bool(there[0, 0] > 0), lambda: there[there > 0], lambda: there.nonzero(),
            lambda: torch.tensor([1.0], device="cuda"), lambda: there.new_tensor([1.0]), lambda: there.copy_(here),
            lambda: torch.equal(there, there),
        ):  # fmt: skip
            before = len(device.waits)
            wait()
            assert len(device.waits) == before + 1, device.waits[before:]
        with pytest.raises(MixedDevicesError):
            here + there
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        assert (there * torch.tensor(2.0)).device == GPU  # a number may be anywhere
        with pytest.raises(AssertionError, match=r"test_pretended_device\.py"), device.no_waits():
            there.sum().item()
    assert there.device.type == "cpu"


def test_memory_that_is_used_again_is_not_taken_for_the_gpu():
    with PretendedDevice() as device:
        for _ in range(50):
            there = torch.ones(1000, device="cuda")
            assert there.device == GPU
            del there
            assert torch.ones(1000).device.type == "cpu"
        assert device.waits == []
