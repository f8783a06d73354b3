"""People from the peaks that a file answers with are those of our decoder, grouped in numpy and in JavaScript."""

import ast
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from litepose_nas import Subnet, UserError, save
from litepose_nas.data.loader import to_input
from litepose_nas.exporters.checked import export
from litepose_nas.exporters.onnx import write_program
from litepose_nas.exporters.parity import joints_apart
from litepose_nas.exporters.table import FORMATS, Format
from litepose_nas.pose.bottomup import BottomUp
from litepose_nas.pose.bottomup_decode import decode
from litepose_nas.pose.grouping import Grouping
from litepose_nas.pose.peaks_in_graph import WithPeaks
from litepose_nas.pose.people import DivergedError
from litepose_nas.pose.standalone import STANDALONE
from litepose_nas.pose.standalone.group_people import assign, find_peaks, group_people
from litepose_nas.runtimes import onnxruntime
from litepose_nas.runtimes.torch import TorchSession
from litepose_nas.steps.export import exported
from litepose_nas.steps.file_network import DecodedTask
from tests.helpers import in_node
from tests.helpers.drawn_outputs import JOINTS, Given, drawn_outputs, nearest_assignments, packed
from tests.test_plan_files import network

GOLDEN = Path(__file__).parent / "golden"
PLAIN = Grouping(refine=False)
CLOSE = 0.1  # pixels of the heatmap
BATCH = 4
needs_node = pytest.mark.skipif(in_node.NODE is None, reason="there is no node")


class Outputs(torch.nn.Module):
    """A network that answers with its inputs."""

    def forward(self, *inputs):
        return inputs


def answer(outputs, task, size, maps=False):
    with torch.no_grad():
        return [output.numpy() for output in WithPeaks(Outputs(), task, size, maps)(*outputs)]


def costs(count, seed=0):
    """Random prices, most of them with ties, as many columns as rows at least."""
    rng = np.random.default_rng(seed)
    for case in range(count):
        rows, columns = rng.integers(1, 31, 2)
        cost = rng.uniform(0, 5, (rows, columns))
        if case % 3:
            cost = np.round(cost) * 100 - (case % 3 - 1) * rng.uniform(size=(rows, 1))
        yield np.concatenate([cost, np.full((rows, max(rows - columns, 0)), 1e10)], axis=1)


def test_the_files_to_copy_need_nothing_of_this_project():
    tree = ast.parse((STANDALONE / "group_people.py").read_text(encoding="utf-8"))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules == {"__future__", "numpy"}
    assert not re.search(
        r"^import|require\(", (STANDALONE / "group_people.mjs").read_text(encoding="utf-8"), re.MULTILINE
    )


def test_assignments_are_scipys_ties_too():
    for cost in costs(300):
        assert assign(cost).tolist() == linear_sum_assignment(cost)[1].tolist()


@needs_node
def test_assignments_in_javascript_are_scipys_ties_too():
    cases = list(costs(300, seed=1))
    found = in_node.answers([{"cost": cost.tolist()} for cost in cases])
    assert found == [linear_sum_assignment(cost)[1].tolist() for cost in cases]


@settings(max_examples=40)
@given(
    coarse=st.tuples(st.integers(3, 14), st.integers(3, 14)),
    one=st.booleans(),
    crop=st.booleans(),
    joints=st.sampled_from([1, 5, 14, 17]),
    cue=st.sampled_from([(0.0, 0.0), (3.0, -2.0)]),
    most=st.sampled_from([3, 30]),
    seed=st.integers(0, 99),
)
def test_noise_of_any_size_gives_our_decoders_people(coarse, one, crop, joints, cue, most, seed):
    """Outputs of one size or two, halving evenly or not, maps with fewer pixels than peaks are asked for."""
    draw = torch.Generator().manual_seed(seed)
    fine = tuple(2 * each - crop for each in coarse)
    size = tuple(2 * each + 1 for each in fine)
    outputs = [torch.randn(2, 2 * joints, *coarse, generator=draw)]
    outputs += [] if one else [torch.randn(2, joints, *fine, generator=draw)]
    task = BottomUp(joints, tag_cue=cue, grouping=PLAIN._replace(max_people=most))
    people = decode(outputs, task, None, size)
    refined = decode(outputs, task._replace(grouping=task.grouping._replace(refine=True)), None, size)
    (peaks,), with_maps = answer(outputs, task, size), answer(outputs, task, size, maps=True)
    assert peaks.shape == (2, joints, min(most, outputs[-1][0, 0].numel()), 4)
    np.testing.assert_allclose(peaks, with_maps[0], atol=1e-4)
    for own, other, plain, full in zip(peaks, zip(*with_maps, strict=True), people, refined, strict=True):
        same(group_people(own, most=most), plain)
        same(group_people(*other, size, most=most), full)
    for place, full in enumerate(refined):  # and from raw outputs, without the file's own decoding
        found = find_peaks([output[place].numpy() for output in outputs], size, cue, most)
        np.testing.assert_allclose(found[0], with_maps[0][place], atol=1e-3)
        same(group_people(*found, size, most=most), full)


