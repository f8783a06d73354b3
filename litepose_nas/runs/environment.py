"""What a result depends on beside its settings: versions, machine, and the commit of this code."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from litepose_nas import __version__

PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "opencv-python-headless",
    "safetensors",
    "pycocotools",
    "onnx",
    "onnxruntime",
    "ray",
)
VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "CUBLAS_WORKSPACE_CONFIG",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "GOMP_SPINCOUNT",
)


def describe() -> dict[str, Any]:
    """Versions, platform, commit, and the variables that change numbers; nothing is imported for it."""
    return {
        "litepose_nas": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "packages": {name: found for name in PACKAGES if (found := version(name))},
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def version(package: str) -> str | None:
    """The installed version of a package without importing it, None if there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def commit() -> str | None:
    """The commit of the checkout that this code is run from, `-dirty` if changed, None outside of one."""
    here = Path(__file__)
    # Tracked, not just inside: an environment within somebody's own repository must not give that one's commit.
    if _git(here.parent, "ls-files", "--error-unmatch", here.name) is None:
        return None
    return _git(here.parent, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
