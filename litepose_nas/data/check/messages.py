"""A report as lines for a screen, and as a tree for JSON."""

from __future__ import annotations

from typing import Any

from litepose_nas.data.check.checkup import CheckReport, verdict
from litepose_nas.data.check.finding import ERROR, NOTE, WARNING

SHOWN = {ERROR: 5, WARNING: 3, NOTE: 1}  # examples of a finding; JSON has them all


def lines(report: CheckReport) -> list[str]:
    text = []
    for found in report.findings:
        count = len(found.examples)
        text.append(f"{found.severity:<8}{found.split}: {found.message}: {count:,} [{found.code}]")
        text.append(f"        -> {found.remedy}")
        text += [f"        {example}" for example in found.examples[: SHOWN[found.severity]]]
        if (more := count - SHOWN[found.severity]) > 0:
            text.append(f"        and {more:,} more")
    if text:
        text.append("")
    if not report.opened:
        text.append("pictures were not opened: whether they are whole and of the right size is not known")
    text.append(verdict(report))
    return text


def tree(report: CheckReport) -> dict[str, Any]:
    fields = ("severity", "code", "split", "message", "remedy")
    return {
        "name": report.name,
        "trainable": report.trainable,
        "pictures_opened": report.opened,
        "splits": {split.name: split.counts._asdict() for split in report.splits},
        "findings": [
            {**{key: getattr(found, key) for key in fields}, "count": len(found.examples), "examples": found.examples}
            for found in report.findings
        ],
    }
