"""Model cards: read back by the hub's own reader, with their figures, whatever names are in them."""

import pytest
import yaml

from litepose_nas import costs
from litepose_nas.latency import profile as profile_file
from litepose_nas.report import card
from litepose_nas.report.card import CardFigures, CardLatency
from litepose_nas.resolve import subnet_of
from litepose_nas.steps import card as step
from litepose_nas.synthetic.dataset import write_toy
from tests.helpers.commands import run
from tests.helpers.lively import lively, odd_skeleton

EVIL = "a\n---\n# x <script>|`\u202e"


@pytest.fixture
def network(tmp_path):
    return lively(tmp_path / "net.safetensors", "litepose-tiny", odd_skeleton(), 30)


def front_of(text):
    return yaml.safe_load(text.split("---\n")[1])


def test_the_hub_reads_the_card_with_its_results(network, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    subnet = subnet_of(network)
    conditions = {"flip": False, "pictures": 8, "boxes": "no boxes needed"}
    figures = [
        CardFigures("people", "val", {"ap": 0.5, "ap50": 0.75}, ["8 pictures"], conditions),
        CardFigures(EVIL, "test", {"nme": 0.1}, []),
    ]
    (tmp_path / "README.md").write_text(card.text(EVIL, subnet, figures, license="mit"), encoding="utf-8")
    read = hub.ModelCard.load(tmp_path / "README.md")
    assert read.data.license == "mit"
    assert read.data.pipeline_tag == "keypoint-detection"
    assert read.data.library_name == "litepose-nas"
    results = [
        (one.dataset_name, one.dataset_split, one.metric_type, one.metric_value) for one in read.data.eval_results
    ]
    assert results[:2] == [("people", "val", "ap", 0.5), ("people", "val", "ap50", 0.75)]
    assert results[2][2:] == ("nme", 0.1)
    assert read.data.eval_results[0].metric_args == conditions
    assert read.data.eval_results[0].task_type == "keypoint-detection"


def test_names_stay_text(network):
    text = card.text(EVIL, subnet_of(network), [CardFigures(EVIL, "val", {"ap": 0.5}, [EVIL])], data_license=EVIL)
    body = text.split("---\n", 2)[2]
    assert "<script>" not in body
    assert "<b>" not in body
    assert "\u202e" not in text
    assert body.splitlines()[1] == "# a\\n---\\n# x &lt;script>\\|'\\u202e"
    assert "ri\\|ght" in body


def test_costs_are_said_in_both_conventions_and_latency_with_its_device(network):
    subnet = subnet_of(network)
    cost = costs.cost(subnet.arch, joints=3)
    text = card.text("x", subnet, [], [CardLatency(1.5, 1.75, "onnxruntime, on a Pi")])
    assert f"{cost.macs / 1e6:.4g} M" in text
    assert f"{cost.macs_litepose / 1e6:.4g} M" in text
    assert "| milliseconds on onnxruntime, on a Pi | 1.5 predicted, 1.75 at most |" in text
    assert "None were made." in text
    assert "model-index" not in front_of(text)


def test_the_command_takes_saved_figures_or_makes_them(tmp_path, monkeypatch, capsys):
    from litepose_nas.data.dataset_yaml import known_skeleton

    monkeypatch.chdir(tmp_path)
    lively(tmp_path / "net.safetensors", "litepose-tiny", known_skeleton("coco"), 30)
    assert run("litepose-nas card net.safetensors", monkeypatch) == 0
    saved = front_of((tmp_path / "README.md").read_text())["model-index"][0]["results"][0]
    assert saved["dataset"]["split"] == step.HELD_OUT
    assert [(one["type"], one["value"]) for one in saved["metrics"]] == [("ap", 0.25), ("loss", 1.5)]
    assert run("litepose-nas card net.safetensors", monkeypatch) == 2
    assert "there is something already" in capsys.readouterr().err
    write_toy(tmp_path / "people", train=1, val=3, size=64)
    words = "--data people --license mit --data-license 'drawn, free' --name mine --out made.md"
    assert run(f"litepose-nas card net.safetensors {words}", monkeypatch) == 0
    text = (tmp_path / "made.md").read_text()
    front = front_of(text)
    assert front["license"] == "mit"
    (result,) = front["model-index"][0]["results"]
    assert (front["model-index"][0]["name"], result["dataset"]["split"]) == ("mine", "val")
    capsys.readouterr()
    assert run("litepose-nas evaluate net.safetensors --data people --json", monkeypatch) == 0
    told = yaml.safe_load(capsys.readouterr().out)
    made = {one["type"]: one["value"] for one in result["metrics"]}
    assert made["ap"] == pytest.approx(told["ap"])
    assert result["metrics"][0]["args"]["metric"] == "coco"
    assert result["metrics"][0]["args"]["pictures"] == 3
    assert "its licence: drawn, free" in text
    assert run("litepose-nas card net.safetensors --split test --out other.md", monkeypatch) == 2


def test_milliseconds_come_from_a_profile(network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in ("measure litepose-tiny --nets 10 --minutes 0.05 --joints 3", "fit samples.json --out pi5.json"):
        assert run(f"litepose-nas latency {words}", monkeypatch) == 0
    (found,) = step.latencies(subnet_of(network), [tmp_path / "pi5.json"])
    known = profile_file.read("pi5.json")
    assert found.device == known.words
    assert 0 < found.ms <= found.bound
