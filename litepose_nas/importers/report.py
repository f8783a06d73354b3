"""What happened to the tensors of an imported file."""

from __future__ import annotations

from typing import NamedTuple

Shape = tuple[int, ...]


class ImportReport(NamedTuple):
    """Which tensors of a file found their place in a network, and which did not."""

    file: str
    network: str
    matched: tuple[str, ...]  # names in our network
    unmatched: tuple[tuple[str, Shape], ...]  # names in the file that nothing in the network asks for
    missing: tuple[tuple[str, Shape], ...] = ()  # names in our network that the file does not have
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every tensor of the network was in the file."""
        return bool(self.matched) and not self.missing

    def __str__(self) -> str:
        lines = [f"{self.file}: {self.network}", f"  matched     {len(self.matched)} tensors"]
        lines += _lines("not used", [f"{name} {list(shape)}" for name, shape in self.unmatched])
        lines += _lines("missing", [f"{name} {list(shape)}" for name, shape in self.missing])
        return "\n".join([*lines, *(f"  note        {note}" for note in self.notes)])


def _lines(label: str, items: list[str], most: int = 6) -> list[str]:
    if not items:
        return []
    more = [f"... and {len(items) - most} more"] if len(items) > most else []
    shown = [f"{'':14}{item}" for item in items[:most] + more]
    return [f"  {label:<12}{len(items)} tensors", *shown]
