"""Tell one tiny story with this tree and with a revision of it, by the command line alone, and compare what they leave.

Drawn data, supernets, searches, an extraction and a fine-tuning must be equal: the bits of every tensor and picture,
each evaluated network with its scores. Times, paths, digests of files and sentences may differ. This tree also
goes on from what the revision left, with the same result.

What the revision left is kept in the system's temporary folder, so that a second comparison runs this tree alone.
"""

from __future__ import annotations

import argparse
import csv
import fcntl
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BEFORE_THE_HOUSE = "181c519"
ROOT = Path(__file__).resolve().parent.parent

# Each line is a command; `> file` keeps what it prints, `cp` copies a file.
STORY = """
data toy people --train 16 --val 4 --size 64
data toy films --subject video --setting easy --train 3 --val 1 --frames 8 --size 64
train-supernet --space litepose-tiny --data people --steps 6 batch=2 --name bottomup
train-supernet --space topdown-tiny --data people --steps 12 batch=2 --name topdown
train-supernet --space topdown-tiny --data films --steps 12 batch=2 --name films
search runs/train-supernet/films --budget 8MMAC --evals 8 --rank ap --name guided
cp subnet.json key.json
search runs/train-supernet/bottomup --budget 20MMAC --evals 8 --method nsga2 --name nsga2
search runs/train-supernet/bottomup runs/train-supernet/topdown --budget 20MMAC --evals 8 --name across
cp subnet.json across.json
report runs/search/guided --json > report-guided.json
report runs/search/across --json > report-across.json
extract key.json --out key.safetensors
extract across.json --out subnet.safetensors
finetune subnet.safetensors --steps 4 batch=2
cp subnet-finetuned.safetensors picture.safetensors
evaluate picture.safetensors --save results.json --json > figures.json
train-supernet --space t_vipnas-tiny --key key.safetensors --data films --steps 3 batch=2 --name temporal
search runs/train-supernet/temporal --budget 10MMAC --evals 4 --method random --name temporal
extract subnet.json --out clip.safetensors
cp key.json subnet.json
finetune clip.safetensors --steps 2 --teacher batch=2 --name temporal
evaluate subnet-finetuned.safetensors --json > figures-clip.json
profile litepose-xs --json > litepose.json
profile hrnet_davit --json > hrnet_davit.json
profile s_vipnas-res50 --json > s_vipnas_res50.json
profile s_vipnas-mbv3 --json > s_vipnas_mbv3.json
profile mobilevitpose-xs --json > mobilevitpose.json
profile levitpose-like-t --json > levitpose.json
profile efficientvit-m0 --json > efficientvit.json
"""

# What this tree does in a copy of what the revision left, where these searches were stopped after so many evaluations.
STOPPED = {"guided": 5, "nsga2": 4, "across": 5}
GOING_ON = """
search --resume --out runs/search/guided
cp subnet.json key.json
search --resume --out runs/search/nsga2
search --resume --out runs/search/across
cp subnet.json across.json
cp key.json subnet.json
report runs/search/guided --json > report-guided.json
report runs/search/across --json > report-across.json
extract across.json --out subnet.safetensors
evaluate picture.safetensors --save results.json --json > figures.json
finetune --resume --out runs/finetune/temporal
evaluate subnet-finetuned.safetensors --json > figures-clip.json
"""

# Each command is a fork of a process that has imported torch already: as `python -m litepose_nas`, seconds earlier.
RUNNER = """
import os, runpy, shutil, sys
import cv2, numpy, scipy.optimize, torch, typer
for number, line in enumerate(sys.argv[1].split("\\n")):
    command, _, output = line.partition(" > ")
    words = command.split()
    if words[0] == "cp":
        shutil.copyfile(*words[1:])
        continue
    log, child = f"log-{number}.txt", os.fork()
    if not child:
        with open(output or log, "w") as out, open(log, "a") as errors:
            os.dup2(out.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            sys.argv = ["litepose-nas", *words]
            runpy.run_module("litepose_nas", run_name="__main__", alter_sys=True)
        sys.exit()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        with open(log) as file:
            sys.exit(f"litepose-nas {command}: exit code {code}\\n{file.read()[-3000:]}")
"""

# Also the class that `profile` shows of a block: classes are renamed.
UNEQUAL_BY_NATURE = (
    "block",
    "seconds",
    "sha256",
    "sum",
    "path",
    "supernet",
    "created",
    "written_by",
    "litepose_nas",
    "version",
)


def main() -> None:
    """Compare, print what differs, and exit with 1 if anything does."""
    parser = argparse.ArgumentParser(prog="scripts/guard", description=__doc__.partition("\n\n")[0])
    parser.add_argument(
        "revision", nargs="?", default=BEFORE_THE_HOUSE, help="a commit; before the house, if not given"
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave this tree's folders to look at, also where all is equal"
    )
    given = parser.parse_args()
    start = time.perf_counter()
    then = told_by(given.revision)
    work = Path(tempfile.mkdtemp(prefix="guard-"))
    now, on = work / "now", work / "on"
    now.mkdir()
    tell(ROOT, STORY, now)
    shutil.copytree(then, on)
    stop_searches(on)
    tell(ROOT, GOING_ON, on)
    expected, failed = left_in(then), False
    for what, folder in (("this tree alone", now), (f"this tree going on from {given.revision}", on)):
        differences = list(unequal(expected, left_in(folder)))
        failed |= bool(differences)
        print(f"{what}: {'differs' if differences else f'equal in all {len(expected)} things'}")
        for line in differences[:40]:
            print(f"  {line}")
        if len(differences) > 40:
            print(f"  and {len(differences) - 40} more")
    print(f"{time.perf_counter() - start:.0f} s")
    if failed or given.keep:
        print(f"{given.revision}: {then}\nthis tree: {work}")
    else:
        shutil.rmtree(work)
    sys.exit(failed)


