"""All parsers that are fuzzed. A new one is a line in one of the modules named here."""

from __future__ import annotations

from collections.abc import Mapping

from tests.helpers.fuzz import data_targets, network_targets, run_targets, word_targets
from tests.helpers.fuzz.target import Target

TARGETS: Mapping[str, Target] = {
    target.name: target
    for module in (data_targets, network_targets, run_targets, word_targets)
    for target in module.TARGETS
}