def same(found, people, atol=1e-3):
    keypoints, scores = found
    assert keypoints.shape == people.keypoints.shape
    np.testing.assert_allclose(keypoints, people.keypoints, atol=atol)
    np.testing.assert_allclose(scores, people.scores, atol=1e-5)


def golden(case):
    """The peaks of a golden file's maps with all numbers of its tags, and both maps."""
    data = np.load(GOLDEN / f"decode_{case}.npz")
    heatmaps = torch.from_numpy(data["det_q"].astype(np.float32) / 4096)[None]
    tags = torch.from_numpy(data["tag_q"].astype(np.float32) / 256)[None]
    joints, *size = heatmaps.shape[1:]
    each = [torch.cat([heatmaps, tags[..., d]], 1) for d in range(tags.shape[-1])]
    found = [answer([outputs], BottomUp(joints), tuple(size))[0][0] for outputs in each]
    peaks = np.concatenate([found[0][..., :3], *(one[..., 3:] for one in found)], axis=-1)
    return data, peaks, heatmaps[0].numpy(), tags[0].numpy(), size


@pytest.mark.parametrize("case", ["p3_j14_128", "p3_j17_256", "p10_j17_128", "edge_none", "edge_few_visible"])
def test_golden_decodes(case):
    data, peaks, heatmaps, tags, size = golden(case)
    for name, maps in (("persons_adjust_only", ()), ("persons", (heatmaps, tags, size))):
        want = data[name].reshape(-1, len(peaks), 3 + tags.shape[-1])[..., :3]
        keypoints, scores = group_people(peaks, *maps)
        assert keypoints.shape == want.shape
        np.testing.assert_allclose(keypoints, want, atol=1e-3)
        np.testing.assert_allclose(scores, data["scores"], atol=1e-4)
        if in_node.NODE:
            more = {"heatmaps": heatmaps[None], "tags": tags[None], "input": size} if maps else {}
            ((keypoints, scores),) = in_node.people([{"peaks": peaks[None], **more}])
            assert keypoints.shape == want.shape
            np.testing.assert_allclose(keypoints, want, atol=1e-3)
            np.testing.assert_allclose(scores, data["scores"], atol=1e-4)


def test_maps_want_the_rest():
    peaks = np.zeros((2, 3, 4), np.float32)
    heatmaps = np.zeros((2, 4, 4), np.float32)
    with pytest.raises(ValueError, match="come with tags and the"):
        group_people(peaks, heatmaps)
    if in_node.NODE:
        with pytest.raises(AssertionError, match="come with tags and the"):
            in_node.people([{"peaks": peaks, "heatmaps": heatmaps}])


