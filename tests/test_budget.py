"""Budgets: what each spelling means, what nonsense is told, and what a space can reach."""

import random
import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from litepose_nas import Space, UserError, costs, resources
from litepose_nas.budget import Budget, Limit, in_words, lowest, time_limits
from litepose_nas.costs import Cost

MEANINGS = {
    "1.2GMAC": ("macs", 1_200_000_000),
    "300MMAC": ("macs", 300_000_000),
    "933 MMac": ("macs", 933_000_000),
    "2.4GFLOPs": ("macs", 1_200_000_000),
    "600MFLOPs": ("macs", 300_000_000),
    "1.2e9 macs": ("macs", 1_200_000_000),
    "5mac": ("macs", 5),
    "2M": ("params", 2_000_000),
    "2m": ("params", 2_000_000),
    "2Mparams": ("params", 2_000_000),
    "500kparams": ("params", 500_000),
    "500Kparam": ("params", 500_000),
    "8MB": ("weight_bytes", 8_000_000),
    "8mb": ("weight_bytes", 8_000_000),
    "900KB": ("weight_bytes", 900_000),
    "900kB": ("weight_bytes", 900_000),
    "8MiB": ("weight_bytes", 8 * 2**20),
    "512KBpeak": ("peak_bytes", 512_000),
    "512 KB-peak": ("peak_bytes", 512_000),
    "4 MiB peak": ("peak_bytes", 4 * 2**20),
}
NONSENSE = [
    *("", " ", "1.2", "GMAC", "-3GMAC", "0GMAC", "1e400GMAC", "1e-400GMAC", "1e99999999999GMAC", "nan", "nanGMAC"),
    *("infGMAC", "1,2GMAC", "1.2.3GMAC", "1.2GMACMAC", "1.2GiMAC", "3Miparams", "1_000MMAC", "0.1params", "٣GMAC"),
    *("<=1GMAC", "2e18MAC", "9" * 5000 + "GMAC", "0." + "0" * 5000 + "1GMAC"),
]


@pytest.mark.parametrize("text", MEANINGS)
def test_what_is_written_is_what_is_meant(text):
    assert Limit.of(text)[:2] == MEANINGS[text]


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_gets_examples(text):
    with pytest.raises(UserError, match=r"1\.2GMAC, 300MMAC") as told:
        Limit.of(text)
    assert len(str(told.value)) < 320


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1.2GMAX", "unknown unit 'GMAX' .did you mean 'GMAC'"),
        ("25ms", "nothing here tells the time of a network; .*latency measure SPACE .*latency fit .*--latency"),
        ("30fps", "nothing here tells the time of a network"),
        ("pi5:2M", "only a time is of one device; leave pi5: out"),
        ("1.2G", "G of what"),
        ("1.2B", "B of what"),
        ("8Mb", "could mean bits; write MB"),
    ],
)
def test_near_misses_are_told_what_is_missing(text, told):
    with pytest.raises(UserError, match=told):
        Limit.of(text)


@given(st.integers(2, 10**9), st.sampled_from([("k", 3), ("M", 6), ("G", 9)]), st.sampled_from(["", " ", "  "]))
def test_decimals_are_exact(thousandths, prefix, space):
    letter, power = prefix
    text = f"{thousandths // 1000}.{thousandths % 1000:03}{space}{letter}"
    exact = thousandths * 10**power // 1000
    assert Limit.of(text + "MAC").most == Limit.of(text + "macs").most == exact
    assert Limit.of(f"{text}FLOPs").most == exact // 2
    assert Limit.of(text + "params").most == exact


@given(
    st.text(max_size=12)
    | st.from_regex(r"[-+]?[0-9]{0,3}\.?[0-9]{0,3}(e[0-9]{0,3})? ?[kKMGmg]?i?[a-zA-Z]{0,6}", fullmatch=True)
)
def test_any_text_is_a_limit_or_a_user_error(text):
    try:
        limit = Limit.of(text)
    except UserError:
        return
    assert 1 <= limit.most < 10**18
    assert limit.field in Cost._fields


def test_the_convention_says_which_macs():
    cost = Cost(100, 300, 7, 28, 50)
    assert Budget.of(["200MAC"]).ok(cost)
    assert not Budget.of(["200MAC"], "litepose").ok(cost)
    assert (Budget.of([]).macs(cost), Budget.of([], "litepose").macs(cost)) == (100, 300)
    with pytest.raises(UserError, match="did you mean 'litepose'"):
        Budget.of(["200MAC"], "litpose")


