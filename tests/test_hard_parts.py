"""The hard parts of other families, each in a tiny space, have the properties that every space has."""

from __future__ import annotations

import pytest
import torch

import litepose_nas as ln
from litepose_nas.supernet import Supernet
from tests.helpers import hard_spaces, properties
from tests.helpers.hard_spaces import SPACES, Hard, departing
from tests.helpers.properties import CHECKS, rough_supernet, sampled

JOINTS = 3
SIZES = {"even": (48, 48), "odd": (77, 51), "less than a window": (8, 12)}


@pytest.fixture(scope="module", params=SPACES.values(), ids=SPACES.keys())
def hard(request: pytest.FixtureRequest) -> Hard:
    return request.param


@pytest.fixture(scope="module")
def supernet(hard: Hard) -> Supernet:
    return rough_supernet(hard.space, JOINTS)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
def test_property(hard, supernet, check):
    sizes = [*SIZES.values()] * 2
    for arch, size in zip(sampled(hard.space, 6), sizes, strict=True):
        check(supernet, arch, hard_spaces.inputs(*size))


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
def test_property_slow(hard, supernet, check):
    for arch in sampled(hard.space, 50):
        for size in SIZES.values():
            check(supernet, arch, hard_spaces.inputs(*size))


def test_what_is_said_to_nest_nests(hard, supernet):
    for narrow, wide in hard.nests:
        narrow, wide = departing(hard.space, narrow), departing(hard.space, wide)
        for size in SIZES.values():
            properties.lies_inside(supernet, narrow, wide, hard_spaces.inputs(*size))


def test_a_thousand_archs_build(supernet):
    properties.all_build(supernet, 1000)


def test_convolutions_equal_fvcore(hard, supernet):
    if not hard.convolutions:
        pytest.skip("it has products that fvcore counts under other names")
    for arch in sampled(hard.space, 6):
        properties.convolutions_equal_fvcore(supernet, arch, hard_spaces.inputs(*SIZES["odd"]))


def test_bfloat16(hard, supernet):
    with torch.autocast("cpu", torch.bfloat16):
        for arch in sampled(hard.space, 6):
            inputs = hard_spaces.inputs(*SIZES["odd"])
            properties.subnet_equals_extraction(supernet, arch, inputs)


def test_channels_last(hard):
    supernet = rough_supernet(hard.space, JOINTS, memory_format=torch.channels_last)
    for arch in sampled(hard.space, 6):
        inputs = hard_spaces.inputs(*SIZES["odd"])
        inputs = tuple(x.contiguous(memory_format=torch.channels_last) for x in inputs)
        properties.subnet_equals_extraction(supernet, arch, inputs)
        properties.fresh_net_is_equal(supernet, arch, inputs)


def test_compiles_and_exports(hard, supernet):
    arch = sampled(hard.space, 3)[-1]
    properties.exports(supernet, arch, hard_spaces.inputs(*SIZES["even"]))
    properties.compiles(supernet, arch, hard_spaces.inputs(*SIZES["odd"]))


@pytest.mark.slow
def test_compiles_and_exports_slow(hard, supernet):
    for arch in sampled(hard.space, 12):
        for size in SIZES.values():
            properties.exports(supernet, arch, hard_spaces.inputs(*size))
            properties.compiles(supernet, arch, hard_spaces.inputs(*size))


# ── the judges can say no ──


def test_packed_queries_keys_and_values_do_not_nest():
    hard = hard_spaces.PACKED
    supernet, inputs = rough_supernet(hard.space, JOINTS), hard_spaces.inputs(48, 48)
    for arch in sampled(hard.space, 6):  # nothing else notices
        for name in ("extraction", "order", "fresh", "gradients"):
            CHECKS[name](supernet, arch, inputs)
    for narrow in ({"dim": 8, "heads": 1}, {"heads": 2}, {"width": 4}):
        with pytest.raises(AssertionError, match="does not lie inside"):
            properties.lies_inside(supernet, departing(hard.space, narrow), hard.space.widest, inputs)


def test_groups_side_by_side_do_not_nest():
    hard = hard_spaces.SIDE_BY_SIDE
    supernet, inputs = rough_supernet(hard.space, JOINTS), hard_spaces.inputs(48, 48)
    for arch in sampled(hard.space, 6):
        properties.subnet_equals_extraction(supernet, arch, inputs)
    with pytest.raises(AssertionError, match="does not lie inside"):
        properties.lies_inside(supernet, departing(hard.space, {"width": 8}), hard.space.widest, inputs)


def test_a_table_that_depends_on_a_size_is_refused():
    space = hard_spaces.TABLE.space
    with pytest.raises(RuntimeError, match=r"table\..*places: a buffer"):
        rough_supernet(space, JOINTS).subnet(space.smallest)


def test_a_net_with_a_constant_of_its_own_is_not_fresh():
    hard = hard_spaces.DRAWN
    supernet, inputs = rough_supernet(hard.space, JOINTS), hard_spaces.inputs(48, 48)
    with pytest.raises(AssertionError, match="built from scratch"):
        properties.fresh_net_is_equal(supernet, hard.space.smallest, inputs)


def test_wrong_counts_are_found(monkeypatch):
    hard = hard_spaces.EACH
    supernet, inputs = rough_supernet(hard.space, JOINTS), hard_spaces.inputs(48, 48)
    arch = hard.space.widest
    right = ln.cost(arch, (48, 48), JOINTS)
    for field in ("macs", "params", "weight_bytes", "peak_bytes"):
        check = properties.peak_is_exact if field == "peak_bytes" else properties.cost_is_exact
        monkeypatch.undo()
        check(supernet, arch, inputs)
        wrong = right._replace(**{field: getattr(right, field) + 1})
        monkeypatch.setattr(ln, "cost", lambda *_, wrong=wrong, **__: wrong, raising=False)
        with pytest.raises(AssertionError):
            check(supernet, arch, inputs)
