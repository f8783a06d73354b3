"""The four commands, as typed, from an empty folder to a network that has learned; and the stories in scripts/."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer

from litepose_nas import load
from litepose_nas.cli import app
from litepose_nas.data.source import open_source
from litepose_nas.formats import subnet_file
from litepose_nas.runs.run import Run
from litepose_nas.search.scoring import Protocol, Scorer, SupernetScorer
from litepose_nas.steps import train_supernet

ROOT = Path(__file__).parent.parent
STORIES = ("litepose_crowdpose.sh", "litepose_coco.sh")


def test_the_four_commands(tmp_path, monkeypatch, said):
    monkeypatch.chdir(tmp_path)

    def command(words, following):
        out = said(words)
        assert out.splitlines()[-1].startswith(f"next: litepose-nas {following}"), out
        return out

    command("data toy people --train 80 --val 10 --size 64", "train-supernet --data people")
    trained = command("train-supernet --space litepose-tiny --data people --steps 30 batch=4", "search --budget ")
    budget = trained.splitlines()[-1].split()[-1]  # what the command itself proposes
    found = command(f"search --budget {budget} --evals 14", "extract subnet.json")
    extracted = loss_in(command("extract subnet.json", "finetune subnet.safetensors"))
    tuned = loss_in(command("finetune subnet.safetensors --steps 60", "evaluate subnet-finetuned.safetensors"))
    ten = command("evaluate subnet-finetuned.safetensors", "predict subnet-finetuned.safetensors")
    command("predict subnet-finetuned.safetensors people/val", "export subnet-finetuned.safetensors")

    best = subnet_file.read("subnet.json")
    untrained = loss_before(best.arch)
    assert tuned < 0.9 * extracted
    assert extracted < 0.9 * untrained
    assert best.info["score"]["loss"] == pytest.approx(extracted, abs=1e-4)

    with Path("runs/search/search/front.csv").open(newline="") as file:
        front = list(csv.DictReader(file))
    assert len(front) == 14
    assert len({row["score"] for row in front}) > 10
    assert all(int(row["macs"]) <= 1e6 * float(budget.removesuffix("MMAC")) for row in front)
    assert "MMAC exact" in found
    assert "as LitePose counts" in found
    assert len(re.findall(r"^ Average (?:Precision|Recall) ", ten, re.MULTILINE)) == 10
    compared = json.loads(Path("runs/search/search/baselines.json").read_text())
    assert compared["networks"] == 14
    assert compared["noise"] > 0
    assert f"of the chosen network: {-compared['chosen']:.4f}" in found or compared["ranked_by"] == "ap"
    told = command("report", "report runs/search/search --budget ")
    assert Path("runs/search/search/report/report.html").is_file()
    assert found.splitlines()[-6].strip() in told  # the same noise, the same cost alone
    net = load("subnet-finetuned.safetensors")
    assert net.meta["arch"] == best.arch.to_dict()
    assert len(json.loads(Path("predictions/poses.json").read_text())["pictures"]) == 10


def loss_in(out):
    """Return the loss on the held-out slice that a command printed."""
    (found,) = re.findall(r"on the held-out slice: loss ([\d.]+)", out)
    return float(found)


def loss_before(arch):
    """Return the loss on the held-out slice of an architecture in the supernet as it was before its first step."""
    past = Run.open("runs/train-supernet/supernet")
    supernet, data, trainee, *_ = train_supernet.load(past, open_source("people"), "cpu")
    judge = Scorer(data.split, trainee.task, trainee.recipe, torch.device("cpu"), Protocol())
    return SupernetScorer(supernet, judge)(arch)["loss"]


# ── stories ──


def shim(folder, text):
    """Put a program named litepose-nas into a folder, and return an environment in which it is the one found."""
    folder.mkdir()
    (folder / "litepose-nas").write_text(text)
    (folder / "litepose-nas").chmod(0o755)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


RECORDING = """#!/bin/sh
for word; do printf '%s\\t' "$word"; done >> "$CALLS"
echo >> "$CALLS"
case $1 in
    search) touch subnet.json ;;
    extract) touch "${2%.json}.safetensors" ;;
    finetune) touch subnet-finetuned.safetensors ;;
esac
"""


@pytest.mark.parametrize("story", STORIES)
def test_every_command_of_a_story_is_one(story, tmp_path):
    place = tmp_path / "a folder"
    place.mkdir()
    (place / "data.yaml").write_text("")
    environment = {**shim(tmp_path / "bin", RECORDING), "CALLS": str(tmp_path / "calls")}
    command = ["sh", str(ROOT / "scripts" / story), "data.yaml"]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    calls = [line.split("\t")[:-1] for line in (tmp_path / "calls").read_text().splitlines()]
    verbs = [words[0] for words in calls]
    assert verbs == ["train-supernet", *["search", "extract", "finetune", "evaluate", "export"] * 4]
    known = typer.main.get_command(app).commands
    for verb, *words in calls:
        known[verb].make_context(verb, words)  # parses, and complains of what it does not know
    assert calls[0][calls[0].index("--recipe") + 1] == "litepose"
    searches = [" ".join(words) for words in calls if words[0] == "search"]
    for budget, words in zip(("1.2", "5.0", "7.8", "13.7"), searches, strict=True):
        assert f"--budget {budget}GMAC --mac-convention litepose" in words


@pytest.mark.parametrize("story", STORIES)
def test_a_story_without_data_says_how_to_begin(story, tmp_path):
    for words in ([], ["nowhere.yaml"]):
        command = ["sh", str(ROOT / "scripts" / story), *words]
        environment = shim(tmp_path / f"bin{len(words)}", "#!/bin/sh\nexit 9\n")
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith("usage: ")


@pytest.mark.slow
@pytest.mark.parametrize("story", STORIES)
def test_a_story_told_quickly(story, tmp_path):
    program = (
        f"#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -c 'from litepose_nas.cli import main; main()' \"$@\"\n"
    )
    environment = shim(tmp_path / "bin", program)
    place = tmp_path / "a folder"
    place.mkdir()
    command = ["sh", str(ROOT / "scripts" / story), "--quick"]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("(AP)") == done.stdout.count("(AR)") == 10  # two networks, five lines each
    left = sorted(path.suffix for path in place.glob("litepose-*"))
    assert left == [".json", ".json", ".onnx", ".onnx", *[".safetensors"] * 4]
