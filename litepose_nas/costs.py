"""What a network costs, exactly and without building it: MACs in two conventions, parameters, bytes, memory."""

from __future__ import annotations

import itertools
from collections import defaultdict, namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from litepose_nas.blocks.block import Block, Part, ceil_div
from litepose_nas.blocks.ops import Op
from litepose_nas.space import Arch, Space, input_size

if TYPE_CHECKING:
    import numpy as np

FLOAT = 4  # bytes
MOST_PARAMS = 10**9  # of a network, or of the widest one of a supernet
SHARED = 16  # a plan with columns in it takes as long as so many plans with numbers
Columns = Callable[["np.ndarray"], dict[str, "np.ndarray"]]  # rows of choice numbers to columns of costs


class Cost(NamedTuple):
    """The cost of one picture through one network."""

    macs: int  # conv + linear + matrix products, a deconv counted on its input grid
    macs_litepose: int  # as LitePose's paper counts: deconvs on the output grid, 2 per BN element, 1 per ReLU element
    params: int
    weight_bytes: int  # parameters and BN statistics in fp32, as saved
    peak_bytes: int  # the most activations alive at once in fp32, block by block, BN and ReLU in place


class TimedCost(NamedTuple):
    """The cost of one picture through one network, and how long it takes."""

    macs: int
    macs_litepose: int
    params: int
    weight_bytes: int
    peak_bytes: int
    latency_ms: float


class TimesNetworks(Protocol):
    """What knows the times of networks from whole numbers that the operations of their blocks add up to."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the times in a cost."""

    def counts(self, ops: Sequence[Op]) -> tuple[Any, ...]:
        """The numbers of one block, which may come as columns."""

    def times(self, counts: Any) -> tuple[Any, ...]:
        """The times that the sums over all blocks make, one for each field."""


class Row(NamedTuple):
    """One line of a per-block table."""

    name: str
    block: str
    out: tuple[int, int, int]
    macs: int
    macs_litepose: int
    params: int


class FrameRow(NamedTuple):
    """One line of a per-frame table: a frame of a clip, what was chosen for it, and what it takes."""

    frame: str
    chosen: dict[str, str]  # by the last word of a gene's path; of several genes, in their order: 3-5-3
    macs: int
    params: int


def cost(arch: Arch, input: tuple[int, int] | None = None, joints: int = 17) -> Cost:
    """What the network of an architecture costs, at its own resolution unless told otherwise."""
    h, w = input or arch.input
    return plan_cost(arch.plan(joints), h, w)


def timed(latency: Callable[[Arch], float], price: Callable[[Arch], Cost] = cost) -> Callable[[Arch], Any]:
    """A price that also says the milliseconds that some function of the architecture knows."""
    return lambda arch: TimedCost(*price(arch), latency_ms=float(latency(arch)))


def with_times(cost: Cost, times: Mapping[str, float]) -> Any:
    """A cost that also says these times; the cost alone where there are none."""
    return _timed_type(tuple(times))(*cost, *times.values()) if times else cost


def cost_of(values: Mapping[str, Any]) -> Any:
    """The cost that a journal holds as a mapping."""
    times = tuple([field for field in values if field not in Cost._fields])
    if any(not field.startswith("latency_ms") for field in times):
        raise TypeError(f"{', '.join(times)}: not a cost of a network")
    return _timed_type(times)(**values) if times else Cost(**values)


@lru_cache
def _timed_type(fields: tuple[str, ...]) -> Any:
    return TimedCost if fields == TimedCost._fields[-1:] else namedtuple("TimedCost", Cost._fields + fields)


def timed_by(clocks: Sequence[TimesNetworks], joints: int = 17) -> Callable[[Arch], Any]:
    """Return a price that also says the times that some clocks know."""

    @lru_cache(maxsize=1 << 17, typed=True)
    def counted(block: Block, h: int, w: int) -> list[tuple[int, ...]]:
        ops = block.ops(h, w)
        return [clock.counts(ops) for clock in clocks]

    def price(arch: Arch) -> Any:
        (h, w), plan = arch.input, arch.plan(joints)
        blocks = [counted(part.block, ceil_div(h, part.down), ceil_div(w, part.down)) for part in plan]
        times: dict[str, float] = {}
        for clock, found in zip(clocks, zip(*blocks, strict=True), strict=True):
            sums = [int(sum(column)) for column in zip(*found, strict=True)]
            times.update(zip(clock.fields, clock.times(sums), strict=True))
        return with_times(plan_cost(plan, h, w), times)

    return price if clocks else lambda arch: cost(arch, joints=joints)


