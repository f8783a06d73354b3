"""The pages of audits, of candidates, of the demo and of measured latency say what their runs found."""

import csv
import json
from pathlib import Path

import pytest

from litepose_nas.errors import UserError
from litepose_nas.latency import profile as profile_file
from litepose_nas.report import audit, run_page
from litepose_nas.report.pages import audit_page
from litepose_nas.runs.journal import Journal
from litepose_nas.runs.run import Run
from tests.helpers import page_data, tiny
from tests.helpers.browser import opened
from tests.helpers.commands import run
from tests.test_report import SPACE, nets


def audit_run(folder, found):
    """The run of an audit of these networks."""
    settings = {"seeds": 2, "steps": 5, "supernet": "runs/x"}
    with Run.create("audit", out=folder, settings=settings) as made:
        header = {
            "kind": "audit", "space": SPACE.name, "tree": json.loads(SPACE.source), "seeds": 2,
            "archs": [net.arch.to_dict() for net in found],
        }  # fmt: skip
        journal = Journal(made.journal, header)
        for at, net in enumerate(found):
            journal.append({"net": at, "cost": net.cost._asdict(), "inherited": net.inherited})
            for seed, alone in enumerate(net.alone):
                journal.append({"net": at, "seed": seed, "alone": alone})
    return Run.open(folder)


def test_the_page_of_an_audit_is_read_from_its_journal(tmp_path):
    found = nets(12)
    path = run_page.write(audit_run(tmp_path / "run", found))
    text = path.read_text()
    ranking = audit.rank(found)
    (table,) = page_data.blocks(text, "table")
    assert [table["head"], table["rows"]] == list(audit.table(ranking))
    assert page_data.blocks(text, "list")[0]["lines"] == audit.verdict(ranking)
    (dots,) = page_data.blocks(text, "dots")
    assert [len(group["points"]) for group in dots["groups"]] == [4, 4, 4]
    few = run_page.write(audit_run(tmp_path / "few", found[:2])).read_text()
    assert "nothing can be compared yet" in page_data.words_of(few)
    other = Run.create("audit", out=tmp_path / "odd", settings={"seeds": 1, "steps": 1, "supernet": ""})
    Journal(other.journal, {"kind": "other"})
    with pytest.raises(UserError, match="no journal of an audit"):
        audit_page.content(other)


@pytest.mark.browser
def test_dots_are_read_with_the_pointer_and_with_keys(tmp_path):
    with opened(run_page.write(audit_run(tmp_path / "run", nets(12)))) as one:
        one.page.locator("svg.chart path.dot").first.hover()
        assert "MMAC: inherited" in one.page.locator(".readout").text_content()
        first = one.page.locator(".readout").text_content()
        one.page.locator("svg.chart").focus()
        one.page.keyboard.press("ArrowRight")
        assert one.page.locator(".readout").text_content() not in ("", first)


def test_pages_of_candidates(tmp_path, monkeypatch):
    train = "train-supernet --space small.yaml --data people --steps 2 batch=2"
    tiny.room_after(tmp_path, train, "search --budget 40MMAC --evals 4", "finetune --candidates 3 --steps 9 batch=2")
    folder = tmp_path / "runs/finetune/finetune"
    text = (folder / "report/report.html").read_text()
    (links,) = page_data.blocks(text, "links")
    assert [row[0] for row in links["rows"]] == ["candidate 1", "candidate 2", "candidate 3"]
    assert sorted(row[2] for row in links["rows"]) == ["3", "3", "9"]
    (farthest,) = [row for row in links["rows"] if row[4]]
    assert farthest[2] == "9"
    for row in links["rows"]:
        page = (folder / "report" / row[1]).read_text()
        assert page_data.data_of(page)["live"] is None
    assert (folder / "report" / farthest[1]).read_text().count('"is":"poses"') == 1
    (curves,) = page_data.blocks(text, "curves")
    assert [len(one["points"]) for one in curves["series"]].count(2) == 1
    (folder / "candidates.jsonl").write_text("odd")
    with pytest.raises(UserError, match=r"candidates\.jsonl"):
        run_page.write(Run.open(folder))


def test_latency_files_get_pages(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    measure = "litepose-nas latency measure litepose-tiny --nets 12 --minutes 0.05 --out small.json"
    assert run(measure, monkeypatch) == 0
    assert "as a page: small.html" in capsys.readouterr().out
    text = Path("small.html").read_text()
    (dots,) = page_data.blocks(text, "dots")
    (samples,) = profile_file.read_samples("small.json")
    assert [point[1] for point in dots["groups"][0]["points"]] == [sample.ms for sample in samples.samples]
    assert run("litepose-nas latency fit small.json --out pi5.json", monkeypatch) == 0
    predicted, measured = page_data.blocks(Path("pi5.html").read_text(), "dots")
    assert len(predicted["groups"][0]["points"]) == len(measured["groups"][0]["points"]) == len(samples.samples)
    assert predicted["diagonal"]
    Path("pi5.html").unlink()
    assert run("litepose-nas report pi5.json", monkeypatch) == 0
    assert Path("pi5.html").is_file()
    assert run("litepose-nas report pi5.json --budget 2M", monkeypatch) == 2
    Path("odd.json").write_text("{}")
    assert run("litepose-nas report odd.json", monkeypatch) == 2
    assert "odd.json: expected a file that" in capsys.readouterr().err


def demo_run(folder):
    """The run of a demo that has ended, as its stages leave it."""
    rows = [
        {
            "name": name, "network": name, "input": [64, 64], "macs": macs, "macs_litepose": macs, "params": 7,
            "ap_inherited": 0.1, "ap_finetuned": 0.2, "ap50_finetuned": 0.3,
        }
        for name, macs in (("searched-1", 2_000_000), ("<i>", 3_000_000))
    ]  # fmt: skip
    ahead = {"difference": 0.05, "low": -0.01, "high": 0.1, "resamples": 200}
    with Run.create("demo", out=folder, settings={"scale": {}}) as made:
        (folder / "stages").mkdir()
        made.write("stages/people.json", json.dumps({"line": "drawn", "seconds": 3.2}))
        ending = {"line": "done", "seconds": 1.0, "rows": rows, "searched_against_scaled": ahead}
        made.write("stages/ending.json", json.dumps(ending))
        (folder / "search").mkdir()
        with (folder / "search/front.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["macs", "ap"], [2_000_000, 0.1], [4_000_000, 0.3]])
        (folder / "search/report").mkdir()
        (folder / "search/report/report.html").write_text("")
    return Run.open(folder)


def test_the_page_of_the_demo(tmp_path):
    text = run_page.write(demo_run(tmp_path / "demo")).read_text()
    table, stages = page_data.blocks(text, "table")
    assert [row[0] for row in table["rows"]] == ["searched-1", "<i>"]
    assert [row[0] for row in stages["rows"]] == ["people", "ending"]
    (dots,) = page_data.blocks(text, "dots")
    assert [len(group["points"]) for group in dots["groups"]] == [2, 2, 2]
    (links,) = page_data.blocks(text, "links")
    assert links["rows"] == [["search", "../search/report/report.html"]]
    assert "+0.050 AP" in page_data.words_of(text)
    (tmp_path / "demo/stages/ending.json").write_text('{"line": 1}')
    with pytest.raises(UserError, match="stages: damaged"):
        run_page.write(Run.open(tmp_path / "demo"))
