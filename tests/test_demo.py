"""The demo end to end on a scale of seconds: its files, its table, and going on after a kill."""

from __future__ import annotations

import csv
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import litepose_nas
from litepose_nas import Space, costs
from litepose_nas.data.source import open_source
from litepose_nas.demo import contenders, ending, networks, scale, stages
from litepose_nas.demo.networks import NetworkJob
from litepose_nas.errors import UserError
from litepose_nas.report import plots
from litepose_nas.runs.run import Run

NAMES = {"searched-1", "searched-2", "scaled", "smallest", "widest"}
MICRO = scale.QUICK._replace(
    train=24, val=4, supernet_steps=3, evals=6, slice=2, calibration=4, finetune_steps=3, resamples=10
)


def begin(folder: Path, lanes: int = 1, seed: int = 3) -> Run:
    settings = {"seed": seed, "threads": 1, "lanes": lanes, "scale": MICRO._asdict()}
    return Run.create(stages.VERB, settings=settings, out=folder)


def tell(run: Run) -> tuple[dict, list[str]]:
    said: list[str] = []
    with run:
        return stages.run_demo(run, said.append, lambda text: None), said


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A whole demo in one process, and what it found."""
    here = tmp_path_factory.mktemp("demo")
    before = os.getcwd()
    os.chdir(here)  # runs name their files as seen from where they were begun
    try:
        threads = torch.get_num_threads()
        found, said = tell(begin(Path("demo")))
        assert torch.get_num_threads() == threads
        yield here / "demo", found, said
    finally:
        os.chdir(before)


def test_the_table_has_the_five_networks(undisturbed):
    folder, found, said = undisturbed
    rows = {row["name"]: row for row in found["rows"]}
    assert set(rows) == NAMES
    assert [row["macs"] for row in found["rows"]] == sorted(row["macs"] for row in rows.values())
    assert rows["searched-1"]["macs"] <= 8e6
    assert rows["searched-2"]["macs"] <= 16e6
    space = Space.load("litepose-tiny")
    small = space.arch({**space.smallest.to_dict(), "resolution": 64})
    cost = costs.cost(small)
    assert (rows["smallest"]["macs"], rows["smallest"]["params"]) == (cost.macs, cost.params)
    for row in rows.values():
        assert 0 <= row["ap_inherited"] <= 1
        assert 0 <= row["ap_finetuned"] <= 1
    with (folder / "table.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [line["name"] for line in table] == [row["name"] for row in found["rows"]]
    assert table[0]["input"] == "64x64"
    assert found["onnx_difference"] < 1e-3
    ahead = found["searched_against_scaled"]
    assert ahead["low"] <= ahead["difference"] <= ahead["high"] or ahead["difference"] == 0
    assert any("fine-tuned AP" in line for line in said)


def test_it_leaves_what_it_says(undisturbed):
    folder, found, _ = undisturbed
    svg = (folder / "front.svg").read_text()
    assert svg.count('class="evaluated"') == MICRO.evals
    assert svg.count('class="finetuned"') == len(NAMES)
    assert (folder / "predictions.jpg").stat().st_size > 10_000
    assert (folder / "networks" / "searched-1" / "subnet-finetuned.onnx").exists()
    assert (folder.parent / found["weights"]).exists()
    for name in NAMES:
        assert len(networks.read(folder / "networks" / name, networks.FINETUNED)["scores"]) == 10
    for run_folder in (folder / "supernet", folder / "search", folder / "networks" / "scaled" / "finetune"):
        assert Run.open(run_folder).settings


def test_labels_of_networks_that_are_near_stand_apart(tmp_path):
    (tmp_path / "front.csv").write_text("macs,ap\n15000000,0.5\n90000000,0.6\n")
    places = [("searched-1", 14.8, 0.64), ("scaled", 15.0, 0.638), ("other", 15.1, 0.637), ("widest", 95.0, 0.7)]
    rows = [
        {"name": name, "network": f"network {name}", "macs": macs * 1e6, "ap_inherited": 0.5, "ap_finetuned": ap}
        for name, macs, ap in places
    ]
    svg = ending.front(rows, tmp_path / "front.csv")
    found = re.findall(r'<text x="(\S+)" y="(\S+)" text-anchor="(\w+)"[^>]*>network (\S+)</text>', svg)
    assert [name for *_, name in found] == ["widest", "searched-1", "scaled", "other"]
    assert [anchor for _, _, anchor, _ in found] == ["end", "start", "start", "start"]
    heights = [float(y) for _, y, _, _ in found[1:]]
    assert all(below - above >= plots.LINE for above, below in itertools.pairwise(heights))
    assert ">0</text>" not in svg  # the axis begins where the networks do


def test_all_networks_are_tuned_alike(undisturbed):
    folder, _, _ = undisturbed
    kept = [Run.open(folder / "networks" / name / "finetune").settings for name in NAMES]
    for settings in kept:
        assert {**settings, "subnet": "", "sha256": ""} == {**kept[0], "subnet": "", "sha256": ""}
        assert settings["steps"] == MICRO.finetune_steps


def test_killed_and_resumed_it_ends_with_the_same_numbers(undisturbed, tmp_path):
    folder, found, _ = undisturbed
    begin(tmp_path / "demo", lanes=2).close()
    code = (
        "from pathlib import Path\nfrom litepose_nas.demo import stages\nfrom litepose_nas.runs.run import Run\n"
        "if __name__ == '__main__':\n    with Run.resume(Path('demo')) as run: stages.run_demo(run, print, print)\n"
    )
    (tmp_path / "child.py").write_text(code)
    env = {**os.environ, "PYTHONPATH": str(Path(litepose_nas.__file__).parent.parent)}
    child = subprocess.Popen([sys.executable, "child.py"], cwd=tmp_path, env=env, stdout=subprocess.DEVNULL)
    done, nets = tmp_path / "demo" / "stages", tmp_path / "demo" / "networks"
    deadline = time.monotonic() + 120
    while not list(nets.glob("*/inherited.json")):  # two processes of its own are at work then
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (done / "networks.json").exists()
    before = {path: path.stat().st_mtime_ns for path in done.iterdir()}
    assert {path.stem for path in before} == {"people", "threads", "supernet", "search"}
    time.sleep(0.5)  # its processes see that it is gone
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        again, said = tell(Run.resume(Path("demo")))
    finally:
        os.chdir(here)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert sum("(done before)" in line for line in said) == 4
    # Two at a time or one after the other, killed or not: the same figures to the last digit.
    assert again["rows"] == found["rows"]
    assert again["searched_against_scaled"] == found["searched_against_scaled"]
    for name in NAMES:
        for file in ("finetuned.json", "subnet-finetuned.safetensors"):
            one, other = (where / "networks" / name / file for where in (folder, tmp_path / "demo"))
            assert one.read_bytes() == other.read_bytes(), (name, file)


def test_the_command(undisturbed, said):
    printed = said("demo --resume --out demo")
    assert "scaled uniformly" in printed
    assert "searched against scaled" in printed
    assert "next, your own pictures: litepose-nas predict demo/networks/searched-1/" in printed
    assert {row["name"] for row in json.loads(said("demo --resume --out demo --json"))["rows"]} == NAMES
    assert "--seed" in said("demo --resume --out demo --seed 4", 2)
    assert "--resume" in said("demo --out demo", 2)


def test_interrupted_it_says_how_to_go_on(undisturbed, monkeypatch, said):
    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(stages.Demo, "draw", interrupt)
    assert "go on with: litepose-nas demo --resume --out other" in said("demo --quick --out other", 130)


def test_what_goes_wrong_in_another_process_is_told(tmp_path):
    job = NetworkJob("widest", str(tmp_path), str(tmp_path / "nothing"), MICRO, 0)
    with pytest.raises(UserError, match=r"widest: .*nothing: no such dataset"):
        networks.finetune_all([job], 2, print, lambda: None, print)


def test_scaled_networks_rise_evenly_and_meet_a_cost():
    space = Space.load("litepose-tiny")
    for macs in (6e6, 8e6, 20e6, 45e6, 90e6, 130e6):
        arch = contenders.scaled(space, int(macs), 17)
        assert costs.cost(arch).macs == pytest.approx(macs, rel=0.065)
        places = [
            (gene.choices.index(value) / (len(gene.choices) - 1), 0.5 / (len(gene.choices) - 1))
            for gene, value in zip(space.genes, arch.values, strict=True)
            if value is not None and gene.path != "resolution"
        ]
        # Some share of the range is within half a step of every gene.
        assert max(share - half for share, half in places) <= min(share + half for share, half in places) + 1e-9
        mean = sum(share for share, _ in places) / len(places)
        resolution = space.genes[0].choices.index(arch.values[0]) / 3
        assert abs(resolution - mean) < 0.5
    assert contenders.scaled(space, 1, 17) == space.smallest
    assert contenders.scaled(space, 10**12, 17) == space.widest


def test_a_comparison_knows_better_from_equal(undisturbed, tmp_path):
    folder, _, _ = undisturbed
    val = open_source(str(folder / "people")).read("val")
    truth = [
        {"image_id": record.image_id, "category_id": 1, "keypoints": person.ravel().tolist(), "score": 1.0}
        for record in val.records
        for person in record.joints
    ]
    for name, results in (("right", truth), ("blind", [])):
        (tmp_path / name).mkdir()
        (tmp_path / name / networks.FINETUNED).write_text(json.dumps({"scores": {}, "results": results}))
    right, blind = tmp_path / "right", tmp_path / "blind"
    ahead = ending.compare({contenders.SEARCHED: right, contenders.SCALED: blind}, val, MICRO)
    assert (ahead["difference"], ahead["low"], ahead["high"]) == pytest.approx((1, 1, 1))
    ahead = ending.compare({contenders.SEARCHED: right, contenders.SCALED: right}, val, MICRO)
    assert (ahead["difference"], ahead["low"], ahead["high"]) == (0, 0, 0)
