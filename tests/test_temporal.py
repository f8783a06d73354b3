"""Temporal groups: what is frozen stays, frames share a store and not a network, costs add up, clips in and out."""

from __future__ import annotations

import copy
import dataclasses
import json
import random

import numpy as np
import pytest
import torch
import yaml

import litepose_nas as ln
from litepose_nas import costs, resources, weights
from litepose_nas.budget import Budget
from litepose_nas.data.augment import Augment
from litepose_nas.data.boxes import crop_warp, padded
from litepose_nas.data.dataset import Dataset
from litepose_nas.data.loader import Pictures
from litepose_nas.data.source import open_source
from litepose_nas.errors import UserError
from litepose_nas.families.temporal import key_everywhere
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.inference.batches import evaluate
from litepose_nas.pose.codecs import CODECS, encode
from litepose_nas.pose.losses import LossSettings
from litepose_nas.pose.make_task import make_task
from litepose_nas.pose.temporal import NOBODY, Temporal, groups
from litepose_nas.pose.topdown import TopDown
from litepose_nas.resolve import subnet_of
from litepose_nas.search import guided
from litepose_nas.search.encoding import Genome
from litepose_nas.search.pricing import Prices
from litepose_nas.search.problem import Problem
from litepose_nas.space import Space
from litepose_nas.steps.common import describe, read_data
from litepose_nas.steps.keyframe import load_key, space_with_key
from litepose_nas.supernet import Supernet, calibrate, extract
from litepose_nas.synthetic.dataset import write_toy
from litepose_nas.task_kind import TaskKind
from litepose_nas.train.recipe import TOPDOWN, changed, kept
from litepose_nas.train.trainee import NetTrainee, SupernetTrainee
from tests.helpers import properties

SIZE, JOINTS = (64, 48), 17
TEXT = resources.find("t_vipnas-tiny", "search_spaces", ".yaml").read_text(encoding="utf-8")


def space(**changes) -> Space:
    """The tiny space with other values in its frames, or at the top."""
    tree = yaml.safe_load(TEXT)
    for key, value in changes.items():
        place = tree["frames"] if key == "depth" else tree["frames"]["blocks"] if key == "fuse" else tree
        place[key] = value
    return Space(tree, name="changed")


@pytest.fixture(scope="module")
def tiny() -> Space:
    return Space.load("t_vipnas-tiny")


@pytest.fixture(scope="module")
def supernet(tiny) -> Supernet:
    return properties.rough_supernet(tiny, JOINTS)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films") / "films"
    write_toy(folder, 3, 1, size=96, subject="video", frames=12)
    return open_source(str(folder))


@pytest.fixture(scope="module")
def film(films) -> Dataset:
    return films.read("train", unlabelled=True)


def task_for(dataset: Dataset, frames: int = 3, **how) -> Temporal:
    skeleton = dataset.skeleton
    return Temporal(TopDown(JOINTS, skeleton.flip_pairs, sigmas=skeleton.sigmas), frames, **how)


def clip(frames: int = 3, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, frames, 3, *SIZE, generator=torch.Generator().manual_seed(3))


# ── a group is one network ──


def test_frames_have_networks_of_their_own_and_one_store(tiny, supernet):
    arch = tiny.sample(random.Random(4))
    names = set(supernet.store.state_dict())
    assert {name.split(".")[0] for name in names} == {"key", "later"}
    net = extract(supernet, arch)
    assert {name.split(".")[0] for name in net.state_dict()} == {"key", "frames"}
    one, other = (frame.stem.conv.conv.weight for frame in net.frames.children())
    assert one.data_ptr() != other.data_ptr()
    with torch.no_grad():
        one.zero_()
    assert other.abs().sum() > 0


