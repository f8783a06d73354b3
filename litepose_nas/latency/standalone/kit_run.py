"""A kit's own command: measure its networks on this device, and write what `litepose-nas latency fit` reads."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import sys
import time
import zipfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .block_rounds import BlockTimes, measure_blocks
from .children import Target
from .conditions import complaints, conditions_now, describe_device, in_words
from .errors import MeasuringError
from .rounds import MOST_ALIVE, MOST_NOISE, Measured, Subject, between_halves, measure_in_rounds, times_of
from .rounds_file import RoundsFile
from .samples_format import KIND, VERSION, samples_text, tree_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FOLDER = Path(__file__).resolve().parents[1]
KIT_KIND, KIT_VERSION = "latency kit", 1
MODELS, RUNTIME = "models.zip", "runtime.py"
NETWORK, BLOCK = "{}", "block{}"  # files in the archive, by number and without their endings
AGAIN = "copy the whole kit once more"
SAME_DEVICE = ("processor", "cores", "machine")
LEAST_ALIVE = 6
PROCESS = 80e6  # bytes that an open network takes beside its weights, which are there up to three times
QUIET = 10.0  # seconds between two lines of a log


class Kit(NamedTuple):
    manifest: dict[str, Any]
    sha256: str

    @property
    def spaces(self) -> dict[str, str]:
        """The digests of its spaces by name."""
        return {name: str(one["digest"]) for name, one in self.manifest["spaces"].items()}


def main(words: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    try:
        return _main(_parser().parse_args(words), folder)
    except MeasuringError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped; the same command goes on\n")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 run.py", description=__doc__, epilog="Killed, it goes on.")
    parser.add_argument("--minutes", type=float, help="how long it may take; five rounds are the least")
    parser.add_argument("--threads", type=_count, help="threads of a network, if not those that the kit was made for")
    parser.add_argument("--alive", type=_count, help="networks open at a time; if not given, what memory allows")
    parser.add_argument("--out", type=Path, default=Path("samples.json"), help="the file to write: samples.json")
    return parser


def _count(word: str) -> int:
    if not word.isdigit() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is no whole number from one on")
    return int(word)


def _main(asked: argparse.Namespace, folder: Path) -> int:
    kit, out = read_kit(folder), asked.out
    if out.exists():
        raise MeasuringError(
            f"{out}: measured already, and it stays as it is; copy it to your computer, or name another file with --out"
        )
    manifest = kit.manifest
    header = {
        "kit": kit.sha256,
        "spaces": kit.spaces,
        "threads": asked.threads or manifest["threads"],
        "device": describe_device(),
        "alive": asked.alive or room(manifest["mean_bytes"]),
    }
    path, minutes = out.with_name(f"{out.name}.journal"), asked.minutes or manifest["minutes"]
    with closing(RoundsFile(path, header)) as journal:
        _check_same(journal, header)
        _say(
            f"{len(manifest['networks'])} networks of {', '.join(kit.spaces)} in {manifest['runtime']}, "
            f"{header['threads']} thread(s), about {minutes:g} minutes on {header['device']['processor']}; "
            "let nothing else run"
        )
        if told := in_words([conditions_now()]):
            _say(f"now: {told}")
        if header["threads"] > _cores():
            _say(f"{header['threads']} threads on {_cores()} core(s) wait for each other; --threads takes fewer")
        if journal.records:
            _say(f"going on with {path}")
        try:
            measured, blocks = _measure(manifest, journal, minutes, folder)
        except MeasuringError:
            if not any("times" in record or "blocks" in record for record in journal.records):  # nothing to go on with
                path.unlink()
            raise
        _write(out, samples_text(_samples(manifest, header["threads"], measured, blocks)))
        path.unlink()
    _report(manifest["networks"], measured, out)
    return 0


def _measure(
    manifest: Mapping[str, Any], journal: RoundsFile, minutes: float, folder: Path
) -> tuple[Measured, dict[int, BlockTimes]]:
    """Measure what the journal does not hold yet: blocks alone, then networks."""
    threads, suffix, models, show = journal.header["threads"], manifest["suffix"], folder / MODELS, _progress()
    target = Target(manifest["runtime"], folder / RUNTIME, manifest["pip"], sys.executable, threads)
    shapes = [tuple(each["shape"]) for each in manifest["blocks"]]
    blocks = measure_blocks(
        shapes,
        target,
        lambda i, path: unpack(models, BLOCK.format(i), path),
        suffix,
        journal,
        minutes,
        lambda seconds, done: show(seconds, 60 * minutes, f"{len(shapes)} blocks alone, round {done}"),
    )
    networks = [Subject(each["name"], tuple(each["shape"]), each["role"] == "anchor") for each in manifest["networks"]]
    measured = measure_in_rounds(
        networks,
        target,
        lambda i, path: unpack(models, NETWORK.format(i), path),
        suffix,
        journal,
        minutes,
        lambda text: _say(f"\n{text}" if sys.stdout.isatty() else text),  # a line of progress may stand there
        show,
        journal.header["alive"],
    )
    return measured, blocks


def read_kit(folder: Path) -> Kit:
    """The kit in a folder, if all of it is there and belongs together."""
    path = folder / "manifest.json"
    try:
        data = path.read_bytes()
        manifest = json.loads(data.decode("utf-8"))
    except OSError as error:
        raise MeasuringError(f"{path}: cannot be read ({error.strerror}); {AGAIN}") from error
    except (ValueError, RecursionError) as error:
        raise MeasuringError(f"{path}: not the whole file ({error}); {AGAIN}") from error
    if not isinstance(manifest, dict) or (manifest.get("kind"), manifest.get("version")) != (KIT_KIND, KIT_VERSION):
        raise MeasuringError(f"{path}: not of a kit that this run.py knows; {AGAIN}")
    try:
        for name, described in manifest["spaces"].items():
            if tree_digest(described["tree"]) != described["digest"]:
                raise MeasuringError(f"{path}: space {name} has other choices than the kit was made of; {AGAIN}")
        unknown = sorted({each["space"] for each in manifest["networks"]} - set(manifest["spaces"]))
        if unknown:
            raise MeasuringError(f"{path}: has networks of {unknown[0]}, which is none of its spaces; {AGAIN}")
        whole = manifest["models_sha256"]
    except (KeyError, TypeError, AttributeError) as error:
        raise MeasuringError(f"{path}: damaged ({error!r}); {AGAIN}") from error
    if _sha256(folder / MODELS) != whole:
        raise MeasuringError(f"{folder / MODELS}: not the networks of manifest.json; {AGAIN}")
    return Kit(manifest, hashlib.sha256(data).hexdigest())


def unpack(models: Path, stem: str, path: Path) -> None:
    """Write the files of a network; the one that is opened, `path`, comes last."""
    try:
        path.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(models) as archive:
            names = [name for name in archive.namelist() if name.partition(".")[0] == stem]
            for name in sorted(names, key=lambda name: name.endswith(path.suffix)):
                partial = path.with_suffix(".partial")
                with archive.open(name) as packed, open(partial, "wb") as file:
                    shutil.copyfileobj(packed, file, 1 << 20)
                os.replace(partial, path.with_suffix(os.path.splitext(name)[1]))
    except OSError as error:
        raise MeasuringError(f"{path}: cannot be written ({error.strerror}); make room, and go on") from error


def _check_same(journal: RoundsFile, header: Mapping[str, Any]) -> None:
    """Refuse to go on with something else."""
    then = journal.header
    begun = f"{journal.path}: begun with"
    way = f"delete {journal.path} to measure from the start, or name another file with --out"
    kinds = {"spaces": dict, "device": dict, "alive": int}
    if not all(isinstance(then.get(key), kind) for key, kind in kinds.items()):
        raise MeasuringError(f"{journal.path}: its first line is damaged; {way}")
    if then["spaces"] != header["spaces"]:
        names = "another " * (set(then["spaces"]) == set(header["spaces"])) + ", ".join(then["spaces"])
        raise MeasuringError(f"{begun} networks of {names}, and this kit has {', '.join(header['spaces'])}; {way}")
    if then.get("kit") != header["kit"]:
        raise MeasuringError(f"{begun} another kit; {way}")
    if then.get("threads") != header["threads"]:
        raise MeasuringError(f"{begun} {then.get('threads')} thread(s), and asked for are {header['threads']}; {way}")
    for key in SAME_DEVICE:
        if then["device"].get(key) != header["device"][key]:
            raise MeasuringError(f"{begun} {key} {then['device'].get(key)}, and here is {header['device'][key]}; {way}")


def room(mean_bytes: float, meminfo: Path = Path("/proc/meminfo")) -> int:
    """How many networks of such a size memory has room for at a time."""
    try:
        lines = meminfo.read_text(encoding="utf-8").splitlines()
        free = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError, IndexError):
        return MOST_ALIVE
    return max(LEAST_ALIVE, min(MOST_ALIVE, int(0.8 * free / (PROCESS + 3 * mean_bytes))))


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def _samples(
    manifest: Mapping[str, Any], threads: int, measured: Measured, blocks: Mapping[int, BlockTimes]
) -> dict[str, Any]:
    """What latency/samples.py reads."""
    rows = []
    for i, each in enumerate(manifest["networks"]):
        if i in measured.visits:
            times = times_of(measured.visits[i])
            cpu = {"cpu_ms": times.pop("cpu_ms")} if "cpu_ms" in times else {}
            known = {key: each[key] for key in ("space", "arch", "input")}
            rows.append({**known, **times, "role": each["role"], **cpu})
    alone = []
    for i, times_alone in blocks.items():
        known = {key: manifest["blocks"][i][key] for key in ("space", "arch", "part")}
        alone.append({**known, "ms": times_alone.ms, "cpu_ms": times_alone.cpu_ms})
    return {
        "kind": KIND,
        "version": VERSION,
        "device": describe_device(),
        "runtime": manifest["runtime"],
        "runtime_version": measured.version,
        "threads": threads,
        **{key: manifest[key] for key in ("dtype", "batch", "joints")},
        "noise": measured.noise,
        "drift": measured.drift,
        **({"conditions": measured.conditions} if measured.conditions else {}),
        **({"rewrites": manifest["rewrites"]} if manifest["rewrites"] else {}),
        "spaces": manifest["spaces"],
        "samples": rows,
        **({"blocks": alone} if alone else {}),
    }


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".partial-{path.name}")
    try:
        with open(partial, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise MeasuringError(f"{path}: cannot be written ({error.strerror}); make room, and go on") from error


def _report(networks: Sequence[Mapping[str, Any]], measured: Measured, out: Path) -> None:
    rows = []
    for i, visits in measured.visits.items():
        height, width = networks[i]["input"]
        rows.append(
            (min(visit.ms for visit in visits), networks[i]["name"], f"{height}x{width}", between_halves(visits))
        )
    long = max(len(row[1]) for row in rows)
    _say(f"\n{'network':{long}}  {'input':>9}  {'ms':>9}  noise")
    for ms, name, size, off in sorted(rows):
        _say(f"{name:{long}}  {size:>9}  {ms:9.2f}  {off:5.1%}")
    fewest = min(map(len, measured.visits.values()))
    _say(f"\n{len(rows)} networks, {fewest} rounds and more; median {statistics.median(row[0] for row in rows):.2f} ms")
    _say(f"noise {measured.noise:.1%}: how far a second measurement of a network would be off")
    if told := in_words(measured.conditions):
        _say(f"the device meanwhile: {told}")
    for line in complaints(measured.conditions, measured.drift, measured.noise):
        _say(line)
    if not measured.noise <= MOST_NOISE:
        _say(f"above {MOST_NOISE:.0%} nothing can be promised: let nothing else run, and measure again with --out")
    _say(f"written to {out}; copy it to your computer: litepose-nas latency fit {out.name} --out profile.json")


def _progress() -> Callable[[float, float, str], None]:
    """A line that changes on a screen, a line now and then in a log."""
    screen, last = sys.stdout.isatty(), [-QUIET]

    def show(done: float, total: float, text: str) -> None:
        line = f"{text}: {done / 60:.1f} of {total / 60:g} minutes"
        if screen:
            sys.stdout.write(f"\r{line}   ")
            sys.stdout.flush()
        elif time.monotonic() - last[0] >= QUIET:
            last[0] = time.monotonic()
            _say(line)

    return show


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while True:
                piece = file.read(1 << 20)
                if not piece:
                    return found.hexdigest()
                found.update(piece)
    except OSError as error:
        raise MeasuringError(f"{path}: cannot be read ({error.strerror}); {AGAIN}") from error
