"""What an op set leaves of a search space: the choices of each gene that some network it runs can have.

A choice with which a block breaks the same rule in every one of hundreds of random networks is cut, gene by gene, until
nothing more falls. What is left is a space of its own, whose ends and size can be asked; a network of it that still
breaks a rule, for two choices that do not go together, is told by the op set itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from litepose_nas.budget import in_words as amount
from litepose_nas.budget import lowest
from litepose_nas.costs import cost
from litepose_nas.errors import UserError
from litepose_nas.space import Arch, Gene, Space, Value
from litepose_nas.space_file import reach
from litepose_nas.targets.op_set import OpSet, Violation

# Rules leave a block one combination in 20 or more: 200 networks would all miss it once in 28,000 times.
ENOUGH = 200  # networks with a choice, before it is cut
MOST = 20_000  # random networks, where some choices hardly ever count
CHECKED = 50  # networks between two looks at what is settled

Choice = tuple[str, Value]  # of the gene with that path
Found = dict[tuple[str, str], Violation]  # by part and rule


class Reachable(NamedTuple):
    """What an op set leaves of a space."""

    whole: Space
    space: Space  # of what is left; the whole one where nothing is cut
    cut: Mapping[Choice, Violation]  # what is gone, and why
    anchor: Arch  # a network of the space that is left, and that runs

    def choices(self, path: str) -> tuple[Value, ...]:
        """The choices of a gene that are left; none where it counts no more."""
        kept = [gene.choices for gene in self.space.genes if gene.path == path]
        return kept[0] if kept else ()

    def of_whole(self, arch: Arch) -> Arch:
        return self.whole.arch(arch.to_dict())


def reachable(whole: Space, op_set: OpSet) -> Reachable:
    """What is left, with one network that runs; a UserError where nothing is."""
    space, cut = whole, {}  # type: Space, dict[Choice, Violation]
    while doomed := _doomed(space, op_set):
        doomed = _with_gates(space, doomed, op_set)
        cut |= doomed
        space = _without(space, doomed)
    anchor = space.smallest if not op_set.broken(space.smallest) else lowest(space, op_set.broken)
    if left := op_set.violations(anchor):
        raise UserError(
            f"op set {op_set.name}: no {space.name} network was found that it runs; each choice alone can be kept, but "
            f"not all together. The nearest breaks {len(left)}: {left[0]}"
        )
    return Reachable(whole, space, cut, anchor)


def ends(found: Reachable, op_set: OpSet, value: Callable[[Arch], float]) -> tuple[Arch, Arch]:
    """Networks that run, of the least and about the most that some value of them reaches."""
    least = lowest(found.space, lambda arch: (op_set.broken(arch), value(arch)))
    widest = found.space.widest
    most = (
        lowest(found.space, lambda arch: (op_set.broken(arch), -value(arch)), widest)
        if op_set.broken(widest)
        else widest
    )
    return least, most


def _doomed(space: Space, op_set: OpSet) -> dict[Choice, Violation]:
    """The choices that no network which runs can have, each with a reason; a UserError where nothing runs at all."""
    always: dict[tuple[int, Value], Found] = {}
    seen: dict[tuple[int, Value], int] = {}
    counting = [(gene.at, choice) for gene in space.genes if _counts(space, gene) for choice in gene.choices]
    everywhere: Found | None = None
    for number, arch in enumerate(_drawn(space), 1):
        broken = {(each.part, each.rule): each for each in op_set.violations(arch)}
        everywhere = broken if everywhere is None else _both(everywhere, broken)
        for at, value in enumerate(arch.values):
            if value is not None:
                key = at, value
                before = always.get(key)
                seen[key] = seen.get(key, 0) + 1
                if before is None or before:
                    always[key] = broken if before is None else _both(before, broken)
        settled = number % CHECKED == 0 and all(
            key in always and (not always[key] or seen[key] >= ENOUGH) for key in counting
        )
        if everywhere and number >= ENOUGH:
            raise UserError(_nothing_runs(space, op_set, next(iter(everywhere.values())), "no choice changes that"))
        if settled or number == MOST:
            break
    return {
        (space.genes[at].path, value): next(iter(reasons.values()))
        for (at, value), reasons in always.items()
        if reasons and seen[at, value] >= ENOUGH
    }


def _counts(space: Space, gene: Gene) -> bool:
    """Whether a gene counts in any network: each of its gates can open."""
    gates = [(space.genes[at], number) for at, number in gene.gates]
    return all(any(reach(choice) > number for choice in gate.choices) for gate, number in gates)


def _both(one: Found, other: Found) -> Found:
    return {key: why for key, why in one.items() if key in other}


def _drawn(space: Space) -> Iterator[Arch]:
    """Random architectures; a choice that others depend on is the last, deepest one every other time."""
    rng = random.Random(0)
    gates = {at for gene in space.genes for at, _ in gene.gates}
    while True:
        values = [
            gene.choices[-1] if gene.at in gates and rng.random() < 0.5 else rng.choice(gene.choices)
            for gene in space.genes
        ]
        yield space.arch(values)


def _with_gates(space: Space, doomed: Mapping[Choice, Violation], op_set: OpSet) -> dict[Choice, Violation]:
    """The doomed choices, and those that make a gene count which has no other."""
    found = dict(doomed)
    for gene in reversed(space.genes):  # what a gene depends on stands before it
        if any((gene.path, choice) not in found for choice in gene.choices) or not _counts(space, gene):
            continue
        why = found[gene.path, gene.choices[-1]]
        if not gene.gates:
            words = f"that is with {gene.path}: {gene.choices[-1]}, and each of its other choices breaks a rule as well"
            raise UserError(_nothing_runs(space, op_set, why, words))
        at, number = gene.gates[-1]
        gate = space.genes[at]
        found |= {(gate.path, choice): why for choice in gate.choices if reach(choice) > number}
    return found


def _without(space: Space, doomed: Mapping[Choice, Violation]) -> Space:
    """The space without these choices; a gene that has no other counts no more, and stays as it is."""
    left = {gene.path: [each for each in gene.choices if (gene.path, each) not in doomed] for gene in space.genes}
    return space.restricted({path: choices for path, choices in left.items() if choices})


def _nothing_runs(space: Space, op_set: OpSet, why: Violation, words: str) -> str:
    return (
        f"op set {op_set.name} runs no {space.name} network: {why}; {words}; take another space, or an op set without "
        "that rule"
    )


def in_words(found: Reachable, op_set: OpSet, joints: int) -> str:
    """What is left, in a line."""

    def macs(arch: Arch) -> int:
        return cost(arch, joints=joints).macs

    least, most = (amount("macs", macs(arch)) for arch in ends(found, op_set, macs))
    genes, choices = len({path for path, _ in found.cut}), len(found.cut)
    cut = f"{choices} choices of {genes} genes are cut" if choices else "every choice can be kept"
    return (
        f"op set {op_set.name}, {found.whole.name}: {cut}; at most {_number(found.space.size)} of "
        f"{_number(found.whole.size)} networks are left, from {least} to {most}"
    )


def _number(size: int) -> str:
    return f"{size:,}" if size < 10**7 else f"{size:.2e}"