def test_costs_are_those_of_the_networks_added_up(tiny):
    """Key and later networks built alone, without fusion, cost what the table says of each frame."""
    arch = tiny.arch(tiny.sample(random.Random(1)).to_dict() | {f"frames.blocks.{i}.fuse": "none" for i in (0, 1)})
    tree = yaml.safe_load(TEXT)
    blocks = {key: value for key, value in tree["frames"]["blocks"].items() if key != "fuse"}
    later, key = (Space({"resolution": "64x48", "family": "simple_topdown", **own}) for own in (blocks, tree["key"]))
    rows = costs.by_frame(arch, joints=JOINTS)
    assert rows[0].macs == costs.cost(key.widest, joints=JOINTS).macs
    for number, row in enumerate(rows[1:]):
        own = f"frames.blocks.{number}."
        values = {path.removeprefix(own): v for path, v in arch.to_dict().items() if path.startswith(own)}
        alone = later.arch({path: v for path, v in values.items() if path != "fuse"})
        assert row.macs == costs.cost(alone, joints=JOINTS).macs
    assert [row.frame for row in rows] == ["key", "1", "2"]
    assert sum(row.macs for row in rows) == costs.cost(arch, joints=JOINTS).macs
    assert sum(row.params for row in rows) == costs.cost(arch, joints=JOINTS).params


@torch.no_grad()
def test_a_clip_is_its_frames_one_by_one(tiny, supernet):
    """The group's forward is a loop that anyone can write, of any length, and goes on in the middle."""
    net, images = extract(supernet, tiny.sample(random.Random(2))).eval(), clip(7)
    (whole,) = net(images)
    assert whole.shape == (2, 7, JOINTS, 16, 12)
    before = None
    for number, frame in enumerate(images.unbind(1)):
        (before,) = net(frame, before, number % 3)
        assert torch.equal(before, whole[:, number])
    (rest,) = net(images[:, 4:], whole[:, 3], 4 % 3)
    assert torch.equal(rest, whole[:, 4:])
    assert torch.equal(net(images[:, 0])[0], whole[:, 0])


@torch.no_grad()
@pytest.mark.parametrize("fuse", ["none", "1.add", "2.mul", "3.cat"])
def test_narrow_frames_lie_inside_wide_ones(tiny, supernet, fuse):
    fused = {f"frames.blocks.{number}.fuse": fuse for number in (0, 1)}
    narrow, wide = (tiny.arch(arch.to_dict() | fused) for arch in (tiny.smallest, tiny.widest))
    widths = {path: value for path, value in narrow.to_dict().items() if not path.endswith("depth")}
    properties.lies_inside(supernet, tiny.arch(wide.to_dict() | widths), wide, (clip(),))


@torch.no_grad()
@pytest.mark.parametrize("way", ["add", "mul", "cat"])
def test_no_heatmaps_are_heatmaps_of_zeros(tiny, supernet, way):
    arch = tiny.arch(tiny.widest.to_dict() | {"frames.blocks.0.fuse": f"2.{way}"})
    net, image = extract(supernet, arch).eval(), clip()[:, 0]
    zeros, ones = torch.zeros(2, JOINTS, 16, 12), torch.ones(2, JOINTS, 16, 12)
    assert torch.equal(net(image, None, 1)[0], net(image, zeros, 1)[0])
    assert not torch.equal(net(image, ones, 1)[0], net(image, zeros, 1)[0])


@torch.no_grad()
def test_without_fusion_the_frame_before_does_not_matter(tiny, supernet):
    net = extract(supernet, tiny.smallest).eval()
    assert torch.equal(net(clip()[:, 0], torch.ones(2, JOINTS, 16, 12), 1)[0], net(clip()[:, 0], None, 1)[0])


