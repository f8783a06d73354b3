"""A run: a folder runs/<verb>/<name> that knows how it was made, and that one process writes at a time."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import re
import shlex
import shutil
import sys
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from litepose_nas import files
from litepose_nas.errors import AssumedWarning, UserError
from litepose_nas.runs import environment, lock
from litepose_nas.runs.journal import DAMAGED, plain
from litepose_nas.runs.metrics import Metrics
from litepose_nas.runs.plain_files import check_plain
from litepose_nas.runs.settings import Settings
from litepose_nas.untrusted import yaml_text
from litepose_nas.untrusted.display import clean
from litepose_nas.untrusted.opening import open_regular, read_text

CONFIG, COMMAND, ENV, LOG, LOCK = "config.yaml", "command.txt", "env.json", "log.txt", "lock"
ENDED = "ended.json"  # there is nothing left to do in a run that has it


class Run:
    """One run's folder; made by `create`, continued by `resume`, only looked at by `open`."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], env: Mapping[str, Any], mine: bool):
        self.folder = folder
        self.settings = settings
        self.env = env
        self._mine = mine
        self._metrics: Metrics | None = None

    # ── making, continuing, finding ──

    @classmethod
    def create(
        cls,
        verb: str,
        name: str | None = None,
        base: str | Path = "runs",
        settings: Mapping[str, Any] | None = None,
        out: str | Path | None = None,
    ) -> Run:
        """Make a new folder base/verb/name, with -2, -3 ... if taken, or `out` itself, and hold it until `close`."""
        kept = plain(settings or {})
        env = {"verb": verb, "created": time.time_ns(), "config": digest(kept), **environment.describe()}
        folder = _new_folder(Path(base) / verb, name or "run") if out is None else _empty_folder(Path(out))
        try:
            run = cls(folder, kept, env, mine=True)
            run.write(CONFIG, _yaml(kept))
            run.write(COMMAND, _command())
            run.write(ENV, json.dumps(env, indent=2) + "\n")  # last: a folder without it is no run
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return run

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """A run to read from, whether or not another process is writing it."""
        folder = Path(path)
        if folder.is_dir():
            check_plain(folder)
        try:
            env = json.loads(read_text(folder / ENV))
            settings = yaml_text.load(read_text(folder / CONFIG)) or {}
            if not isinstance(env, dict) or not isinstance(settings, dict):
                raise ValueError("expected a mapping in each")
            config = digest(plain(settings))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            where = f"no {Path(error.filename or ENV).name} in it" if folder.is_dir() else "no such folder"
            raise UserError(f"{folder}: not a run ({where}); name a folder such as runs/search/run") from error
        except OSError as error:
            if error.errno not in (errno.EFBIG, errno.EINVAL):
                raise
            raise UserError(f"{error.filename}: {error.strerror}; restore it, or start a new run") from error
        except (*DAMAGED, yaml.YAMLError) as error:
            cause = " ".join(str(error).split())[:200]
            raise UserError(f"{folder}: its {ENV} or {CONFIG} cannot be read ({cause}); start a new run") from error
        if config != env.get("config"):
            raise UserError(
                f"{folder / CONFIG}: changed since the run began, so it no longer says how the run was made; "
                "restore it, or start a new run with the new settings"
            )
        return cls(folder, Settings.of(folder / CONFIG, settings), env, mine=False)

    @classmethod
    def resume(cls, path: str | Path) -> Run:
        """Continue a run and hold it until `close`."""
        run = cls.open(path)
        lock.take(run.folder / LOCK)
        run._mine = True
        files.sweep(run.folder)
        run._append(COMMAND, _command())
        return run

    @classmethod
    def latest(cls, verb: str, base: str | Path = "runs", having: str = ENV) -> Run:
        """The newest run of a verb that has a certain file in it, to read from."""
        found = _oldest_first(Path(base) / verb, having)
        if not found:
            lacking = f" with {having} in it" if having != ENV else ""
            raise UserError(f"no run{lacking} under {Path(base) / verb}; make one with: litepose-nas {verb}")
        return cls.open(found[-1])

    @classmethod
    def unfinished(cls, verb: str, base: str | Path = "runs") -> Run:
        """The newest run of a verb that has not ended, to read from."""
        found = _oldest_first(Path(base) / verb, ENV)
        going = [folder for folder in found if not (folder / ENDED).is_file()]
        if going:
            return cls.open(going[-1])
        has = "every run under {} has ended" if found else "no run under {}"
        raise UserError(
            f"{has.format(Path(base) / verb)}; begin one with: litepose-nas {verb}, or name a folder with --out"
        )

    def end(self) -> None:
        """Note that nothing is left to do in this run."""
        self.write(ENDED, json.dumps({"ended": time.time_ns()}) + "\n")

    def close(self) -> None:
        """Let others write the run."""
        if self._mine:
            self._mine = False
            lock.give_back(self.folder / LOCK)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Run({self.folder})"

    # ── what is in it ──

    @property
    def weights(self) -> Path:
        """The folder of weights, made when first asked for by the writer."""
        return self._inside("weights")

    @property
    def images(self) -> Path:
        """The folder of pictures, made when first asked for by the writer."""
        return self._inside("images")

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    @property
    def metrics(self) -> Metrics:
        """The table of metrics, complete as it stands; see `metrics_until` to resume."""
        return self._metrics or self.metrics_until(None)

    def metrics_until(self, step: int | None) -> Metrics:
        """The table of metrics with the rows after a step cut off: what training resumes with."""
        self._check_mine()
        self._metrics = Metrics(self.folder, step)
        return self._metrics

    def log(self, text: str) -> None:
        """Add a line with the time of day to log.txt."""
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        self._append(LOG, "".join(f"{now}  {clean(line)}\n" for line in text.splitlines() or [""]))

    def write(self, name: str, text: str) -> None:
        """Write a small text file of the run, whole or not at all."""
        self._check_mine()
        files.write(self.folder / name, text)

    def _append(self, name: str, text: str) -> None:
        self._check_mine()
        files.append(self.folder / name, files.encoded(text))

    def _inside(self, name: str) -> Path:
        folder = self.folder / name
        if self._mine:
            folder.mkdir(exist_ok=True)
        return folder

    def _check_mine(self) -> None:
        if not self._mine:
            raise RuntimeError(f"{self.folder}: opened for reading; `Run.resume` opens it for writing")


