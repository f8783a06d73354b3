"""Every check on every split of a dataset, in one report."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from litepose_nas.data.annotations import read_document
from litepose_nas.data.check.finding import ERROR, SEVERITIES, DataFinding, finding
from litepose_nas.data.check.pairs import check_pairs, fitting_mirror
from litepose_nas.data.check.picture_files import Progress, check_duplicates, check_files, decode_all, files_by_path
from litepose_nas.data.check.places import check_places
from litepose_nas.data.check.sides import check_sides
from litepose_nas.data.check.tolerant_reader import CheckedSplit, read_tolerantly, unreadable_split
from litepose_nas.data.dataset import Document
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.data.source import Source
from litepose_nas.errors import UserError

SIGMAS = (0.01, 0.2)  # the published ones of bodies, hands and faces lie within


class SplitToCheck(NamedTuple):
    name: str
    place: Path  # what is called broken when it is
    folder: Path
    document: Callable[[], Document]
    skeleton: Skeleton | None = None
    people: bool = True  # whether people must be labelled


class CheckReport(NamedTuple):
    name: str
    splits: tuple[CheckedSplit, ...]
    findings: tuple[DataFinding, ...]
    opened: bool  # whether the pictures were decoded

    @property
    def trainable(self) -> bool:
        """Whether a training would start and read every picture."""
        return not self.count(ERROR)

    def count(self, severity: str) -> int:
        return sum(found.severity == severity for found in self.findings)


def check_source(
    source: Source, splits: Sequence[str] = (), pictures: bool = True, progress: Progress | None = None
) -> CheckReport:
    """Check some splits of a dataset, or all but `test`; without `pictures` no picture file is opened."""
    parts = []
    for name in splits or [name for name in source.splits if name != "test"] or source.splits:
        split = source.split(name)
        read = functools.partial(source.document, name)
        place = split.annotations or split.images
        parts.append(SplitToCheck(name, place, split.images, read, source.skeleton, name != "test"))
    return check_parts(source.name, parts, pictures, progress)


def check_parts(
    name: str, parts: Sequence[SplitToCheck], pictures: bool = True, progress: Progress | None = None
) -> CheckReport:
    """Check splits, the first of which is what a network is trained on where there are several."""
    read = [_read(part) for part in parts]
    everything = [picture for split in read for picture in split.pictures]
    decoded = iter(decode_all(everything, progress) if pictures else files_by_path(everything))
    files = [tuple(itertools.islice(decoded, len(split.pictures))) for split in read]
    findings: list[DataFinding] = []
    for split, file in zip(read, files, strict=True):
        findings += split.findings
        findings += check_files(split, file) if pictures else []
        findings += check_places(split)
        if split.skeleton is not None:
            best = fitting_mirror(split.people, split.skeleton.mirror)
            findings += check_sides(split, split.skeleton, best)
            findings += check_pairs(split.name, split.skeleton, best)
            findings += check_sigmas(split.name, split.skeleton)
    findings += check_duplicates(list(zip(read, files, strict=True)))
    findings.sort(key=lambda found: SEVERITIES.index(found.severity))
    return CheckReport(name, tuple(read), tuple(findings), pictures)


def _read(part: SplitToCheck) -> CheckedSplit:
    name, place, folder = part.name, part.place, part.folder
    try:
        return read_tolerantly(name, place, folder, part.document(), part.skeleton, part.people)
    except UserError as error:
        broken = tuple(finding("unreadable", name, [str(error)]))
    try:  # a layout's reader stops at its first fault: most layouts are COCO's with more words
        read = read_tolerantly(name, place, folder, read_document(place), part.skeleton, part.people)
    except UserError:
        read = unreadable_split(name, place, folder)
    return read._replace(findings=broken + read.findings)


def check_sigmas(split: str, skeleton: Skeleton) -> list[DataFinding]:
    named = list(zip(skeleton.names, skeleton.sigmas, strict=True))
    odd = [f"{name}: {sigma:g}" for name, sigma in named if not SIGMAS[0] <= sigma <= SIGMAS[1]]
    alike = [f"all are {skeleton.sigmas[0]:g}"] if len(set(skeleton.sigmas)) == 1 < len(named) else []
    uneven = [
        f"{skeleton.names[a]}: {skeleton.sigmas[a]:g}, {skeleton.names[b]}: {skeleton.sigmas[b]:g}"
        for a, b in skeleton.flip_pairs
        if skeleton.sigmas[a] != skeleton.sigmas[b]
    ]
    return [
        *finding("odd-sigmas", split, odd),
        *finding("equal-sigmas", split, alike),
        *finding("uneven-sigmas", split, uneven),
    ]


def verdict(report: CheckReport) -> str:
    counts = [f"{count} {kind}{'s' * (count != 1)}" for kind in SEVERITIES if (count := report.count(kind))]
    found = ", ".join(counts) or "nothing to say"
    return f"{found}: training would {'work' if report.trainable else 'stop; mend the errors'}"
