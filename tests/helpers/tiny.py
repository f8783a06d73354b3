"""What is small enough to train inside a test: a space, pictures, a network; and a look at all that a run left."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

import litepose_nas as ln
from litepose_nas import weights
from litepose_nas.data.source import open_source
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.pose.make_task import make_task
from litepose_nas.steps import common, finetune, train_supernet
from litepose_nas.steps.finetune import FinetuneOptions
from litepose_nas.steps.train_supernet import TrainOptions
from litepose_nas.steps.training import begin_or_resume
from litepose_nas.synthetic.dataset import write_toy
from litepose_nas.train import checkpoint
from litepose_nas.train.loop import CHECKPOINT, Every
from litepose_nas.train.recipe import Length, Recipe, changed
from tests.helpers.commands import ROOT, environment, run

EVERY = Every(report=2, check=4, save=3)  # no two at the same time for long


def make_room(folder):
    """Put pictures and a space of one small resolution into a folder; return (source, path of the space)."""
    write_toy(folder / "people", train=24, val=6, size=64)
    text = (ROOT / "search_spaces" / "litepose-tiny.yaml").read_text()
    (folder / "small.yaml").write_text(text.replace("[64, 96, 128, 160]", "[64]"))
    return open_source(str(folder / "people")), str(folder / "small.yaml")


def room_after(folder, *commands):
    """Make a room of a folder, run commands in it, and return it."""
    make_room(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in commands:
            assert run(f"litepose-nas {words}", patch) == 0, words
    return folder


def supernet(folder, source, space, steps=8, report=None, settings=(), every=EVERY):
    """Train a supernet into a folder, or go on in it."""
    options = TrainOptions(space, changed(Recipe(batch=2), settings), Length(steps=steps), device="cpu", amp="off")
    run, training = begin_or_resume(
        train_supernet.VERB,
        folder,
        lambda: train_supernet.plan(options, source, print),
        lambda run: train_supernet.load(run, source, "cpu"),
    )
    with run:
        return train_supernet.train(run, training, report, every)


def network(path, source, space):
    """Write an untrained network as `extract` would."""
    torch.manual_seed(1)
    arch = ln.Space.load(space).smallest
    made = {"supernet": {"path": "", "sha256": ""}, "recipe": Recipe(batch=2).__dict__, "data": source.name, "seed": 0}
    skeleton = source.read("train").skeleton
    described = common.describe(skeleton, make_task(skeleton, Recipe().task_info))
    weights.save(ln.build(arch), path, Subnet(arch, 17, {**made, **described}))


def single(folder, source, path, steps=8, report=None, every=None, take="best"):
    """Train a network into a folder, or go on in it."""
    options = FinetuneOptions(path, length=Length(steps=steps), take=take, device="cpu", amp="off")
    run, training = begin_or_resume(
        finetune.VERB,
        folder,
        lambda: finetune.plan(options, source),
        lambda run: finetune.load(run, source, "cpu"),
    )
    with run:
        return finetune.finetune(run, training, report, every or EVERY._replace(report=1))


def left_by_training(folder):
    """Return everything a training left that must not depend on having been stopped, by name."""
    names = [
        "metrics.csv",
        "metrics.jsonl",
        "config.yaml",
        *(f"weights/{f.name}" for f in (folder / "weights").iterdir()),
    ]
    left = {name: (folder / name).read_bytes() for name in names}
    return left | dict(_flat("checkpoint", checkpoint.load(folder / CHECKPOINT)))


def left_by_search(folder, subnet):
    """Return everything a search left but the seconds it took, by name."""
    left = {name: (folder / "front" / name).read_bytes() for name in os.listdir(folder / "front")}
    left |= {"config.yaml": (folder / "config.yaml").read_bytes(), "subnet.json": subnet.read_bytes()}
    for number, line in enumerate((folder / "journal.jsonl").read_text().splitlines()):
        record = json.loads(line)
        record.get("result", {}).pop("seconds", None)
        record.pop("sum", None)  # of the seconds, too
        left[f"journal {number}"] = record
    with (folder / "front.csv").open(newline="") as file:
        left["front"] = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
    return left


def same(one, other):
    """Assert that two runs left the same, naming what differs."""
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []


def start(words, cwd):
    """Start a command in a process of its own."""
    code = "from litepose_nas.cli import main; main()"
    command = [sys.executable, "-W", "error", "-c", code, *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=cwd, env=environment(), text=True, **pipes)


def finish(words, cwd):
    """Run a command in a process of its own to its end, which must be a good one."""
    process = start(words, cwd)
    _, errors = process.communicate()
    assert process.returncode == 0, errors


def kill_many(words, again, cwd, times, within, rng):
    """Kill a command at random moments and let it go on each time, then to the end; return how often it was killed."""
    folder, kills = cwd / words[words.index("--out") + 1], 0
    for _ in range(times):
        process = start(again if (folder / "env.json").exists() else words, cwd)
        _until_held(process, folder)
        time.sleep(rng.uniform(0, 1.8 * within / (times + 1)))
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), errors
        kills += process.returncode != 0
    (folder / ".partial-weights").write_bytes(b"half")  # as a writer leaves that is killed at the worst moment
    finish(again, cwd)
    assert not list(folder.rglob(".partial-*"))
    return kills


def _until_held(process, folder):
    """Wait until a process has begun to write its run: before, there is nothing to lose."""
    limit = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < limit:
        lock = folder / "lock"
        if lock.exists() and f'"pid": {process.pid},' in lock.read_text():
            break
        time.sleep(0.002)
    return time.monotonic()


def _flat(name, value):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(f"{name}.{key}", item)
    elif isinstance(value, list):
        yield from _flat(name, dict(enumerate(value)))
    else:
        yield name, value.numpy().tobytes() if isinstance(value, torch.Tensor) else value
