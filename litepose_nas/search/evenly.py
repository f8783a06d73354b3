"""Networks scaled evenly, as by hand: all choices stand at about the same share of their ranges."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from litepose_nas.space import Arch, Space, Value


class Even(NamedTuple):
    arch: Arch
    off: float  # how far the resolution's share of its range is from that of the other choices


def evenly_scaled(space: Space, held: Mapping[str, Value] = {}) -> Iterator[list[Even]]:
    """Yield, for each resolution, networks from the smallest to the widest.

    On the way every gene rises in equal shares of its range, those that would step at once in the order of the space;
    those that are `held`, by their path, keep their value. The resolution has a way of its own, for one step of it
    changes the cost by so much that no network of a certain cost would be met.
    """
    resolutions = space.resolutions
    fixed = {gene.at: held[gene.path] for gene in space.genes if gene.path in held}
    genes = [gene for gene in space.genes if gene.path != "resolution" and gene.at not in fixed]
    steps = sorted(
        ((number + 0.5) / (len(gene.choices) - 1), gene.at) for gene in genes for number in range(len(gene.choices) - 1)
    )
    for place, resolution in enumerate(resolutions):
        own = place / max(1, len(resolutions) - 1)
        places = {gene.at: 0 for gene in genes}
        found = []
        for taken in range(len(steps) + 1):
            if taken:
                places[steps[taken - 1][1]] += 1
            values = [
                gene.choices[places[gene.at]] if gene.at in places else fixed.get(gene.at, resolution)
                for gene in space.genes
            ]
            found.append(Even(space.arch(values), abs(own - taken / max(1, len(steps)))))
        yield found


def largest(space: Space, ok: Callable[[Arch], bool], most: int) -> list[Arch]:
    """Return the largest even network of each resolution that is ok, at most so many, the evenest first."""
    found = [next((one for one in reversed(way) if ok(one.arch)), None) for way in evenly_scaled(space)]
    return [one.arch for one in sorted((one for one in found if one), key=lambda one: one.off)[:most]]
