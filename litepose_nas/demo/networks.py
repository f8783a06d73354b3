"""What every network of the demo goes through alike, two or more at a time: extract, evaluate, fine-tune, evaluate.

Each is trained by one thread wherever it runs, so its numbers depend neither on those beside it nor on the order.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from litepose_nas import devices, files, weights
from litepose_nas.data.loader import Pictures
from litepose_nas.data.source import Source, open_source
from litepose_nas.demo.scale import DemoScale
from litepose_nas.errors import UserError
from litepose_nas.executors.base import Say, run_all
from litepose_nas.executors.open_executor import ExecutorOptions, open_executor
from litepose_nas.inference import batches
from litepose_nas.runs import metrics
from litepose_nas.steps import evaluate, extract, finetune
from litepose_nas.steps.finetune import FinetuneOptions
from litepose_nas.steps.training import begin_or_resume
from litepose_nas.train.recipe import Length

INHERITED, FINETUNED = "inherited.json", "finetuned.json"
LOOK = 0.5  # seconds between two looks at how far the trainings are


class NetworkJob(NamedTuple):
    name: str
    folder: str  # with its subnet.json
    data: str
    scale: DemoScale
    seed: int


def finetune_network(job: NetworkJob) -> list[str]:
    """Extract a network, evaluate what it inherited, fine-tune and evaluate it; what is done already is left alone."""
    folder, scale, source, said = Path(job.folder), job.scale, open_source(job.data), []
    plain, tuned = folder / "subnet.safetensors", folder / "subnet-finetuned.safetensors"
    if (folder / FINETUNED).is_file():
        return []
    if not (folder / INHERITED).is_file():
        found = extract.extract_subnet(folder / "subnet.json", source, "cpu")
        weights.save(found.net, plain, found.subnet)
        said.append(f"inherited AP {_evaluate(plain, source, scale, folder / INHERITED):.3f}")
    options = FinetuneOptions(
        plain, scale.finetune, Length(steps=scale.finetune_steps), scale.teacher, seed=job.seed, device="cpu", amp="off"
    )
    run, training = begin_or_resume(
        finetune.VERB,
        folder / "finetune",
        lambda: finetune.plan(options, source),
        lambda run: finetune.load(run, source, "cpu"),
    )
    with run:
        path, _ = finetune.finetune(run, training)
    shutil.copyfile(path, tuned)
    return [*said, f"fine-tuned AP {_evaluate(tuned, source, scale, folder / FINETUNED):.3f}"]


def finetune_all(
    jobs: Sequence[NetworkJob], workers: int, say: Callable[[str, str], None], watch: Callable[[], None], log: Say
) -> None:
    """Do this many jobs at a time; `say` takes a name and a sentence, `watch` is called now and then."""
    with devices.one_thread():
        executor = open_executor(ExecutorOptions(workers=workers), _named, _worker, say=log)
        with closing(executor), _now_and_then(watch):
            for done in run_all(executor, jobs):
                for text in done.result:
                    say(done.job.name, text)


def done_share(folder: Path, scale: DemoScale) -> float:
    if (folder / FINETUNED).is_file():
        return 1.0
    rows = metrics.read(folder / "finetune" / "metrics.jsonl")
    trained = 0.9 * rows[-1]["step"] / scale.finetune_steps if rows else 0.0
    return 0.02 + trained if (folder / INHERITED).is_file() else 0.0


def _worker() -> Callable[[NetworkJob], list[str]]:
    torch.set_num_threads(1)
    return _named


def _named(job: NetworkJob) -> list[str]:
    try:
        return finetune_network(job)
    except UserError as error:
        raise UserError(f"{job.name}: {error}") from error


@contextmanager
def _now_and_then(watch: Callable[[], None]) -> Iterator[None]:
    """Call a function every half second, beside what this thread waits for."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK):
            watch()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def read(folder: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((folder / name).read_text(encoding="utf-8")))


def _evaluate(weights_file: Path, source: Source, scale: DemoScale, out: Path) -> float:
    net, task, _, size = evaluate.load(str(weights_file), "cpu")
    scores, results = batches.evaluate(net, Pictures(source.read("val")), task, size, flip=scale.flip)
    files.write(out, json.dumps({"scores": scores._asdict(), "results": results}))
    return scores.ap
