"""Search spaces and architectures: a space is a YAML tree in which a list of scalars is a choice.

An architecture is one value per choice. Choices of blocks past the chosen depth do not count: they are None, so that
two architectures are equal exactly when their networks are.
"""

from __future__ import annotations

import copy
import itertools
import json
import math
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from litepose_nas import resources, space_file
from litepose_nas.errors import UserError, nearest
from litepose_nas.families.lookup import family_of
from litepose_nas.task_kind import TaskKind

if TYPE_CHECKING:
    from litepose_nas.blocks.block import Part
    from litepose_nas.families.family import ClipFrame, Family

Value = Any  # a whole number or a word: what a choice can be
# Places of depths or masks, and the number of a block: it counts only where each of them reaches further.
Gates = tuple[tuple[int, int], ...]

LARGEST_SIDE = 8192  # of a network's input; OpenCV warps pictures of up to 32,767


class Gene(NamedTuple):
    """One choice of a space: its place among the values, its path in the tree, what can be chosen, smallest first."""

    at: int
    path: str
    choices: tuple[Value, ...]
    gates: Gates


@dataclass(frozen=True)
class Arch:
    """One architecture: a space and one value per gene, None where a gene does not count."""

    space: Space
    values: tuple[Value | None, ...]

    @property
    def tree(self) -> SimpleNamespace:
        """The space's tree with every choice made: what a family's plan reads."""
        return self.space.fill(self.values)

    @property
    def input(self) -> tuple[int, int]:
        """Height and width of the picture the network takes."""
        return input_size(self.tree.resolution)

    @property
    def clip(self) -> Sequence[ClipFrame]:
        """The frames of the clip that the network sees; none where it sees single pictures."""
        return self.space.family.clip(self.tree)

    @property
    def clip_length(self) -> int:
        return max(1, len(self.clip))

    def plan(self, joints: int) -> list[Part]:
        """The network as a list of blocks with whole-number sizes."""
        if type(joints) is not int or joints < 1:
            raise UserError(f"joints: expected a whole number from 1 up, got {joints!r}")
        return list(self.space.family.plan(self.tree, joints))

    def to_dict(self) -> dict[str, Value]:
        """The values that count as a flat map from gene path to value."""
        pairs = zip(self.space.genes, self.values, strict=True)
        return {gene.path: value for gene, value in pairs if value is not None}

    def __str__(self) -> str:
        return f"{self.space.name} {json.dumps(self.to_dict())}"


