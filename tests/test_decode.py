import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from litepose_nas.errors import UserError
from litepose_nas.pose import refine
from litepose_nas.pose.bottomup import BottomUp
from litepose_nas.pose.bottomup_decode import combine, decode, decode_tags, position_cue
from litepose_nas.pose.grouping import Grouping, Peaks, group, joint_order
from litepose_nas.pose.peaks import find_peaks, local_maxima, quarter_pixel
from litepose_nas.pose.refine import best_pixels
from tests.helpers.literal_pose import drawn_scene, hungarian, literal_decode

GOLDEN = Path(__file__).parent / "golden"


def as_batch(*scenes):
    heatmaps, tags = zip(*scenes, strict=True)
    return torch.from_numpy(np.stack(heatmaps)), torch.from_numpy(np.stack(tags))


@pytest.mark.parametrize(
    ("people", "joints", "size", "dims"),
    [(1, 17, 64, 1), (3, 14, 64, 2), (5, 17, 96, 1), (4, 5, 50, 2), (8, 17, 96, 2)],
)
@pytest.mark.parametrize("steps", [(True, True), (True, False), (False, False), (False, True)])
def test_equals_the_literal_algorithm(people, joints, size, dims, steps):
    adjust, refine = steps
    # Three scenes in one batch: pictures must not disturb each other. (The scene of five people with seed 1 has two
    # assignments of equal cost, and two optimal solvers differ there; none of those used here has.)
    scenes = [drawn_scene(people, joints, size, dims, seed, missing=0.25) for seed in (0, 2, 3)]
    found = decode_tags(*as_batch(*scenes), Grouping(adjust=adjust, refine=refine))
    for picture, scene in zip(found, scenes, strict=True):
        keypoints, scores = literal_decode(*scene, joint_order(joints), refine, adjust)
        assert len(keypoints) >= 1
        np.testing.assert_allclose(picture.keypoints, keypoints, atol=1e-5)
        np.testing.assert_allclose(picture.scores, scores, atol=1e-6)


def test_capped_assignment_equals_its_literal_form():
    scenes = [drawn_scene(6, 14, 80, 1, seed, spread=0.2, gap=1.4) for seed in range(4)]
    for picture, scene in zip(decode_tags(*as_batch(*scenes), Grouping(assignment="capped")), scenes, strict=True):
        keypoints, _ = literal_decode(*scene, joint_order(14), beyond=200.0)
        np.testing.assert_allclose(picture.keypoints, keypoints, atol=1e-5)


def test_capped_assignment_keeps_the_good_pair_that_the_reference_gives_up():
    # Persons at tags 0 and 10. A peak at 0.6 fits the first; another at -4.9 fits nobody. Priced each for itself,
    # -4.9 -> 0 and 0.6 -> 10 costs 500 + 900; 0.6 -> 0 and -4.9 -> 10 costs 100 + 1500: the second loses.
    tag = np.array([0.0, 10.0, 0.6, -4.9])[:, None]
    peaks = Peaks(np.array([0, 0, 1, 1]), np.full(4, 0.5, dtype=np.float32), tag)
    assert group(peaks, [0, 1], Grouping()).tolist() == [[0, -1], [1, -1], [-1, 2], [-1, 3]]
    assert group(peaks, [0, 1], Grouping(assignment="capped")).tolist() == [[0, 2], [1, -1], [-1, 3]]


