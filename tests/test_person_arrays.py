"""People read together are those read one by one: the same bits, the same regions, the same refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from litepose_nas.data import person_arrays
from litepose_nas.data.person_arrays import read_people
from litepose_nas.errors import UserError

HERE, JOINTS = Path("people.json"), 5


def drawn(rng: np.random.Generator, number: int) -> dict:
    points = np.column_stack([rng.uniform(0, 600, (JOINTS, 2)), rng.integers(0, 3, JOINTS)])
    if rng.random() < 0.2:
        points[:, 2] = 0
    one = {"id": number, "bbox": rng.uniform(0, 300, 4).tolist(), "keypoints": points.ravel().tolist()}
    if rng.random() < 0.5:
        one["keypoints"] = [int(value) for value in one["keypoints"]]
    more = {
        "area": [None, 0, 0.0, 17, 250.25],
        "iscrowd": [0, 1, False, True],
        "segmentation": [[], [[1, 2, 3, 4, 5, 6]], {"counts": [1, 2], "size": [3, 1]}],
        "track_id": [-1, 3],
    }
    for key, values in more.items():
        if rng.random() < 0.5:
            one[key] = values[rng.integers(len(values))]
    if rng.random() < 0.1:
        del one["keypoints"]
    return one


def same(one: person_arrays.PersonArrays, other: person_arrays.PersonArrays) -> None:
    for name, mine, its in zip(one._fields[:-1], one, other, strict=False):
        assert (mine.dtype, mine.shape) == (its.dtype, its.shape), name
        assert mine.tobytes() == its.tobytes(), name
    assert one.regions == other.regions


@pytest.mark.parametrize("count", [0, 1, 400])
def test_together_and_one_by_one(count, monkeypatch):
    rng = np.random.default_rng(count)
    people = [drawn(rng, number) for number in range(count)]
    monkeypatch.setattr(person_arrays, "BLOCK", 64)
    together = read_people(HERE, people, JOINTS)
    assert person_arrays._plain(people, JOINTS) is not None  # so that it was not one by one
    same(together, person_arrays._one_by_one(HERE, people, JOINTS))
    assert together.is_person.sum() == len(together.points) == count - len(together.regions)


def test_heads_are_read(monkeypatch):
    people = [drawn(np.random.default_rng(n), n) for n in range(60)]
    for one in people[::3]:
        one["head_box"] = [1, 2, 3, 4]
    found = read_people(HERE, people, JOINTS)
    same(found, person_arrays._one_by_one(HERE, people, JOINTS))
    assert found.head_sizes.max() == pytest.approx(3.0)


@pytest.mark.parametrize(
    "change",
    [
        {"keypoints": [1.0] * (3 * JOINTS - 1)},
        {"keypoints": [True] * (3 * JOINTS)},
        {"keypoints": ["1"] * (3 * JOINTS)},
        {"keypoints": [float("nan")] * (3 * JOINTS)},
        {"keypoints": [3.0] * (3 * JOINTS)},
        {"keypoints": [10**400] * (3 * JOINTS)},
        {"bbox": [1, 2, -3, 4]},
        {"bbox": [1, 2, 3]},
        {"bbox": [1, 2, True, 4]},
        {"bbox": None},
        {"area": -1},
        {"area": False},
        {"area": "many"},
        {"area": float("inf")},
        {"id": "7"},
        {"id": 2**70},
        {"id": True},
        {"track_id": 1.5},
        {"head_box": [1, 2]},
    ],
)
def test_what_one_is_refused_for_all_are(change):
    whole = {"id": 5, "bbox": [1, 2, 3, 4], "keypoints": [1.0, 2.0, 2.0] * JOINTS, **change}
    with pytest.raises(UserError) as alone:
        person_arrays._one_by_one(HERE, [whole], JOINTS)
    people = [drawn(np.random.default_rng(n), n) for n in range(40)]
    with pytest.raises(UserError) as among:
        read_people(HERE, [*people, whole, *people], JOINTS)
    assert str(among.value) == str(alone.value)
