"""Budgets: "1.2GMAC", "2M", "8MB", "512KBpeak" as limits on a cost, what binds, and whether a space can meet them.

| written | limits |
|---|---|
| 1.2GMAC, 300MMAC, 2.4GFLOPs (a multiplication and an addition: = 1.2GMAC) | multiply-accumulates of one picture |
| 2M, 2Mparams, 500kparams | parameters |
| 8MB, 900KB, 8MiB | bytes of the saved weights in fp32 |
| 512KBpeak, 4MBpeak | bytes of activations alive at once, fp32, one picture |
| 25ms, 40fps, pi5:25ms | where latency profiles are given: the upper bound of the time of one picture |
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Any, NamedTuple

from litepose_nas import costs
from litepose_nas.costs import Cost
from litepose_nas.errors import UserError, nearest
from litepose_nas.space import Arch, Space

Price = Callable[[Arch], Any]  # a Cost, or one with more fields
CONVENTIONS = {"exact": "macs", "litepose": "macs_litepose"}
EXAMPLES = "write for example 1.2GMAC, 300MMAC, 2.4GFLOPs, 2Mparams, 8MB or 512KBpeak"
LARGEST = 10**18  # no network is near it; what is above is a slip of the hand

_PREFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_TEXT = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([a-zA-Z][a-zA-Z _-]*?)\s*", re.ASCII)
_UNIT = re.compile(r"(ki|mi|gi|[kmgt])?(macs?|flops?|params?|parameters?|b[ _-]?peak|bytes[ _-]?peak|b|bytes)", re.I)
_TIME = re.compile(r"[nuµm]?s|(milli|micro)?seconds?|fps", re.I)
_MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_LATENCY = re.compile(r"latency_ms(_bound)?(?:_(\w+))?")
TIMES = {"": "latency_ms"}  # what 25ms limits where a function tells the time of a network
_NAMES = {
    "macs": "MACs",
    "macs_litepose": "MACs (as LitePose counts)",
    "params": "parameters",
    "weight_bytes": "weights",
    "peak_bytes": "peak activations",
}
_SUFFIXES = {"macs": "MAC", "macs_litepose": "MAC", "params": "", "weight_bytes": "B", "peak_bytes": "B"}


class Limit(NamedTuple):
    """The most that one field of a Cost may be, and how the user wrote it."""

    field: str
    most: float
    text: str

    @classmethod
    def of(
        cls, text: str, convention: str = "exact", timed: bool = False, times: Mapping[str, str] | None = None
    ) -> Limit:
        """The limit that a text such as 1.2GMAC stands for; MACs count in the convention.

        A time such as 25ms is one only where something says the time of a network (`timed`); `times` are the fields of
        a cost that times limit, by what stands before the colon of pi5:25ms.
        """
        times = times or (TIMES if timed else {})
        if convention not in CONVENTIONS:
            raise UserError(f"--mac-convention {convention!r}: {nearest(convention, CONVENTIONS)}")
        given, text = text, text if len(text) < 40 else f"{text[:36]}..."
        name, colon, rest = given.rpartition(":")
        found = _TEXT.fullmatch(rest)
        if found is None:
            raise UserError(f"budget {text!r}: expected a number and a unit; {EXAMPLES}")
        number, unit = found.groups()
        if _TIME.fullmatch(unit):
            return cls(_time_field(text, name.strip(), times), _milliseconds(text, float(number), unit), text.strip())
        if colon:
            raise UserError(f"budget {text!r}: only a time is of one device; leave {name}: out")
        field, factor = _unit(text, unit, convention)
        # float() first: it turns 1e999999999 into inf, which Decimal would take at its word.
        if not 0 < float(number) * float(factor) < LARGEST:
            raise UserError(f"budget {text!r}: expected more than 0 and less than 10^18; {EXAMPLES}")
        most = int(Decimal(number) * factor)
        if most < 1:
            raise UserError(f"budget {text!r}: less than one of anything; {EXAMPLES}")
        return cls(field, most, text.strip())

    def __str__(self) -> str:
        return f"{field_name(self.field)} <= {in_words(self.field, self.most)}"


class Budget(NamedTuple):
    """Limits that a network must keep, all of them; MACs are counted in one convention throughout."""

    limits: tuple[Limit, ...] = ()
    convention: str = "exact"

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        convention: str = "exact",
        timed: bool = False,
        times: Mapping[str, str] | None = None,
    ) -> Budget:
        """The budget that texts such as 1.2GMAC and 2Mparams make together, and 25ms where time is known."""
        limits: dict[str, Limit] = {}
        for limit in (Limit.of(text, convention, timed, times) for text in texts):
            other = limits.setdefault(limit.field, limit)
            if other.most != limit.most:
                raise UserError(
                    f"budget: {other.text} and {limit.text} both limit {field_name(limit.field)}, and every limit "
                    "has to be kept; give one of them, and search again for the other"
                )
        return cls(tuple(limits.values()), convention)

    def macs(self, cost: Cost) -> int:
        return getattr(cost, CONVENTIONS[self.convention])

    def ok(self, cost: Cost) -> bool:
        return all(getattr(cost, limit.field) <= limit.most for limit in self.limits)

    def excess(self, cost: Cost) -> float:
        """By how much the limits are passed, relative to each and summed; 0 when all are kept."""
        over = [getattr(cost, limit.field) - limit.most for limit in self.limits]
        return sum(more / limit.most for more, limit in zip(over, self.limits, strict=True) if more > 0)

    def binding(self, cost: Cost) -> str:
        """Return in words which limit is nearest to being passed, or furthest past it, and how much is left."""
        if not self.limits:
            return "no limit was set"
        limit = max(self.limits, key=lambda limit: getattr(cost, limit.field) / limit.most)
        used = getattr(cost, limit.field)
        left = abs(limit.most - used) / limit.most
        over = "too long" if is_time(limit.field) else "too many"
        state = f"{left:.1%} left" if used <= limit.most else f"{left:.1%} {over}"
        return (
            f"{field_name(limit.field)}: {in_words(limit.field, used)} of {in_words(limit.field, limit.most)}, {state}"
        )

    def check_reachable(
        self,
        space: Space,
        joints: int = 17,
        price: Price | None = None,
        broken: Callable[[Arch], int] | None = None,
    ) -> Arch:
        """An architecture of the space within the budget; where there is none, the error says what the space can reach.

        `broken` counts the rules of an op set that an architecture breaks; those that break any are passed over.

        The search for one starts at the smallest choices and follows single departures downhill. Where costs grow with
        every choice, as in all shipped spaces, it finds one whenever there is one; in a space where only changing two
        choices together would lower a cost, it can miss one.
        """
        priced = price or (lambda arch: costs.cost(arch, joints=joints))
        rules = broken or _nothing_broken
        arch = lowest(space, lambda arch: self.excess(priced(arch)) + rules(arch))
        if self.ok(priced(arch)) and not rules(arch):
            return arch
        raise UserError(self._unreachable(space, priced, rules))

    def _unreachable(self, space: Space, price: Price, broken: Callable[[Arch], int]) -> str:
        """Why nothing fits: the limit and the range of the space, for each limit that cannot be kept alone."""
        fixed = len(space.resolutions) == 1
        lines = []
        for limit in self.limits:
            arch = lowest(space, lambda arch, field=limit.field: (broken(arch), getattr(price(arch), field)))  # type: ignore[misc]
            least, most = (getattr(price(end), limit.field) for end in (arch, space.widest))
            if least > limit.most:
                at = f" at resolution {arch.tree.resolution}"
                lines.append(
                    f"no {space.name} network fits {limit}{at if fixed else ''} (smallest: "
                    f"{in_words(limit.field, least)}{'' if fixed else at}; widest: {in_words(limit.field, most)}); "
                    f"allow {_allow(limit, least)} or more{', or a smaller resolution' if fixed else ''}"
                )
        together = f"no {space.name} network keeps all of {', '.join(map(str, self.limits))}; loosen one of them"
        return "\n".join(lines) or together


def _nothing_broken(arch: Arch) -> int:
    return 0


def lowest(space: Space, measure: Callable[[Arch], Any], start: Arch | None = None) -> Arch:
    """The architecture reached from a start by the steepest single departures until none lowers more.

    The start is the smallest, if none is given; the measure is a number, or several in order of weight.
    """
    arch = start or space.smallest
    value = measure(arch)
    while True:
        found = ((measure(other), other) for other in space.neighbours(arch))
        least, best = min(found, key=itemgetter(0), default=(value, arch))
        if not least < value:
            return arch
        arch, value = best, least


def latency_fields(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """The fields of a cost with the time and its upper bound, for each latency profile by name."""
    names = list(names)
    tails = {name: "_" + re.sub(r"\W", "_", name) if len(names) > 1 else "" for name in names}
    return {name: (f"latency_ms{tail}", f"latency_ms_bound{tail}") for name, tail in tails.items()}


def time_limits(names: Iterable[str]) -> dict[str, str]:
    """What times limit where latency profiles are given, by what stands before the colon."""
    fields = latency_fields(names)
    found = {name: bound for name, (_, bound) in fields.items()}
    return {"": next(iter(found.values())), **found} if len(found) == 1 else found


def is_time(field: str) -> bool:
    """Whether a field of a cost is a time."""
    return _LATENCY.fullmatch(field) is not None


def is_bound(field: str) -> bool:
    """Whether a field of a cost is the upper bound of a time."""
    found = _LATENCY.fullmatch(field)
    return found is not None and found[1] is not None


def predicted_field(bound: str) -> str:
    """The field of a cost with the time that such a field is the upper bound of."""
    return bound.replace("_bound", "", 1)


def measured_field(bound: str) -> str:
    """What the time is called in tables that was measured in place of its upper bound."""
    return bound.replace("_bound", "_measured", 1)


def in_words(field: str, value: float) -> str:
    """A value of a cost as people write it: 1.2 GMAC, 1.68 M parameters, 8 MB."""
    if is_time(field):
        return f"{value:.4g} ms"
    for factor, prefix in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= factor:
            unit = _SUFFIXES[field]
            return f"{value / factor:.4g} {'K' if prefix == 'k' and unit == 'B' else prefix}{unit}".rstrip()
    return f"{value} {_SUFFIXES[field]}".rstrip()


def field_name(field: str) -> str:
    """What a field of a cost is called."""
    found = _LATENCY.fullmatch(field)
    if found is None:
        return _NAMES[field]
    return f"{'upper bound of the latency' if found[1] else 'latency'}{f' on {found[2]}' if found[2] else ''}"


def latency_in_words(cost: Cost) -> str:
    """The times that a cost says, after a comma; nothing where it says none."""
    fields = [field for field in cost._fields if is_time(field)]
    return "".join(f", {field_name(field)} {in_words(field, getattr(cost, field))}" for field in fields)


def _time_field(text: str, name: str, times: Mapping[str, str]) -> str:
    """The field of a cost that a time limits."""
    if not times:
        raise UserError(
            f"budget {text!r}: nothing here tells the time of a network; measure and fit once on the device: "
            "litepose-nas latency measure SPACE --out samples.json, then litepose-nas latency fit samples.json --out "
            "profile.json; then give --latency profile.json; or limit MACs, parameters or memory"
        )
    if name not in times:
        names = ", ".join(f"{known}:{text.rpartition(':')[2].strip()}" for known in times if known)
        whose = f"of no profile called {name!r}" if name else "of which of the profiles?"
        raise UserError(f"budget {text!r}: {whose}; write {names}")
    return times[name]


def _milliseconds(text: str, number: float, unit: str) -> float:
    """A time, or pictures a second, in milliseconds."""
    unit = unit.lower().replace("µ", "u").removesuffix("econds").removesuffix("econd")
    factor = {**_MILLISECONDS, "millis": 1.0, "micros": 1e-3, "ns": 1e-6}.get(unit, 1.0)
    most = 1000 / number if unit == "fps" and number else number * factor
    if not 0 < most < LARGEST:
        raise UserError(f"budget {text!r}: expected a time above 0; write for example 25ms or 40fps")
    return most


def _allow(limit: Limit, least: float) -> str:
    """The smallest limit of this kind that can be kept, rounded up, in the spelling that is read."""
    if found := _LATENCY.fullmatch(limit.field):
        prefix = f"{limit.text.rpartition(':')[0]}:" if found[2] else ""
        return f"{prefix}{math.ceil(least * 100) / 100}ms"
    scales = ((10**9, "G"), (10**6, "M"), (10**3, "K"), (1, ""))
    factor, prefix = next(scale for scale in scales if least >= scale[0])
    hundredths = -(-least * 100 // factor)
    tail = {"params": "params", "peak_bytes": "Bpeak"}.get(limit.field, _SUFFIXES[limit.field])
    return f"{Decimal(hundredths) / 100}{prefix}{tail}"


def _unit(text: str, unit: str, convention: str) -> tuple[str, Decimal]:
    """The field of a Cost that a unit limits, and what one of the unit is."""
    macs = CONVENTIONS[convention]
    if unit.lower() in ("k", "m"):
        return "params", Decimal(_PREFIXES[unit.lower()])
    if unit.lower() in ("g", "t", "b"):
        raise UserError(f"budget {text!r}: {unit} of what? {EXAMPLES}")
    found = _UNIT.fullmatch(unit)
    if found is None:
        known = ("GMAC", "MMAC", "GFLOPs", "MFLOPs", "Mparams", "kparams", "MB", "KB", "MiB", "MBpeak", "KBpeak")
        raise UserError(f"budget {text!r}: unknown unit {unit!r} ({nearest(unit, known)}); {EXAMPLES}")
    prefix, kind = (found[1] or ""), found[2]
    factor = Decimal(_PREFIXES[prefix.lower()])
    bytes_ = kind.lower().startswith("b")
    if len(prefix) == 2 and not bytes_:
        raise UserError(f"budget {text!r}: {prefix} counts bytes only; {EXAMPLES}")
    if bytes_:
        if kind[0] == "b" and prefix.isupper() and "bytes" not in kind:
            raise UserError(f"budget {text!r}: {unit} could mean bits; write {prefix}B for bytes")
        return ("peak_bytes" if "peak" in kind.lower() else "weight_bytes"), factor
    if kind.lower().startswith("param"):
        return "params", factor
    return macs, factor / 2 if kind.lower().startswith("flop") else factor
