"""Training: resumed to the bit, killed anywhere, stopped by numbers that are none; gradients that are what they say."""

import dataclasses
import itertools
import math
import os
import random
import re
import shlex
import signal
import time

import cv2
import numpy as np
import pytest
import torch
from torch import nn

import litepose_nas as ln
from litepose_nas import UserError
from litepose_nas.data.loader import Batch, Pictures, train_batch
from litepose_nas.pose.losses import distillation_loss
from litepose_nas.pose.people import DivergedError
from litepose_nas.pose.targets import bottomup_targets
from litepose_nas.resolve import subnet_of
from litepose_nas.runs import metrics
from litepose_nas.runs.run import Run
from litepose_nas.steps.training import is_best, rank, seconds_a_step, steps_of
from litepose_nas.store import Store
from litepose_nas.supernet import extract
from litepose_nas.train import checkpoint, sampling
from litepose_nas.train.loop import CHECKPOINT, Every, fit
from litepose_nas.train.recipe import LITEPOSE, RANGES, Recipe, changed, fields, from_mapping, named
from litepose_nas.train.trainee import NetTrainee, SupernetTrainee
from tests.helpers import tiny
from tests.helpers.commands import run


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A folder with pictures, a space, an untrained network and two trainings that nobody disturbed."""
    folder = tmp_path_factory.mktemp("room")
    source, space = tiny.make_room(folder)
    tiny.network(folder / "net.safetensors", source, space)
    tiny.supernet(folder / "straight", source, space)
    tiny.single(folder / "single", source, folder / "net.safetensors")
    return folder, source, space


@pytest.fixture(scope="module")
def batch(room):
    return train_batch(Pictures(room[1].read("train")), (64, 64), 4, 0, 0)


def interrupt_at(steps):
    """Return a report that presses Ctrl-C after certain steps."""

    def report(progress):
        if progress.step in steps:
            os.kill(os.getpid(), signal.SIGINT)

    return report


def die_at(step):
    def report(progress):
        if progress.step == step:
            raise ZeroDivisionError

    return report


# ── resumed ──


def test_a_supernet_stopped_at_several_steps_is_the_same(room, tmp_path):
    folder, source, space = room
    for stop in (2, 4, 6):
        with pytest.raises(KeyboardInterrupt):
            tiny.supernet(tmp_path / "run", source, space, report=interrupt_at([stop]))
        assert checkpoint.load(tmp_path / "run" / CHECKPOINT)["step"] == stop
    tiny.supernet(tmp_path / "run", source, space)
    tiny.same(tiny.left_by_training(tmp_path / "run"), tiny.left_by_training(folder / "straight"))
    assert (tmp_path / "run" / "metrics.csv").read_text().count("\n") == 5
    for name in ("train", "predictions-4", "predictions-8"):
        pictures = [tiny_picture(place / "images" / f"{name}.jpg") for place in (tmp_path / "run", folder / "straight")]
        assert np.array_equal(*pictures), name


def test_a_supernet_that_died_between_checkpoints_is_the_same(room, tmp_path):
    folder, source, space = room
    for stop in (4, 6, 8):  # the checkpoints are those of steps 3, 3 and 6, between two reports
        with pytest.raises(ZeroDivisionError):
            tiny.supernet(tmp_path / "run", source, space, report=die_at(stop))
    tiny.supernet(tmp_path / "run", source, space)
    tiny.same(tiny.left_by_training(tmp_path / "run"), tiny.left_by_training(folder / "straight"))


def test_a_single_net_stopped_at_several_steps_is_the_same(room, tmp_path):
    folder, source, _ = room
    for stop in (1, 4, 7):
        with pytest.raises(KeyboardInterrupt):
            tiny.single(tmp_path / "run", source, folder / "net.safetensors", report=interrupt_at([stop]))
    tiny.single(tmp_path / "run", source, folder / "net.safetensors")
    left = tiny.left_by_training(tmp_path / "run")
    tiny.same(left, tiny.left_by_training(folder / "single"))
    assert left["checkpoint.average"] != b""  # fine-tuning averages its weights
    assert any("running_mean" in name for name in left)


def test_the_best_weights_are_kept(room, tmp_path):
    folder, source, _ = room
    rows = metrics.read(folder / "single" / "metrics.jsonl")
    checks = [(row["step"], {"ap": row["held/ap"], "loss": row["held/loss"]}) for row in rows if "held/ap" in row]
    assert [step for step, _ in checks] == [4, 8]
    for file, wanted in (("last", checks[-1]), ("best", max(checks, key=lambda check: rank(check[1])))):
        score = subnet_of(folder / "single" / "weights" / f"{file}.safetensors").info["score"]
        assert (score["step"], {"ap": score["ap"], "loss": score["loss"]}) == wanted
        assert (folder / "single" / "images" / f"predictions-{wanted[0]}.jpg").stat().st_size > 1000
    taken, scores = tiny.single(folder / "single", source, None)  # an ended one says again what it found
    assert taken == folder / "single" / "weights" / "best.safetensors"
    assert scores["step"] == max(checks, key=lambda check: rank(check[1]))[0]
    taken, _ = tiny.single(tmp_path / "last", source, folder / "net.safetensors", steps=1, take="last")
    assert taken == tmp_path / "last" / "weights" / "last.safetensors"


def test_looking_at_held_out_pictures_changes_no_number(room, tmp_path):
    folder, source, space = room
    never = Every(report=1, check=100, save=3)
    tiny.single(tmp_path / "single", source, folder / "net.safetensors", every=never)
    tiny.supernet(tmp_path / "supernet", source, space, every=never)
    for quiet, looked in (("single", "single"), ("supernet", "straight")):
        one, other = (tiny.left_by_training(place) for place in (tmp_path / quiet, folder / looked))
        weights = [name for name in one if name.startswith(("checkpoint.store", "checkpoint.average"))]
        assert len(weights) > 10
        assert [name for name in weights if one[name] != other[name]] == []


def test_what_is_best():
    def scores(ap, loss):
        return {"ap": ap, "loss": loss}

    order = [(0.5, 9.0), (0.4, 0.1), (0.4, 0.2), (0.02, 8.0), (0.0, 0.1), (0.019, 0.2), (-1.0, 0.3), (0.0, math.inf)]
    ranks = [rank(scores(*pair)) for pair in order]
    assert ranks == sorted(ranks, reverse=True)
    assert len(set(ranks)) == len(ranks)
    rows = [{"loss": 0.0}, {"held/ap": 0.0, "held/loss": "inf"}, {"held/ap": 0.3, "held/loss": 0.5}]
    assert is_best(scores(0.0, math.inf), rows[:1], "held")
    assert is_best(scores(0.0, 7.0), rows[:2], "held")
    assert not is_best(scores(0.3, 0.5), rows, "held")
    assert not is_best(scores(0.2, 0.1), rows, "held")
    assert is_best(scores(0.3, 0.4), rows, "held")


def tiny_picture(path):
    picture = cv2.imread(str(path))
    assert picture is not None, path
    assert picture.std() > 20
    return picture


def test_a_supernet_started_from_a_checkpoint_starts_from_it_again(room, tmp_path, monkeypatch):
    from litepose_nas.importers import starts
    from litepose_nas.importers.report import ImportReport
    from litepose_nas.steps import train_supernet

    _, source, space = room

    def start(supernet, path):
        supernet.store.flat.fill_(0.25)
        return starts.Start(ImportReport(str(path), "a test", ("everything",), ()), None)

    monkeypatch.setattr(starts, "init_supernet", start)
    options = train_supernet.TrainOptions(space, Recipe(batch=2), tiny.Length(steps=4), init="some.pth", amp="off")
    planned = train_supernet.plan(options, source, lambda text: None)
    with Run.create("train-supernet", settings=planned.settings, out=tmp_path / "run") as run:
        loaded = train_supernet.load(run, source, "cpu")
    assert (loaded.supernet.store.flat == 0.25).all()


def test_a_space_or_a_network_that_changed_is_refused(room, tmp_path):
    folder, source, space = room
    text = (folder / "small.yaml").read_text()
    (tmp_path / "own.yaml").write_text(text)
    (tmp_path / "net.safetensors").write_bytes((folder / "net.safetensors").read_bytes())
    with pytest.raises(KeyboardInterrupt):
        tiny.supernet(tmp_path / "a", source, str(tmp_path / "own.yaml"), report=interrupt_at([2]))
    with pytest.raises(KeyboardInterrupt):
        tiny.single(tmp_path / "b", source, tmp_path / "net.safetensors", report=interrupt_at([1]))
    (tmp_path / "own.yaml").write_text(text.replace("kernel: [3, 5, 7]", "kernel: [3, 7]"))
    tiny.network(tmp_path / "net.safetensors", source, str(tmp_path / "own.yaml"))
    with pytest.raises(UserError, match=r"own.yaml: changed since .* restore it, or start a new run"):
        tiny.supernet(tmp_path / "a", source, space)
    with pytest.raises(UserError, match=r"net.safetensors: changed since .* restore it, or start a new run"):
        tiny.single(tmp_path / "b", source, None)


def test_timing_a_step_leaves_no_trace(room):

    _, source, space = room
    pictures, arch = Pictures(source.read("train")), ln.Space.load(space).smallest
    net = NetTrainee(ln.build(arch), Recipe(batch=2), (64, 64), "cpu", 17)
    supernet = ln.Supernet(ln.Space.load(space))
    for trainee in (net, SupernetTrainee(supernet, Recipe(batch=2), 10, 0)):
        before = {name: tensor.clone() for name, tensor in trainee.store.state_dict().items()}
        assert seconds_a_step(trainee, pictures, trainee.recipe, 0, 10) > 0
        assert all(torch.equal(before[name], tensor) for name, tensor in trainee.store.state_dict().items())
        assert not trainee.store.grad.any()


# ── real processes ──

TRAIN = "train-supernet --space small.yaml --data people --steps 16 --device cpu --amp off batch=2"
SEARCH = "search straight --budget 16MMAC --evals 12 --data people --device cpu"


@pytest.fixture(scope="module")
def processes(room):
    """A training and a search that nobody disturbed, with the seconds they took once their runs were there."""
    folder, seconds = room[0], []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words, name in ((TRAIN, "whole"), (SEARCH, "search")):
            assert run(f"litepose-nas {words} --out {name}", patch) == 0
            seconds.append(time.time() - (folder / name / "env.json").stat().st_mtime)
    (folder / "subnet.json").rename(folder / "whole.json")
    return folder, *seconds


def kill_training(processes, times):
    folder, seconds, _ = processes
    name = f"killed-{times}"
    again = ["train-supernet", "--resume", "--out", name]
    kills = tiny.kill_many([*TRAIN.split(), "--out", name], again, folder, times, seconds, random.Random(times))
    tiny.same(tiny.left_by_training(folder / f"killed-{times}"), tiny.left_by_training(folder / "whole"))
    return kills


def kill_search(processes, times):
    folder, _, seconds = processes
    name = f"search-{times}"
    again = ["search", "--resume", "--out", name]
    kills = tiny.kill_many([*SEARCH.split(), "--out", name], again, folder, times, seconds, random.Random(times))
    left = tiny.left_by_search(folder / f"search-{times}", folder / "subnet.json")
    tiny.same(left, tiny.left_by_search(folder / "search", folder / "whole.json"))
    return kills


def test_a_training_killed_twice_ends_with_the_same_numbers(processes):
    assert kill_training(processes, 2) >= 1


def test_a_search_killed_twice_ends_with_the_same_numbers(processes):
    assert kill_search(processes, 2) >= 1


@pytest.mark.slow
def test_a_training_killed_ten_times_ends_with_the_same_numbers(processes):
    assert kill_training(processes, 10) >= 5  # the others came after its end


@pytest.mark.slow
def test_a_search_killed_ten_times_ends_with_the_same_numbers(processes):
    assert kill_search(processes, 10) >= 5


def test_ctrl_c_says_how_to_resume(processes):
    folder = processes[0]
    left = folder / "stopped"
    process = tiny.start([*TRAIN.split(), "--out", "stopped"], folder)
    while process.poll() is None and not (left / "metrics.csv").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    last = errors.splitlines()[-1]
    assert last == "error: stopped; go on with: litepose-nas train-supernet --resume --out stopped"
    assert 0 < checkpoint.load(left / CHECKPOINT)["step"] < 16
    tiny.finish(shlex.split(last.partition("litepose-nas ")[2]), folder)
    tiny.same(tiny.left_by_training(left), tiny.left_by_training(folder / "whole"))


# ── numbers that are none, and half precision ──


class Line:
    """A trainee of four numbers whose gradients can be spoilt in certain steps."""

    covers = True

    def __init__(self, recipe=Recipe(ema=0.5), faults=None, halved=True):  # noqa: B008
        torch.manual_seed(0)
        self.net = nn.Linear(3, 1)
        self.store = Store(self.net, "cpu", torch.contiguous_format)
        self.recipe, self.faults, self.halved, self.scales = recipe, faults or {}, halved, []

    def size(self, step):
        return (1, 3)

    def backward(self, images, joints, masks, step, scale=1.0):
        self.scales.append(scale)
        with torch.autocast("cpu", enabled=False):
            loss = (self.net(images.flatten(1)) - 1).square().mean()
            (scale * loss).backward()
        fault, value = self.faults.get(step, ("", 0.0))
        if fault == "grad":
            self.store.grad[0] = value
        return {"loss": loss.detach() * 0 + value if fault == "loss" else loss.detach()}


def line_of(steps):
    def stream(start):
        for step in range(start, steps):
            images = torch.randn(4, 1, 1, 3, generator=torch.Generator().manual_seed(step))
            yield step, Batch(images, torch.zeros(4, 1, 1, 3), None), 0.0

    return stream


def fitted(trainee, folder, steps, precision=None, save=1, report=None):
    """Train, and return what the last checkpoint holds."""
    with Run.create("train", out=folder) as run:
        fit(trainee, line_of(steps), run, steps, every=Every(1, 10**6, save), precision=precision, report=report)
    return checkpoint.load(folder / CHECKPOINT)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e5])
def test_a_loss_that_is_no_number_keeps_the_last_checkpoint(tmp_path, value):
    with pytest.raises(DivergedError, match=r"at step 6; the checkpoint in .* is from before.* lr=0.001") as told:
        fitted(Line(faults={5: ("loss", value)}), tmp_path / "bad", 9, save=2)
    assert str(tmp_path / "bad") in str(told.value)
    kept, good = checkpoint.load(tmp_path / "bad" / CHECKPOINT), fitted(Line(), tmp_path / "good", 9)
    assert kept["step"] == 4
    assert (tmp_path / "bad" / "metrics.csv").read_text().splitlines() == [
        *(tmp_path / "good" / "metrics.csv").read_text().splitlines()[:6]
    ]
    assert good["step"] == 9


def test_a_flipped_bit_in_a_checkpoint_is_refused_or_harmless(tmp_path):
    good, path = fitted(Line(), tmp_path / "run", 3), tmp_path / "run" / CHECKPOINT
    whole = path.read_bytes()
    weights = whole.index(good["store"]["weight"].numpy().tobytes())
    told = []
    for place in {*range(weights, weights + 12), *range(0, len(whole), 5)}:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            kept = checkpoint.load(path)
        except UserError as error:
            told.append(str(error))
            continue
        assert not weights <= place < weights + 12
        assert repr(kept) == repr(good)
    assert len(told) > 100
    assert all(text.startswith(f"{path}: ") and "delete it to train that run from the start" in text for text in told)


def test_before_the_first_checkpoint_it_says_so(tmp_path):
    with pytest.raises(DivergedError, match="no checkpoint was made yet"):
        fitted(Line(faults={0: ("loss", float("nan"))}), tmp_path / "run", 3)


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_a_gradient_that_is_no_number_never_reaches_a_checkpoint(tmp_path, clip):
    with pytest.raises(DivergedError, match="weights are no numbers any more after step 4"):
        fitted(Line(Recipe(clip=clip), {3: ("grad", float("nan"))}), tmp_path / "run", 9)
    kept = checkpoint.load(tmp_path / "run" / CHECKPOINT)
    assert kept["step"] == 3
    assert all(torch.isfinite(tensor).all() for tensor in kept["store"].values())


def test_a_rate_that_is_far_too_high_ends_with_one_message(room, tmp_path):
    _, source, space = room
    with pytest.raises(DivergedError, match=r"the training has diverged: the loss is .* lower rate"):
        tiny.supernet(tmp_path / "run", source, space, 30, settings=["lr=10", "clip=0", "warmup=0"])


def test_half_precision_scales_and_unscales_to_the_bit(tmp_path):
    half, plain = Line(), Line()
    fitted(half, tmp_path / "half", 20, torch.float16)
    fitted(plain, tmp_path / "plain", 20)
    assert set(half.scales) == {2.0**14}
    assert set(plain.scales) == {1.0}
    assert torch.equal(half.store.flat, plain.store.flat)


def test_an_overflow_skips_the_step_and_halves_the_scale(tmp_path):
    trainee = Line(faults={3: ("grad", float("inf"))})
    seen = []
    state = fitted(
        trainee,
        tmp_path / "run",
        7,
        torch.float16,
        report=lambda p: seen.append((trainee.store.flat.clone(), trainee.scales[-1])),
    )
    moved = [not torch.equal(a[0], b[0]) for a, b in itertools.pairwise(seen)]
    assert moved == [True, True, False, True, True, True]  # from step to step; the fourth step did nothing
    assert [scale for _, scale in seen] == [2.0**14] * 4 + [2.0**13] * 3
    assert (state["scale"], state["calm"], state["step"]) == (2.0**13, 3, 7)
    assert int(state["optimizer"]["state"][0]["step"]) == 6
    assert all(torch.isfinite(tensor).all() for tensor in state["store"].values())


def test_a_thousand_calm_steps_double_the_scale(tmp_path):
    assert fitted(Line(), tmp_path / "calm", 1000, torch.float16, save=10**6)["scale"] == 2.0**15
    state = fitted(Line(faults={5: ("grad", float("inf"))}), tmp_path / "run", 1005, torch.float16, save=10**6)
    assert (state["scale"], state["calm"]) == (2.0**13, 999)


def test_gradients_that_always_overflow_end_it(tmp_path):
    always = {step: ("grad", float("nan")) for step in range(100)}
    with pytest.raises(DivergedError, match="overflow half precision at every scale"):
        fitted(Line(faults=always), tmp_path / "run", 100, torch.float16)


# ── gradients ──


def gradients(trainee, batch, step=0, scale=1.0):
    trainee.store.zero_grad()
    losses = trainee.backward(batch.images, batch.joints, batch.masks, step, scale)
    return trainee.store.grad.clone(), losses


def test_a_step_of_the_sandwich_is_the_sum_of_its_parts(room, batch):
    recipe = Recipe(distill=0.3)
    supernet = ln.Supernet(ln.Space.load(room[2]))
    trainee = SupernetTrainee(supernet, recipe, 10, seed=0)
    archs = trainee.archs(9)
    assert archs[:2] == [supernet.space.widest, supernet.space.smallest]
    assert len(set(archs)) == 4
    whole, losses = gradients(trainee, batch, 9)

    heatmaps, indices = bottomup_targets(batch.joints, (64, 64), ((16, 16), (32, 32)), recipe.sigma, recipe.exact)
    shrunk = [None if batch.masks is None else batch.masks[:, :: 64 // n, :: 64 // n] for n in (16, 32)]
    parts = []
    for arch in archs:
        supernet.store.zero_grad()
        net = supernet.subnet(arch)
        outputs = net(batch.images)
        loss = ln_loss(outputs, heatmaps, shrunk, indices, recipe)
        if arch == supernet.space.widest:
            widest = [output.detach() for output in outputs]
            assert torch.equal(loss.detach(), losses["loss"])
        else:
            loss = 0.7 * loss + 0.3 * distillation_loss(outputs, widest, 17, recipe.loss)
        loss.backward()
        parts.append(supernet.store.grad.clone())
    assert all(part.any() for part in parts)
    torch.testing.assert_close(sum(parts), whole, rtol=1e-4, atol=1e-6)


def ln_loss(outputs, heatmaps, masks, indices, recipe):
    from litepose_nas.pose.losses import bottomup_loss

    return bottomup_loss(outputs, heatmaps, masks, indices, recipe.loss).total


def test_the_nets_of_a_step_share_the_resolution_drawn_for_it(tmp_path):
    supernet = ln.Supernet(ln.Space.load("litepose-tiny"))
    trainee = SupernetTrainee(supernet, Recipe(widest_first=0), 10, seed=3)
    sizes, make = [], supernet.subnet

    def watched(arch):
        net = make(arch)
        net.register_forward_pre_hook(lambda _, inputs: sizes.append(tuple(inputs[0].shape[2:])))
        return net

    supernet.subnet = watched
    drawn = [trainee.size(step) for step in range(40)]
    assert set(drawn) == {(n, n) for n in (64, 96, 128, 160)}
    for step in range(3):
        sizes.clear()
        joints = torch.zeros(2, 1, 17, 3)
        trainee.backward(torch.randn(2, 3, *drawn[step]), joints, None, step)
        assert sizes == [drawn[step]] * 4
    other = SupernetTrainee(supernet, Recipe(), 10, seed=4)
    assert [other.size(step) for step in range(40)] != drawn


def test_the_widest_learns_alone_at_first(room):
    supernet = ln.Supernet(ln.Space.load(room[2]))
    trainee = SupernetTrainee(supernet, Recipe(widest_first=0.3, random_nets=3), 10, 0)
    assert [len(trainee.archs(step)) for step in range(10)] == [1] * 3 + [5] * 7
    assert trainee.archs(2) == [supernet.space.widest]
    assert trainee.archs(5) == SupernetTrainee(supernet, trainee.recipe, 10, 0).archs(5)
    assert trainee.archs(5)[2:] != trainee.archs(6)[2:]


def test_the_widest_may_learn_every_third_step_alone(room, batch):
    supernet = ln.Supernet(ln.Space.load(room[2]))
    recipe = Recipe(widest_first=0.1, widest_every=3, random_nets=2)
    trainee, space = SupernetTrainee(supernet, recipe, 10, 0), supernet.space
    assert [archs[0] == space.widest for archs in map(trainee.archs, range(10))] == [
        step % 3 == 0 for step in range(10)
    ]
    assert [len(trainee.archs(step)) for step in (0, 1, 2, 3)] == [1, 3, 3, 4]
    assert not trainee.covers
    taught = {}
    for distill in (0.0, 0.9):
        other = SupernetTrainee(supernet, dataclasses.replace(recipe, distill=distill), 10, 0)
        for step in (4, 6):
            supernet.store.zero_grad()
            other.backward(batch.images, batch.joints, None, step)
            taught[distill, step] = supernet.store.grad.clone()
    assert torch.equal(taught[0.0, 4], taught[0.9, 4])  # nobody is there to teach
    assert not torch.equal(taught[0.0, 6], taught[0.9, 6])
    losses = trainee.backward(batch.images, batch.joints, None, 4)
    assert losses["smallest"] == losses["loss"]


def test_fair_networks_have_every_choice_equally_often():
    space = ln.Space.load("litepose-blocks")
    row = [sampling.fair(space, 7, number) for number in range(24)]
    free = [gene for gene in space.genes if not gene.gates]
    for gene in free:
        for start in range(0, 24, len(gene.choices)):
            turn = [arch.values[gene.at] for arch in row[start : start + len(gene.choices)]]
            assert len(turn) < len(gene.choices) or sorted(turn, key=str) == sorted(gene.choices, key=str)
    assert len(set(row)) == len(row)
    assert sampling.drawn(space, "fair", 7, 3, 2) == row[6:8]
    assert sampling.drawn(space, "fair", 8, 3, 2) != row[6:8]
    assert sampling.drawn(space, "random", 7, 3, 2) != row[6:8]
    choices = len(free[0].choices)
    starts = range(0, 20, choices)
    assert len({tuple(arch.values[free[0].at] for arch in row[start : start + choices]) for start in starts}) > 1


def test_two_half_batches_make_the_gradient_of_one(room, batch):
    """It holds where pictures do not see each other: with fixed statistics. Batch statistics are each half's own."""
    net = ln.build(ln.Space.load(room[2]).smallest)
    trainee = NetTrainee(net, Recipe(), (64, 64), "cpu", 17)
    halves = [Batch(batch.images[i : i + 2], batch.joints[i : i + 2], None) for i in (0, 2)]
    whole = batch._replace(masks=None)

    def apart():
        one, losses = gradients(trainee, whole)
        trainee.store.zero_grad()
        parts = [trainee.backward(h.images, h.joints, None, 0, 0.5)["loss"] for h in halves]
        return float((trainee.store.grad - one).abs().max() / one.abs().max()), float(losses["loss"]), parts

    net.eval()
    difference, loss, parts = apart()
    assert difference < 1e-5
    assert float(sum(parts) / 2) == pytest.approx(loss, rel=1e-5)
    net.train()
    assert apart()[0] > 1e-3  # the same would be news