class Space:
    """A search space: its tree, its genes, and the family of networks that it describes."""

    def __init__(
        self, tree: Mapping[str, Any], name: str = "unnamed", family: Family | None = None, part: bool = False
    ):
        """Read a tree; in a part of a space that was read before, there may be keys that nothing needs any more."""
        if not isinstance(tree, Mapping):
            raise UserError(f"expected a mapping with the key `family`, got {type(tree).__name__}")
        space_file.check_bounds(tree)
        self.name = name
        self.source = json.dumps(tree, default=str)  # in its own order, which is that of the genes
        self.about = str(tree.get("about", ""))
        self.genes: list[Gene] = []
        self.family = family or family_of(tree)
        body = {key: value for key, value in tree.items() if key not in ("family", "about")}
        self._tree = self._read(body, "", ())
        self._gated = [gene for gene in self.genes if gene.gates]
        self._by_path = {gene.path: gene for gene in self.genes}
        if not part:
            self._check_reads()

    @classmethod
    def load(cls, what: str) -> Space:
        """The space of that name in search_spaces/, or the one in a YAML file."""
        path = resources.find(what, "search_spaces", ".yaml")
        tree = space_file.read(path)
        with space_file.naming(path):
            return cls(tree, name=path.stem if path.parent == resources.folder("search_spaces") else str(path))

    @property
    def task(self) -> TaskKind:
        return self.family.task

    def __hash__(self) -> int:
        return hash(self.source)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self.source == other.source

    def __repr__(self) -> str:
        return f"Space({self.name}, {len(self.genes)} genes)"

    # ── reading the tree ──

    def _read(self, node: Any, path: str, gates: Gates) -> Any:
        structure = not space_file.is_value(path)
        if isinstance(node, Mapping) and structure:
            return self._read_mapping(node, path, gates)
        if not isinstance(node, list):
            space_file.check_value(path, node)
            return node
        if structure and any(isinstance(item, (list, Mapping)) for item in node):
            space_file.check_alike(path, node)
            return [self._read(item, f"{path}.{i}", gates) for i, item in enumerate(node)]
        space_file.check_choices(path, node)
        gene = Gene(len(self.genes), path, tuple(node), gates)
        self.genes.append(gene)
        return gene

    def _read_mapping(self, node: Mapping[str, Any], path: str, gates: Gates) -> dict[str, Any]:
        read, prefix = {}, f"{path}." if path else ""
        for key in sorted(node, key=lambda key: (key == "blocks", key != "mask", key != "depth")):  # gates come first
            if key != "blocks":
                read[key] = self._read(node[key], f"{prefix}{key}", gates)
            if key == "mask" and isinstance(read[key], Gene):
                gates = (*gates, (read[key].at, 0))  # nothing beside a mask of zeros counts
        if "blocks" in node:
            self._read_blocks(node["blocks"], read, prefix, gates)
        return read

    def _read_blocks(self, blocks: Any, read: dict[str, Any], prefix: str, gates: Gates) -> None:
        """Read blocks written once, or in a list with one of each kind; those past the chosen depth do not count."""
        found = [read[key] for key in ("depth", "mask") if key in read]
        depth = found[0] if len(found) == 1 else None
        each = blocks if isinstance(blocks, list) else None
        if not isinstance(depth, (Gene, int, str)) or not isinstance(blocks, (list, Mapping)):
            raise UserError(f"{prefix}blocks: expected a mapping written once, beside a `depth` that repeats it")
        most = max(map(space_file.reach, depth.choices if isinstance(depth, Gene) else (depth,)))
        if each is not None and (len(each) < most or not all(isinstance(block, Mapping) for block in each)):
            raise UserError(f"{prefix}blocks: expected {most} mappings, one for each block there can be")
        read["blocks"] = []
        for j in range(most):
            gate = ((depth.at, j),) if isinstance(depth, Gene) else ()
            read["blocks"].append(self._read(each[j] if each else blocks, f"{prefix}blocks.{j}", gates + gate))

    def _check_reads(self) -> None:
        """Let the family plan the corners and complain about keys it misses and keys it never reads."""
        seen: set[str] = set()
        asked: list[str] = []
        for corner in self.corners():
            try:
                for part in self.family.plan(_Witness(self.fill(corner.values), "", seen, asked), 1):
                    hash(part.block)  # what is no value but a list or a mapping has no hash
            except UserError:
                raise
            except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
                place = asked[-1] if asked else "the top level"
                raise UserError(f"{place}: not what the family expects there ({str(error)[:200]})") from error
        seen.add("resolution")
        for path in _paths(self._tree):
            generic = space_file.generic(path)
            if generic not in seen:
                parent, _, key = generic.rpartition(".")
                names = seen | set(map(space_file.generic, asked))
                known = sorted(name.rpartition(".")[2] for name in names if name.rpartition(".")[0] == parent)
                raise UserError(f"{path}: unknown key `{key}`; {nearest(key, known)}")
        self._check_sizes()

    def _check_sizes(self) -> None:
        if "resolution" not in self._tree:
            raise UserError("missing key `resolution`: the input sizes to choose from")
        found = self._tree["resolution"]
        try:
            sizes = [input_size(value) for value in (found.choices if isinstance(found, Gene) else (found,))]
        except UserError as error:
            raise UserError(f"resolution: {error}") from error
        if sizes != sorted(sizes, key=math.prod):  # numbers are in order already, words such as 128x96 need not be
            raise UserError(f"resolution: expected rising sizes, smallest picture first, got {list(found.choices)}")

    # ── from values to trees ──

    def fill(self, values: Sequence[Value | None]) -> SimpleNamespace:
        """The tree with the choices replaced by these values."""

        def fill(node: Any) -> Any:
            kind = type(node)
            if kind is Gene:
                return values[node.at]
            if kind is dict:
                return SimpleNamespace(**{key: fill(value) for key, value in node.items()})
            if kind is list:
                return [fill(value) for value in node]
            return node

        return fill(self._tree)

    def arch(self, values: Mapping[str, Value] | Sequence[Value | None]) -> Arch:
        """The architecture with these values, a map from gene path to value or one value per gene."""
        if isinstance(values, Mapping):
            for path in values:
                if path not in self._by_path:
                    raise UserError(f"arch: {self.name} has no gene `{path}`; {nearest(path, self._by_path)}")
            values = [values.get(gene.path) for gene in self.genes]
        if len(values) != len(self.genes):
            raise UserError(f"arch: {self.name} has {len(self.genes)} genes, got {len(values)} values")
        for gene, value in zip(self.genes, values, strict=True):  # before a depth of another kind is counted with
            if value is not None and type(value) not in map(type, gene.choices):
                raise UserError(f"arch: `{gene.path}` is {value!r:.60}; {self.name} offers {list(gene.choices)}")
        arch = self._canonical(values)
        for gene, value in zip(self.genes, arch.values, strict=True):
            if value is None and not self._off(gene, arch.values):
                raise UserError(f"arch: `{gene.path}` is missing; choose one of {list(gene.choices)}")
            if value is not None and value not in gene.choices:
                raise UserError(f"arch: `{gene.path}` is {value!r}; {self.name} offers {list(gene.choices)}")
        return arch

    def _off(self, gene: Gene, values: Sequence[Value | None]) -> bool:
        return any((depth := values[at]) is None or space_file.reach(depth) <= number for at, number in gene.gates)

    def _canonical(self, values: Sequence[Value | None]) -> Arch:
        kept = list(values)
        for gene in self._gated:  # a depth comes before what it gates, so one pass settles nested ones too
            if self._off(gene, kept):
                kept[gene.at] = None
        return Arch(self, tuple(kept))

    def restricted(self, choices: Mapping[str, Sequence[Value]]) -> Space:
        """The space with only these choices of some genes, by their paths; every gene keeps its path."""
        tree = json.loads(self.source)
        for path, kept in choices.items():
            node, at, (*keys, last) = tree, "", path.split(".")
            for key in keys:
                at = f"{at}.{key}" if at else key
                inner = node[int(key) if isinstance(node, list) else key]
                if key == "blocks" and isinstance(inner, dict):  # written once: now each may differ
                    numbers = (gene.path[len(at) + 1 :] for gene in self.genes if gene.path.startswith(f"{at}."))
                    most = 1 + max(int(number.partition(".")[0]) for number in numbers)
                    inner = node[key] = [copy.deepcopy(inner) for _ in range(most)]
                node = inner
            node[last] = list(kept)
        return Space(tree, self.name, self.family, part=True)

    # ── moving through the space ──

    @property
    def resolutions(self) -> tuple[Value, ...]:
        """The input sizes on offer, smallest picture first; a single one where there is no choice."""
        found = self._tree["resolution"]
        return tuple(found.choices) if isinstance(found, Gene) else (found,)

    @property
    def widest(self) -> Arch:
        """The architecture of the last, largest choices."""
        return self._canonical([gene.choices[-1] for gene in self.genes])

    @property
    def smallest(self) -> Arch:
        """The architecture of the first, smallest choices."""
        return self._canonical([gene.choices[0] for gene in self.genes])

    def corners(self, pairs: bool = False) -> Iterator[Arch]:
        """Yield the widest architecture, then every single departure from it.

        With `pairs`, each departure of a word goes along with each of the choices beside it, too: the kind of block
        that a word picks can be largest where another kind is not.
        """
        widest = [gene.choices[-1] for gene in self.genes]
        yield self._canonical(widest)
        for gene in self.genes:
            for choice in gene.choices[:-1]:
                values = [*widest[: gene.at], choice, *widest[gene.at + 1 :]]
                yield self._canonical(values)
                for other in self._beside(gene) if pairs and isinstance(choice, str) else ():
                    for beside in other.choices[:-1]:
                        yield self._canonical([*values[: other.at], beside, *values[other.at + 1 :]])

    def _beside(self, gene: Gene) -> Iterator[Gene]:
        """Yield the other genes of the same mapping, which decide about the same blocks."""
        parent = gene.path.rpartition(".")[0]
        return (other for other in self.genes if other is not gene and other.path.rpartition(".")[0] == parent)

    def sample(self, rng: random.Random) -> Arch:
        """An architecture with every gene drawn uniformly."""
        return self._canonical([rng.choice(gene.choices) for gene in self.genes])

    def mutate(self, arch: Arch, rng: random.Random, rate: float = 0.1) -> Arch:
        """A different architecture: each gene that counts is redrawn with this rate, one at least."""
        values = self._whole(arch, rng.choice)
        free = [gene for gene in self.genes if arch.values[gene.at] is not None and len(gene.choices) > 1]
        if not free:
            return arch
        for gene in [gene for gene in free if rng.random() < rate] or [rng.choice(free)]:
            values[gene.at] = rng.choice([choice for choice in gene.choices if choice != values[gene.at]])
        return self._canonical(values)

    def cross(self, one: Arch, other: Arch, rng: random.Random) -> Arch:
        """An architecture whose every gene comes from one parent or the other with equal chance."""
        pairs = zip(self._whole(one, rng.choice, other), self._whole(other, rng.choice, one), strict=True)
        return self._canonical([rng.choice(pair) for pair in pairs])

    def neighbours(self, arch: Arch) -> Iterator[Arch]:
        """Yield every architecture one choice away; blocks that a larger depth adds take their smallest choices."""
        whole = self._whole(arch, lambda choices: choices[0])
        for gene in self.genes:
            if arch.values[gene.at] is not None:
                for choice in gene.choices:
                    if choice != whole[gene.at]:
                        yield self._canonical([*whole[: gene.at], choice, *whole[gene.at + 1 :]])

    def _whole(self, arch: Arch, pick: Callable[[Sequence[Value]], Value], spare: Arch | None = None) -> list[Value]:
        """A value for every gene, also those that do not count: the spare's where it has one, else a pick."""
        spares = spare.values if spare else itertools.repeat(None)
        triples = zip(self.genes, arch.values, spares, strict=False)
        return [
            mine if mine is not None else pick(gene.choices) if yours is None else yours
            for gene, mine, yours in triples
        ]

    def __iter__(self) -> Iterator[Arch]:
        """Yield every distinct architecture; ask `size` first."""
        values: list[Value | None] = [None] * len(self.genes)

        def extend(at: int) -> Iterator[Arch]:
            if at == len(self.genes):
                yield Arch(self, tuple(values))
                return
            gene = self.genes[at]
            for choice in (None,) if self._off(gene, values) else gene.choices:
                values[at] = choice
                yield from extend(at + 1)

        return extend(0)

    @property
    def size(self) -> int:
        """How many distinct architectures there are."""

        def count(node: Any) -> int:
            if isinstance(node, Gene):
                return len(node.choices)
            if isinstance(node, list):
                return math.prod(map(count, node))
            if not isinstance(node, dict):
                return 1
            rest = math.prod(count(value) for key, value in node.items() if key not in ("depth", "mask", "blocks"))
            mask, blocks = node.get("mask"), node.get("blocks", [])
            depth = node.get("depth", 1 if mask is None else mask)
            reaches = [space_file.reach(value) for value in (depth.choices if isinstance(depth, Gene) else (depth,))]
            if not isinstance(mask, Gene):
                return rest * sum(math.prod(map(count, blocks[:n])) for n in reaches)
            if "depth" not in node:
                return sum(rest * math.prod(map(count, blocks[:n])) if n else 1 for n in reaches)
            whole = rest * sum(math.prod(map(count, blocks[:n])) for n in reaches)
            return sum(whole if space_file.reach(value) else 1 for value in mask.choices)

        return count(self._tree)

    def encode(self, arch: Arch, kind: str = "onehot") -> list[float]:
        """Numbers: `onehot` (all zero where a gene does not count) or `ordinal` (0 there, else up to 1)."""
        pairs = list(zip(self.genes, arch.values, strict=True))
        if kind == "onehot":
            return [float(choice == value) for gene, value in pairs for choice in gene.choices]
        if kind == "ordinal":
            return [0.0 if v is None else (gene.choices.index(v) + 1) / len(gene.choices) for gene, v in pairs]
        raise UserError(f"encode: unknown kind {kind!r}; {nearest(kind, ('onehot', 'ordinal'))}")


