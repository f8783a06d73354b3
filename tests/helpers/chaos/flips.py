"""Single flipped bits in the files that a result comes from: refused with the file's name, or without effect."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from litepose_nas import weights
from litepose_nas.errors import UserError
from litepose_nas.formats import subnet_file
from litepose_nas.report.record import load_search
from litepose_nas.report.summary import summarise, to_json
from litepose_nas.resolve import subnet_of
from litepose_nas.runs.run import Run
from litepose_nas.train import checkpoint
from tests.helpers.chaos.left import plain


class Flipped(NamedTuple):
    file: str  # in the folder that verbs.make_base makes
    read: Callable[[Path], object]  # all that a result could come from, as what can be compared


def _network(path: Path) -> object:
    net = weights.load(path)
    return plain(dict(net.state_dict())), net.meta


def _supernet(path: Path) -> object:
    found = weights.load_supernet(path)
    return plain(dict(found.store.state_dict())), found.space.source, found.joints


def _journal(path: Path) -> object:
    record = load_search(path)
    return json.dumps(to_json(summarise(record))), [
        (one.arch, one.result, one.cost) for family in record.families.values() for one in family.found
    ]


FLIPPED = {
    "checkpoint": Flipped("super/checkpoint.pt", lambda path: plain(checkpoint.load(path))),
    "weights": Flipped("net.safetensors", _network),
    "described": Flipped("net.safetensors", lambda path: subnet_of(path).to_json()),  # as for `profile`
    "supernet": Flipped("super/weights/last.safetensors", _supernet),
    "journal": Flipped("found/journal.jsonl", _journal),
    "subnet": Flipped("subnet.json", lambda path: subnet_file.read(path).to_json()),
    "config": Flipped("found/config.yaml", lambda path: Run.open(path.parent).settings),
}


def outcome_of(kind: Flipped, base: Path, bit: int, expected: object) -> str:
    """Flip a bit of a file where it lies, read it, and flip it back; say what came of it."""
    path = base / kind.file
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    kept = path.with_name(f"{path.name}.kept")
    shutil.copyfile(path, kept)
    try:
        path.write_bytes(data)
        found = kind.read(path)
    except UserError as error:
        return "refused" if path.name in str(error) else f"REFUSED WITHOUT ITS NAME: {error!s:.200}"
    except Exception as error:
        return f"TRACEBACK: {error!r:.200}"
    finally:
        kept.replace(path)
    return "no effect" if found == expected else "BELIEVED"
