"""Pictures in a zip file, read where they lie: a path goes on behind the zip's name, as in pictures.zip/val/12.jpg.

Every read opens the zip for itself, so threads and processes share nothing but what it lists. Names come from files, so
they are asked for by `os.path`: a path that no file system can have leads nowhere, where one of `pathlib` raises.
"""

from __future__ import annotations

import functools
import os
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from litepose_nas.errors import UserError
from litepose_nas.untrusted import opening

MAX_BYTES = 2**28  # of one file; packed, a picture of 100 million pixels takes less
_HEADER = 30  # bytes in front of a file's name
_HIDDEN = "__MACOSX/"  # what a Mac adds, of the same names as the pictures


class Listing(NamedTuple):
    members: dict[str, zipfile.ZipInfo]
    folders: dict[str, tuple[str, ...]]  # the names of the files directly in each folder; "" is the top


def read_bytes(path: Path, most: int = MAX_BYTES) -> bytes:
    """The bytes of a file, which may be in a zip; an OSError or ValueError where no zip is to blame."""
    found = within(path)
    if found is None:
        return opening.read_bytes(path, most)
    zip_file, name = found
    member = _listing(zip_file).members.get(name)
    if member is None:
        raise UserError(f"{zip_file} holds no {name}; put it in, or remove it from the annotations")
    fault = _fault(member, most)
    if fault is None:
        try:
            data = _unpacked(zip_file, member)
        except OSError as error:
            raise UserError(f"{zip_file}: cannot be read ({error.strerror or error}); check the disk") from error
        except (zlib.error, EOFError):
            data = None
        if data is not None and len(data) == member.file_size and zlib.crc32(data) == member.CRC:
            return data
        fault = "it is damaged; fetch the zip again"
    raise UserError(f"cannot read {name} in {zip_file}: {fault}")


def is_file(path: Path) -> bool:
    found = within(path)
    return os.path.isfile(path) if found is None else found[1] in _listing(found[0]).members


def is_folder(path: Path) -> bool:
    """Whether there is a folder, in a zip or not; a zip is one itself."""
    found = within(path)
    return os.path.isdir(path) if found is None else found[1] in _listing(found[0]).folders


def names_in(folder: Path) -> list[str]:
    """The names in a folder (in a zip: files only), none if there is no such folder."""
    try:
        found = within(folder)
        return os.listdir(folder) if found is None else list(_listing(found[0]).folders.get(found[1], ()))
    except (OSError, ValueError):  # ValueError: a name that no file system can have
        return []


def files_below(folder: Path) -> list[str]:
    """The names of the files in a folder and the folders in it, with / between folders, sorted."""
    found = within(folder)
    if found is None:
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if os.path.isfile(path))
    start = f"{found[1]}/" if found[1] else ""
    return sorted(name.removeprefix(start) for name in _listing(found[0]).members if name.startswith(start))


def folder_or_zip(folder: Path) -> Path:
    """A folder, or what stands for it: FOLDER.zip beside it, or the folder of its name in that zip."""
    if os.path.exists(folder) or not os.path.isfile(packed := folder.with_name(f"{folder.name}.zip")):
        return folder
    return packed / folder.name if is_folder(packed / folder.name) else packed


def elsewhere(file: Path) -> str:
    """A hint at the folder of a zip that has a file of this name, or nothing."""
    found = within(file)
    if found is None:
        return ""
    end = f"/{found[1]}"
    for name in _listing(found[0]).members:
        if name.endswith(end):
            return f" (the zip has {name}: should the pictures be in {found[0] / name.removesuffix(end)}?)"
    return ""


def within(path: Path) -> tuple[Path, str] | None:
    """The zip that a path leads into and what follows it, or None where it leads into none."""
    if ".zip" not in str(path).lower():
        return None
    for place in (path, *path.parents):
        if place.suffix.lower() == ".zip" and os.path.isfile(place):
            inside = path.relative_to(place).as_posix()
            return place, "" if inside == "." else inside
    return None


def _fault(member: zipfile.ZipInfo, most: int) -> str | None:
    if member.flag_bits & 1:
        return "it is encrypted; pack it without a password"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "it is packed in a rare way; pack it with deflate, or store it"
    if (size := max(member.file_size, member.compress_size)) > most:
        return f"it would take {size >> 20:,} MB, and more than {most >> 20} MB are not read of such a file"
    return None


def _unpacked(zip_file: Path, member: zipfile.ZipInfo) -> bytes:
    with opening.open_regular(zip_file) as file:
        file.seek(member.header_offset)
        header = file.read(_HEADER)
        # The name and notes in front of a file need not be as long as those in the list.
        file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), os.SEEK_CUR)
        packed = file.read(member.compress_size)
    if member.compress_type == zipfile.ZIP_STORED:
        return packed
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, member.file_size + 1)


def _listing(zip_file: Path) -> Listing:
    try:
        state = os.stat(zip_file)
        return _listed(str(zip_file.absolute()), state.st_mtime_ns, state.st_size)
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else None
        raise UserError(f"{zip_file}: no zip that can be read ({cause or error}); pack it again") from error


@functools.lru_cache(maxsize=8)
def _listed(path: str, changed: int, size: int) -> Listing:  # a zip that was written anew is read anew
    members: dict[str, zipfile.ZipInfo] = {}
    names: dict[str, list[str]] = {"": []}
    with zipfile.ZipFile(path) as opened:
        for info in opened.infolist():
            if not info.filename or info.is_dir() or info.filename.startswith(_HIDDEN):
                continue
            place = PurePosixPath(info.filename)
            members[info.filename] = info
            for folder in place.parents:
                names.setdefault("" if str(folder) == "." else str(folder), [])
            names["" if str(place.parent) == "." else str(place.parent)].append(place.name)
    return Listing(members, {folder: tuple(found) for folder, found in names.items()})