def input_size(resolution: Value) -> tuple[int, int]:
    """Height and width of a resolution: 256, or the word 256x192."""
    sizes = re.fullmatch(r"([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?", str(resolution), re.ASCII)
    if sizes is None:
        raise UserError(f"input size {resolution!r}: expected pixels, such as 256 or 256x192 (height x width)")
    height, width = int(sizes[1]), int(sizes[2] or sizes[1])
    if max(height, width) > LARGEST_SIDE:
        raise UserError(f"input size {resolution!r}: more than {LARGEST_SIDE} pixels a side, too large for a network")
    return height, width


class _Witness:
    """A tree that notes which keys a plan reads."""

    __hash__ = None  # type: ignore[assignment]  # no part of a block

    def __init__(self, node: SimpleNamespace, path: str, seen: set[str], asked: list[str]):
        self._state = (vars(node), path, seen, asked)

    def __getattr__(self, key: str) -> Any:
        node, path, seen, asked = self._state
        full = f"{path}.{key}" if path else key
        asked.append(full)
        if key not in node:
            raise space_file.MissingKeyError(path, key, node)
        seen.add(space_file.generic(full))
        return self._wrap(node[key], full)

    def _wrap(self, value: Any, path: str) -> Any:
        if isinstance(value, list):
            return [self._wrap(item, f"{path}.{i}") for i, item in enumerate(value)]
        return _Witness(value, path, *self._state[2:]) if isinstance(value, SimpleNamespace) else value


def _paths(node: Any, path: str = "") -> Iterable[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield (here := f"{path}.{key}" if path else key)
            yield from _paths(value, here)
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _paths(value, f"{path}.{i}")
