"""Networks scaled evenly: from the smallest to the widest, every choice at about the same share of its range."""

import pytest

from litepose_nas import costs
from litepose_nas.budget import Budget
from litepose_nas.search.evenly import evenly_scaled, largest
from litepose_nas.search.guided import searcher
from litepose_nas.search.problem import Problem
from litepose_nas.space import Space


@pytest.mark.parametrize("name", ["litepose-tiny", "topdown-tiny"])
def test_ways_lead_from_the_smallest_to_the_widest_in_even_steps(name):
    space = Space.load(name)
    ways = list(evenly_scaled(space))
    assert [way[0].arch.input for way in ways] == sorted(way[0].arch.input for way in ways)
    assert (ways[0][0].arch, ways[-1][-1].arch) == (space.smallest, space.widest)
    for way in ways:
        macs = [costs.cost(one.arch).macs for one in way]
        assert macs == sorted(macs)
        middle = way[len(way) // 2].arch.to_dict()
        genes = [gene for gene in space.genes if gene.path in middle and len(gene.choices) > 1]
        shares = [
            gene.choices.index(middle[gene.path]) / (len(gene.choices) - 1)
            for gene in genes
            if gene.path != "resolution"
        ]
        assert all(0.2 < share < 0.8 or share in (0, 1) for share in shares)
        assert 0.4 < sum(shares) / len(shares) < 0.6
    assert ways[0][0].off == ways[-1][-1].off == 0


def test_the_largest_are_within_the_budget_and_the_next_would_not_be():
    space = Space.load("litepose-tiny")
    budget = Budget.of(["25MMAC"])

    def ok(arch):
        return budget.ok(costs.cost(arch))

    found = largest(space, ok, 4)
    assert len({arch.input for arch in found}) == len(found) > 1
    for way in evenly_scaled(space):
        inside = [ok(one.arch) for one in way]
        if any(inside):
            assert [*inside, False].index(False) == sum(inside)  # none that fits comes after one that does not
            assert way[sum(inside) - 1].arch in found
    assert largest(space, ok, 1) == found[:1]
    assert largest(space, lambda arch: False, 3) == []


def test_a_guided_search_begins_with_one_and_keeps_its_budget():
    space = Space.load("litepose-tiny")
    problem = Problem(space, Budget.of(["25MMAC"]), costs.cost)
    asked = searcher(problem, 0, start=10).ask(10)
    even = largest(space, lambda arch: problem.budget.ok(costs.cost(arch)), 2)
    assert set(even) <= set(asked)
    assert all(problem.budget.ok(costs.cost(arch)) for arch in asked)
    assert len(set(asked)) == 10
