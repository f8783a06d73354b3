"""What every network of the demo goes through alike, two or more at a time: extract, evaluate, fine-tune, evaluate.

Each is trained by one thread wherever it runs, so its numbers depend neither on those beside it nor on the order.
"""

from __future__ import annotations

import json
import multiprocessing
import queue
import shutil
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from litepose_nas import devices, weights
from litepose_nas.data.source import Source, open_source
from litepose_nas.demo.scale import Scale
from litepose_nas.errors import UserError
from litepose_nas.executors.processes import die_with_parent
from litepose_nas.files import replacing
from litepose_nas.resolve import subnet_of
from litepose_nas.runs.run import ENV, Run
from litepose_nas.steps import evaluate, extract, finetune
from litepose_nas.train.loop import Progress
from litepose_nas.train.recipe import Length, changed

INHERITED, FINETUNED = "inherited.json", "finetuned.json"


class News(NamedTuple):
    """What is told of one network: how much of it is done, and a sentence now and then."""

    name: str
    share: float
    text: str = ""
    mistake: str = ""  # of the user, in one line
    crash: str = ""  # a traceback


class Task(NamedTuple):
    """One network to be told the story of."""

    name: str
    folder: str  # with its subnet.json
    data: str
    scale: Scale
    seed: int


def tell(task: Task, hear: Callable[[News], None]) -> None:
    """Extract a network, evaluate what it inherited, fine-tune and evaluate it; what is done already is left alone."""
    folder, scale, source = Path(task.folder), task.scale, open_source(task.data)
    if (folder / FINETUNED).is_file():
        return
    plain = folder / "subnet.safetensors"
    if not (folder / INHERITED).is_file():
        found = extract.extract_subnet(folder / "subnet.json", source, "cpu")
        weights.save(found.net, plain, found.subnet)
        hear(News(task.name, 0.02, f"inherited AP {_judge(plain, source, scale, folder / INHERITED):.3f}"))

    def report(p: Progress) -> None:
        hear(News(task.name, 0.05 + 0.9 * p.step / p.steps))

    place = folder / "finetune"
    if (place / ENV).is_file():
        run = Run.resume(place)
        ready = finetune.again(run, source, "cpu")
    else:
        shutil.rmtree(place, ignore_errors=True)  # killed while it was made
        recipe = finetune.recipe_of(subnet_of(plain), str(plain), lambda recipe: changed(recipe, scale.finetune))
        length = Length(steps=scale.finetune_steps)
        ready = finetune.prepare(plain, source, recipe, length, "cpu", "off", task.seed, scale.teacher)
        run = Run.create(finetune.VERB, settings=ready.plan.settings, out=place)
    with run:
        path, _ = finetune.finetune(run, ready, report)
    shutil.copyfile(path, folder / "subnet-finetuned.safetensors")
    ap = _judge(folder / "subnet-finetuned.safetensors", source, scale, folder / FINETUNED)
    hear(News(task.name, 1.0, f"fine-tuned AP {ap:.3f}"))


def tell_all(tasks: Sequence[Task], lanes: int, hear: Callable[[News], None]) -> None:
    """Tell the story of every network in so many processes at a time, or in this one."""
    if lanes == 1:
        with devices.one_thread():
            for task in tasks:
                tell(task, hear)
        return
    context = multiprocessing.get_context("spawn")
    waiting, news = context.SimpleQueue(), context.Queue()
    for item in [*tasks, *([None] * lanes)]:
        waiting.put(item)
    processes = [context.Process(target=_lane, args=(waiting, news), daemon=True) for _ in range(lanes)]
    for process in processes:
        process.start()
    try:
        while any(process.is_alive() for process in processes) or not news.empty():
            try:
                item = news.get(timeout=0.2)
            except queue.Empty:
                continue
            if item.mistake:
                raise UserError(f"{item.name}: {item.mistake}")
            if item.crash:
                raise RuntimeError(f"{item.name}: {item.crash}")
            hear(item)
        if any(process.exitcode for process in processes):
            raise UserError("a process that fine-tuned was ended from outside; go on with --resume")
    finally:
        for process in processes:
            process.terminate()  # politely: a training saves its state first
        for process in processes:
            process.join()


def read(folder: Path, name: str) -> dict[str, Any]:
    """Return the figures and results that an evaluation left."""
    return dict(json.loads((folder / name).read_text(encoding="utf-8")))


def _judge(weights_file: Path, source: Source, scale: Scale, out: Path) -> float:
    scores, results, _ = evaluate.score(evaluate.load(str(weights_file), "cpu"), source, "val", scale.flip)
    with replacing(out) as temporary:
        temporary.write_text(json.dumps({"scores": scores._asdict(), "results": results}), encoding="utf-8")
    return scores.ap


def _lane(waiting: Any, news: Any) -> None:
    """Take networks until none waits; the whole life of one process."""
    threading.Thread(target=die_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    try:
        while (task := waiting.get()) is not None:
            try:
                tell(task, news.put)
            except UserError as error:
                return news.put(News(task.name, 0.0, mistake=str(error)))
            except Exception:
                return news.put(News(task.name, 0.0, crash=traceback.format_exc()))
    except KeyboardInterrupt:  # Ctrl-C reaches every process of a terminal; the first one says what to say
        pass
