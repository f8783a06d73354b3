"""Who is who from frame to frame, against a literal reading of the rule."""

import numpy as np
import pytest

from litepose_nas.inference.tracking import Tracked, Tracks, follow, greedy_pairs, similarities, similarity

SIGMAS = (0.05, 0.08, 0.1, 0.06)


def literal_similarity(one, other):
    """Mean of the overlap of the boxes around found joints and of OKS over joints both have, if they share three."""
    boxes = []
    for pose in (one, other):
        xs, ys = [x for x, _, v in pose if v > 0], [y for _, y, v in pose if v > 0]
        if not xs:
            return 0.0
        boxes.append((min(xs), min(ys), max(max(xs), min(xs) + 1), max(max(ys), min(ys) + 1)))
    (a, b, c, d), (e, f, g, h) = boxes
    common = max(0, min(c, g) - max(a, e)) * max(0, min(d, h) - max(b, f))
    areas = (c - a) * (d - b), (g - e) * (h - f)
    overlap = common / (sum(areas) - common)
    parts = []
    for (x, y, v), (p, q, w), sigma in zip(one, other, SIGMAS, strict=True):
        if v > 0 and w > 0:
            # COCO's: exp(-d^2 / (2 s^2 k^2)), k twice sigma, s^2 an area
            parts.append(np.exp(-((x - p) ** 2 + (y - q) ** 2) / (2 * (sum(areas) / 2) * (2 * sigma) ** 2)))
    return overlap if len(parts) < 3 else (overlap + sum(parts) / len(parts)) / 2


def poses(rng, count, spread=30):
    made = rng.uniform(0, spread, (count, 4, 3))
    made[..., 2] = rng.random((count, 4)) < 0.75
    made[..., :2] *= made[..., 2:]
    return made


def test_similarity_is_the_literal_one():
    rng = np.random.default_rng(0)
    for _ in range(50):
        some, others = poses(rng, 3), poses(rng, 4)
        table = similarities(some, list(others), SIGMAS)
        for row, one in enumerate(some):
            for column, other in enumerate(others):
                assert table[row, column] == pytest.approx(literal_similarity(one, other))
    whole = np.array([[0, 0, 1], [9, 4, 1], [3, 7, 1], [8, 8, 1]], float)
    assert similarity(whole, whole, SIGMAS) == pytest.approx(1)
    assert similarities(np.zeros((0, 4, 3)), [whole], SIGMAS).shape == (0, 1)


def literal_pairs(table, least):
    left = [(value, row, column) for (row, column), value in np.ndenumerate(table) if value >= least]
    pairs = []
    while left:
        best = max(left, key=lambda item: (item[0], -item[1], -item[2]))
        pairs.append(best[1:])
        left = [item for item in left if item[1] != best[1] and item[2] != best[2]]
    return pairs


def test_pairs_are_taken_greedily():
    rng = np.random.default_rng(1)
    for _ in range(100):
        table = np.round(rng.random(tuple(rng.integers(0, 6, 2))), 1)  # many are equal
        assert greedy_pairs(table, 0.4) == literal_pairs(table, 0.4)


def literal_follow(tracks, new, least, patience):
    pairs = dict(
        literal_pairs(
            np.array([[literal_similarity(n, t.keypoints) for t in tracks.people] for n in new]).reshape(
                len(new), len(tracks.people)
            ),
            least,
        )
    )
    numbers, free = [], tracks.next_track
    for place in range(len(new)):
        if place in pairs:
            numbers.append(tracks.people[pairs[place]].track)
        else:
            numbers.append(free)
            free += 1
    lost = {t.track: t.lost + 1 for k, t in enumerate(tracks.people) if k not in pairs.values()}
    return (
        numbers,
        {**dict.fromkeys(numbers, 0), **{track: age for track, age in lost.items() if age <= patience}},
        free,
    )


def test_following_is_the_literal_rule():
    rng = np.random.default_rng(2)
    for _ in range(20):
        tracks, crowd = Tracks(), poses(rng, 5, 60)
        for _ in range(12):
            crowd[..., :2] += rng.normal(0, 2, crowd[..., :2].shape)
            new = crowd[rng.permutation(5)[: rng.integers(0, 6)]]
            numbers, ages, free = literal_follow(tracks, new, 0.2, 2)
            got, tracks = follow(tracks, new, SIGMAS, 0.2, 2)
            assert list(got) == numbers
            assert {one.track: one.lost for one in tracks.people} == ages
            assert tracks.next_track == free


def test_numbers_stay_while_people_pass_each_other_and_come_back():
    body = np.array([[0, 0], [10, 0], [2, 30], [8, 30]], float)

    def at(x):
        return np.column_stack([body[:, 0] + x, body[:, 1], np.ones(4)])

    tracks = Tracks()
    for step in range(20):  # one goes to the right, the other to the left, 12 pixels lower
        left, right = at(4.0 * step), at(80.0 - 4 * step)
        right[:, 1] += 12
        people = [right, left] if step % 2 else [left, right]
        numbers, tracks = follow(tracks, np.array(people), SIGMAS)
        assert numbers == ((1, 0) if step % 2 else (0, 1))
    for _ in range(6):
        _, tracks = follow(tracks, np.zeros((0, 4, 3)), SIGMAS)
    numbers, tracks = follow(tracks, np.array([at(76)]), SIGMAS)
    assert numbers == (0,)
    for _ in range(7):  # now patience ends
        _, tracks = follow(tracks, np.zeros((0, 4, 3)), SIGMAS)
    assert tracks == Tracks((), 2)
    assert follow(tracks, np.array([at(76)]), SIGMAS)[0] == (2,)


def test_poses_without_joints_are_nobodys():
    nothing = np.zeros((1, 4, 3))
    numbers, _tracks = follow(Tracks((Tracked(4, nothing[0]),), 5), nothing, SIGMAS)
    assert numbers == (5,)
