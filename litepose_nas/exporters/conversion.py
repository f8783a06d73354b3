"""Files to be measured whose converter is slow: made where the converter is, once, and kept for the next time."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from litepose_nas.errors import UserError
from litepose_nas.exporters.kept_files import KeptFiles, cache_folder, digest
from litepose_nas.exporters.measured import MEASURED_FORMATS, WRITTEN
from litepose_nas.latency import elsewhere, samples
from litepose_nas.latency.standalone.errors import LostError, MeasuringError
from litepose_nas.latency.standalone.line_process import LineProcess
from litepose_nas.runtimes.table import KnownRuntime
from litepose_nas.space import Arch

WORKER = Path(__file__).with_name("convert_worker.py")


class Converter:
    """Writes the files of one runtime. A slow converter runs in `python` if that has it, else in this interpreter."""

    def __init__(self, runtime: KnownRuntime, python: str, kept: KeptFiles | None = None):
        self._runtime, self.kept = runtime, kept or KeptFiles(cache_folder() / "measured")
        self._form = MEASURED_FORMATS[runtime.reads]
        self._pythons = list(dict.fromkeys([python, sys.executable]))
        self._process: LineProcess | None = None
        self._versions: Mapping[str, str] = {}

    def slow(self, archs: Iterable[Arch], joints: int) -> dict[str, str]:
        """Why the files of networks take long, by the name of their space; nothing where they do not."""
        spaces = {arch.space.name: arch for arch in archs}
        return {name: why for name, arch in spaces.items() if (why := self._form.slow(arch, joints))}

    def write(self, arch: Arch, joints: int, path: Path) -> None:
        if not self._form.slow(arch, joints):
            self._form.write(arch, joints, path)
            return
        key = digest(self._decides(arch, joints))
        if not self.kept.get(key, path):
            self._convert(arch, joints, path)
            self.kept.put(key, path)

    def close(self) -> None:
        if self._process:
            self._process.close()
            self._process = None

    def _decides(self, arch: Arch, joints: int) -> dict[str, Any]:
        """All that decides what is in the file of a network."""
        if not self._versions:
            self._started()
        return {
            "space": samples.digest(arch.space),
            "arch": arch.to_dict(),
            "joints": joints,
            "format": self._runtime.reads,
            "written": WRITTEN,
            "versions": self._versions,
        }

    def _convert(self, arch: Arch, joints: int, path: Path) -> None:
        space = {"space": arch.space.name, "described": samples.tree_of(arch.space)}
        wanted = {**space, "arch": arch.to_dict(), "joints": joints, "path": str(path)}
        try:
            said = self._started().ask(json.dumps(wanted))
        except LostError as error:
            self.close()  # it has ended, and another one takes the next network
            raise LostError(f"not converted: {error}") from error
        if "refused" in said:
            raise UserError(said["refused"])
        if "failed" in said:
            raise LostError(f"not converted: {said['failed']}")

    def _started(self) -> LineProcess:
        """The process, in the first interpreter that has all that the converter needs."""
        if self._process:
            return self._process
        reasons = []
        for python in self._pythons:
            try:
                process = LineProcess([python, elsewhere.__file__, WORKER, self._runtime.reads])
            except MeasuringError as error:
                raise UserError(str(error)) from error
            try:
                versions = process.reply()["versions"]
                why = ", ".join(f"no {package}" for package, version in versions.items() if version is None)
            except LostError as error:
                why = str(error)
            if not why:
                self._process, self._versions = process, versions
                return process
            process.close()
            reasons.append(f"{python} has not: {why}")
        raise UserError(
            f"networks for {self._runtime.name} are converted with {' and '.join(self._form.converter)}, which "
            f"{'; '.join(reasons)}. Name an interpreter that has all of it with --python; to make one: "
            f"{self._runtime.pip} torch pyyaml, or scripts/runtimes {self._runtime.name} in a checkout"
        )
