"""An op set: what a target can run, as rules that every operation of a network keeps or breaks.

A rule is a function of one operation, with plain numbers or with columns of them, as features of latency are: so the
broken ones of a whole search round are counted as fast as its MACs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from litepose_nas.blocks.block import Block
from litepose_nas.blocks.ops import Op
from litepose_nas.space import Arch

UNSUPPORTED = "unsupported"  # among the prices of many networks: how many rules each breaks
PICTURE = 3  # channels of the picture, which no choice changes
HEATMAPS = (1, 2)  # so many times the joints are channels of heatmaps, which no choice changes either
SIZE = 64  # of a picture: no rule asks how large it is

Number = Any  # a whole number, or a column of them


class KernelRule(NamedTuple):
    """What a target can run of one kind of convolution."""

    runs: bool = True
    kernels: tuple[int, ...] = ()  # sizes of square kernels; none named: all of them
    largest: int = 0  # 0: there is none
    grouped: bool = True


class Rule(NamedTuple):
    """One rule, as its file says it, and how to tell an operation that breaks it."""

    text: str
    broken: Callable[[Op], Number]


class Violation(NamedTuple):
    """An operation that a target cannot run, in its place, and the rule that says so."""

    part: str
    block: str  # the kind of block
    operation: str
    rule: str

    def __str__(self) -> str:
        return f"{self.part} ({self.block}): {self.operation}; the rule is `{self.rule}`"


class OpSet(NamedTuple):
    """What a target can run; what is not said is allowed."""

    name: str
    about: str = ""
    document: str = ""  # where it is written, and what was read there
    convolution: KernelRule = KernelRule()  # but for depthwise ones
    depthwise: KernelRule = KernelRule()
    transposed: KernelRule = KernelRule()
    activations: tuple[str, ...] | None = None  # those that run; None: all
    attention: bool = True
    channels: int = 1  # of every convolution, deconvolution and linear map: a multiple of it

    @property
    def sha256(self) -> str:
        """The digest of the rules, whatever the file is called and says beside them."""
        said = {key: value for key, value in _said(self).items() if key not in ("name", "about", "document")}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    @property
    def words(self) -> str:
        return f"{self.name}: {'; '.join(rule.text for rule in self.rules(self.joints))}"

    @property
    def joints(self) -> int:
        """A number of joints with which heatmaps keep every rule."""
        return self.channels

    def rules(self, joints: int) -> list[Rule]:
        """The rules that a network of so many joints can break."""
        found: list[Rule] = []
        for kind, of in (("convolution", _plain), ("depthwise", _depthwise), ("transposed", _transposed)):
            found += _kernel_rules(kind, getattr(self, kind), of)
        if not self.attention:
            found.append(Rule("attention: false", lambda op: (op.kind == "attention") * 1))
        if self.activations is not None:
            found.append(Rule(f"activations: [{', '.join(self.activations)}]", self._misses_activation))
        if self.channels > 1:
            given = (PICTURE, *(times * joints for times in HEATMAPS))
            found.append(Rule(f"channels: {self.channels}", lambda op: self._odd_channels(op, given)))
        return found

    def violations(self, arch: Arch) -> list[Violation]:
        """What the target cannot run of a network, in its order; nothing: it runs."""
        return [
            Violation(part.name, type(part.block).__name__, operation, rule)
            for part in arch.plan(self.joints)
            for operation, rule in _block_violations(self, part.block)
        ]

    def broken(self, arch: Arch) -> int:
        """How many times a network breaks a rule."""
        return len(self.violations(arch))

    def _misses_activation(self, op: Op) -> Number:
        if not op.activation or op.activation in (self.activations or ()):
            return 0
        if op.kind in ("", "untimed"):  # these are never switched off, and what writes over its input makes nothing
            return 1
        return ((op.made if op.kind == "move" else op.macs) > 0) * 1

    def _odd_channels(self, op: Op, given: Sequence[int]) -> Number:
        """How many of its ends have no multiple of the channels."""
        odd: Number = 0
        for channels in (op.cin, op.cout):
            apart: Number = channels % self.channels != 0
            for number in given:
                apart = apart * (channels != number)
            odd = odd + apart
        return odd * (op.macs > 0)


class OpCounter:
    """Counts broken rules in columns of networks, in the way that clocks count what takes time."""

    def __init__(self, op_set: OpSet, joints: int):
        self._rules = op_set.rules(joints)

    @property
    def fields(self) -> tuple[str, ...]:
        return (UNSUPPORTED,)

    def counts(self, ops: Sequence[Op]) -> tuple[Number, ...]:
        return (sum((rule.broken(op) * 1 for op in ops for rule in self._rules), 0),)

    def times(self, counts: Any) -> tuple[Any, ...]:
        return tuple(counts)


@lru_cache(maxsize=1 << 16, typed=True)
def _block_violations(op_set: OpSet, block: Block) -> list[tuple[str, str]]:
    """Each broken rule of a block, behind what breaks it; a channel rule twice where both ends do."""
    rules = op_set.rules(op_set.joints)
    ops = block.ops(SIZE, SIZE)
    return [(describe(op), rule.text) for op in ops for rule in rules for _ in range(int(rule.broken(op)))]


def describe(op: Op) -> str:
    """An operation as people say it."""
    ends = f"{op.cin} channels" if op.cin == op.cout else f"{op.cin} to {op.cout} channels"
    words = {"attention": "attention", "linear": f"linear map, {ends}"}.get(op.kind, "")
    if op.kind in ("conv", "deconv"):
        noun = "convolution" if op.kind == "conv" else "deconvolution"
        kind = "depthwise " if _depthwise(op) else "grouped " if op.groups > 1 else ""
        groups = f", {op.groups} groups" if kind == "grouped " else ""
        words = f"{kind}{noun} {op.kernel}x{op.kernel}, {ends}{groups}"
    return ", then ".join(filter(None, (words, op.activation)))


def _said(rules: OpSet | KernelRule) -> dict[str, Any]:
    """What differs from allowing everything."""
    pairs = [(key, value) for key, value in rules._asdict().items() if value != rules._field_defaults.get(key)]
    return {key: _said(value) if isinstance(value, KernelRule) else value for key, value in pairs}


def _kernel_rules(kind: str, rule: KernelRule, of: Callable[[Op], Number]) -> list[Rule]:
    if not rule.runs:
        return [Rule(f"{kind}: false", of)]
    found = []
    if rule.kernels:
        sizes = ", ".join(map(str, rule.kernels))
        found.append(Rule(f"{kind}.kernels: [{sizes}]", lambda op: of(op) * _outside(op.kernel, rule.kernels)))
    if rule.largest:
        found.append(Rule(f"{kind}.largest: {rule.largest}", lambda op: of(op) * (op.kernel > rule.largest)))
    if not rule.grouped:
        found.append(Rule(f"{kind}.grouped: false", lambda op: of(op) * (op.groups != 1)))
    return found


def _outside(number: Number, among: Sequence[int]) -> Number:
    outside: Number = 1
    for each in among:
        outside = outside * (number != each)
    return outside


def _apart(op: Op) -> Number:
    """Whether each channel that goes in has a group of its own."""
    return (op.groups == op.cin) * (op.cin > 1)


def _plain(op: Op) -> Number:
    return (_apart(op) == 0) * (op.macs > 0) if op.kind == "conv" else 0


def _depthwise(op: Op) -> Number:
    return _apart(op) * (op.macs > 0) if op.kind == "conv" else 0


def _transposed(op: Op) -> Number:
    return (op.macs > 0) * 1 if op.kind == "deconv" else 0