@torch.no_grad()
@pytest.mark.parametrize("fuse", ["1.cat", "2.add", "3.mul"])
def test_fusion_is_what_it_says(tiny, supernet, fuse):
    """Resize, convolve to the feature's width, join, mix: written out with the network's own tensors."""
    arch = tiny.arch(tiny.smallest.to_dict() | {"frames.blocks.0.fuse": fuse})
    net, image, before = extract(supernet, arch).eval(), clip()[:, 0], torch.rand(2, JOINTS, 16, 12)
    own, (position, way) = net.frames.get_submodule("0"), fuse.split(".")
    x = own.stem(image)
    for number, stage in enumerate(own.stages.children(), 1):
        for block in stage.children():
            x = block(x)
        if number == int(position):
            block = own.fuse.get_submodule(fuse)
            resized = torch.nn.functional.interpolate(before, x.shape[-2:], mode="bilinear", align_corners=False)
            lifted = block.lift.conv(resized)
            joined = {"add": x + lifted, "mul": x * lifted}
            x = block.mix(x, lifted) if way == "cat" else block.mix(joined[way])
    for deconv in own.head.children():
        x = deconv(x)
    torch.testing.assert_close(own.heatmaps(x), net(image, before, 1)[0], rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("answer", ["fresh", "added"])
def test_an_answer_is_all_or_what_is_to_be_added(answer):
    """A later network that says nothing leaves nothing, or the heatmaps of the frame before."""
    made = space(answer=answer)
    net = extract(properties.rough_supernet(made, JOINTS), made.smallest).eval()
    image, before = clip()[:, 0], torch.rand(2, JOINTS, 16, 12)
    said = net(image, None, 1)[0]
    assert torch.equal(net(image, before, 1)[0], said + before if answer == "added" else said)
    again = copy.deepcopy(net)  # a network travels with its family
    assert torch.equal(again(image, before, 1)[0], net(image, before, 1)[0])


def test_the_number_of_frames_can_be_a_choice():
    elastic = space(depth=[1, 2, 3])
    assert elastic.widest.clip_length == 4
    assert elastic.smallest.clip_length == 2
    assert not any(path.startswith("frames.blocks.1") for path in elastic.smallest.to_dict())
    net = properties.rough_supernet(elastic, JOINTS)
    for arch in (elastic.smallest, elastic.sample(random.Random(0)), elastic.widest):
        properties.subnet_equals_extraction(net, arch, (clip(4),))
        properties.cost_is_exact(net, arch, (clip(arch.clip_length),))


# ── what is frozen, and what learns ──


@pytest.mark.parametrize("gradient", ["stopped", "through"])
def test_gradients_go_back_in_time_only_if_asked(gradient):
    """The loss of the second later frame reaches the first one's network through its heatmaps, or does not."""
    made = space(gradient=gradient)
    arch = made.arch(made.smallest.to_dict() | {"frames.blocks.1.fuse": "1.add"})
    net = ln.build(arch, JOINTS)
    net(clip())[0][:, 2].square().mean().backward()
    first, second = (frame.stem.conv.conv.weight.grad for frame in net.frames.children())
    assert second.abs().sum() > 0
    assert bool(first.abs().sum() > 0) == (gradient == "through")
    assert all(param.grad is None for param in net.key.parameters())


def test_training_leaves_the_key_network_as_it_is(tiny, film):
    """Neither gradients nor weight decay, momentum, statistics or calibration move it; the rest moves."""
    torch.manual_seed(0)
    net = Supernet(tiny, JOINTS)
    recipe = dataclasses.replace(TOPDOWN, batch=2, weight_decay=0.5)
    task, pictures = task_for(film), Pictures(film)
    batch = task.train_batch(pictures, SIZE, 2, 0, 0, recipe.augment)
    trainees = [SupernetTrainee(net, recipe, 4, 0, SIZE, task)]
    trainees.append(NetTrainee(extract(net, tiny.widest), recipe, SIZE, "cpu", JOINTS, task=task))
    for trainee in trainees:
        before = {name: tensor.clone() for name, tensor in trainee.store.state_dict().items()}
        optimizer = torch.optim.AdamW(trainee.store.parameters(), lr=0.1, weight_decay=0.5)
        for step in (2, 3):
            trainee.backward(batch.images, batch.joints, None, step)
            optimizer.step()
        if isinstance(trainee, NetTrainee):
            calibrate(trainee.net, [batch.images])
        after = trainee.store.state_dict()
        moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
        assert not {name for name in moved if name.startswith("key.")}
        assert {name for name in moved if not name.startswith("key.")}
    norms = [module for module in trainees[1].net.train().key.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)


def test_not_every_step_reaches_every_fusion(tiny, supernet):
    """So what a step does not reach must not drift with the optimizer's momentum."""
    assert not supernet.has_every_block(tiny.widest)
    assert not SupernetTrainee(supernet, TOPDOWN, 4, 0, SIZE).covers
    assert SupernetTrainee(Supernet(Space.load("topdown-tiny"), 3), TOPDOWN, 4, 0, SIZE).covers


@torch.no_grad()
def test_the_key_network_teaches_every_frame(tiny, supernet):
    net = extract(supernet, tiny.smallest).eval()
    (taught,) = key_everywhere(net, clip())
    for number, frame in enumerate(clip().unbind(1)):
        assert torch.equal(taught[:, number], net(frame)[0])


# ── a key network from a file ──


def key_file(folder, film, name="key.safetensors", **info):
    """An untrained network of single frames, as `finetune` would write it."""
    torch.manual_seed(5)
    one = Space.load("topdown-tiny")
    arch = one.arch(one.sample(random.Random(3)).to_dict() | {"resolution": "64x48"})
    net = calibrate(ln.build(arch, JOINTS), [torch.randn(8, 3, *SIZE)])
    described = describe(film.skeleton, make_task(film.skeleton, TOPDOWN.task_info, "topdown"))
    weights.save(net, folder / name, Subnet(arch, JOINTS, {**described, **info}))
    return folder / name


@torch.no_grad()
def test_a_key_network_travels_inside_the_group(tiny, film, tmp_path):
    """From its own file into space, supernet, extraction and the group's file: the same answers to the bit."""
    path = key_file(tmp_path, film)
    made = space_with_key(tiny, str(path))
    own = weights.load(path)
    assert costs.by_frame(made.widest)[0].macs == costs.cost(subnet_of(path).arch, joints=JOINTS).macs
    net = Supernet(made, JOINTS)
    load_key(net, str(path))
    group = extract(net, made.smallest)
    calibrate(group, [clip()])
    assert torch.equal(group(clip())[0][:, 0], own(clip()[:, 0])[0])
    weights.save(group, tmp_path / "group.safetensors", Subnet(made.smallest, JOINTS))
    weights.save_supernet(net, tmp_path / "supernet.safetensors")
    path.unlink()
    again = weights.load(tmp_path / "group.safetensors")
    assert torch.equal(again(clip())[0], group.eval()(clip())[0])
    assert not any(param.requires_grad for param in again.key.parameters())
    assert all(param.requires_grad for param in again.frames.parameters())
    loaded = weights.load_supernet(tmp_path / "supernet.safetensors")
    assert torch.equal(extract(loaded, loaded.space.smallest).eval()(clip())[0][:, 0], again(clip())[0][:, 0])


def test_a_key_network_that_does_not_fit_is_refused(tiny, film, tmp_path):
    for key, at, words in (
        (None, tiny, "--key"),
        (str(tmp_path / "nothing.safetensors"), tiny, "no such file"),
        ("litepose-xs", tiny, "without weights"),
        (str(key_file(tmp_path, film)), Space.load("topdown-tiny"), "no key frames"),
        (str(key_file(tmp_path, film)), space(resolution="128x96"), "128x96"),
    ):
        with pytest.raises(UserError, match=words):
            space_with_key(at, key)


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"key": 3}, "key: expected a mapping"),
        ({"frames": {"depth": 1, "family": "litepose", "blocks": {}}}, "one person at a time"),
        ({"fuse": ["2.ad"]}, "2.add"),
        ({"fuse": ["4.add"]}, "no place"),
        ({"gradient": "stoped"}, "stopped"),
        ({"answer": "adde"}, "added"),
        ({"depth": 0}, "at least 1"),
        ({"keyy": 1}, "keyy"),
    ],
)
def test_a_space_that_is_none_is_told_why(tree, words):
    with pytest.raises(UserError, match=words):
        space(**tree)