def told_by(revision: str) -> Path:
    """Return the folder that a revision leaves; told once a machine, Python, torch and story."""
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.run([*git, "rev-parse", f"{revision}^{{commit}}"], check=True, capture_output=True, text=True)
    from importlib.metadata import version  # torch itself takes seconds to import

    key = [commit.stdout.strip(), sys.version, version("torch"), version("numpy"), STORY]
    name = f"{key[0][:9]}-{hashlib.sha256(repr(key).encode()).hexdigest()[:12]}"
    home = Path(tempfile.gettempdir()) / f"litepose-guard-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    with (home / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / name).exists():
            print(f"first what {revision} does, which is kept in {home / name}", flush=True)
            with tempfile.TemporaryDirectory(dir=home) as temporary:
                tree, left = Path(temporary) / "tree", Path(temporary) / "left"
                left.mkdir()
                # An archive leaves nothing behind in the repository where it is interrupted, as a worktree would.
                files = subprocess.run([*git, "archive", key[0]], check=True, capture_output=True).stdout
                with tarfile.open(fileobj=io.BytesIO(files)) as archive:
                    archive.extractall(tree)
                tell(tree, STORY, left)
                left.rename(home / name)
    return home / name


def tell(tree: Path, story: str, folder: Path) -> None:
    """Run the commands of a story with a tree's code in a folder."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "MKL_"))}
    environment |= {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RUNNER, story.strip()]
    if subprocess.run(command, cwd=folder, env=environment).returncode:
        sys.exit(f"the story of {tree} stopped in {folder}")


def stop_searches(folder: Path) -> None:
    """Bring the searches in a folder to where a kill after a few evaluations would have left them."""
    for name, evaluations in STOPPED.items():
        run = folder / "runs" / "search" / name
        lines = (run / "journal.jsonl").read_bytes().splitlines(keepends=True)
        (run / "journal.jsonl").write_bytes(b"".join(lines[: 1 + evaluations]) + lines[1 + evaluations][:20])
        for path in run.iterdir():
            if path.name not in ("journal.jsonl", "config.yaml", "env.json", "command.txt", "lock", "log.txt"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "runs" / "finetune" / "temporal" / "ended.json").unlink()


def left_in(folder: Path) -> dict[str, Any]:
    """Return all that must be equal in a folder, by name."""
    left: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not path.is_file():
            continue
        if name.startswith(("people/", "films/")) or path.suffix == ".jpg":
            left[name] = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        elif path.suffix == ".safetensors":
            left |= {f"{name}: {key}": value for key, value in tensors(path)}
        elif path.name == "journal.jsonl":
            left |= {f"{name}: {number}": record for number, record in enumerate(evaluated(path))}
        elif path.name == "metrics.jsonl":
            left |= {
                f"{name}: {n}": comparable(json.loads(line)) for n, line in enumerate(path.read_text().splitlines())
            }
        elif path.name == "front.csv":
            with path.open(newline="") as file:
                left |= {f"{name}: {number}": comparable(row) for number, row in enumerate(csv.DictReader(file))}
        elif path.suffix == ".json" and path.name not in ("env.json", "ended.json"):
            left[name] = comparable(json.loads(path.read_text()))
    return left


def tensors(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the tensors of a safetensors file and what is in them; the metadata is not compared."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    for name, tensor in json.loads(data[8:start]).items():
        if name != "__metadata__":
            first, last = tensor["data_offsets"]
            digest = hashlib.sha256(data[start + first : start + last]).hexdigest()[:16]
            yield name, f"{tensor['dtype']} {tensor['shape']} {digest}"


def evaluated(path: Path) -> Iterator[Any]:
    """Yield what a journal says of networks, in its order, whatever kind of journal it is."""
    header, *records = [json.loads(line) for line in path.read_text().splitlines()]
    alone = header.get("space") or header["families"][0]["name"]
    for record in records:
        if "arch" in record:
            yield comparable({"family": alone, **record})


def comparable(value: Any) -> Any:
    """Return a value without what differs by nature or is written for people: times, paths, digests, sentences."""
    if isinstance(value, dict):
        kept = {key: comparable(item) for key, item in value.items() if key not in UNEQUAL_BY_NATURE}
        return {key: item for key, item in kept.items() if item is not None}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return None if isinstance(value, str) and " " in value and not value.startswith("{") else value


def unequal(expected: dict[str, Any], found: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each thing that is not equal."""
    for name, one in expected.items():
        if name not in found:
            yield f"{name}: missing"
        elif one != found[name]:
            yield f"{name}: {difference(one, found[name])}"
    yield from (f"{name}: new" for name in found if name not in expected)


def difference(one: Any, other: Any) -> str:
    """Return where two values differ first."""
    if isinstance(one, dict) and isinstance(other, dict):
        key = next(key for key in {**one, **other} if one.get(key) != other.get(key))
        return f"{key}: {difference(one.get(key), other.get(key))}"
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        place = next(place for place, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1])
        return f"[{place}]: {difference(one[place], other[place])}"
    return f"{one!r:.200} became {other!r:.200}"


if __name__ == "__main__":
    main()
