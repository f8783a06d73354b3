"""All parsers that are fuzzed. A new one is a line in one of the modules named here."""

from __future__ import annotations

from collections.abc import Mapping

from tests.helpers.fuzz import (
    data_targets,
    network_targets,
    run_targets,
    training_targets,
    video_targets,
    word_targets,
    written_targets,
)
from tests.helpers.fuzz.target import Target

MODULES = (
    data_targets,
    network_targets,
    run_targets,
    training_targets,
    video_targets,
    word_targets,
    written_targets,
)
TARGETS: Mapping[str, Target] = {target.name: target for module in MODULES for target in module.TARGETS}