# ── clips ──


def test_every_frame_of_every_person_is_shown_once(film):
    task, pictures = task_for(film), Pictures(film)
    seen = []
    for batch, warps in task.eval_batches(pictures, SIZE, 4):
        assert batch.images.dim() == 5
        assert len(warps) == len(batch.image_ids) == batch.images.shape[0] * batch.images.shape[1]
        assert batch.images.shape[1] <= 3
        seen += [image for image in batch.image_ids if image != NOBODY]
    wanted = [record.image_id for record in film.records for _ in record.boxes]
    assert sorted(seen) == sorted(wanted)


def test_groups_begin_where_a_person_is_seen_and_end_at_gaps(film):
    """Read slowly: frames in a row, keys with the person in them, no frame twice."""
    found = list(groups(film, 3))
    assert {len(one.images) for one in found} <= {1, 2, 3}
    assert any(len(one.images) == 3 for one in found)
    for one in found:
        frames = [film.records[image].frame for image in one.images]
        assert frames == list(range(frames[0], frames[0] + len(frames)))
        assert len({film.records[image].video for image in one.images}) == 1
        assert one.people[0] >= 0
        assert one.people[-1] >= 0
        for image, person in zip(one.images, one.people, strict=True):
            assert person < 0 or film.records[image].track_ids[person] == one.track
    without = film._replace(records=film.records[:4] + film.records[5:])
    for one in groups(without, 3):
        frames = [without.records[image].frame for image in one.images]
        assert frames == list(range(frames[0], frames[0] + len(frames)))


