"""Picture files: can each be decoded, has it the annotated size, and do two splits share one?"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from litepose_nas.data import zipped
from litepose_nas.data.check.finding import DataFinding, finding
from litepose_nas.data.check.tolerant_reader import CheckedSplit, ListedPicture
from litepose_nas.data.images import decode_image
from litepose_nas.data.prefetch import work_ahead
from litepose_nas.errors import UserError

Progress = Callable[[int, int], None]


class DecodedFile(NamedTuple):
    digest: str  # of its bytes; its path where it was not opened
    size: tuple[int, int] | None = None  # width and height as stored, None where it cannot be decoded
    upright: tuple[int, int] | None = None  # as the camera's note would turn it
    cause: str = ""


def decode_all(
    pictures: Sequence[ListedPicture], progress: Progress | None = None, workers: int = 2
) -> tuple[DecodedFile, ...]:
    """What the files of pictures hold; progress(done, total) is called after each."""
    files: list[DecodedFile] = []
    for _, file, _ in work_ahead(_decode, pictures, ahead=4 * workers, workers=workers):
        files.append(file)
        if progress:
            progress(len(files), len(pictures))
    return tuple(files)


def files_by_path(pictures: Sequence[ListedPicture]) -> tuple[DecodedFile, ...]:
    """What stands for files that are not opened: two are the same where their paths are."""
    return tuple(DecodedFile(str(picture.path.resolve())) for picture in pictures)


def check_files(split: CheckedSplit, files: Sequence[DecodedFile]) -> list[DataFinding]:
    broken: list[str] = []
    other: list[str] = []
    turned: list[str] = []
    for picture, file in zip(split.pictures, files, strict=True):
        name, wanted = _name(picture), (picture.width, picture.height)
        if file.size is None:
            broken.append(f"{name}: {file.cause}")
        elif file.size != wanted:
            said = f"{name}: {file.size[0]}x{file.size[1]}, annotated {wanted[0]}x{wanted[1]}"
            (turned if file.upright == wanted else other).append(said)
    return [
        *finding("broken-picture", split.name, broken),
        *finding("size-mismatch", split.name, other),
        *finding("turned-picture", split.name, turned),
    ]


def check_duplicates(splits: Sequence[tuple[CheckedSplit, Sequence[DecodedFile]]]) -> list[DataFinding]:
    known: dict[str, str] = {}
    first = splits[0][0].name if splits else ""
    found = []
    for number, (split, files) in enumerate(splits):
        own: dict[str, list[ListedPicture]] = defaultdict(list)
        for picture, file in zip(split.pictures, files, strict=True):
            own[file.digest].append(picture)
        twice = [f"{_name(p)}, like {same[0].path.name}" for same in own.values() for p in same[1:]]
        found += finding("same-picture", split.name, twice)
        if number == 0:
            known = {digest: same[0].path.name for digest, same in own.items()}
        else:
            shared = [
                f"{_name(same[0])}, in {first} {known[digest]}" for digest, same in own.items() if digest in known
            ]
            found += finding("split-overlap", split.name, shared)
    return found


def _decode(picture: ListedPicture) -> DecodedFile:
    try:
        data = zipped.read_bytes(picture.path)
    except (OSError, ValueError, UserError) as error:
        return DecodedFile(str(picture.path), cause=str(error))
    digest = hashlib.sha256(data).hexdigest()
    try:
        image = decode_image(picture.path, data)
        size = image.shape[1], image.shape[0]
        upright = size
        if size != (picture.width, picture.height):
            image = decode_image(picture.path, data, upright=True)
            upright = image.shape[1], image.shape[0]
    except UserError as error:
        return DecodedFile(digest, cause=str(error).removeprefix(f"cannot read the picture {picture.path}: "))
    return DecodedFile(digest, size, upright)


def _name(picture: ListedPicture) -> str:
    return f"image {picture.image_id} ({picture.path.name})"
