"""What a device says of itself: what it is, and its clocks, temperature and throttling, where the system tells."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LEAST_DRIFT = 0.03  # below it nothing is said
MOST_POLICIES = 8  # groups of cores whose clock is read: on some systems each takes ten milliseconds
# Of `vcgencmd get_throttled` on a Raspberry Pi: what is so at this moment.
PI_BITS = {0: "the voltage is too low", 1: "the clock is capped", 2: "throttled", 3: "at the soft limit of temperature"}


def describe_device() -> dict[str, Any]:
    """What decides how fast a network is here."""
    device: dict[str, Any] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "machine": platform.machine(),
    }
    governor = _text(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"))
    return {**device, "governor": governor} if governor else device


def conditions_now(sys: str = "/sys") -> dict[str, Any]:
    """What the system tells at this moment; of much it may tell nothing."""
    cpu, thermal = Path(sys, "devices/system/cpu"), Path(sys, "class/thermal")
    policies = sorted(cpu.glob("cpufreq/policy*"))[:MOST_POLICIES]
    clocks = _numbers(policy / "scaling_cur_freq" for policy in policies)
    least = _numbers(policy / "scaling_min_freq" for policy in policies)
    most = _numbers(policy / "scaling_max_freq" for policy in policies)
    degrees = [one / 1000 for one in _numbers(thermal.glob("thermal_zone*/temp")) if 0 < one < 200_000]
    coolers = [one for one in thermal.glob("cooling_device*") if _limits_clock(_text(one / "type"))]
    counts = _numbers(cpu.glob("cpu[0-9]*/thermal_throttle/core_throttle_count"))
    told = {
        "governor": "+".join(sorted({_text(policy / "scaling_governor") for policy in policies} - {""})),
        "mhz": [min(clocks) // 1000, max(clocks) // 1000] if clocks else None,
        "mhz_limits": [min(least) // 1000, max(most) // 1000] if least and most else None,
        "celsius": max(degrees, default=None),
        "cooling": sum(_numbers(one / "cur_state" for one in coolers)) if coolers else None,
        "throttle_count": sum(counts) if counts else None,
        "pi_throttled": _pi_throttled(),
    }
    return {key: value for key, value in told.items() if value not in (None, "")}


def in_words(rounds: Sequence[Mapping[str, Any]]) -> str:
    """The conditions of some rounds in a line; nothing where the system told nothing."""
    governors = sorted({str(one["governor"]) for one in rounds if "governor" in one})
    clocks = [mhz for one in rounds for mhz in one.get("mhz", ())]
    degrees = [one["celsius"] for one in rounds if "celsius" in one]
    words = [f"governor {', '.join(governors)}"] if governors else []
    words += [f"clocks of {_range(clocks)} MHz"] if clocks else []
    words += [f"{_range(degrees)} °C"] if degrees else []
    return ", ".join(words)


def complaints(rounds: Sequence[Mapping[str, Any]], drift: float, noise: float) -> list[str]:
    """What speaks against comparing the networks that were measured in these rounds."""
    said = []
    if abs(drift) > max(LEAST_DRIFT, noise):
        slower = "longer" if drift > 0 else "less long"
        said.append(f"drift: the anchors took {abs(drift):.1%} {slower} in the last rounds than in the first")
    for bit, words in PI_BITS.items():
        if count := sum(bool(one.get("pi_throttled", 0) >> bit & 1) for one in rounds):
            said.append(f"in {count} of {len(rounds)} rounds the Pi said: {words}")
    if count := sum(one.get("cooling", 0) > 0 for one in rounds):
        said.append(f"in {count} of {len(rounds)} rounds the clock was held down against heat")
    counts = [one["throttle_count"] for one in rounds if "throttle_count" in one]
    if counts and max(counts) > counts[0]:
        said.append(f"the processor throttled {max(counts) - counts[0]} times")
    limits = [one["mhz_limits"][1] for one in rounds if "mhz_limits" in one]
    if limits and min(limits) < max(limits):
        said.append(f"the highest clock allowed changed between {min(limits)} and {max(limits)} MHz")
    return said


def _limits_clock(kind: str) -> bool:
    return "cpufreq" in kind or kind == "Processor"


def _range(numbers: Sequence[float]) -> str:
    least, most = round(min(numbers)), round(max(numbers))
    return f"{least} to {most}" if least < most else f"{most}"


def _pi_throttled() -> int | None:
    program = shutil.which("vcgencmd")
    if program is None:
        return None
    try:
        told = subprocess.run([program, "get_throttled"], stdout=subprocess.PIPE, timeout=5, check=True).stdout
        key, _, value = told.decode().partition("=")  # throttled=0x50005
        return int(value, 16) if key == "throttled" else None
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _processor() -> str:
    lines = _text(Path("/proc/cpuinfo")).splitlines()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    board = _text(Path("/proc/device-tree/model")).strip("\0")
    return board or (named[-1] if named else platform.processor() or platform.machine())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _numbers(paths: Iterable[Path]) -> list[int]:
    words = map(_text, paths)
    return [int(word) for word in words if word.lstrip("-").isdigit()]
