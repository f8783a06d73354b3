"""Inputs that once broke a parser, kept small, one file each: tests/corpus/TARGET/NAME."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

CORPUS = Path(__file__).parents[2] / "corpus"
TRIES = 150
PARTS = 24  # of one size that are tried


def saved(target: str) -> list[Path]:
    folder = CORPUS / target
    return sorted(folder.iterdir()) if folder.is_dir() else []


def save(target: str, content: bytes) -> Path:
    path = CORPUS / target / hashlib.sha256(content).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def shrunk(content: bytes, fails: Callable[[bytes], bool], tries: int = TRIES) -> bytes:
    """A shorter content that still fails, found by leaving out parts: large ones first."""
    rng, share = random.Random(0), 2
    while share <= 2 * len(content):
        size = max(len(content) // share, 1)
        starts = range(0, len(content), size)
        for start in sorted(rng.sample(starts, min(len(starts), PARTS)), reverse=True):
            shorter = content[:start] + content[start + size :]
            if tries <= 0:
                return content
            tries -= 1
            if fails(shorter):
                content = shorter
        share *= 2
    return content