@pytest.mark.parametrize("maps", [False, True])
def test_a_file_of_peaks_is_judged_by_its_people(maps):
    task = BottomUp(JOINTS, grouping=Grouping(refine=maps))
    outputs = [torch.cat(each) for each in zip(*(drawn_outputs(3, 192, seed) for seed in range(2)), strict=True)]
    answered = [torch.from_numpy(output) for output in answer(outputs, task, (192, 192), maps)]
    judged = DecodedTask(task).people(answered, None, (192, 192))
    for found, wanted in zip(judged, task.people(outputs, None, (192, 192)), strict=True):
        assert len(wanted.scores) >= 3
        same(found, wanted)
    answered[-1][0, 0, 0, 0] = np.inf
    with pytest.raises(DivergedError):
        DecodedTask(task).people(answered, None, (192, 192))


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_peaks_that_are_no_numbers_are_refused(broken):
    peaks = np.random.default_rng(0).random((3, 4, 4), np.float32)
    peaks[1, :2, 3] = broken  # two peaks without a tag would have been assigned for ever
    with pytest.raises(ValueError, match="no numbers"):
        group_people(peaks)
    if in_node.NODE:
        shown = peaks.copy()
        with pytest.raises(AssertionError, match="no numbers"):
            in_node.people([{"peaks": shown[None]}])


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Open files that stand for a network of this input size, without maps and with them."""
    folder = tmp_path_factory.mktemp("files")

    def sessions(size, task):
        example = torch.randn(2, 6 * JOINTS, size // 4, size // 4)
        for names in (["peaks"], ["peaks", "heatmaps", "tags"]):
            path = folder / f"{size}-{len(names)}.onnx"
            write_program(WithPeaks(Given(), task, (size, size), len(names) > 1), path, example, names, {})
            yield onnxruntime.open_session(path, threads=1)

    return sessions


def compared(scenes, size, task, sessions):
    """(people, those left out, those who are elsewhere) of all scenes.

    Left out are those of scenes that differ where two assignments cost the same: a last bit decides between these.
    """
    plain, with_maps = sessions
    bare, full, cases, pairs = [], [], [], []
    for first in range(0, len(scenes), BATCH):
        batch = [drawn_outputs(count, size, seed) for count, seed in scenes[first : first + BATCH]]
        outputs = [torch.cat(each) for each in zip(*batch, strict=True)]
        image = packed(outputs).numpy()
        (peaks,), maps = plain(image), with_maps(image)
        bare += decode(outputs, task._replace(grouping=PLAIN), None, (size, size))
        full += decode(outputs, task, None, (size, size))
        for place, own, *each in zip(range(first, len(full)), peaks, *maps, strict=True):
            pairs.append((place, group_people(own), bare[place]))
            pairs.append((place, group_people(*each, (size, size)), full[place]))
            cases.append({"peaks": own})
        if first % 20 == 0:  # maps are large
            case = {**dict(zip(("peaks", "heatmaps", "tags"), maps, strict=True)), "input": [size, size], "picture": 1}
            (found,) = in_node.people([case])
            pairs.append((first + 1, found, full[first + 1]))
    pairs += [(place, found, bare[place]) for place, found in enumerate(in_node.people(cases))]
    limit = 2 * CLOSE  # pixels of the input
    differ = {place for place, (found, _), people in pairs if not alike(found, people.keypoints, limit)}
    ambiguous = [place for place in differ if closest(scenes[place], size, task) < 1e-3]
    left_out = sum(len(bare[place].keypoints) for place in ambiguous)
    return sum(len(people.keypoints) for people in bare), left_out, len(differ) - len(ambiguous)


def closest(scene, size, task):
    """How near to each other the two cheapest assignments of a scene are, in the least clear of its joints."""
    with nearest_assignments() as gaps:
        decode(drawn_outputs(scene[0], size, scene[1]), task, None, (size, size))
    return min(gaps, default=np.inf)


def alike(keypoints, want, limit):
    """Whether the people are the same, whatever their order."""
    if keypoints.shape != want.shape:
        return False
    far = np.abs(keypoints[:, None] - want) / [limit, limit, 1e-3]
    far = far.max((2, 3))
    rows, columns = linear_sum_assignment(far)
    return bool((far[rows, columns] <= 1).all())


@needs_node
def test_people_of_drawn_scenes_are_our_decoders(opened):
    task = BottomUp(JOINTS, tag_cue=(1.0, 2.0))
    people, left_out, wrong = compared([(1, 0), (3, 1), (8, 2), (20, 3)], 192, task, opened(192, task))
    assert people >= 32
    assert (left_out, wrong) == (0, 0)


INFO = {"tag_cue": [2.0, -1.0], "pixels": "unit-bgr"}
ALL = Grouping(detection_threshold=0.0)  # of a random network every maximum above zero is a peak


def test_a_file_of_peaks_from_the_command_line(tmp_path, monkeypatch, said):
    """Bytes in, people out."""
    monkeypatch.chdir(tmp_path)
    arch, net = network("litepose-tiny", 1)
    save(net, "net.safetensors", Subnet(arch, 5, INFO))
    told = said("export net.safetensors --decode --maps --uint8 --input 72x100 --format torch")
    assert "outputs peaks, heatmaps, tags" in told
    assert "group_people.py or group_people.mjs in" in told
    assert "the value of the heatmap, and the tag" in json.loads(Path("net.pt2.json").read_text())["decoded"]
    image = np.random.default_rng(1).integers(0, 256, (1, 72, 100, 3), np.uint8)
    peaks, heatmaps, tags = FORMATS["torch"].open(Path("net.pt2"))(image)
    with torch.no_grad():
        outputs = net(to_input(list(image), "unit-bgr"))
    (people,) = BottomUp(5, tag_cue=(2.0, -1.0), grouping=ALL).people(outputs, None, (72, 100))
    keypoints, _ = group_people(peaks[0], heatmaps[0], tags[0], (72, 100), threshold=0)
    assert len(people.keypoints)
    assert alike(keypoints, people.keypoints, CLOSE * 2)


@pytest.mark.parametrize("format", ["torch", pytest.param("openvino", marks=pytest.mark.runtime)])
@pytest.mark.parametrize("space", ["litepose-tiny", pytest.param("hrnet_davit", marks=pytest.mark.slow)])
def test_files_of_other_formats_have_peaks(format, space, tmp_path):
    if format == "openvino":
        pytest.importorskip("openvino")
    arch, net = network(space, 1)
    what = exported(net, Subnet(arch, 5, INFO), arch.input, True, decode=True, maps=True)
    path = tmp_path / f"net{FORMATS[format].suffix}"
    checked = export(what, path, FORMATS[format])
    assert checked.parity is not None
    image = what.images(1, seed=3)
    with torch.no_grad():
        (people,) = BottomUp(5, tag_cue=(2.0, -1.0), grouping=ALL).people(
            net(torch.from_numpy(image)), None, arch.input
        )
    peaks, heatmaps, tags = FORMATS[format].open(path)(image)
    keypoints, _ = group_people(peaks[0], heatmaps[0], tags[0], arch.input, threshold=0)
    assert len(people.keypoints)
    assert alike(keypoints, people.keypoints, CLOSE * arch.input[0] / heatmaps.shape[2])


class Off:
    """A runtime whose first output is another."""

    keeps_time = False

    def __init__(self, session, change):
        self.session, self.change = session, change

    def __call__(self, batch):
        first, *others = self.session(batch)
        return [self.change(first), *others]


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        (lambda peaks: peaks, True),
        (lambda peaks: np.concatenate([peaks[:, :, 1:3], peaks[:, :, :1], peaks[:, :, 3:]], 2), False),  # other ranks
        (lambda peaks: peaks * np.float32([1, 1, 1, 1.01]), False),  # other tags
        (lambda peaks: peaks * np.float32([1, 1, 1.01, 1]), False),  # other values
        (lambda peaks: peaks + np.float32([0, 0.25, 0, 0]), False),  # other places
        (lambda peaks: peaks + np.float32([np.nan, 0, 0, 0]), False),  # places that are none
    ],
)
def test_a_file_of_other_peaks_is_not_kept(change, kept, tmp_path):
    arch, net = network("litepose-tiny", 1)
    what = exported(net, Subnet(arch, 5, INFO), (64, 64), True, decode=True)
    off = Format(".net", lambda _, path: path.touch(), lambda _: Off(TorchSession(what.net), change), "torch")
    if kept:
        export(what, tmp_path / "file.net", off)
    else:
        with pytest.raises(UserError, match="differs from torch"):
            export(what, tmp_path / "file.net", off)
    assert bool(list(tmp_path.iterdir())) == kept


def test_peaks_that_are_none_do_not_count():
    one, other = np.zeros((1, 2, 5, 4)), np.zeros((1, 2, 5, 4))
    one[0, :, 1:, 0] = 7  # of no value: wherever they are said to be
    assert joints_apart(one, other) == (0, 0)
    one[0, :, 0] = other[0, :, 0] = [40, 10, 0.5, 3]
    assert joints_apart(one, other) == (0, 3)
    one[0, :, 0] = [41, 10, 0.5, 3]
    assert joints_apart(one, other) == (pytest.approx(1 / 40), 3)


@needs_node
@pytest.mark.slow
def test_people_of_300_drawn_scenes_are_our_decoders(opened, capsys):
    task = BottomUp(JOINTS, tag_cue=(1.0, 2.0))
    scenes = [(1 + seed % 30, seed) for seed in range(300)]
    people, left_out, wrong = compared(scenes, 512, task, opened(512, task))
    with capsys.disabled():
        print(f"\n{people} people in {len(scenes)} scenes, {left_out} left out as ambiguous, {wrong} scenes differ")
    assert wrong == 0
    assert left_out <= 0.01 * people