def digest(settings: Any) -> str:
    """A hash of plain settings that does not depend on the order of keys."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _yaml(settings: Any) -> str:
    return yaml.safe_dump(settings, sort_keys=False)


def _command() -> str:
    program, *rest = sys.argv
    name = Path(program).name
    return shlex.join(["litepose-nas" if name == "__main__.py" else name, *rest]) + "\n"


def _oldest_first(parent: Path, having: str) -> list[Path]:
    """The folders of runs that have a certain file in them."""
    try:
        names = os.listdir(parent)
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = [parent / name for name in names if _is_run(parent / name, having)]
    return sorted(found, key=lambda folder: (_created(folder), folder.name))


def _is_run(folder: Path, having: str) -> bool:
    """Whether a folder is a run with a certain file in it; one that may not be read does not hide the others."""
    try:
        known, _, there = [_can_be_opened(folder / name) for name in (ENV, CONFIG, having)]
    except PermissionError as error:
        warnings.warn(f"{error.filename}: {error.strerror}; this run is passed over", AssumedWarning, stacklevel=2)
        return False
    return known and there


def _can_be_opened(path: Path) -> bool:
    try:
        open_regular(path).close()
    except PermissionError:
        raise
    except OSError:
        return False
    return True


def _created(folder: Path) -> int:
    try:
        return int(json.loads(read_text(folder / ENV))["created"])
    except (OSError, *DAMAGED):  # whoever opens it is told what is wrong
        return 0


def _new_folder(parent: Path, name: str) -> Path:
    """A folder of this name, with -2, -3 ... if taken, held by this process."""
    if not re.fullmatch(r"[\w][\w. +=@,-]*", name):
        raise UserError(f"--name {name!r}: expected a name of letters, digits and . _ - for a folder in {parent}")
    for number in itertools.count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            pass
        except OSError as error:
            raise UserError(f"{folder}: cannot be made ({error.strerror}); choose another place with --out") from error
        with suppress(OSError, lock.HeldError):  # a file of that name, a run of somebody else, or one being made
            if _take_empty(folder):
                return folder
    raise AssertionError("numbers do not end")


def _empty_folder(folder: Path) -> Path:
    """This folder, held by this process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if _take_empty(folder):
            return folder
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror}); choose another place with --out") from error
    raise UserError(f"{folder}: not empty; continue the run in it with --resume, or choose another place with --out")


def _take_empty(folder: Path) -> bool:
    """Hold a folder that has nothing in it but what a process leaves that is killed while it makes a run."""
    if not _as_good_as_empty(folder):
        return False
    lock.take(folder / LOCK)
    if not _as_good_as_empty(folder):  # a run was made in it meanwhile
        lock.give_back(folder / LOCK)
        return False
    files.sweep(folder)
    return True


def _as_good_as_empty(folder: Path) -> bool:
    return all(name in (CONFIG, COMMAND, LOCK) or name.startswith(files.PARTIAL) for name in os.listdir(folder))