def test_accumulation_makes_one_step_of_several_batches(tmp_path):
    """The losses of the line are means over pictures, so two batches of four are one of eight."""

    def doubled(start):
        for step, batch, _ in line_of(20)(0):
            if step % 2 == 0:
                before = batch.images
            elif step >= 2 * start:
                images = torch.cat([before, batch.images])
                yield step // 2, Batch(images, torch.zeros(8, 1, 1, 3), None), 0.0

    many, one = Line(Recipe(accumulate=2)), Line()
    with Run.create("train", out=tmp_path / "a") as run:
        fit(many, line_of(20), run, 10)
    with Run.create("train", out=tmp_path / "b") as run:
        fit(one, doubled, run, 10)
    assert set(many.scales) == {0.5}
    torch.testing.assert_close(many.store.flat, one.store.flat, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_what_no_net_of_a_step_has_stays_as_it_is(room, tmp_path, optimizer):
    recipe = Recipe(sandwich=False, widest_first=0, optimizer=optimizer, weight_decay=0.1, batch=2)
    supernet = ln.Supernet(ln.Space.load(room[2]))
    trainee = SupernetTrainee(supernet, recipe, 4, 0)
    pictures, store = Pictures(room[1].read("train")), supernet.store

    def stream(start):
        return ((n, train_batch(pictures, (64, 64), 2, 0, n), 0.0) for n in range(start, 4))

    def momenta():
        found = checkpoint.load(tmp_path / "run" / CHECKPOINT)["optimizer"]["state"]
        return [torch.cat([found[part][name] for part in (0, 1)]) for name in ("exp_avg", "exp_avg_sq")]

    history = [[store.flat.clone(), torch.zeros_like(store.flat), torch.zeros_like(store.flat)]]
    with Run.create("train", out=tmp_path / "run") as run:
        for step in range(4):
            with pytest.raises(KeyboardInterrupt) if step < 3 else open(os.devnull):
                fit(trainee, stream, run, 4, every=Every(1, 10, 1), report=interrupt_at([step + 1] if step < 3 else []))
            history.append([store.flat.clone(), *momenta()])
    rested = 0  # numbers with momenta that a step must not move all the same
    for step in range(4):
        (arch,) = trainee.archs(step)
        store.zero_grad()
        for parameter in supernet.subnet(arch).parameters():
            parameter.grad.fill_(1)
        inside = store.grad == 1
        assert 0.02 < float(inside.float().mean()) < 0.98
        for before, after in zip(history[step], history[step + 1], strict=True):
            assert torch.equal(before[~inside], after[~inside])
            assert float((before != after)[inside].float().mean()) > 0.9
        rested += int((history[step][1][~inside] != 0).sum())
    assert rested > 1000


# ── recipes and settings ──


def test_the_published_recipe(room, batch):
    recipe = named("litepose")
    assert recipe is LITEPOSE
    supernet = ln.Supernet(ln.Space.load(room[2]))
    trainee = SupernetTrainee(supernet, recipe, 500, 0)
    archs = [trainee.archs(step) for step in range(20)]
    assert {len(step) for step in archs} == {1}
    assert len({arch for step in archs for arch in step}) > 15  # from the first step on, anew each time

    outputs = extract(supernet, archs[0][0]).train()(batch.images)
    got = trainee.task.target(outputs, batch.joints, None, (64, 64), recipe.loss)(outputs)["total"]
    heatmaps, indices = bottomup_targets(batch.joints, (64, 64), ((16, 16), (32, 32)), 2.0)
    plain = sum(((o[:, :17] - h) ** 2).mean() for o, h in zip(outputs, heatmaps, strict=True))
    push, pull = zip(*(literal_tags(*each) for each in zip(outputs[0][:, 17:], *indices, strict=True)), strict=True)
    torch.testing.assert_close(got, plain + 0.001 * sum(push) / 4 + 0.001 * sum(pull) / 4)

    rates = [recipe.rate(step, 501) for step in range(501)]
    assert rates[0] == rates[350] == pytest.approx(4e-3)
    assert rates[352] == rates[480] == pytest.approx(4e-4)
    assert rates[482] == rates[500] == pytest.approx(4e-5)
    assert (recipe.optimizer, recipe.batch, recipe.clip, recipe.ema) == ("adam", 16, 0.0, 0.0)
    warp = recipe.augment
    assert (warp.flip, warp.rotation, warp.scale, warp.translate) == (0.5, 30, (0.75, 1.5), 40 / 512)
    assert warp.colour == 0


def literal_tags(tags, index, seen):
    """The published push and pull of one picture, as they are written."""
    means, pull = [], 0.0
    for person in range(len(index)):
        read = [tags.flatten()[index[person, j]] for j in range(17) if seen[person, j]]
        if read:
            means.append(sum(read) / len(read))
            pull = pull + sum((t - means[-1]) ** 2 for t in read) / len(read)
    n = len(means)
    pairs = [torch.exp(-((means[a] - means[b]) ** 2)) for a in range(n) for b in range(n) if a != b]
    push = 0.5 * sum(pairs) / (n * (n - 1)) if n > 1 else torch.zeros(())
    return push, pull / n if n else torch.zeros(())


def test_our_rates_rise_and_fall():
    recipe = Recipe(lr=1.0, warmup=0.1)
    rates = [recipe.rate(step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([(n + 1) / 10 for n in range(10)])
    assert rates[10] == 1.0
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert 0.01 <= rates[-1] < 0.012


def test_settings_are_read_as_what_they_are():
    recipe = changed(
        Recipe(), ["lr=1e-3", "batch=4", "sandwich=no", "scale=0.5,2", "push=exp", "drops=0.5", "ema = 0.9"]
    )
    assert (recipe.lr, recipe.batch, recipe.sandwich, recipe.scale) == (1e-3, 4, False, (0.5, 2.0))
    assert (recipe.push, recipe.drops, recipe.ema) == ("exp", (0.5,), 0.9)
    assert changed(LITEPOSE, ["sandwich=true"]).sandwich is True
    assert from_mapping(recipe.__dict__) == recipe
    assert changed(recipe, []) == recipe


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("lrr=1", "unknown setting 'lrr'; did you mean 'lr'"),
        ("lr", "'lr': expected a setting such as lr=0.003; known: batch,"),
        ("lr=fast", "lr=fast: expected a number"),
        ("lr=0", "lr=0: expected a number from 1e-09 to 10"),
        ("lr=nan", "expected a number from"),
        ("batch=2.5", "batch=2.5: expected a whole number"),
        ("batch=0", "batch=0: expected a number from 1 to"),
        ("accumulate=-1", "expected a number from 1"),
        ("clip=-1", "clip=-1: expected a number from 0 up"),
        ("sandwich=maybe", "sandwich=maybe: expected yes or no"),
        ("push=exq", "push=exq: not one of its choices; did you mean 'exp'"),
        ("optimizer=sgd", "known: adamw, adam"),
        ("schedule=cosin", "did you mean 'cosine'"),
        ("scale=1", "expected two numbers, the smaller one first"),
        ("scale=2,1", "expected two numbers, the smaller one first"),
        ("scale=a,b", "scale=a: expected a number"),
        ("flip=2", "flip=2: expected a number from 0 to 1"),
        ("ema=1", "ema=1: expected a number from 0 to 0.999999"),
        ("distill=1.5", "from 0 to 1"),
        ("warmup=-0.1", "from 0 to 1"),
        ("sigma=0", "sigma=0: expected a number from 0.1"),
    ],
)
def test_settings_that_are_wrong_say_what_is_right(setting, told):
    with pytest.raises(UserError) as error:
        changed(Recipe(), [setting])
    assert told in str(error.value)


def test_ranges_are_of_settings_that_exist_and_hold_for_the_recipes():
    assert set(RANGES) <= set(fields())
    for recipe in (Recipe(), LITEPOSE):
        assert from_mapping(recipe.__dict__) == recipe
    with pytest.raises(UserError, match="did you mean 'litepose'"):
        named("lightpose")


def test_every_setting_is_in_the_documentation():
    page = (tiny.ROOT / "docs" / "train.md").read_text()
    assert re.findall(r"^\| `(\w+)` \| \w", page, re.MULTILINE) == fields()


def test_the_lengths():
    from litepose_nas.train.recipe import Length

    recipe = Recipe(batch=4, accumulate=2)
    assert steps_of(Length(steps=7), 100, recipe, 1.0) == 7
    assert steps_of(Length(epochs=4), 100, recipe, 1.0) == 50
    assert steps_of(Length(hours=0.5), 100, recipe, 0.9) == 2000
    assert steps_of(Length(epochs=0.001), 100, recipe, 1.0) == 1
    with pytest.raises(UserError, match="--steps and --hours: give one of them"):
        Length(steps=3, hours=1.0).check()
    with pytest.raises(UserError, match="a length is missing"):
        steps_of(Length(), 100, recipe, 1.0)
