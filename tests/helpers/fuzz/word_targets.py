"""The grammars of the command line, and whole commands of those that only read."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path

from litepose_nas import cli
from litepose_nas.budget import TIMES, Budget
from litepose_nas.data.source import open_source
from litepose_nas.errors import UserError
from litepose_nas.executors.open_executor import ExecutorOptions
from litepose_nas.latency.profiles import open_profiles
from litepose_nas.resolve import resolve
from litepose_nas.space import Space, input_size
from litepose_nas.targets import op_set_file
from litepose_nas.train.recipe import Recipe, changed
from tests.helpers import layouts
from tests.helpers.fuzz.target import Target, texts

BUDGETS = (
    "1.2GMAC",
    "300MMAC\n2M",
    "2.4GFLOPs",
    "8MB\n512KBpeak",
    "500kparams",
    "25ms",
    "40fps\n900KB",
    "pi5:25ms\n1e3M",
)
SETTINGS = (
    "lr=0.003\nbatch=32",
    "drops=0.7,0.96\nschedule=steps",
    "scale=0.75,1.25\nflip=0",
    "exact=no\npush=exp\nclip=1e-3",
)
COMMANDS = (
    "space\nlist\n--json",
    "space\nshow\nlitepose-tiny\n--joints\n14",
    "space\nshow\ntopdown-tiny\n--ops\nxnnpack\n--json",
    "space\nsample\nlitepose-tiny\n-n\n2\n--seed\n1\n--json",
    "space\ncount\nlitepose",
    "profile\nlitepose-xs\n--joints\n14",
    "profile\nlitepose-xs\n--input\n256x192\n--ops\nmdla-2\n--json",
    "data\nstats\npeople.json\n--json",
    "data\ncheck\npeople.json\n--split\nval\n--no-images",
    "report\nnone\n--budget\n1GMAC\n--people\n3",
    "evaluate\n--predictions\nfound.json\n--annotations\npeople.json\n--metric\ncoco\n--made-with\nflip",
    # What these name is not there, so none of them begins.
    "train-supernet\n--space\nnone.yaml\n--steps\n5\n--amp\noff\nlr=0.1\nbatch=2",
    "search\nnone\n--budget\n1GMAC\n--people\n2\n--detector-macs\n2GMAC\n--objective\nparams",
    "finetune\nnone.safetensors\n--steps\n3\n--take\nbest\nlr=0.1",
    "extract\nnone.json\n--device\ncpu",
    "predict\nnone.safetensors\nimages\n--min-score\n0.5\n--rate\n25",
    "import\nnone.pth\n--arch\nlitepose-xs\n--resolution\n256x192\n--joints\n14",
    "export\nlitepose-xs\n--format\nonnx\n--input\n256x192",
    "latency\nfit\nnone.json\n--json",
    "latency\ncheck\nnone.json",
    "audit\nnone\n--nets\n4\n--seeds\n2",
    "--version",
)


def _words(path: Path) -> list[str]:
    """The words as a shell on Linux hands them over: what is no text becomes halves of characters."""
    return path.read_bytes().decode("utf-8", "surrogateescape").split("\n")


def _each(readers: Sequence[Callable[[], object]]) -> None:
    """Call all; if any refuse, refuse with the longest message."""
    errors = []
    for read in readers:
        try:
            read()
        except UserError as error:
            errors.append(error)
    if errors:
        raise max(errors, key=lambda error: len(str(error)))


def _read_budget(path: Path) -> None:
    words = _words(path)
    several = {"pi5": "latency_ms_bound_pi5", "phone": "latency_ms_bound_phone"}
    ways = product(("exact", "litepose"), (None, TIMES, several))
    _each([partial(_limits, words, convention, times) for convention, times in ways])


def _limits(words: list[str], convention: str, times: Mapping[str, str] | None) -> list[str]:
    return list(map(str, Budget.of(words, convention, times=times).limits))


def _read_names(path: Path) -> None:
    """Whatever stands for a network, a space, data, an op set, a size, profiles or an executor."""
    word = _words(path)[0]
    readers = (resolve, Space.load, open_source, op_set_file.load, input_size, lambda word: open_profiles([word]))
    _each([*(partial(read, word) for read in readers), ExecutorOptions(word).check])


def _make_names(folder: Path) -> list[bytes]:
    layouts.coco(folder)
    names = (
        "litepose",
        "litepose-xs",
        "coco:people",
        "toy",
        "mpii:.",
        "xnnpack",
        "256x192",
        "pi5=profile.json",
        "people.json",
    )
    return texts(*names, "ray")


def _make_commands(folder: Path) -> list[bytes]:
    layouts.coco(folder)
    layouts.detections(folder / "found.json")
    return texts(*COMMANDS)


def _run(path: Path) -> None:
    """Run a command in the folder of the file; it must end by itself, with 0 or 2."""
    before, argv, out, err = os.getcwd(), sys.argv, io.StringIO(), io.StringIO()
    sys.argv = ["litepose-nas", *_words(path)]
    os.chdir(path.parent)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main()
    except SystemExit as ended:
        if ended.code not in (None, 0, 2):
            raise AssertionError(f"exit code {ended.code}: {err.getvalue()[-500:]}") from ended
    finally:
        os.chdir(before)
        sys.argv = argv
    if codes := {letter for letter in out.getvalue() + err.getvalue() if not letter.isprintable()} - {"\n"}:
        raise AssertionError(f"printed {codes}")


TARGETS = (
    Target("budget", "words.txt", "words", lambda _: texts(*BUDGETS), _read_budget),
    Target("recipe", "words.txt", "words", lambda _: texts(*SETTINGS), lambda path: changed(Recipe(), _words(path))),
    Target("names", "words.txt", "words", _make_names, _read_names),
    Target("command", "words.txt", "words", _make_commands, _run, turns=2),
)
