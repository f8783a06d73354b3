"""The pages of trainings: what they hold is what the run measured, while it lasts and at the end."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from litepose_nas.data.source import open_source
from litepose_nas.errors import UserError
from litepose_nas.metrics import pck
from litepose_nas.metrics.coco import coco_ap, found_of, labels_of, read_truth
from litepose_nas.report import before_after, run_page
from litepose_nas.report.pages import training_page
from litepose_nas.runs import metrics, speed
from litepose_nas.runs.run import Run
from litepose_nas.runs.speed import SpeedRow
from litepose_nas.steps import evaluate, training
from litepose_nas.steps.common import read_data
from tests.helpers import page_data, tiny
from tests.helpers.browser import looks, opened
from tests.helpers.commands import run as command

PAGE = "report/report.html"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    source, space = tiny.make_room(folder)
    tiny.supernet(folder / "runs/train-supernet/first", source, space)
    tiny.network(folder / "net.safetensors", source, space)
    tiny.single(folder / "runs/finetune/<b>tuned", source, folder / "net.safetensors", steps=12)
    return folder


@pytest.fixture
def tuned(trained):
    return trained / "runs/finetune/<b>tuned"


@pytest.fixture
def supernet(trained):
    return trained / "runs/train-supernet/first"


def test_curves_are_the_metrics_and_pictures_are_those_of_the_run(supernet):
    text, rows = (supernet / PAGE).read_text(), metrics.read(supernet / "metrics.jsonl")
    curves = {block["title"]: block["series"] for block in page_data.blocks(text, "curves")}
    (loss,) = [one for one in curves["Losses"] if one["name"] == "loss"]
    assert loss["points"] == [[row["step"], row["loss"]] for row in rows]
    aps = {one["name"]: one["points"] for one in curves["AP on held-out images"]}
    assert aps["smallest"] == [[row["step"], row["smallest/ap"]] for row in rows if "smallest/ap" in row]
    assert len(aps["smallest"]) == 2
    (fast,) = curves["Speed"]
    assert [step for step, _ in fast["points"]] == [row["step"] for row in rows]
    assert all(value > 0 for _, value in fast["points"])
    predictions, targets = page_data.blocks(text, "pictures")
    assert [one["label"] for one in predictions["steps"]] == ["step 4", "step 8"]
    assert len(targets["steps"]) == 1
    data = page_data.data_of(text)
    assert data["live"] is None
    assert data["about"][0] == "All 8 steps."


def test_fine_tuning_is_compared_on_the_same_images(tuned, trained):
    found = before_after.read(tuned)
    source = open_source(str(trained / "people"))
    held = read_data(source, 0).split.heldout
    assert found.images == len(held) == len(found.worst)
    # Judged by pycocotools, from the file that ships: another way than that of the scorer.
    loaded = evaluate.load(str(tuned / "weights/best.safetensors"), "cpu")
    results = evaluate.predict_batches(loaded.net, loaded.task.eval_batches(held, loaded.size), loaded.task)
    truth = read_truth(held.dataset)
    assert found.after.ap == pytest.approx(coco_ap(truth, results).ap, abs=1e-9)
    errors = pck.errors_of(labels_of(truth), found_of(truth, results), held.dataset.skeleton.names)
    assert found.after.curve[found.shares.index(0.1)] == pytest.approx(pck.mean_pck(errors, 0.1))
    assert found.after.found == pck.people_found(errors)
    known = [value for value in found.before.curve if value is not None]
    assert known == sorted(known)
    similarities = [one.similarity for one in found.worst]
    assert similarities == sorted(similarities)
    assert np.mean(similarities) < 0.9


def test_the_page_of_fine_tuning_says_before_and_after(tuned):
    text, found = (tuned / PAGE).read_text(), before_after.read(tuned)
    table = page_data.blocks(text, "table")[0]
    assert table["rows"][0] == ["AP", f"{found.before.ap:.3f}", f"{found.after.ap:.3f}"]
    joints, pixels = page_data.blocks(text, "bars")
    assert [row["name"] for row in joints["rows"]] == found.names
    assert len(pixels["rows"]) == 17
    (worst,) = page_data.blocks(text, "poses")
    assert len(worst["images"]) == len(found.worst)
    assert worst["images"][0]["truth"] == found.worst[0].image.truth


def test_damaged_figures_are_refused(tuned, tmp_path):
    whole = json.loads((tuned / "before_after/figures.json").read_text())
    (tmp_path / "before_after").mkdir()
    outside = {**whole, "worst": [{**whole["worst"][0], "image": {**whole["worst"][0]["image"], "name": "../x.jpg"}}]}
    few = {**whole, "after": {**whole["after"], "joints": [0.5]}}
    words = {**whole, "shares": ["a"]}
    for odd in (outside, few, words, {}, [], 3):
        (tmp_path / "before_after/figures.json").write_text(json.dumps(odd))
        with pytest.raises(UserError, match=r"damaged|leads out of the folder"):
            before_after.read(tmp_path)


def test_speed_is_read_once_a_step_and_odd_lines_are_left_out(tmp_path):
    assert speed.read(tmp_path) == []
    for row in (
        SpeedRow(1, 10.0, 0.5, 3.0),
        SpeedRow(3, 11.0, 0.1, 2.0),
        SpeedRow(2, 12.0, 0.0, 1.0),
        SpeedRow(3, 9, 0, 0),
    ):
        speed.append(tmp_path, row)
    with (tmp_path / speed.FILE).open("a") as file:
        file.write('{"step": "x"}\nnonsense\n[]\n{"step": 9}\n{"step": 4, "images')
    assert [row.step for row in speed.read(tmp_path)] == [1, 2, 3]
    assert speed.read(tmp_path)[-1].images_per_second == 9


def test_a_training_writes_its_page_while_it_lasts(trained, tmp_path, monkeypatch):
    pages, write = [], run_page.write

    def kept(run, every=None, folder=None):
        path = write(run, every, folder)
        pages.append(page_data.data_of(path.read_text()))
        return path

    monkeypatch.setattr(run_page, "write", kept)
    monkeypatch.setattr(training, "PageRefresher", lambda write, say: lambda: write(10.0))
    tiny.supernet(tmp_path / "again", open_source(str(trained / "people")), str(trained / "small.yaml"))
    assert [page["live"] is not None for page in pages] == [True] * 8 + [False]
    assert pages[3]["about"][0].startswith("4 of 8 steps, about ")
    assert [len(page["blocks"][0]["series"][0]["points"]) for page in pages if page["blocks"][0]["series"]] == sorted(
        len(page["blocks"][0]["series"][0]["points"]) for page in pages if page["blocks"][0]["series"]
    )


def test_pictures_that_do_not_fit_are_left_out_oldest_first(supernet, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(supernet, folder)
    for step in range(10, 30):
        (folder / f"images/predictions-{step}.jpg").write_bytes(b"\xff" * (1 << 20))
    (block, *_) = training_page._pictures(folder)
    assert [one["label"] for one in block["steps"]] == ["step 24", "step 27", "step 29"]


def test_the_command_writes_pages_and_an_index(trained, supernet, tuned, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    assert command(f"litepose-nas report {supernet} --out {tmp_path}", monkeypatch) == 0
    assert page_data.data_of((tmp_path / "report.html").read_text())["title"].startswith("Training of ")
    for option in ("--budget 2M", "--people 3", "--json", "--mac-convention exact"):
        assert command(f"litepose-nas report {supernet} {option}", monkeypatch) == 2
        assert f"{option.split()[0]}: is for the run of a search" in capsys.readouterr().err
    broken = trained / "runs/finetune/broken"
    shutil.copytree(supernet, broken)
    (broken / "config.yaml").write_text("a: 1")
    assert command("litepose-nas report runs", monkeypatch) == 0
    text = Path("runs/index.html").read_text()
    (links,) = page_data.blocks(text, "links")
    rows = {row[0]: row for row in links["rows"]}
    assert set(rows) == {"train-supernet/first", "finetune/<b>tuned"}
    assert rows["finetune/<b>tuned"][1] == "finetune/%3Cb%3Etuned/report/report.html"
    assert rows["finetune/<b>tuned"][5].startswith("step 12, held AP ")
    assert "changed since the run began" in page_data.blocks(text, "list")[0]["lines"][0]
    shutil.rmtree(broken)
    assert command("litepose-nas report people", monkeypatch) == 2
    assert "people: no run in it" in capsys.readouterr().err
    assert command("litepose-nas report runs --out here", monkeypatch) == 2


def test_a_run_of_a_verb_without_a_page_is_refused(tmp_path):
    Run.create("other", out=tmp_path / "run").close()
    with pytest.raises(UserError, match="a run of 'other', of which there is no page"):
        run_page.write(Run.open(tmp_path / "run"))


@pytest.mark.browser
def test_pages_of_trainings_and_the_index_in_a_browser(trained, supernet, tuned, monkeypatch):
    monkeypatch.chdir(trained)
    assert command("litepose-nas report runs", monkeypatch) == 0
    with opened(trained / "runs/index.html") as one:
        one.page.get_by_role("link", name="finetune/<b>tuned").click()
        one.until("document.querySelector('h1').textContent.startsWith('Fine-tuning of ')")
        assert one.page.locator("rect.bar").count() == 2 * 2 * 17
        images = one.page.locator(".poses svg image")
        assert images.count() == len(before_after.read(tuned).worst)
        assert one.page.locator(".poses [data-of=truth] circle").count() > 0
        one.page.click("[data-layer=second]")
        assert one.page.locator(".poses [data-of=second]").count() == 0
    with opened(supernet / PAGE, 420) as one:
        picture = one.page.locator(".pictures img").first
        last = picture.get_attribute("src")
        one.page.locator(".pictures input").first.evaluate(
            "(one) => { one.value = 0; one.dispatchEvent(new Event('input')); }"
        )
        assert picture.get_attribute("src") != last
        assert one.page.locator(".pictures output").first.text_content() == "step 4"
        one.page.reload()
        assert one.page.locator(".pictures output").first.text_content() == "step 4"


@pytest.mark.browser
@pytest.mark.slow
def test_they_are_as_wide_as_the_window(supernet, tuned, tmp_path):
    looks(supernet / PAGE, tmp_path, "supernet")
    looks(tuned / PAGE, tmp_path, "tuned")
