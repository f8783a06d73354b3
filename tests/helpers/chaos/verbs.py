"""The verbs that write: how each is begun, how it goes on, and what must be there before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from litepose_nas import Space
from litepose_nas.latency import samples as samples_file
from tests.helpers.commands import ROOT
from tests.helpers.devices import SimulatedDevice

MADE = "made"
BASE = (
    "data toy people --train 8 --val 2 --size 64",
    "train-supernet --space small.yaml --data people --steps 3 batch=2 --out super",
    "search super --budget 20MMAC --evals 5 --out found",
    "extract subnet.json --out net.safetensors",
)


class Verb(NamedTuple):
    name: str
    first: str
    again: str = ""  # once it has begun; the same words as at first if empty
    begun: str = ""  # what is there then
    whole: str = ""  # what is there only when all is done, where the words of the beginning are refused then


def run_of(name: str, words: str, verb: str, more: str = "") -> Verb:
    again = f"{verb} --resume --out {MADE}{more}"
    return Verb(name, f"{words} --out {MADE}{more}", again, f"{MADE}/env.json")


VERBS = {
    verb.name: verb
    for verb in (
        run_of("train", "train-supernet --space small.yaml --data people --steps 2 batch=2", "train-supernet"),
        run_of("search", "search super --budget 20MMAC --evals 5", "search"),
        run_of("search-2", "search super --budget 20MMAC --evals 5", "search", " --workers 2"),
        run_of("finetune", "finetune net.safetensors --steps 3 batch=2", "finetune"),
        run_of("compete", "finetune found --candidates 2 --steps 3", "finetune"),
        run_of("audit", "audit super --nets 3 --seeds 1 --steps 3", "audit"),
        Verb("import", "import net.safetensors --space small.yaml --out made.safetensors"),
        Verb("sample", f"space sample small.yaml -n 3 --out {MADE}"),
        Verb("extract", "extract subnet.json --out made.safetensors"),
        Verb("export", "export net.safetensors --out made.onnx"),
        Verb("benchmark", f"benchmark net.safetensors --data people --images 2 --seconds 0 --out {MADE}", whole=MADE),
        Verb("convert", f"data convert people {MADE} --to yolo --images copy", whole=MADE),
        Verb("split", f"data split people --fraction 0.2 --out {MADE}", whole=MADE),
        Verb("toy", f"data toy {MADE} --train 4 --val 2 --size 64"),
        Verb("check", "data check people --html made.html"),
        Verb("predict", f"predict net.safetensors people/val --out {MADE}"),
        Verb(
            "video",
            f"predict net.safetensors people/train --video --out {MADE}",
            f"predict net.safetensors people/train --video --out {MADE} --resume",
            f"{MADE}/train.state.npz",
        ),
        Verb("kit", f"latency kit topdown-tiny --nets 2 --out {MADE}", whole=MADE),
        Verb("fit", "latency fit samples.json --out made.json"),
        Verb("report", f"report found --budget 15MMAC --out {MADE}"),
        Verb("evaluate", "evaluate net.safetensors --data people --save made.json"),
        Verb(
            "measure",
            "latency measure topdown-tiny --nets 2 --minutes 0.02 --out made.json",
            "latency measure --resume --out made.json",
            "made.json.journal",
            "made.json",
        ),
    )
}


def make_base(folder: Path, run: Callable[[str], None]) -> None:
    """Make what the verbs start from: pictures, a trained supernet, a search, a network; `run` runs a command there."""
    folder.mkdir(parents=True)
    text = (ROOT / "search_spaces" / "litepose-tiny.yaml").read_text(encoding="utf-8")
    (folder / "small.yaml").write_text(text.replace("[64, 96, 128, 160]", "[64]"), encoding="utf-8")
    measured = SimulatedDevice().samples(Space.load("litepose-tiny"), 24)
    samples_file.write(folder / "samples.json", measured)
    for words in BASE:
        run(words)
