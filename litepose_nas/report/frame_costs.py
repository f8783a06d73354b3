"""How the network of a clip spreads its computation over the frames, as a table."""

from __future__ import annotations

from litepose_nas import costs
from litepose_nas.space import Arch

Table = tuple[list[str], list[list[str]]]  # head and lines


def per_frame(arch: Arch, joints: int, input: tuple[int, int] | None = None) -> Table:
    """Return frame, choices, MACs and share of every frame; no lines for a network of single pictures."""
    rows = costs.by_frame(arch, input, joints)
    if not rows:
        return [], []
    keys = list(dict.fromkeys(key for row in rows for key in row.chosen))
    total = sum(row.macs for row in rows)
    lines = []
    for row in rows:
        chosen = [row.chosen.get(key, "-") for key in keys]
        lines.append([row.frame, *chosen, f"{row.macs:,}", f"{100 * row.macs / total:.1f} %", f"{row.params:,}"])
    return ["frame", *keys, "MACs", "share", "params"], lines


def of_whom(arch: Arch) -> str:
    """Return in words whose cost the cost of a network is, where that is not a whole picture's."""
    group = f" through a group of {arch.clip_length} frames" if arch.space.task.clips else ""
    return f"of one person{group}" if arch.space.task.one_person else ""