def many(archs: Sequence[Arch], joints: int = 17) -> np.ndarray:
    """MACs, MACs as LitePose counts, parameters and weight bytes of many architectures of a space, a row each.

    Architectures that take the same branches (depths and words) have the same plan with other numbers in it, so the
    plan is run once for all of them, with a column of numbers where it usually has one. Where a block needs plain
    numbers, such as one that repeats something so many times, they are counted one by one.
    """
    import numpy as np

    if not archs:
        return np.empty((0, 4), dtype=np.int64)
    space = archs[0].space
    branches = [g.at for g in space.genes if g.path.endswith("depth") or isinstance(g.choices[0], str)]
    size_at = next((gene.at for gene in space.genes if gene.path == "resolution"), None)
    alike = defaultdict(list)
    for i, arch in enumerate(archs):
        alike[tuple([arch.values[at] for at in branches if at != size_at])].append(i)
    out = np.empty((len(archs), 4), dtype=np.int64)
    for rows in alike.values():
        first = archs[rows[0]].values
        columns = [np.array(column) for column in zip(*[archs[i].values for i in rows], strict=True)]
        tree = space.fill([v if v is None or at in branches else columns[at] for at, v in enumerate(first)])
        if size_at is None:
            h, w = archs[rows[0]].input
        else:
            sizes = {value: input_size(value) for value in set(columns[size_at].tolist())}
            h, w = np.array([sizes[value] for value in columns[size_at].tolist()]).T
        try:
            sums = [
                _sums(block, -(-h // down), -(-w // down)) for _, down, block, *_ in space.family.plan(tree, joints)
            ]
        except (TypeError, ValueError):  # something depends on a number in a way that a column of them cannot say
            out[rows] = [cost(archs[row], None, joints)[:4] for row in rows]
            continue
        out[rows] = np.stack([np.broadcast_to(total, len(rows)) for total in map(sum, zip(*sums, strict=True))], axis=1)
        out[rows, 3] *= FLOAT
    return out


def columns(space: Space, joints: int = 17, clocks: Sequence[TimesNetworks] = ()) -> Columns:
    """What prices rows of choice numbers (-1: a gene that does not count), a whole search round at once.

    A smaller depth drops blocks of the deepest plan and changes no other, so that plan is run once with a column for
    each gene, and each row sums the blocks it keeps. Rows whose words few others share are counted one by one, which is
    quicker then; so are those of a family whose blocks do not take columns. Clocks add the times that they know.
    """
    import numpy as np

    branches = [g.at for g in space.genes if isinstance(g.choices[0], str) and g.path != "resolution"]
    depths = [g.at for g in space.genes if g.path.endswith("depth")]
    choices = [np.array(g.choices) for g in space.genes]
    size_at = next((g.at for g in space.genes if g.path == "resolution"), None)
    sizes = np.array([input_size(value) for value in (space.genes[size_at].choices if size_at is not None else ())])
    fixed = space.widest.input
    kept: dict[tuple[int, ...], frozenset[str]] = {}

    def sums_of(block: Block, h: Any, w: Any) -> tuple[Any, ...]:
        """The sums of a block, then what each clock counts in it."""
        ops = block.ops(h, w)
        return (*_op_sums(ops), *[number for clock in clocks for number in clock.counts(ops)])

    ends = list(itertools.accumulate((len(clock.counts(())) for clock in clocks), initial=4))
    width = ends[-1]
    one_block = lru_cache(maxsize=1 << 17, typed=True)(sums_of) if clocks else _block_sums

    def tree_of(row: Sequence[int]) -> Any:
        return space.fill([None if i < 0 else gene.choices[i] for gene, i in zip(space.genes, row, strict=True)])

    def names(row: list[int]) -> frozenset[str]:
        """The blocks of a plan with these words and depths."""
        key = tuple([row[at] for at in branches + depths])
        if key not in kept:
            kept[key] = frozenset(part.name for part in space.family.plan(tree_of(row), joints))
        return kept[key]

    def alone(row: list[int]) -> list[int]:
        tree = tree_of(row)
        return _total(space.family.plan(tree, joints), *input_size(tree.resolution), one_block)

    def alike(rows: np.ndarray) -> np.ndarray:
        """Sums of rows that have the same words."""
        values = []
        for gene, column in zip(space.genes, rows.T, strict=True):
            if gene.at in depths:
                values.append(gene.choices[-1])
            elif gene.at in branches:
                values.append(gene.choices[column[0]])
            else:
                values.append(choices[gene.at][np.maximum(column, 0)])
        h, w = fixed if size_at is None else sizes[rows[:, size_at]].T
        _, first, which = np.unique(rows[:, depths], axis=0, return_index=True, return_inverse=True)
        keeps = [names(rows[i].tolist()) for i in first]
        total = np.zeros((width, len(rows)), dtype=np.int64)
        for part in space.family.plan(space.fill(values), joints):
            here = np.array([part.name in keep for keep in keeps])[which.reshape(-1)]
            for out, number in zip(total, sums_of(part.block, -(-h // part.down), -(-w // part.down)), strict=True):
                out += number * here
        return total

    def price(rows: np.ndarray) -> dict[str, np.ndarray]:
        total = np.zeros((width, len(rows)), dtype=np.int64)
        groups = [np.arange(len(rows))]
        if branches and len(rows):
            _, which = np.unique(rows[:, branches], axis=0, return_inverse=True)
            groups = [np.flatnonzero(which.reshape(-1) == i) for i in range(which.max() + 1)]
        for group in groups:
            sums = None
            if len(group) >= SHARED:
                with suppress(TypeError, ValueError):  # a block may need plain numbers, to repeat something so often
                    sums = alike(rows[group])
            if sums is None:
                sums = np.array([alone(row) for row in rows[group].tolist()], dtype=np.int64).reshape(-1, width).T
            total[:, group] = sums
        total[3] *= FLOAT
        found = dict(zip(Cost._fields, total[:4], strict=False))
        for clock, (start, end) in zip(clocks, itertools.pairwise(ends), strict=True):
            found.update(zip(clock.fields, clock.times(total[start:end]), strict=True))
        return found

    return price


def table(arch: Arch, input: tuple[int, int] | None = None, joints: int = 17) -> list[Row]:
    h, w = input or arch.input
    rows = []
    for name, down, block, *_ in arch.plan(joints):
        size = ceil_div(h, down), ceil_div(w, down)
        macs, macs_litepose, params, _ = _block_sums(block, *size)
        rows.append(Row(name, _describe(block), block.out(*size), macs, macs_litepose, params))
    return rows


def by_frame(arch: Arch, input: tuple[int, int] | None = None, joints: int = 17) -> list[FrameRow]:
    """The cost frame by frame of a network that sees clips, its key frame first; of others nothing."""
    rows, blocks = [], table(arch, input, joints)
    for frame in arch.clip:
        chosen: dict[str, list[str]] = defaultdict(list)
        for path, value in arch.to_dict().items() if frame.choices else ():
            if path.startswith(frame.choices):
                chosen[path.rpartition(".")[2]].append(str(value))
        own = [row for row in blocks if row.name.startswith(frame.parts)]
        words = {key: "-".join(values) for key, values in chosen.items()}
        rows.append(FrameRow(frame.name, words, sum(row.macs for row in own), sum(row.params for row in own)))
    return rows


def plan_cost(plan: Sequence[Part], h: int, w: int) -> Cost:
    macs, macs_litepose, params, floats = _total(plan, h, w)
    return Cost(macs, macs_litepose, params, FLOAT * floats, FLOAT * peak_elements(plan, h, w))


def _sums(block: Block, h: int, w: int) -> tuple[int, int, int, int]:
    """MACs in both conventions, parameters, and stored numbers of one block."""
    return _op_sums(block.ops(h, w))


def _op_sums(ops: Sequence[Op]) -> tuple[int, int, int, int]:
    macs, params = sum(op.macs for op in ops), sum(op.params for op in ops)
    extra = sum(op.extra_macs + 2 * op.norm_elements + op.act_elements for op in ops)
    return macs, macs + extra, params, params + 2 * sum(op.norm for op in ops)


# By kind too: as tuples, blocks of two kinds with the same numbers are equal.
_block_sums = lru_cache(maxsize=1 << 17, typed=True)(_sums)


def _total(plan: Iterable[Part], h: int, w: int, counted: Callable[..., tuple[int, ...]] = _block_sums) -> list[int]:
    sums = [counted(part.block, ceil_div(h, part.down), ceil_div(w, part.down)) for part in plan]
    return [sum(column) for column in zip(*sums, strict=True)]


@lru_cache(maxsize=1 << 17, typed=True)
def _block_peak(block: Block, h: int, w: int, ending: tuple[int, ...]) -> tuple[int, int]:
    """The elements of a block's output and the most alive inside; `ending`: inputs nobody reads later."""
    channels, out_h, out_w = block.out(h, w)
    moments = [op.live + sum(ending[j] for j in op.inputs) for op in block.ops(h, w)]
    return channels * out_h * out_w, max(moments)


def peak_elements(plan: Sequence[Part], h: int, w: int) -> int:
    """The most elements in memory at once, an output living until its last reader is done."""
    reads = list(readers(plan))
    last_use = {name: i for i, names in enumerate(reads) for name in names}  # what nobody reads lives to the end
    sizes = {"": 3 * h * w}
    alive, peak = sizes[""], 0
    for i, (name, down, block, *_) in enumerate(plan):
        ending = tuple([sizes[other] if last_use[other] == i else 0 for other in reads[i]])
        alive -= sum(ending)
        size, inside = _block_peak(block, ceil_div(h, down), ceil_div(w, down), ending)
        peak = max(peak, alive + inside)
        alive += size
        sizes[name] = size
    return peak


def readers(plan: Sequence[Part]) -> Iterator[tuple[str, ...]]:
    """Yield for each part the names of what it reads; the picture is the empty name."""
    before = ""
    for part in plan:
        yield part.reads or (before,)
        before = part.name


def _describe(block: Block) -> str:
    fields: dict[str, int] = getattr(block, "_asdict", dict)()
    return f"{type(block).__name__}({', '.join(f'{key}={int(value)}' for key, value in fields.items())})"