def test_the_oracles_assignment_is_optimal():
    rng = np.random.default_rng(0)
    for rows, columns in ((1, 1), (3, 3), (4, 6), (5, 5)):
        cost = rng.uniform(0, 10, (rows, columns))
        best = min(sum(cost[range(rows), pick]) for pick in itertools.permutations(range(columns), rows))
        chosen = hungarian(cost.tolist())
        assert len(set(chosen)) == rows
        assert sum(cost[range(rows), chosen]) == pytest.approx(best)


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_local_maxima_equal_max_pooling(kernel):
    maps = (torch.rand(2, 3, 20, 17, generator=torch.Generator().manual_seed(0)) * 8).round()  # many ties
    pooled = torch.nn.functional.max_pool2d(maps, kernel, 1, kernel // 2)
    assert torch.equal(local_maxima(maps, kernel), maps == pooled)


def test_peaks_are_the_best_of_each_map_in_order():
    maps = torch.rand(2, 3, 20, 17, generator=torch.Generator().manual_seed(0))
    of_map, pixel = find_peaks(maps, most=4, threshold=0.5, kernel=3)
    kept = (maps * local_maxima(maps, 3)).flatten(0, 1).flatten(1)
    value, index = kept.topk(4, dim=1)
    assert (value > 0.5).all()
    assert of_map.tolist() == [m for m in range(6) for _ in range(4)]
    assert pixel.tolist() == index.flatten().tolist()


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (24, 40), (21, 19), (5, 3)])
@pytest.mark.parametrize("kind", ["noise", "smooth", "ties"])
def test_refine_search_is_exact_and_takes_the_first_of_equals(dims, height, width, kind):
    generator = torch.Generator().manual_seed(3)
    heat = torch.rand(4, height, width, generator=generator)
    tag = torch.randn(dims, 4, height, width, generator=generator) * 2
    if kind == "smooth":
        heat = heat.cumsum(1).cumsum(2).sin()
    if kind == "ties":
        heat, tag = (heat * 2).round() / 2, tag.round()
    of_map = torch.arange(4).repeat(50)
    wanted = torch.randn(200, dims, generator=generator) * 3
    distance = ((tag.movedim(0, -1)[of_map] - wanted[:, None, None]) ** 2).sum(-1).sqrt().round()
    merit = (heat[of_map] - distance).flatten(1).numpy()
    assert best_pixels(heat, tag, of_map, wanted).tolist() == merit.argmax(1).tolist()  # numpy takes the first


def test_refine_search_in_parts_is_the_same(monkeypatch):
    generator = torch.Generator().manual_seed(5)
    heat, tag = torch.rand(3, 40, 40, generator=generator), torch.randn(1, 3, 40, 40, generator=generator)
    of_map, wanted = torch.arange(3).repeat(40), torch.randn(120, 1, generator=generator) * 2
    whole = best_pixels(heat, tag, of_map, wanted)
    monkeypatch.setattr(refine, "ROWS", 50)
    monkeypatch.setattr(refine, "PAIRS", 7)
    assert torch.equal(best_pixels(heat, tag, of_map, wanted), whole)


def test_quarter_pixel_goes_to_the_higher_side_and_back_on_equal_sides():
    maps = torch.tensor([[[0.0, 0, 0], [0.2, 1, 0.3], [0, 0.1, 0]], [[0.0, 0, 0], [0.3, 1, 0.2], [0, 0.0, 0]]])
    dx, dy = quarter_pixel(maps, torch.tensor([0, 1]), torch.tensor([4, 4]))
    assert dx.tolist() == [0.25, -0.25]
    assert dy.tolist() == [0.25, -0.25]


def test_joints_are_visited_head_and_trunk_first():
    assert joint_order(17) == [0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16]
    assert joint_order(14) == [0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13]
    assert joint_order(5) == [0, 1, 2, 3, 4]


def test_nobody():
    for people in decode_tags(torch.zeros(2, 14, 32, 32), torch.zeros(2, 14, 32, 32, 1)):
        assert people.keypoints.shape == (0, 14, 3)
        assert people.scores.shape == (0,)
    assert decode_tags(torch.zeros(0, 14, 32, 32), torch.zeros(0, 14, 32, 32, 1)) == []


