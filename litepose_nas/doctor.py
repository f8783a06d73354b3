"""The state of this machine and installation, as far as it matters here."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from litepose_nas import __version__, resources
from litepose_nas.errors import UserError
from litepose_nas.runs.environment import version
from litepose_nas.runtimes.table import RUNTIMES
from litepose_nas.space import Space


class MachineFinding(NamedTuple):
    """One thing looked at: `ok` is None where it is only a fact."""

    what: str
    state: str
    ok: bool | None = None


EXTRAS = {"export": ("onnx", "onnxscript", "onnxruntime")}


def examine(folder: Path) -> list[MachineFinding]:
    findings = [
        MachineFinding("litepose-nas", __version__),
        MachineFinding("python", f"{platform.python_version()} on {platform.platform()}", sys.version_info >= (3, 10)),
        MachineFinding("processor", f"{os.cpu_count()} cores{_memory()}"),
        _torch(),
        *_devices(),
    ]
    for extra, packages in EXTRAS.items():
        missing = [package for package in packages if not version(package)]
        have = ", ".join(f"{package} {version(package)}" for package in packages if package not in missing)
        hint = f"{', '.join(missing)} missing: pip install 'litepose-nas[{extra}]'"
        findings.append(MachineFinding(f"extra {extra}", hint if missing else have, None if missing else True))
    findings += [_runtimes(folder), _spaces(), _folder(folder)]
    return findings


def _memory() -> str:
    try:
        return f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB of memory"
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return ""


def _torch() -> MachineFinding:
    try:
        import torch

        value = float(torch.nn.functional.conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3)))
        return MachineFinding("torch", f"{torch.__version__}, {torch.get_num_threads()} threads", value == 9.0)
    except Exception as error:
        return MachineFinding("torch", f"does not run: {error}", False)


def _devices() -> list[MachineFinding]:
    try:
        import torch
    except ImportError:
        return []
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("Apple GPU (mps)")
    return [
        MachineFinding("accelerators", ", ".join(names) or "none: everything runs on the processor, training slowly")
    ]


def _runtimes(folder: Path) -> MachineFinding:
    """What `latency measure` can run here, and in the environments that scripts/runtimes made in this folder."""
    packages = {name: runtime.wheels.split()[0] for name, runtime in RUNTIMES.items() if runtime.package != "torch"}
    here = [f"{name} {found}" for name, package in packages.items() if (found := version(package))]
    elsewhere = [str(path.parent.relative_to(folder)) for path in sorted(folder.glob(".runtimes/*/.installed"))]
    return MachineFinding("runtimes", ", ".join(["torch", *here, *elsewhere]))


def _spaces() -> MachineFinding:
    try:
        names = resources.names("search_spaces", ".yaml")
        for name in names:
            Space.load(name)
    except UserError as error:
        return MachineFinding("search spaces", str(error), False)
    return MachineFinding("search spaces", f"{', '.join(names) or 'none found'}", bool(names))


def _folder(folder: Path) -> MachineFinding:
    free = shutil.disk_usage(folder).free / 2**30
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return MachineFinding("this folder", f"{folder}: cannot be written ({error.strerror})", False)
    return MachineFinding("this folder", f"{folder}: writable, {free:.0f} GiB free", free > 1)
