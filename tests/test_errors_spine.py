"""What can go wrong on the way from pictures to a network: one message with cause, place and way out, nothing lost."""

import json
import os
import resource
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from litepose_nas import UserError, weights
from litepose_nas.data.loader import Pictures, train_batch
from litepose_nas.data.source import open_source
from litepose_nas.steps.common import read_data
from litepose_nas.train import checkpoint
from litepose_nas.train.loop import CHECKPOINT
from tests.helpers import tiny


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder in which the first three steps have been gone."""
    return tiny.room_after(
        tmp_path_factory.mktemp("done"),
        "train-supernet --space small.yaml --data people --steps 4 --device cpu batch=2",
        "search --budget 16MMAC --evals 4 --device cpu",
        "extract --device cpu",
    )


@pytest.fixture
def command(done, tmp_path, monkeypatch, command):
    """Commands run in a copy of that folder."""
    shutil.copytree(done, tmp_path / "room")
    monkeypatch.chdir(tmp_path / "room")
    return command


def refused(result, *words):
    """Assert that a command ended with one error, its last line, that holds these words."""
    code, _, errors = result
    assert code == 2, errors
    assert "Traceback" not in errors
    lines = [line for line in errors.splitlines() if "error:" in line]
    assert lines == errors.splitlines()[-1:], errors
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0]


def fine(result):
    assert result[0] == 0, result[2]


def nothing_half_written(folder):
    """Assert that no temporary file was left anywhere."""
    assert [path for path in Path(folder).rglob(".*") if path.is_file()] == []


SUPERNET = Path("runs/train-supernet/supernet")
SEARCH = Path("runs/search/search")
TRAIN = "train-supernet --space small.yaml --data people --device cpu batch=2"


# ── budgets ──


def test_an_unreachable_budget_ends_before_weights_or_data_are_read(command):
    file = SUPERNET / "weights" / "last.safetensors"
    whole = file.read_bytes()
    header = whole[: 8 + int.from_bytes(whole[:8], "little")]  # where the space stands
    file.write_bytes(header)
    shutil.rmtree("people")
    for budget in ("1kMAC", "10kparams", "1KBpeak"):
        refused(command(f"search --budget {budget}"), "smallest:", "widest:", "small")
    refused(
        command("search --budget 1kMAC --mac-convention litepose --data nowhere"), "smallest:", "as LitePose counts"
    )
    refused(command("search --budget 20MMAC"), "people")  # a budget that can be kept asks for the pictures ...
    fine(command("data toy people --train 24 --val 6 --size 64"))
    refused(command("search --budget 20MMAC"), str(file))  # ... and for the weights
    refused(command("search --budget 20ms"), "litepose-nas latency measure")
    refused(command("search --budget 1.2G"), "1.2G")
    refused(command("search"), "--budget is missing")


# ── data ──


def test_data_that_is_not_there_or_not_data(command):
    refused(command("train-supernet --data nowhere --steps 2"), "nowhere: no such dataset", "data toy", "YAML")
    Path("other").mkdir()
    refused(command("train-supernet --data other --steps 2"), "other: not a folder made by `data toy`")
    text = "path: people\ntrian: {images: train, annotations: a.json}\n"
    Path("data.yaml").write_text(text)
    refused(command("train-supernet --data data.yaml --steps 2"), "data.yaml: unknown key `trian`", "mean 'train'?")
    Path("data.yaml").write_text("path: people\ntrain: {images: train}\n")
    refused(command("train-supernet --data data.yaml --steps 2"), "data.yaml: train: expected", "annotations")
    Path("data.yaml").write_text("path: [people\n")
    refused(command("train-supernet --data data.yaml --steps 2"), "data.yaml: not YAML")
    assert not Path("runs/train-supernet/supernet-2").exists()


def test_annotations_cut_short_or_empty(command):
    file = Path("people/annotations/person_keypoints_train.json")
    text = file.read_text()
    file.write_text(text[: len(text) // 2])
    refused(command(f"{TRAIN} --steps 2"), str(file), "is not whole JSON", "cut off", "fetch it again")
    document = json.loads(text)
    file.write_text(json.dumps({**document, "images": [], "annotations": []}))
    refused(command(f"{TRAIN} --steps 2"), str(file), "lists no images: the dataset is empty")
    file.write_text(json.dumps({**document, "annotations": []}))
    refused(command(f"{TRAIN} --steps 2"), str(file), "holds no person")
    one = document["images"][0]
    people = [a for a in document["annotations"] if a["image_id"] == one["id"]]
    file.write_text(json.dumps({**document, "images": [one], "annotations": people}))
    refused(command(f"{TRAIN} --steps 2"), "cannot split", "two are needed")
    assert not Path("runs/train-supernet/supernet-2").exists()


def test_a_damaged_picture_ends_a_training_that_goes_on_when_it_is_mended(command):
    source = open_source("people")
    rest = Pictures(read_data(source, 0).split.train.dataset)
    ids = [set(train_batch(rest, (64, 64), 2, 0, step).image_ids) for step in range(11)]
    (late, *_) = ids[10] - set.union(*ids[:10])  # timing a step and calibration have looked at the others
    file = Path(f"people/train/{late:012d}.jpg")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    words = f"{TRAIN} --steps 12 --out new"
    refused(
        command(words), f"cannot read the picture {file}", "cut off", "litepose-nas train-supernet --resume --out new"
    )
    assert checkpoint.load(Path("new") / CHECKPOINT)["step"] == 10
    file.write_bytes(b"")
    refused(command("train-supernet --resume --out new"), str(file), "it is empty")
    file.write_bytes(whole)
    fine(command("train-supernet --resume --out new"))
    fine(command(f"{TRAIN} --steps 12 --out calm"))
    tiny.same(tiny.left_by_training(Path("new")), tiny.left_by_training(Path("calm")))


def test_people_with_another_number_of_joints(command):
    few = 13  # nose to hips
    for split in ("train", "val"):
        document = json.loads(Path(f"people/annotations/person_keypoints_{split}.json").read_text())
        category = document["categories"][0]
        category["keypoints"] = category["keypoints"][:few]
        category["skeleton"] = [limb for limb in category["skeleton"] if max(limb) <= few]
        for annotation in document["annotations"]:
            annotation["keypoints"] = annotation["keypoints"][: 3 * few]
        Path(f"{split}.json").write_text(json.dumps(document))
    lines = [f"{split}: {{images: {split}, annotations: ../{split}.json}}\n" for split in ("train", "val")]
    Path("few.yaml").write_text("path: people\n" + "".join(lines))
    for words in ("search --budget 20MMAC --evals 4", "extract", "finetune --steps 2"):
        refused(command(f"{words} --data few.yaml"), "few.yaml: 13 joints, but", "has 17", "--data")
    refused(command("evaluate --data few.yaml"), "17 joints", "13", "evaluate the network on a dataset with the joints")
    file = Path("people/annotations/person_keypoints_train.json")
    document = json.loads(file.read_text())
    document["annotations"][3]["keypoints"] = document["annotations"][3]["keypoints"][:39]
    file.write_text(json.dumps(document))
    wrong = f"annotation {document['annotations'][3]['id']} has 39 numbers in 'keypoints', but 17 joints need 51"
    refused(command(f"{TRAIN} --steps 2"), wrong)
    assert not Path("runs/search/search-2").exists()


# ── full disks ──


@contextmanager
def room_for(size):
    """Let no file grow beyond a size: writing fails in the middle, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def trained(done):
    source, space = open_source(str(done / "people")), str(done / "small.yaml")
    tiny.supernet(done / "straight", source, space)
    return source, space, tiny.left_by_training(done / "straight")


