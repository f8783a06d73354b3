"""What benchmarks/gain.py rests on: who competes, and the table of gains by hand."""

from __future__ import annotations

import csv
import importlib
from types import SimpleNamespace

import pytest

from litepose_nas import costs
from litepose_nas.demo.contenders import scaled
from litepose_nas.resolve import resolve
from litepose_nas.space import Space
from tests.helpers.commands import ROOT


@pytest.fixture
def bench(monkeypatch):
    """Import a module of benchmarks/, as a script there does."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


@pytest.fixture(params=[("real_space", "s_vipnas-mbv3"), ("real_space_mobilevit", "mobilevitpose-xxs")])
def family(request):
    name, published = request.param
    return Space.load(str(ROOT / "benchmarks" / f"{name}.yaml")), published


def test_a_published_network_keeps_its_choices_and_changes_its_size(bench, family):
    space, name = family
    published = resolve(name).subnet.arch
    held = bench("contest").shape(space, published)
    assert held
    assert not any(path.endswith(("width", "depth", "resolution")) for path in held)
    for path, value in held.items():
        known = published.to_dict()[path]
        choices = next(gene.choices for gene in space.genes if gene.path == path)
        assert value in choices
        assert value == known or known not in choices
    for mmac in (5, 12):
        arch = scaled(space, mmac * 1_000_000, 68, held)
        assert costs.cost(arch, joints=68).macs == pytest.approx(mmac * 1e6, rel=0.2)
        assert all(held[path] == value for path, value in arch.to_dict().items() if path in held)


def test_random_networks_are_just_within_the_limit(bench, family):
    contest = bench("contest")
    space, name = family
    one = contest.Contest(SimpleNamespace(space=space), SimpleNamespace(joints=68), None, 5, 1, 0, None)
    found = list(contest.others(one, (name,), 3))
    assert [(each.kind, each.number) for each in found] == [
        ("scaled", 0), ("published", 0), ("random", 0), ("random", 1), ("random", 2),
    ]  # fmt: skip
    macs = [costs.cost(each.arch, joints=68).macs for each in found]
    assert macs[0] == one.limit
    assert all(0.95 * one.limit <= each <= one.limit for each in macs[2:])


def test_gains_by_hand(bench, tmp_path):
    rows = [
        # seed, kind, number, held, test
        (0, "searched", 0, 0.30, 0.20), (0, "searched", 1, 0.10, 0.18), (0, "searched", 2, 0.20, 0.10),
        (0, "scaled", 0, 0.10, 0.25), (1, "searched", 0, 0.10, 0.30), (1, "scaled", 0, 0.10, 0.28),
        (2, "searched", 0, 0.10, 0.30),
    ]  # fmt: skip
    path = tmp_path / "gain.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["pictures", "family", "budget", "seed", "kind", "number", "held nme", "test nme"])
        out.writerows(["faces68", "vipnas", "5", *row] for row in rows)
    table = bench("gain_table")
    found = bench("rows").read(path)
    first = table.gain(found, "nme", "searched", "scaled")  # +.05 and -.02; the third seed has no pair
    assert (first.ahead, first.pairs) == (1, 2)
    assert first.mean == pytest.approx(0.015)
    assert (first.low, first.high) == pytest.approx((-0.02, 0.05))
    best = table.gain(found, "nme", "searched, best of 3", "scaled")  # the one that held-out pictures choose, .18
    assert (best.ahead, best.pairs, best.mean) == (1, 1, pytest.approx(0.07))
    assert table.gain(found, "nme", "searched", "published") == "–"
