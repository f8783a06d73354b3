"""MATLAB's files as scipy reads and writes them; damaged ones are refused, and never end the process."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from litepose_nas.data.layouts import mat_file


@pytest.fixture
def path(tmp_path):
    rng = np.random.default_rng(0)
    names = np.empty((1, 3), object)
    names[0] = ["rank", "lwri", "é"]
    arrays = {
        "names": names,
        "whole": rng.integers(-5, 300, (4, 7)),
        "small": rng.integers(0, 2, (16, 5)).astype(np.uint8),
        "deep": rng.uniform(-1, 1, (3, 4, 5)),
        "single": rng.uniform(0, 1, (2, 2)).astype(np.float32),
        "empty": np.zeros((0, 3)),
        "word": "hello",
        "struct": {"a": 1.0},  # of a class that is not read
    }
    for name, packed in (("plain.mat", False), ("packed.mat", True)):
        savemat(tmp_path / name, arrays, do_compression=packed)
    return tmp_path


@pytest.mark.parametrize("name", ["plain.mat", "packed.mat"])
def test_arrays_are_those_of_scipy(path, name):
    mine, its = mat_file.variables((path / name).read_bytes()), loadmat(path / name)
    assert set(mine) == {key for key in its if not key.startswith("__")} - {"struct"}
    for key in ("whole", "small", "deep", "single", "empty"):
        assert mine[key].dtype == its[key].dtype
        np.testing.assert_array_equal(mine[key], its[key])
    assert [str(cell[0]) for cell in mine["names"].ravel()] == ["rank", "lwri", "é"]
    assert mine["names"].shape == its["names"].shape
    assert mine["word"].tolist() == ["hello"]


@pytest.mark.parametrize("name", ["plain.mat", "packed.mat"])
def test_damage_is_refused_or_read(path, name):
    whole, rng, refused = (path / name).read_bytes(), random.Random(0), 0
    for _ in range(1500):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 1, 3))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        end = rng.choice((len(data), len(data), rng.randrange(len(data))))
        try:
            with np.errstate(all="ignore"):
                mat_file.variables(bytes(data[:end]))
        except ValueError:
            refused += 1
    assert 200 < refused < 1500


def test_other_versions_are_refused(path):
    savemat(path / "old.mat", {"a": np.eye(3)}, format="4")
    with pytest.raises(ValueError, match="not those of version 5 to 7"):
        mat_file.variables((path / "old.mat").read_bytes())