@pytest.mark.parametrize("size", [0, 100_000, *(pytest.param(size, marks=pytest.mark.slow) for size in (1, 1_000_000))])
def test_a_disk_that_fills_up_while_training(trained, tmp_path, size):
    source, space, straight = trained
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = {}

    def fill(progress):
        if progress.step == 4:
            kept.update(
                (name, (tmp_path / "run" / name).read_bytes()) for name in (CHECKPOINT, "weights/last.safetensors")
            )
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))

    try:
        with pytest.raises(UserError, match=r"unchanged|untouched|nothing was changed") as told:
            tiny.supernet(tmp_path / "run", source, space, report=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert str(tmp_path / "run") in str(told.value)
    assert len(str(told.value)) < 400
    for name, data in kept.items():
        assert (tmp_path / "run" / name).read_bytes() == data
    nothing_half_written(tmp_path)
    tiny.supernet(tmp_path / "run", source, space)
    tiny.same(tiny.left_by_training(tmp_path / "run"), straight)


def test_a_disk_that_is_full_under_a_checkpoint(trained, tmp_path, monkeypatch):
    source, space, straight = trained

    def full(state, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(UserError, match=r"checkpoint.pt: .*the disk is full\); nothing was changed"):
            tiny.supernet(tmp_path / "run", source, space)
    nothing_half_written(tmp_path)
    tiny.supernet(tmp_path / "run", source, space)
    tiny.same(tiny.left_by_training(tmp_path / "run"), straight)


def test_weights_that_cannot_be_written(command, monkeypatch):
    before, write = Path("subnet.safetensors").read_bytes(), Path.write_bytes

    def full(path, data):
        if "safetensors" not in path.name:
            return write(path, data)
        write(path, data[:4])
        assert {one.name for one in path.parent.iterdir() if one.name.startswith(".")} == {path.name}
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        refused(command("extract"), "subnet.safetensors: ", "No space left", "nothing was changed")
        refused(command("finetune --steps 2 --out tuned"), "No space left", "finetune --resume --out tuned")
    assert Path("subnet.safetensors").read_bytes() == before
    assert not Path("subnet-finetuned.safetensors").exists()
    nothing_half_written(".")
    fine(command("finetune --resume --out tuned"))
    assert Path("subnet-finetuned.safetensors").exists()


@pytest.mark.parametrize("size", [2_000, *(pytest.param(size, marks=pytest.mark.slow) for size in (0, 4_000))])
def test_a_disk_that_fills_up_while_searching(command, size):
    words = "search --budget 16MMAC --evals 8 --device cpu --out"
    fine(command(f"{words} calm"))
    whole = Path("subnet.json").read_bytes()
    before = whole
    with room_for(size):
        result = command(f"{words} new")
    refused(result, "new", "File too large")
    nothing_half_written(".")
    assert Path("subnet.json").read_bytes() == before
    if Path("new/journal.jsonl").exists():
        assert Path("new/journal.jsonl").read_bytes().endswith(b"}\n")
    if Path("new/env.json").exists():  # the run is there, with a journal or before it
        assert "search --resume --out new" in result[2]
        fine(command("search --resume --out new"))
    else:
        fine(command(f"{words} new"))
    tiny.same(
        tiny.left_by_search(Path("new"), Path("subnet.json")),
        tiny.left_by_search(Path("calm"), Path("subnet.json")),
    )
    assert Path("subnet.json").read_bytes() == whole


def test_predictions_and_results_on_a_full_disk(command):
    for words in ("predict subnet.safetensors people/val --out found", "evaluate --save results.json --device cpu"):
        with room_for(0):
            refused(command(words), "writing failed (File too large); nothing was changed")
    nothing_half_written(".")
    assert not Path("results.json").exists()


# ── what would happen ──


def test_a_dry_run_says_it_all_and_writes_nothing(command):
    before = sorted(Path().rglob("*"))
    code, out, errors = command(f"{TRAIN} --steps 50 --dry-run")
    assert code == 0, errors
    for words in ("22 pictures, 50 steps of batch 2", "about", "reachable budgets: 4.570 MMAC to", "GB and up"):
        assert words in out
    quick = "train-supernet --space small.yaml --data people --device cpu --dry-run"
    code, out, errors = command(f"{quick} batch=16 lr=0.02")
    assert code == 0, errors
    assert "quick preset" in out
    assert "steps of batch 16 at 64 px" in out  # what was typed holds in the preset too
    code, out, errors = command(quick)
    assert "steps of batch 4 at 64 px" in out
    code, out, errors = command("search --budget 16MMAC --dry-run --device cpu")
    assert code == 0, errors
    assert "quick preset" in out
    code, out, errors = command("finetune --dry-run --device cpu lr=0.01")
    assert code == 0, errors
    assert "quick preset" in out
    assert sorted(Path().rglob("*")) == before


def test_a_teacher_needs_the_supernet(command):
    fine(command("finetune --teacher --steps 2 --device cpu --out taught"))
    fine(command("finetune --steps 2 --device cpu --out alone"))
    taught, alone = (Path(name, "weights", "last.safetensors").read_bytes() for name in ("taught", "alone"))
    assert taught != alone
    file, words = SUPERNET / "weights" / "last.safetensors", "finetune --teacher --steps 2 --device cpu"
    shutil.copy(file, "copy.safetensors")
    supernet = weights.load_supernet(file)
    supernet.store.flat += 1
    weights.save_supernet(supernet, file)
    refused(
        command(words), f"{file}: changed since subnet.safetensors was written", "restore it", "leave out --teacher"
    )
    shutil.rmtree(SUPERNET)
    refused(command(words), str(file), "is not there", "extract again with --supernet", "leave out --teacher")
    refused(command("finetune --resume --out taught"), str(file), "is not there")
    fine(command("extract --supernet copy.safetensors"))  # whose place the next step is told
    fine(command(words))


def test_resume_takes_the_newest_unfinished_run(command):
    fine(command("finetune --steps 4 --name first"))
    Path("runs/finetune/first/ended.json").unlink()  # as a kill before the end leaves it
    fine(command("finetune --steps 2 --name second"))
    expected = Path("runs/finetune/first/weights/best.safetensors").read_bytes()
    assert Path("subnet-finetuned.safetensors").read_bytes() != expected
    code, out, errors = command("finetune --resume")
    assert code == 0
    assert f"going on with {Path('runs/finetune/first')}" in errors
    assert Path("subnet-finetuned.safetensors").read_bytes() == expected
    assert "those of step" in out
    refused(command("finetune --resume"), "every run under runs/finetune has ended")


def test_the_last_weights_may_be_asked_for(command):
    fine(command("finetune --steps 2 --last --out tuned"))
    assert Path("subnet-finetuned.safetensors").read_bytes() == Path("tuned/weights/last.safetensors").read_bytes()
    os.remove("subnet-finetuned.safetensors")
    fine(command("finetune --resume --out tuned"))
    assert Path("subnet-finetuned.safetensors").read_bytes() == Path("tuned/weights/last.safetensors").read_bytes()
    refused(command("finetune --resume --last --out tuned"), "leave out --last")


# ── runs and files that do not belong together ──


def test_resuming_with_another_config(command):
    for verb, folder in (("train-supernet", SUPERNET), ("search", SEARCH)):
        config = folder / "config.yaml"
        config.write_text(config.read_text().replace("seed: 0", "seed: 1"))
        words = f"{verb} --resume --out {folder}"
        refused(command(words), str(config), "changed since the run began", "restore it")


def test_options_that_a_resumed_run_would_ignore(command):
    cases = (
        "train-supernet --resume --steps 9",
        "train-supernet lr=0.1 --resume",
        "search --resume --budget 9MMAC",
        "search --resume --evals 90",
        "finetune --resume --data people",
    )
    for words in cases:
        refused(command(words), "--resume goes on with the settings", "leave out", "start a new run")
    refused(command("finetune --resume"), "no run", "litepose-nas finetune")
    refused(command("search --resume --out nowhere"), "nowhere: not a run")
    for verb in ("train-supernet", "search"):
        refused(command(f"{verb} --resume"), f"every run under runs/{verb} has ended", f"litepose-nas {verb}", "--out")
    fine(command(f"search --resume --device cpu --out {SEARCH}"))  # one that is named says again what it found
    fine(command(f"train-supernet --resume --out {SUPERNET}"))


def test_a_checkpoint_that_is_damaged(command):
    file = SUPERNET / CHECKPOINT
    data, words = file.read_bytes(), f"train-supernet --resume --out {SUPERNET}"
    for broken in (b"", b"PK\x03\x04", data[: len(data) // 2]):
        file.write_bytes(broken)
        refused(command(words), str(file), "not a checkpoint of this training", "delete it")
    torch.save({"step": 3, "store": {}}, file)
    refused(command(words), str(file), "not a checkpoint of this training")


def test_a_search_in_a_training_that_has_not_ended_says_so(command):
    words = "search --budget 16MMAC --evals 2 --dry-run"
    assert "has not ended" not in command(words)[1]
    rows = (SUPERNET / "metrics.jsonl").read_text().splitlines(keepends=True)
    (SUPERNET / "metrics.jsonl").write_text("".join(rows[:-1]))
    assert "has not ended: it stands at step 3 of 4" in command(words)[1]


def test_a_supernet_that_changed_after_the_search(command):
    file = SUPERNET / "weights" / "last.safetensors"
    shutil.copy(file, "copy.safetensors")
    supernet = weights.load_supernet(file)
    supernet.store.flat += 1
    weights.save_supernet(supernet, file)
    refused(command("extract"), str(file), "changed since subnet.json was written", "search again", "--supernet")
    refused(command(f"search --resume --out {SEARCH}"), "a journal of another supernet", "name another run")
    fine(command("extract --supernet copy.safetensors"))
    file.unlink()
    refused(command("extract"), "the supernet that subnet.json names is not there", "--supernet")
    refused(command("search --budget 20MMAC"), "no run with weights/last.safetensors", "litepose-nas train-supernet")
    refused(command(f"search {SUPERNET} --budget 20MMAC"), str(SUPERNET), "has not ended yet")
    refused(command("search nowhere --budget 20MMAC"), "nowhere", "name a folder such as")
    refused(command("extract --supernet subnet.safetensors"), "one network, not a supernet")


def test_a_subnet_that_says_nothing_of_its_supernet(command):
    fine(command("space sample small.yaml --out archs"))
    refused(command("extract archs/subnet-0.json"), "archs/subnet-0.json: says nothing of its supernet", "search")
    whole = json.loads(Path("subnet.json").read_text())
    del whole["sum"]
    for key, value in (("supernet", "here"), ("recipe", None), ("data", 3), ("seed", "0")):
        Path("odd.json").write_text(json.dumps({**whole, key: value}))
        refused(command("extract odd.json"), f"odd.json: says nothing of its {key}")
    Path("odd.json").write_text(json.dumps({**whole, "supernet": {}}))
    refused(command("extract odd.json"), "odd.json", "is not there")
    Path("odd.json").write_text(json.dumps({**whole, "recipe": {"lrr": 3}}))
    refused(command("extract odd.json"), "unknown setting 'lrr'; did you mean 'lr'?")
    Path("odd.json").write_text(Path("subnet.json").read_text()[:100])
    refused(command("extract odd.json"), "odd.json, line")


def test_an_architecture_without_weights(command):
    refused(
        command("finetune subnet.json --steps 2"), "subnet.json: an architecture without weights", "extract subnet.json"
    )
    refused(command("finetune litepose-xs --steps 2"), "an architecture without weights; name a .safetensors file")
    refused(command("finetune nothing.safetensors"), "nothing.safetensors: no such file", "litepose-nas extract")
    refused(command(f"finetune {SUPERNET}/weights/last.safetensors"), "a supernet, not one network", "extract")
    for target in ("subnet.json", "litepose-s"):
        refused(command(f"evaluate {target}"), f"{target}: an architecture without weights; name a .safetensors file")
        refused(command(f"predict {target} people/val"), f"{target}: an architecture without weights")
    os.remove("subnet.safetensors")
    refused(command("evaluate"), "no subnet-finetuned.safetensors or subnet.safetensors in this folder")
    refused(command("evaluate subnet.safetensors"), "subnet.safetensors: no such file")


def test_pictures_that_cannot_be_read(command):
    Path("bad").mkdir()
    Path("bad/one.jpg").write_text("no picture")
    Path("bad/two.png").write_bytes(b"")
    refused(command("predict subnet.safetensors bad"), "none of 2 pictures could be read", "bad/one.jpg")
    refused(command("predict subnet.safetensors nowhere.jpg"), "there is no nowhere.jpg")
    assert not Path("predictions").exists()
    code, out, errors = command("predict subnet.safetensors bad people/val")
    assert code == 0
    assert "in 6 pictures" in out
    assert errors.count("cannot read the picture") == 2


def test_lengths_names_and_devices_that_are_wrong(command):
    refused(command(f"{TRAIN} --steps 3 --hours 1"), "--steps and --hours: give one of them")
    refused(command("finetune --epochs 3 --hours 1"), "--epochs and --hours: give one of them")
    refused(command(f"{TRAIN} --steps 3 --recipe lightpose"), "did you mean 'litepose'?")
    refused(command(f"{TRAIN} --steps 3 bacth=3"), "unknown setting 'bacth'; did you mean 'batch'?")
    refused(command("finetune --steps 3 lr=fast"), "lr=fast: expected a number")
    refused(command(f"{TRAIN} --steps 3 --amp bf17"), "--amp bf17: not one of auto, off, bf16, fp16")
    refused(command("train-supernet --space litepose-tinny --steps 3"), "did you mean 'litepose-tiny'?")
    refused(command("extract --device gpu"), "--device gpu: not on this machine")
    refused(command("evaluate --split vla"), "did you mean 'val'?")
    assert not Path("runs/train-supernet/supernet-2").exists()
    assert not Path("runs/finetune").exists()