def test_an_empty_picture_between_full_ones():
    full = drawn_scene(3, 14, 64)
    none = (np.zeros_like(full[0]), np.zeros_like(full[1]))
    first, middle, last = decode_tags(*as_batch(full, none, full))
    assert len(middle.keypoints) == 0
    np.testing.assert_array_equal(first.keypoints, last.keypoints)
    assert len(first.keypoints) >= 3


def test_one_joint_is_a_person_and_refine_needs_warmth():
    heat, tags = torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16, 1)
    heat[0, 1, 5, 9] = 0.75
    (people,) = decode_tags(heat, tags)
    assert people.keypoints.tolist() == [[[0, 0, 0], [9.25, 5.25, 0.75], [0, 0, 0]]]
    assert people.scores.tolist() == [0.25]
    heat[0, 2, 3, 4] = 0.05  # below the threshold, and still the best place for the missing joint
    assert decode_tags(heat, tags)[0].keypoints[0, 2].tolist() == pytest.approx([4.25, 3.25, 0.05])
    assert decode_tags(heat, tags)[0].scores.tolist() == [0.25]


def test_more_peaks_than_the_limit():
    heat, tags = torch.zeros(1, 2, 64, 64), torch.zeros(1, 2, 64, 64, 1)
    heat[0, :, 2::7, 2::7] = torch.linspace(0.2, 0.9, 81).view(9, 9)
    tags[0, :, :, :, 0] = torch.arange(64 * 64).view(64, 64)
    (people,) = decode_tags(heat, tags, Grouping(refine=False))
    assert len(people.keypoints) == 30
    assert people.keypoints[:, :, 2].min() > 0.6  # the best ones, with both joints


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_broken_maps_are_named(bad):
    heat, tags = torch.zeros(3, 2, 16, 16), torch.zeros(3, 2, 16, 16, 1)
    heat[1, 0, 3, 3] = bad
    with pytest.raises(UserError, match=r"heatmaps of picture 1 .* diverged"):
        decode_tags(heat, tags)
    with pytest.raises(UserError, match=r"tags of picture 1 .* diverged"):
        decode_tags(tags[..., 0], heat[..., None])


def test_wrong_shapes_and_settings_are_named():
    heat, tags = torch.zeros(1, 2, 16, 16), torch.zeros(1, 2, 16, 16, 1)
    with pytest.raises(UserError, match=r"\(B, J, H, W, D\)"):
        decode_tags(heat, tags[..., 0])
    with pytest.raises(UserError, match="odd width"):
        decode_tags(heat, tags, Grouping(nms_kernel=4))
    with pytest.raises(UserError, match="reference"):
        decode_tags(heat, tags, Grouping(assignment="referense"))
    with pytest.raises(UserError, match="other joints"):
        decode([torch.zeros(1, 4, 8, 8), torch.zeros(1, 3, 16, 16)], BottomUp(3))


PAIRS = ((0, 1), (2, 3))


def random_outputs(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(2, 10, 6, 8, generator=generator), torch.rand(2, 5, 12, 16, generator=generator)]


def test_outputs_are_averaged_at_the_finer_size():
    outputs = random_outputs()
    heatmaps, tags = combine(outputs, BottomUp(5), None, (24, 32))
    big = torch.nn.functional.interpolate(outputs[0], size=(12, 16), mode="bilinear", align_corners=False)
    torch.testing.assert_close(heatmaps, (big[:, :5] + outputs[1]) / 2)
    torch.testing.assert_close(tags, big[:, 5:, :, :, None])


def test_the_mirrored_pass_of_a_perfect_net_changes_nothing_but_the_tag_dimension():
    outputs = random_outputs()
    swap = [1, 0, 3, 2, 4]
    mirrored = [outputs[0].flip(-1)[:, [*swap, *(5 + j for j in swap)]], outputs[1].flip(-1)[:, swap]]
    plain_heat, plain_tags = combine(outputs, BottomUp(5, PAIRS), None, (24, 32))
    heat, tags = combine(outputs, BottomUp(5, PAIRS), mirrored, (24, 32))
    torch.testing.assert_close(heat, plain_heat)
    assert tags.shape[-1] == 2
    torch.testing.assert_close(tags[..., :1], plain_tags)
    torch.testing.assert_close(tags[..., 1:], plain_tags)


