"""A kit: a folder to copy to another device, which measures its networks there with nothing of this project."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from litepose_nas import files
from litepose_nas.errors import UserError
from litepose_nas.latency import samples as samples_file
from litepose_nas.latency.measure import Write, WriteGraph, input_shape
from litepose_nas.latency.networks import Chosen, choose_blocks
from litepose_nas.latency.standalone import kit_run
from litepose_nas.latency.standalone.children import Target
from litepose_nas.latency.standalone.errors import LostError
from litepose_nas.plan_files.part_graph import LonePart, part_graph
from litepose_nas.space import Arch

if TYPE_CHECKING:
    from litepose_nas.latency.standalone.rounds import Say

MOST_BYTES = 200_000_000
STANDALONE = Path(kit_run.__file__).parent
RUN = "run.py"  # it stands beside the folder that the others keep their name in
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same networks make the same file
README = """\
How long do {count} networks of {spaces} take on this device, in {runtime}?

1. Copy this whole folder ({megabytes:.0f} MB) to the device: scp -r {folder} USER@DEVICE:
2. There, in the folder, with Python 3.8 or newer:
       python3 -m venv env && env/bin/{pip}
3. Cool it, plug it in, stop what else runs, and measure, about {minutes:g} minutes:
       env/bin/python run.py
   Stopped or killed, the same command goes on. `run.py --help` lists what can be changed.
4. Copy samples.json back to your computer, and there:
       litepose-nas latency fit samples.json --out {folder}.json
       litepose-nas search --latency {folder}.json --budget 25ms
"""


class Named(NamedTuple):
    """A network of a kit, and what its table calls it."""

    name: str
    chosen: Chosen


def write_kit(
    out: Path,
    networks: Sequence[Named],
    target: Target,
    joints: int,
    minutes: float,
    write: Write,
    write_graph: WriteGraph | None,
    suffix: str,
    rewrites: Sequence[str],
    say: Say,
    show: Callable[[int, int], None],
) -> int:
    """Write a kit into a new folder, blocks to be measured alone with it if `write_graph` can; return its bytes."""
    check_spaces(networks)
    with files.new_folder(out) as folder:
        models = folder / kit_run.MODELS
        with _Packer.opened(models, suffix) as packer:
            networks = _pack_networks(packer, networks, write, say, show)
            mean_bytes = packer.bytes // len(networks)
            blocks = _pack_blocks(packer, networks, joints, write_graph) if write_graph else []
        for path in sorted(STANDALONE.glob("*.py")):
            copy = folder / RUN if path.name == RUN else folder / STANDALONE.name / path.name
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, copy)
        shutil.copyfile(target.file, folder / kit_run.RUNTIME)
        spaces = {each.chosen.arch.space.name: each.chosen.arch.space for each in networks}
        manifest = {
            "kind": kit_run.KIT_KIND,
            "version": kit_run.KIT_VERSION,
            "runtime": target.runtime,
            "pip": target.pip,
            "threads": target.threads,
            "minutes": minutes,
            "dtype": "fp32",
            "batch": 1,
            "joints": joints,
            "suffix": suffix,
            "rewrites": list(rewrites),
            "models_sha256": files.sha256(models),
            "mean_bytes": mean_bytes,
            "spaces": {name: samples_file.tree_of(space) for name, space in spaces.items()},
            "networks": [_network(each) for each in networks],
            "blocks": [_block(arch, part) for arch, part in blocks],
        }
        files.write(folder / "manifest.json", json.dumps(manifest, indent=1) + "\n")
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        words = {"count": len(networks), "spaces": ", ".join(spaces), "runtime": target.runtime, "pip": target.pip}
        text = README.format(**words, megabytes=size / 1e6, folder=out.resolve().name, minutes=minutes)
        files.write(folder / "README.txt", text)
    return size


def check_spaces(networks: Sequence[Named]) -> None:
    """Refuse two spaces of one name."""
    digests: dict[str, str] = {}
    for space in dict.fromkeys(each.chosen.arch.space for each in networks):
        found = samples_file.digest(space)
        if digests.setdefault(space.name, found) != found:
            raise UserError(f"{space.name}: two spaces of this name, with other choices; make a kit of each")


class _Packer:
    """An archive of networks; random weights, a number with random signs, take an eighth there."""

    def __init__(self, archive: zipfile.ZipFile, models: Path, folder: Path, suffix: str):
        self._archive, self._models, self._folder, self._suffix = archive, models, folder, suffix
        self.bytes = 0  # unpacked

    @classmethod
    @contextmanager
    def opened(cls, models: Path, suffix: str) -> Iterator[_Packer]:
        with tempfile.TemporaryDirectory() as name, zipfile.ZipFile(models, "w") as archive:
            yield cls(archive, models, Path(name), suffix)

    def add(self, stem: str, write: Callable[[Path], None]) -> None:
        for path in self._folder.iterdir():  # of a network that was given up
            path.unlink()
        write(self._folder / f"{stem}{self._suffix}")
        for path in sorted(self._folder.iterdir()):
            self.bytes += path.stat().st_size
            entry = zipfile.ZipInfo(path.name, LONG_AGO)
            self._archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=1)
        if self._models.stat().st_size > MOST_BYTES:
            raise UserError(f"the kit is larger than {MOST_BYTES / 1e6:g} MB; take fewer networks with --nets")


def _pack_networks(
    packer: _Packer, networks: Sequence[Named], write: Write, say: Say, show: Callable[[int, int], None]
) -> list[Named]:
    """Those that could be converted."""
    kept: list[Named] = []
    for i, each in enumerate(networks):
        try:
            packer.add(kit_run.NETWORK.format(len(kept)), partial(write, each.chosen.arch))
            kept.append(each)
        except UserError:
            raise
        except Exception as error:  # a converter's: whatever it stumbled over, the other networks may go through
            why = error if isinstance(error, LostError) else f"not converted, {type(error).__name__}: {error}"
            say(f"left out: {each.name}: {str(why)[:300]}")
        show(i + 1, len(networks))
    if not kept:
        raise UserError(f"none of {len(networks)} networks could be converted; the reasons stand above")
    return kept


def _pack_blocks(
    packer: _Packer, networks: Sequence[Named], joints: int, write: WriteGraph
) -> list[tuple[Arch, LonePart]]:
    blocks = choose_blocks([each.chosen for each in networks], joints)
    for i, (_, part) in enumerate(blocks):
        packer.add(kit_run.BLOCK.format(i), partial(write, part_graph(part)))
    return blocks


def _network(each: Named) -> dict[str, object]:
    arch, role = each.chosen
    known = {"space": arch.space.name, "arch": arch.to_dict(), "input": list(arch.input), "role": role}
    shape = [1, *input_shape(arch)]
    return {"name": each.name, **known, "shape": shape}


def _block(arch: Arch, part: LonePart) -> dict[str, object]:
    return {"space": arch.space.name, "arch": arch.to_dict(), "part": part.name, "shape": [1, *part.reads]}