class Oracle:
    """A network that knows the truth of the next clips."""

    def __init__(self, batches, task):
        self.batches, self.task = batches, task

    def __call__(self, clips):
        joints = next(self.batches)[0].joints
        heatmaps, _ = encode(joints.flatten(0, 1), SIZE, (16, 12), CODECS[self.task.each.codec])
        return [heatmaps.unflatten(0, joints.shape[:2])]


@pytest.mark.parametrize("crop", ["key", "previous"])
def test_a_network_that_knows_the_truth_scores_near_one(films, crop):
    """Through clips, boxes, warps back to each frame, and the metric."""
    dataset = films.read("train")
    task, pictures = task_for(dataset, crop=crop), Pictures(dataset)
    scores, results = evaluate(Oracle(task.eval_batches(pictures, SIZE), task), pictures, task, SIZE)
    assert scores.ap > 0.9
    assert len(results) <= sum(len(record.boxes) for record in dataset.records)


def test_training_clips_are_changed_alike_and_follow_from_seed_and_step(film):
    task, pictures, how = task_for(film), Pictures(film), TOPDOWN.augment
    one, same = (task.train_batch(p, SIZE, 3, 0, 7, how) for p in (pictures, Pictures(film, 0)))
    assert one.images.shape == (3, 3, 3, *SIZE)
    assert one.joints.shape == (3, 3, JOINTS, 3)
    assert torch.equal(one.images, same.images)
    assert torch.equal(one.joints, same.joints)
    assert not torch.equal(one.images, task.train_batch(pictures, SIZE, 3, 0, 8, how).images)


def test_frames_of_a_clip_share_one_box_or_follow(film):
    """Joints in the cut-outs tell which box they were cut out by."""
    one = next(clip for clip in Pictures(film).clips(3) if min(clip.people) >= 0)
    boxes = [film.records[i].boxes[p] for i, p in zip(one.images, one.people, strict=True)]
    assert not np.allclose(boxes[0], boxes[1])
    for crop, owners in (("key", (0, 0, 0)), ("previous", (0, 0, 1))):
        samples = task_for(film, crop=crop)._cut(Pictures(film), one, SIZE, None, [0])
        for (image, person), owner, sample in zip(
            zip(one.images, one.people, strict=True), owners, samples, strict=True
        ):
            warp = crop_warp(padded(np.clip(boxes[owner], 0, None), SIZE), SIZE)
            joints = film.records[image].joints[person]
            wanted = (joints[:, :2] + 0.5) @ warp[:, :2].T + warp[:, 2]
            seen = joints[:, 2] > 0
            np.testing.assert_allclose(sample.joints[0, seen, :2], wanted[seen], atol=2)


def test_a_mirrored_clip_is_mirrored_in_every_frame(film):
    task, still = task_for(film), Augment(rotation=0, scale=(1, 1), translate=0, flip=0, colour=0)
    pictures, mirror = Pictures(film), list(film.skeleton.mirror)
    plain = task.train_batch(pictures, SIZE, 4, 0, 0, still)
    flipped = task.train_batch(pictures, SIZE, 4, 0, 0, still._replace(flip=1))
    assert torch.allclose(flipped.images.flip(-1), plain.images, atol=0.1)
    back = flipped.joints[:, :, mirror]
    back[..., 0] = (SIZE[1] - back[..., 0]) * (back[..., 2] > 0)
    torch.testing.assert_close(back, plain.joints, atol=1e-3, rtol=0)


def test_the_key_frame_is_no_part_of_the_loss(film):
    task = task_for(film)
    batch = task.train_batch(Pictures(film), SIZE, 2, 0, 0, None)
    outputs = torch.rand(2, 3, JOINTS, 16, 12)
    other = outputs.clone()
    other[:, 0] += 1
    loss = task.target([outputs], batch.joints, None, SIZE, LossSettings())
    assert torch.equal(loss([outputs])["total"], loss([other])["total"])
    settings = LossSettings()
    assert torch.equal(
        task.distillation([outputs], [outputs], settings), task.distillation([other], [outputs], settings)
    )
    alone = task.target([outputs[:, :1]], batch.joints[:, :1], None, SIZE, settings)([outputs[:, :1]])["total"]
    assert alone.isfinite()  # a clip that ends with its key frame