def test_people_come_out_in_input_pixels():
    outputs = [torch.zeros(1, 4, 16, 24), torch.zeros(1, 2, 32, 48)]
    outputs[1][0, :, 10, 20] = 1.0  # pixel (20, 10) of the half-size map covers 40..42 and 20..22 of the input
    (people,) = decode(outputs, BottomUp(2, grouping=Grouping(adjust=False, refine=False)))
    assert people.keypoints.tolist() == [[[40, 20, 0.5]] * 2]
    (people,) = decode(outputs, BottomUp(2))
    assert people.keypoints[0, 0].tolist() == [40.5, 20.5, 0.5]
    (people,) = decode(outputs, BottomUp(2), input_size=(128, 96))
    assert people.keypoints[0, 0].tolist() == [40.5, 41, 0.5]
    (people,) = decode(outputs, BottomUp(2, decode_at_input=True))
    assert np.abs(people.keypoints[0, 0, :2] - [41, 21]).max() <= 1


def test_the_cue_is_added_before_the_mirror_is_undone():
    outputs = [torch.zeros(1, 2, 4, 8), torch.zeros(1, 1, 4, 8)]
    _, tags = combine(outputs, BottomUp(1, tag_cue=(4.0, 2.0)), outputs, (16, 32))
    want = position_cue((4.0, 2.0), 4, 8, torch.zeros(1))
    assert want[0, 0] == pytest.approx(-4 * 7 / 16 - 2 * 3 / 8)
    torch.testing.assert_close(tags[0, 0, :, :, 0], want)
    torch.testing.assert_close(tags[0, 0, :, :, 1], want.flip(-1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_outputs_are_accepted(dtype):
    outputs = [output.to(dtype) for output in random_outputs()]
    exact = [output.float() for output in outputs]
    for a, b in zip(decode(outputs, BottomUp(5)), decode(exact, BottomUp(5)), strict=True):
        np.testing.assert_array_equal(a.keypoints, b.keypoints)


CASES = ["p3_j14_128", "p3_j17_256", "p10_j17_128", "edge_none", "edge_few_visible"]


def test_golden_decode():
    folder = GOLDEN
    assert set(json.loads((folder / "decode.json").read_text())["cases"]) == set(CASES)
    for case in CASES:
        data = np.load(folder / f"decode_{case}.npz")
        heatmaps = torch.from_numpy(data["det_q"].astype(np.float32) / 4096)[None]
        tags = torch.from_numpy(data["tag_q"].astype(np.float32) / 256)[None]
        of_map, pixel = find_peaks(heatmaps, 30, 0.1, 5)
        place = torch.stack([pixel % heatmaps.shape[3], pixel // heatmaps.shape[3]], 1)
        assert of_map.tolist() == data["topk_joint"].tolist()
        assert place.tolist() == data["topk_xy"].tolist()
        settings = {"persons": (True, True), "persons_adjust_only": (True, False), "persons_raw": (False, False)}
        for name, (adjust, fill) in settings.items():
            (people,) = decode_tags(heatmaps, tags, Grouping(adjust=adjust, refine=fill))
            want = data[name].reshape(-1, heatmaps.shape[1], 3 + tags.shape[-1])[..., :3]
            assert people.keypoints.shape == want.shape
            np.testing.assert_allclose(people.keypoints[..., :2], want[..., :2], rtol=0, atol=1e-3)
            np.testing.assert_allclose(people.keypoints[..., 2], want[..., 2], rtol=0, atol=1e-4)
            np.testing.assert_allclose(people.scores, data["scores"], rtol=0, atol=1e-4)
