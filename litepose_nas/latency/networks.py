"""Which networks of a space are measured: random ones of all sizes, and the extremes, which random ones never reach."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from litepose_nas import costs
from litepose_nas.latency.samples import ANCHOR, EXTREME, RANDOM
from litepose_nas.plan_files.part_graph import LonePart, lone_parts
from litepose_nas.space import Arch, Gene, Space

ANCHORS = 4
EXTREMES = 0.4  # of all networks, at most
DRAWN = 12  # random networks for each that is kept
BLOCKS, BLOCKS_OF_A_NETWORK = 250, 6  # measured alone, at most: in all, and for each network
LEAST_OF_A_KIND = 4  # blocks


class Chosen(NamedTuple):
    """A network to be measured."""

    arch: Arch
    role: str


def choose(spaces: Sequence[Space], nets: int, joints: int, seed: int) -> list[Chosen]:
    """So many networks of each space; anchors, which are asked beside all others, come first."""
    return with_anchors(choose_of_spaces(spaces, nets, joints, seed), joints)


def choose_of_spaces(spaces: Sequence[Space], nets: int, joints: int, seed: int) -> list[Chosen]:
    chosen: list[Chosen] = []
    for number, space in enumerate(spaces):
        rng = random.Random(f"{seed} {number}")
        found = list(dict.fromkeys(extremes(space)))[: int(EXTREMES * nets)]
        drawn = stratified(space, nets - len(found), joints, rng, without=found)
        chosen += [Chosen(arch, EXTREME) for arch in found] + [Chosen(arch, RANDOM) for arch in drawn]
    return chosen


def with_anchors(chosen: Sequence[Chosen], joints: int) -> list[Chosen]:
    """The networks, with some of them as anchors, which come first."""
    inner = [i for i, each in enumerate(chosen) if each.role == RANDOM] or list(range(len(chosen)))
    inner.sort(key=lambda i: costs.cost(chosen[i].arch, joints=joints).macs)
    # From the lower half: they are asked most often, and a small network shows what disturbs as well as a large one.
    count = min(ANCHORS, len(inner))
    anchors = {inner[(2 * k + 1) * len(inner) // (4 * count)] for k in range(count)}
    return [chosen[i]._replace(role=ANCHOR) for i in sorted(anchors)] + [
        each for i, each in enumerate(chosen) if i not in anchors
    ]


def choose_blocks(
    chosen: Sequence[Chosen], joints: int, count: int | None = None, seed: int = 0
) -> list[tuple[Arch, LonePart]]:
    """So many different blocks of these networks, each kind as often as there are different ones of it."""
    count = min(BLOCKS, BLOCKS_OF_A_NETWORK * len(chosen)) if count is None else count
    kinds: dict[str, dict[tuple[Any, ...], tuple[Arch, LonePart]]] = defaultdict(dict)
    for each in chosen:
        for part in lone_parts(each.arch, joints):
            kinds[type(part.block).__name__].setdefault((part.block, part.size, part.reads), (each.arch, part))
    rng, total = random.Random(f"{seed} blocks"), sum(map(len, kinds.values()))
    kept: list[tuple[Arch, LonePart]] = []
    for found in kinds.values():
        share = min(len(found), max(LEAST_OF_A_KIND, round(count * len(found) / total)))
        kept += rng.sample(list(found.values()), share)
    return kept


def stratified(space: Space, count: int, joints: int, rng: random.Random, without: Sequence[Arch] = ()) -> list[Arch]:
    """Random networks, as many of each resolution, and of each evenly spread from few MACs to many."""
    pool = dict.fromkeys(space.sample(rng) for _ in range(DRAWN * count))
    by_size: dict[tuple[int, int], list[Arch]] = defaultdict(list)
    for arch in pool:
        if arch not in without:
            by_size[arch.input].append(arch)
    kept: list[Arch] = []
    sizes = sorted(by_size)
    for i, size in enumerate(sizes):
        share = count * (i + 1) // len(sizes) - count * i // len(sizes)
        archs = sorted(by_size[size], key=lambda arch: costs.cost(arch, joints=joints).macs)
        kept += [archs[(2 * k + 1) * len(archs) // (2 * share)] for k in range(min(share, len(archs)))]
    return list(dict.fromkeys(kept))


def extremes(space: Space) -> Iterator[Arch]:
    """The smallest and the widest; then each kind of choice at one end and all others in the middle, or at the other.

    A kind is the last word of a gene's path, such as depth, width or kernel. Of widths and depths also the early half
    against the late one.
    """
    yield space.smallest
    yield space.widest
    kinds: dict[str, list[Gene]] = defaultdict(list)
    for gene in space.genes:
        if gene.path != "resolution" and len(gene.choices) > 1:
            kinds[gene.path.rpartition(".")[2]].append(gene)
    for genes in sorted(kinds.values(), key=len, reverse=True):
        yield _arch(space, {gene.at: 1.0 for gene in genes}, 0.5)
        yield _arch(space, {gene.at: 0.0 for gene in genes}, 0.5)
    for one, other in (("depth", "width"), ("kernel", "width"), ("expand", "depth")):
        if one in kinds and other in kinds:
            for end in (0.0, 1.0):
                ends = {gene.at: end for gene in kinds[one]} | {gene.at: 1 - end for gene in kinds[other]}
                yield _arch(space, ends, 0.5)
    for kind in ("width", "depth"):
        half = len(kinds.get(kind, ())) // 2
        for end in (0.0, 1.0) if half else ():
            early, late = kinds[kind][:half], kinds[kind][half:]
            yield _arch(space, {g.at: end for g in early} | {g.at: 1 - end for g in late}, 0.5)


def _arch(space: Space, places: dict[int, float], rest: float) -> Arch:
    """The architecture with each gene so far from its smallest choice to its largest."""
    values = [g.choices[math.floor(places.get(g.at, rest) * (len(g.choices) - 1))] for g in space.genes]
    return space.arch(values)
