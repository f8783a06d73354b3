"""What ends a measurement, and what ends only one of its networks."""

from __future__ import annotations


class MeasuringError(Exception):
    """A mistake that the user can mend: its text names the cause, the place and the way out."""


class LostError(Exception):
    """A network that the runtime does not run, or a process that has ended."""
