"""onnxruntime-web for a shipped page: from a folder where it lies unpacked, or by npm, checked by its digest."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

from litepose_nas import files
from litepose_nas.errors import UserError

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
DIGEST = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
LARGEST = 64 << 20  # bytes of either file
SECONDS = 600


class WebRuntime(NamedTuple):
    script: bytes
    wasm: bytes
    version: str


def from_folder(folder: Path) -> WebRuntime:
    """The runtime of an unpacked package: its folder, or the `dist` in it."""
    for place in (folder / "dist", folder, folder / "package" / "dist"):
        if (place / SCRIPT).is_file() and (place / WASM).is_file():
            about = place.parent / "package.json"
            version = str(json.loads(about.read_text(encoding="utf-8")).get("version")) if about.is_file() else "?"
            return WebRuntime(_read(place / SCRIPT), _read(place / WASM), version)
    raise UserError(f"--web {folder}: no {SCRIPT} and {WASM} in it; name the folder of an unpacked {PACKAGE} {VERSION}")


def from_npm() -> WebRuntime | str:
    """The runtime as npm delivers it, or why there is none; another digest than the pinned one is refused."""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed"
    with tempfile.TemporaryDirectory() as room:
        command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--ignore-scripts"]
        try:
            done = subprocess.run(command, cwd=room, capture_output=True, text=True, timeout=SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"npm could not be run ({error!s:.120})"
        packed = sorted(Path(room).glob("*.tgz"))
        if done.returncode or not packed:
            return (
                f"npm could not fetch {PACKAGE} {VERSION} ({' '.join(done.stderr.split())[:160] or 'no reason given'})"
            )
        return unpacked(packed[0])


def unpacked(archive: Path) -> WebRuntime:
    """The two files of the package's archive, whose digest must be that of the pinned version."""
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != DIGEST:
        raise UserError(
            f"{PACKAGE} {VERSION}: the package that npm delivered has the digest {found}, and not {DIGEST}; it is not "
            "used. Name an unpacked one that you trust with --web"
        )
    with tarfile.open(archive) as tar:
        script, wasm = (_member(tar, f"package/dist/{name}") for name in (SCRIPT, WASM))
    return WebRuntime(script, wasm, VERSION)


def write(runtime: WebRuntime, folder: Path) -> None:
    files.write(folder / "ort.wasm.bundle.min.js", runtime.script)
    files.write(folder / WASM, runtime.wasm)


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.extractfile(name)
    if member is None:
        raise UserError(f"{PACKAGE} {VERSION}: no {name} in it")
    return member.read(LARGEST)


def _read(path: Path) -> bytes:
    data = path.read_bytes()
    if len(data) > LARGEST:
        raise UserError(f"{path}: larger than {LARGEST >> 20} MB; this is not {PACKAGE}")
    return data
