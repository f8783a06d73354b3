"""All ways of breaking a good file, by its form."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.helpers.fuzz.archives import ARCHIVES
from tests.helpers.fuzz.mutations import TEXTS, broken_bytes

MOST_BYTES = 1 << 20
BREAKERS = {**TEXTS, **ARCHIVES}


def broken(rng: random.Random, form: str, seeds: Sequence[bytes]) -> bytes:
    """One of the good contents, broken."""
    breaker, often = BREAKERS[form]
    chosen = breaker if rng.random() < often else broken_bytes
    return chosen(rng, rng.choice(seeds))[:MOST_BYTES]