def test_stills_cannot_teach_a_clip(tmp_path):
    write_toy(tmp_path / "people", train=2, val=1, size=64)
    dataset = open_source(str(tmp_path / "people")).read("train")
    with pytest.raises(UserError, match="video"):
        task_for(dataset).train_batch(Pictures(dataset), SIZE, 2, 0, 0, None)


def test_settings_of_clips():
    assert changed(TOPDOWN, ["crop=previous", "codec=udp"], "temporal").crop == "previous"
    assert "crop" in kept(TOPDOWN, "temporal")
    assert "crop" not in kept(TOPDOWN, "topdown")
    with pytest.raises(UserError, match="only temporal"):
        changed(TOPDOWN, ["crop=previous"], "topdown")
    with pytest.raises(UserError, match="previous"):
        changed(TOPDOWN, ["crop=previus"], "temporal")


def test_frames_that_nobody_labelled_are_between_those_somebody_did(films):
    data = read_data(films, 0, task=TaskKind.TEMPORAL)
    assert any(not record.labelled for record in data.split.train.dataset.records)
    assert all(record.labelled for record in read_data(films, 0).split.train.dataset.records)
    assert any(-1 in one.people for one in groups(data.split.train.dataset, 4))


# ── the commands ──


def test_every_step_on_drawn_videos(films, film, tmp_path, monkeypatch, said):
    monkeypatch.chdir(tmp_path)
    data = films.name.removesuffix("/data.yaml")
    key_file(tmp_path, film)

    training = f"train-supernet --space t_vipnas-tiny --data {data} --steps 3 batch=2"
    assert "--key" in said(training, 2)
    assert "clips, 3 steps" in said(f"{training} --key key.safetensors")
    said("search --budget 20MMAC --evals 2")
    said("extract subnet.json")
    said("finetune subnet.safetensors --steps 2 --teacher")
    assert "Total" in said(f"evaluate subnet-finetuned.safetensors --data {data}")
    assert "no track ids" in said(f"evaluate subnet-finetuned.safetensors --data {data} --boxes some.json", 2)
    shown = said("profile subnet-finetuned.safetensors")
    assert "one person through a group of 3 frames" in shown
    first = [line.split()[0] for line in shown.splitlines() if line]
    assert [word for word in first if word in ("key", "1", "2")] == ["key", "1", "2"]
    told = json.loads(said("profile subnet-finetuned.safetensors --json"))
    assert sum(frame["macs"] for frame in told["frames"]) == told["macs"]
    said("report")
    assert "Frame by frame" in (tmp_path / "runs/search/search/report/report.html").read_text()


def test_a_search_starts_from_groups_that_spend_evenly_too(tiny):
    """Half of what is drawn first has later frames that are alike; drawn gene by gene, next to none would."""
    genome = Genome(tiny)
    rows = genome.draw(50, np.random.default_rng(0))

    def even(row) -> bool:
        arch = genome.arch(row).to_dict()
        values = [{k[16:]: v for k, v in arch.items() if k.startswith(f"frames.blocks.{i}.")} for i in (0, 1)]
        return values[0] == values[1]

    assert not any(map(even, rows))
    assert all(map(even, genome.alike(rows)))
    assert [genome.arch(row).to_dict()["frames.blocks.0.fuse"] for row in genome.alike(rows)] == [
        genome.arch(row).to_dict()["frames.blocks.0.fuse"] for row in rows
    ]
    other = Genome(Space.load("topdown-tiny"))
    plain = other.draw(5, np.random.default_rng(0))
    assert np.array_equal(other.alike(plain), plain)
    budget = Budget.of(["15MMAC"])
    problem = Problem(tiny, budget, lambda arch: costs.cost(arch, joints=JOINTS))
    drawn = guided.stratified(genome, Prices(problem, genome), 20, np.random.default_rng(0))
    assert 5 <= sum(map(even, drawn)) <= 15
