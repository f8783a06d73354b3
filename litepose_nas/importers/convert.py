"""A foreign checkpoint into a file of our own."""

from __future__ import annotations

from pathlib import Path

from litepose_nas import weights
from litepose_nas.errors import UserError
from litepose_nas.formats import subnet_file
from litepose_nas.importers import foreign, starts
from litepose_nas.importers.report import ImportReport


def convert(
    file: str | Path,
    out: str | Path,
    *,
    arch: str | None = None,
    joints: int | None = None,
    resolution: int | str | None = None,
    space: str | None = None,
) -> ImportReport:
    """Read a foreign checkpoint and write it as our own file: a network, or with `space` a supernet started from it."""
    if space is None:
        if starts.is_own(file):
            raise UserError(f"{file}: a network or supernet of this program already; it can be used as it is")
        net = foreign.import_weights(file, arch, joints, resolution)
        report: ImportReport = net.meta.pop("imported")
        weights.save(net, out, subnet_file.from_json(net.meta, str(file)))
        return report
    if arch is not None or resolution is not None:
        raise UserError(
            "--space: a supernet has every architecture and size of its space; leave --arch and --resolution out"
        )
    supernet, start = starts.import_supernet(file, space, joints)
    weights.save_supernet(supernet, out, start.pixels)
    return start.report
