"""Blocks measured alone: what they are, how they are measured and kept, and what a fit learns from them."""

import json
import random

import numpy as np
import pytest

from litepose_nas.errors import UserError
from litepose_nas.latency import fit as fitting
from litepose_nas.latency import profile as profile_file
from litepose_nas.latency import samples as samples_file
from litepose_nas.latency.block_samples import BlockSample
from litepose_nas.latency.features import features, part_features
from litepose_nas.latency.measure import measure
from litepose_nas.latency.networks import Chosen, choose_blocks
from litepose_nas.latency.standalone import block_rounds, rounds
from litepose_nas.plan_files.part_graph import lone_parts, part_graph
from litepose_nas.runs.journal import Journal
from litepose_nas.space import Space
from tests.helpers import simulated_runtime
from tests.helpers.devices import SimulatedDevice
from tests.helpers.simulated_here import node_operations, target, write, write_nodes

SPACES = ("litepose", "s_vipnas_mbv3", "mobilevitpose", "topdown-tiny")


def archs_of(name, count, seed=0):
    space, rng = Space.load(name), random.Random(seed)
    return [space.sample(rng) for _ in range(count)]


@pytest.mark.parametrize("name", SPACES)
def test_the_parts_of_a_network_add_up_to_it(name):
    for arch in archs_of(name, 3):
        parts = [part_features(arch, 17, part.name) for part in arch.plan(17)]
        whole = features(arch, 17)
        assert {key: sum(part[key] for part in parts) for key in whole} == whole


@pytest.mark.parametrize("name", ["litepose", "s_vipnas_mbv3", "topdown-tiny"])
def test_a_part_alone_computes_what_it_does_in_its_network(name, tmp_path):
    ort = pytest.importorskip("onnxruntime")
    from litepose_nas.network import build
    from litepose_nas.plan_files.onnx_file import write_onnx
    from litepose_nas.rewrites.ordinary_modules import with_ordinary_modules

    (arch,) = archs_of(name, 1)
    net = with_ordinary_modules(build(arch, 17).eval())
    state = {key: value.numpy() for key, value in net.state_dict().items()}
    parts = list(lone_parts(arch, 17))
    assert len(parts) > 3
    for part in random.Random(1).sample(parts, 3):
        write_onnx(part_graph(part), tmp_path / "part.onnx", ["out"], state)
        session = ort.InferenceSession(str(tmp_path / "part.onnx"), providers=["CPUExecutionProvider"])
        import torch

        x = torch.randn(1, *part.reads)
        (found,) = session.run(None, {"image": x.numpy()})
        with torch.no_grad():
            expected = net.get_submodule(part.name)(x)
        assert np.abs(found - expected.numpy()).max() < 1e-3 * max(1.0, expected.abs().max().item())


def test_blocks_are_chosen_of_every_kind_and_never_twice():
    chosen = [Chosen(arch, "random") for arch in archs_of("s_vipnas_mbv3", 12)]
    blocks = choose_blocks(chosen, 17, 60, seed=0)
    assert {type(part.block).__name__ for _, part in blocks} == {
        type(part.block).__name__ for each in chosen for part in lone_parts(each.arch, 17)
    }
    assert len({(part.block, part.size, part.reads) for _, part in blocks}) == len(blocks)
    assert 55 <= len(blocks) <= 75
    assert blocks == choose_blocks(chosen, 17, 60, seed=0)


@pytest.fixture
def device(monkeypatch):
    monkeypatch.setattr(rounds, "VISIT", 0.001)
    monkeypatch.setattr(rounds, "LEAST_ROUNDS", 3)
    monkeypatch.setattr(block_rounds, "VISIT", 0.001)
    return lambda **wishes: monkeypatch.setenv("SIMULATED", json.dumps(wishes))


def measured(tmp_path, chosen, write_graph=write_nodes):
    journal = Journal(tmp_path / "journal", {"networks": len(chosen)})
    return measure(chosen, target(), write, ".json", journal, 1e-3, 17, write_graph=write_graph)


def test_the_truth_of_blocks_is_found_and_kept(tmp_path, device):
    device()
    chosen = [Chosen(arch, "random") for arch in archs_of("topdown-tiny", 8)]
    samples = measured(tmp_path, chosen)
    parts = {(arch, part.name): part for arch, part in choose_blocks(chosen, 17, 48, 0)}
    assert len(samples.blocks) == len(parts) > 20
    for block in samples.blocks:
        truth = simulated_runtime.truth(node_operations(part_graph(parts[block.arch, block.part])))
        assert block.ms == pytest.approx(truth)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal"]

    def never(graph, path):
        raise AssertionError("what the journal holds is not measured again")

    assert measured(tmp_path, chosen, never).blocks == samples.blocks
    samples_file.write(tmp_path / "samples.json", samples)
    assert samples_file.read(tmp_path / "samples.json") == samples


@pytest.mark.parametrize(
    ("change", "words"),
    [({"ms": 0}, "blocks.0: ms"), ({"arch": 3}, "blocks.0: expected a block"), ({"part": "x.9"}, "'x.9' is no part")],
)
def test_a_damaged_block_is_one_message(change, words):
    space = Space.load("litepose")
    samples = SimulatedDevice().samples(space, 12)
    data = samples._replace(blocks=(BlockSample(samples.samples[0].arch, "stem", 1.0),)).to_json()
    data["blocks"][0].update(change)
    with pytest.raises(UserError, match=words):
        profile_file.make([("here", samples_file.from_json(json.loads(json.dumps(data)), "here"))])


def test_a_fit_errs_less_with_blocks():
    """On a device whose grouped convolutions take a time of their own for every number of channels."""
    space, rng = Space.load("s_vipnas_mbv3"), random.Random(0)
    device = SimulatedDevice(grouped=6.0, noise=0.01)
    few = [Chosen(space.sample(rng), "random") for _ in range(24)]
    samples = [device.sampled(each.arch, rng) for each in few]
    blocks = [
        BlockSample(arch, part.name, device.of_graph(part_graph(part)) + 0.02)
        for arch, part in choose_blocks(few, 17, 150, 0)
    ]
    others = [space.sample(rng) for _ in range(40)]
    errors = []
    for alone in ([], blocks):
        rows = [(part_features(one.arch, 17, one.part), one.ms) for one in alone]
        fit = fitting.fit(
            [features(one.arch, 17) for one in samples], [one.ms for one in samples], [False] * 24, 0.01, blocks=rows
        )
        counted = [{fitting.ONE: 1, **features(arch, 17)} for arch in others]
        guesses = np.array([fit.ms([row[name] for name in fit.weights]) for row in counted])
        errors.append(fitting.errors_of(guesses, np.array([device.true(arch) for arch in others])).mape)
        assert fit.blocks == len(alone)
    assert errors[1] < 0.8 * errors[0]