def test_limits_are_kept_together():
    budget = Budget.of(["100MAC", "10params"])
    assert budget.ok(Cost(100, 0, 10, 0, 0))
    assert budget.excess(Cost(100, 0, 10, 0, 0)) == 0
    assert not budget.ok(Cost(100, 0, 11, 0, 0))
    assert budget.excess(Cost(150, 0, 12, 0, 0)) == pytest.approx(0.5 + 0.2)
    assert Budget.of([]).ok(Cost(1, 1, 1, 1, 1))
    assert "no limit" in Budget().binding(Cost(1, 1, 1, 1, 1))


def test_two_limits_on_one_thing_are_refused():
    assert len(Budget.of(["2.4GFLOPs", "1.2GMAC"]).limits) == 1
    with pytest.raises(UserError, match=r"600MMAC and 1\.2GMAC both limit MACs"):
        Budget.of(["600MMAC", "1.2GMAC"])


def test_what_binds_is_said_in_words():
    budget = Budget.of(["1GMAC", "1M"])
    assert budget.binding(Cost(900_000_000, 0, 500_000, 0, 0)) == "MACs: 900 MMAC of 1 GMAC, 10.0% left"
    assert budget.binding(Cost(0, 0, 1_500_000, 0, 0)) == "parameters: 1.5 M of 1 M, 50.0% too many"


@pytest.mark.parametrize("name", ["litepose-tiny", "litepose"])
@pytest.mark.parametrize("convention", ["exact", "litepose"])
def test_the_reach_of_a_space_is_told_and_can_be_used(name, convention):
    space = Space.load(name)
    for unit in ("MAC", "params", "bytes", "Bpeak"):
        with pytest.raises(UserError, match="smallest") as told:
            Budget.of([f"1000{unit}"], convention).check_reachable(space)
        offer = re.search(r"allow (\S+) or more", str(told.value))[1]
        budget = Budget.of([offer], convention)
        found = budget.check_reachable(space)
        assert budget.ok(costs.cost(found))
        least = getattr(costs.cost(found), budget.limits[0].field)
        assert 0 <= budget.limits[0].most - least <= 0.01 * least  # the offer is the least there is, rounded up
        assert in_words(budget.limits[0].field, least) in str(told.value)


def test_a_space_of_one_resolution_says_so():
    space = Space({**_tree("litepose-tiny"), "resolution": 128}, "mine")
    with pytest.raises(
        UserError, match=r"no mine network fits MACs <= 10 MMAC at resolution 128 .* smaller resolution"
    ):
        Budget.of(["10MMAC"]).check_reachable(space)


def test_limits_that_only_fail_together_are_said_to():
    space = Space.load("litepose-tiny")

    def trade(arch):  # here MACs and parameters fall in opposite directions of one gene
        return Cost(arch.values[0], 0, 224 - arch.values[0], 0, 0)

    budget = Budget.of(["96MAC", "100params"])
    with pytest.raises(UserError, match="keeps all of MACs <= 96 MAC, parameters <= 100; loosen one"):
        budget.check_reachable(space, price=trade)
    assert Budget.of(["128MAC", "100params"]).check_reachable(space, price=trade).values[0] == 128


@settings(max_examples=30)
@given(st.sampled_from(["macs", "macs_litepose", "params", "weight_bytes", "peak_bytes"]), st.integers(0, 10**6))
def test_nothing_sampled_is_below_the_lowest(field, seed):
    space = Space.load("litepose-tiny")
    least = getattr(costs.cost(lowest(space, lambda arch: getattr(costs.cost(arch), field))), field)
    assert getattr(costs.cost(space.sample(random.Random(seed))), field) >= least


def _tree(name):
    return yaml.safe_load(resources.find(name, "search_spaces", ".yaml").read_text(encoding="utf-8"))


def test_times_are_limits_of_the_profiles_that_are_given():
    one, two = time_limits(["pi5"]), time_limits(["pi5", "server-1"])
    for text in ("25ms", "40fps", "0.025 s", "25 milliseconds", "pi5:25ms", "pi5: 40 fps"):
        assert Limit.of(text, times=one)[:2] == ("latency_ms_bound", pytest.approx(25))
    assert Limit.of("server-1:3ms", times=two).field == "latency_ms_bound_server_1"
    assert Limit.of("pi5:3ms", times=two).field == "latency_ms_bound_pi5"
    assert str(Limit.of("pi5:3ms", times=two)) == "upper bound of the latency on pi5 <= 3 ms"
    both = Budget.of(["pi5:25ms", "1GMAC", "server-1:3ms"], times=two)
    assert [limit.most for limit in both.limits] == [25.0, 10**9, 3.0]
    for text, told in (
        ("25ms", "of which of the profiles.; write pi5:25ms, server-1:25ms"),
        ("pi4:25ms", "of no profile called 'pi4'; write pi5:25ms"),
        ("pi5:0ms", "expected a time above 0"),
        ("pi5:0fps", "expected a time above 0"),
    ):
        with pytest.raises(UserError, match=told):
            Limit.of(text, times=two)
