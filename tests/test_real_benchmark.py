"""What benchmarks/real.py rests on: strata of equal cost, rows that survive a kill, and tau inside strata by hand."""

from __future__ import annotations

import importlib
import itertools
from types import ModuleType

import numpy as np
import pytest

from litepose_nas import costs
from litepose_nas.space import Space
from tests.helpers.commands import ROOT


@pytest.fixture
def bench(monkeypatch):
    """Import a module of benchmarks/, as a script there does."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))

    def module(name: str) -> ModuleType:
        return importlib.import_module(name)

    return module


@pytest.fixture
def space():
    return Space.load(str(ROOT / "benchmarks" / "real_space.yaml"))


def test_strata_are_narrow_and_spread_over_the_space(bench, space):
    found = bench("strata").strata(space, 68, drawn=2048, each=6)
    assert found == bench("strata").strata(space, 68, drawn=2048, each=6)
    macs = [[costs.cost(arch, joints=68).macs for arch in group] for group in found]
    assert [len(set(group)) for group in found] == [6] * 4
    assert all(max(group) <= 1.02 * min(group) for group in macs)
    assert macs == [sorted(group) for group in macs]
    middles = [float(np.mean(group)) for group in macs]
    ratios = [dear / cheap for cheap, dear in itertools.pairwise(middles)]
    assert ratios == pytest.approx([ratios[0]] * 3, rel=0.03)
    assert middles[-1] > 4 * middles[0]
    with pytest.raises(ValueError, match="networks within 1 %"):
        bench("strata").strata(space, 68, drawn=64)


def known(bench, rows):
    """Networks of rows: stratum, MACs, and a score for each of two seeds."""
    made = bench("truth_in_strata").Known
    return [
        made(None, stratum, {"macs": macs, "params": -macs, "depth": 1.0, "resolution": macs}, {"nme": [one, other]})
        for stratum, macs, one, other in rows
    ]


# Inside the strata the second seed turns one of six pairs round, and MACs turn two; all pairs of two strata agree.
NETS = [(0, 10.0, 1.0, 1.0), (0, 10.1, 2.0, 3.0), (0, 10.2, 3.0, 2.4)]
NETS += [(1, 20.2, 11.0, 11.0), (1, 20.1, 12.0, 12.0), (1, 20.3, 13.0, 13.0)]


def test_tau_counts_pairs_of_a_stratum_alone(bench):
    inside, nets = bench("inside_strata"), known(bench, NETS)
    assert inside.ceiling(nets, "nme").value == pytest.approx((5 - 1) / 6)
    # The mean over the seeds is 1, 2.5, 2.7 and 11, 12, 13.
    found = inside.taus(nets, "nme", {"turned": [-mean for mean in (1, 2.5, 2.7, 11, 12, 13)]})
    assert found["macs"].value == pytest.approx((5 - 1) / 6)
    assert found["params"].value == pytest.approx(-4 / 6)
    assert found["turned"].value == -1
    assert not np.isfinite(found["depth"].value)  # all alike: no pair is told apart
    table = inside.table(nets, ["nme"], {}).splitlines()
    assert [line.split("|")[1].strip() for line in table[2:]] == [
        "another seed",
        "macs",
        "params",
        "depth",
        "resolution",
    ]


def test_depth_counts_the_blocks_of_stages(bench, space):
    depth = bench("truth_in_strata").depth
    assert (depth(space.smallest), depth(space.widest)) == (6, 11)


def test_less_loss_and_less_nme_are_better(bench):
    turned = bench("truth_in_strata").turned
    assert [turned(figure, 0.5) for figure in ("loss", "nme", "pck", "ap")] == [-0.5, -0.5, 0.5, 0.5]


def test_a_row_that_was_cut_is_made_again(bench, tmp_path):
    rows, path = bench("rows"), tmp_path / "room" / "rows.csv"
    assert rows.read(path) == []
    rows.append(path, {"net": 0, "arch": '{"a": [1, 2]}'})
    rows.append(path, {"net": 1, "arch": "b"})
    whole = path.read_bytes()
    path.write_bytes(whole + b'2,"{""a""')
    assert rows.read(path) == [{"net": "0", "arch": '{"a": [1, 2]}'}, {"net": "1", "arch": "b"}]
    assert path.read_bytes() == whole
    with pytest.raises(ValueError, match="columns"):
        rows.append(path, {"net": 2})


def test_halves_have_six_of_each_stratum(bench):
    inside = [0] * 12 + [1] * 12 + [2] * 12 + [3] * 12
    halves = bench("strata").halves(inside)
    assert halves == bench("strata").halves(inside)
    assert sorted(halves.chosen_on + halves.confirmed_on) == halves.all == list(range(48))
    for part in (halves.chosen_on, halves.confirmed_on):
        assert [sum(inside[place] == stratum for place in part) for stratum in range(4)] == [6] * 4
