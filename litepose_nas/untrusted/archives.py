"""Archives that are read without being unpacked: what programs write into them stays as large as it is."""

from __future__ import annotations

import zipfile


def check_stored(parts: zipfile.ZipFile) -> None:
    """Refuse parts that are compressed, which torch and numpy never do: a small file may unpack to a full memory."""
    for part in parts.infolist():
        if part.compress_type != zipfile.ZIP_STORED or part.file_size != part.compress_size:
            raise ValueError(f"{part.filename[:60]!r} in it is compressed, and would take {part.file_size:,} bytes")
