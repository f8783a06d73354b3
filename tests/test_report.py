"""A search told again from its journal: the same front, other budgets, what matters, pictures; and broken journals."""

import csv
import itertools
import json
import math
import random
import re
import shutil
import statistics
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from litepose_nas import Space, UserError, costs
from litepose_nas.budget import Budget
from litepose_nas.executors.serial import SerialExecutor
from litepose_nas.formats import subnet_file
from litepose_nas.report import choices, drawing, page
from litepose_nas.report.audit import Net, number, of_records, picture, rank, table, to_json, verdict, write_csv
from litepose_nas.report.genes import fitted, kind_of, place_of
from litepose_nas.report.record import load_search
from litepose_nas.report.summary import beyond, summarise
from litepose_nas.report.summary import to_json as summary_json
from litepose_nas.runs.journal import Journal
from litepose_nas.search import baselines, finalists, random_search
from litepose_nas.search.journal import header
from litepose_nas.search.loop import run_search
from litepose_nas.search.pareto import best, front
from litepose_nas.search.problem import Problem, score
from litepose_nas.search.ranking import by_ap_or_loss
from tests.helpers import page_data
from tests.helpers.commands import run
from tests.helpers.unsummed import without_sums

SVG = "{http://www.w3.org/2000/svg}"
SPACE = Space.load("litepose-tiny")
BUDGET = Budget.of(["60MMAC"])
INFO = {"supernet": {"path": "gone/last.safetensors", "sha256": "0"}, "data": "people", "seed": 0, "recipe": {"lr": 1}}
PROBLEM = Problem(SPACE, BUDGET, costs.cost, by_ap_or_loss)


def result(arch, again=0):
    """Dearer is better, a large kernel in the first stage is better still, and some noise."""
    macs = math.log(costs.cost(arch).macs)
    noise = random.Random(f"{arch} {again}").gauss(0, 0.004)
    ap = 0.1 * (macs - 14) + 0.03 * arch.tree.stages[0].kernel + noise
    return {"ap": ap, "loss": 1 - ap, "seconds": 0.1}


def write_journal(path, evals=80, again=True):
    notes = {"budget": ["60MMAC"], "convention": "exact", "families": {"": {"joints": 17, "info": INFO}}}
    more = {"objectives": PROBLEM.low, "method": "random", "rank": "auto"}
    journal = Journal(path, header({"": (SPACE, "")}, 0, **more), notes)
    found = run_search(PROBLEM, random_search.searcher(PROBLEM, 0), result, journal, evals)
    if again:
        scorer = SerialExecutor(lambda job: result(SPACE.arch(job.arch), job.again))
        finalists.score_again(PROBLEM, finalists.finalists(found, BUDGET, 5), scorer, journal)
    return found


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    return write_journal(folder / "journal.jsonl"), folder


def svg(text):
    return ET.fromstring(text)


def marks(text, name):
    return [mark for mark in svg(text).iter() if mark.get("class") == name]


# ── reading ──


def test_a_journal_is_read_as_the_search_left_it(searched):
    found, folder = searched
    record = load_search(folder)
    (past,) = record.families.values()
    assert past.found == found
    assert (past.by, past.joints, record.cut) == ("ap", 17, 0)
    summary = summarise(record)
    assert summary.found == found
    assert summary.front == front(found, BUDGET)
    assert summary.selection == finalists.select(PROBLEM, found, past.again)
    assert len(summary.selection.finalists) == 5
    assert summarise(load_search(folder / "journal.jsonl")).found == found
    subnet = summary.subnet(summary.chosen)
    assert (subnet.arch, subnet.info["supernet"], subnet.info["data"]) == (
        summary.chosen.arch,
        INFO["supernet"],
        "people",
    )


def test_another_budget_takes_another_network_of_the_same_evaluations(searched):
    found, folder = searched
    past = load_search(folder)
    for text in ("40MMAC", "25MMAC", "100kparams", "90kparams"):
        budget = Budget.of([text])
        within = [one for one in found if budget.ok(one.cost)]
        summary = summarise(past, budget)
        assert budget.ok(summary.chosen.cost)
        if not summary.selection.finalists[0].scores:
            assert summary.chosen == max(within, key=lambda one: one.score) == best(found, budget)
        assert summary.selection.noise is not None  # measured elsewhere, and true here as well
        assert summary.baselines.networks == len(within)
    litepose = Budget.of(["50MMAC"], "litepose")
    assert summarise(past, litepose).front == front(found, litepose)
    assert beyond(past, Budget.of(["30MMAC"])) == []
    (said,) = beyond(past, Budget.of(["1GMAC"]))
    assert "the search kept to 60MMAC" in said
    with pytest.raises(UserError, match="none of 80 evaluated networks to choose: 1kparams is less than the cheapest"):
        summarise(past, Budget.of(["1kparams"]))


def test_a_line_cut_in_the_middle_is_left_out_and_stays(searched, tmp_path, monkeypatch, capsys):
    _, folder = searched
    whole = (folder / "journal.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    cut = b"".join(lines[:41]) + lines[41][:30]
    (tmp_path / "journal.jsonl").write_bytes(cut)
    record = load_search(tmp_path)
    (past,) = record.families.values()
    assert (len(past.found), record.cut, past.again) == (40, 30, {})
    monkeypatch.chdir(tmp_path)
    assert run("litepose-nas report .", monkeypatch) == 0
    out = capsys.readouterr().out
    assert "last line is cut in the middle (30 bytes), and left out" in out
    assert (tmp_path / "journal.jsonl").read_bytes() == cut


def test_networks_that_an_older_search_scored_on_a_part_of_the_images_are_never_chosen(searched, tmp_path):
    found, folder = searched
    shutil.copyfile(folder / "journal.jsonl", tmp_path / "journal.jsonl")
    first, *lines = without_sums(tmp_path / "journal.jsonl")
    lines = [line for line in lines if "n" in line]
    for line in lines[::3]:
        line["result"] |= {"share": 0.25, "ap": 1.0, "looks": {}}
    for line in lines[1::3]:
        line["result"] |= {"share": 1.0, "looks": {"0.25": {"ap": 0.9, "loss": 0.1}}}
    old = [first | {"first_look": 0.25, "eager": True}, *lines]
    (tmp_path / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in old))
    record = load_search(tmp_path)
    (past,) = record.families.values()
    whole = [one for at, one in enumerate(found) if at % 3]
    assert [(one.arch, one.score) for one in past.found] == [(one.arch, one.score) for one in whole]
    assert summarise(record).chosen.arch == best(whole, BUDGET).arch


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda lines: [*lines[:3], "{broken", *lines[3:]], "line 4 is damaged"),
        (lambda lines: lines[1:], "not a journal"),
        (lambda lines: [lines[0].replace('"kind": "search"', '"kind": "audit"'), *lines[1:]], "a journal of audit"),
        (lambda lines: [lines[0].replace('"joints": 17', '"jolts": 17'), *lines[1:]], "lacks what a report needs"),
        (
            lambda lines: [lines[0].replace('"auto"', '"best"'), *lines[1:]],
            "report needs (KeyError('best')",
        ),
        (lambda lines: [lines[0].replace("60MMAC", "60 apples"), *lines[1:]], "its first line: budget"),
        (lambda lines: [lines[0].replace('"family": "litepose"', '"family": "lite"'), *lines[1:]], "'lite' is not one"),
        (lambda lines: [lines[0].replace("[8, 16]", "[9, 10]", 1), *lines[1:]], "line 2 is no evaluation of"),
        (lambda lines: [*lines[:2], lines[2].replace('"macs"', '"max"'), *lines[3:]], "line 3 is no evaluation of"),
        (lambda lines: lines[:1], "nothing has been evaluated yet"),
    ],
)
def test_a_journal_of_something_else_is_refused_and_nothing_is_written(
    searched, change, says, tmp_path, monkeypatch, capsys
):
    shutil.copyfile(searched[1] / "journal.jsonl", tmp_path / "journal.jsonl")
    without_sums(tmp_path / "journal.jsonl")
    lines = (tmp_path / "journal.jsonl").read_text().splitlines()
    (tmp_path / "journal.jsonl").write_text("\n".join(change(lines)) + "\n")
    monkeypatch.chdir(tmp_path)
    assert run("litepose-nas report . --budget 40MMAC", monkeypatch) == 2
    assert says in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["journal.jsonl"]


def test_no_search_is_no_report(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("litepose-nas report", monkeypatch) == 2
    assert "make one with: litepose-nas search" in capsys.readouterr().err
    assert run("litepose-nas report nowhere", monkeypatch) == 2
    assert "nowhere: no such journal" in capsys.readouterr().err


# ── what is said ──


def test_baselines_are_what_they_say(searched):
    found, folder = searched
    past = load_search(folder)
    summary = summarise(past)
    compared = summary.baselines
    assert compared.random == pytest.approx(statistics.fmean(one.score for one in found))
    assert compared.dearest == max(found, key=lambda one: one.cost.macs).score
    below = (
        sum(one.score < compared.random_low for one in found),
        sum(one.score > compared.random_high for one in found),
    )
    assert below == (8, 7)
    chosen = next(final for final in summary.selection.finalists if final.one == summary.chosen)
    assert (compared.chosen, compared.times) == (statistics.fmean(chosen.scores), 2)
    error = summary.selection.noise * math.sqrt(1.5)
    assert compared.apart(compared.chosen - 2.1 * error) is True
    assert compared.apart(compared.chosen - 1.9 * error) is False
    assert compared._replace(noise=None).apart(0.0) is None
    said = "\n".join(baselines.in_words(compared, "ap"))
    assert f"a random one of the 80 evaluated within the budget: {compared.random:.3f}" in said
    by_loss = baselines.in_words(compared._replace(dearest=-0.5, noise=None), "loss")
    assert "chosen by cost alone: 0.5000" in by_loss[2]
    assert "noise: unknown" in by_loss[3]


def test_what_matters_is_found(searched):
    models = fitted(PROBLEM, searched[0])
    assert models.genes[0].name == "stages.0.kernel"
    assert models.kinds[0].name == "stages kernel"
    assert models.genes[0].gained > 0.1
    assert models.genes[0].lost > 0.1
    assert models.explained > 0.9 > models.by_cost
    assert all(one.gained < 0.05 for one in models.genes[1:])
    effects = dict(models.genes[0].effects)
    assert effects[7] - effects[3] == pytest.approx(0.12, rel=0.25)
    assert fitted(PROBLEM, searched[0][:5]) is None
    flat = score(PROBLEM, {one.arch: {"ap": 0.5, "loss": 1.0} for one in searched[0]})
    assert fitted(PROBLEM, flat).explained == 0.0


def test_genes_have_kinds_and_places():
    assert kind_of("stages.0.blocks.2.kernel") == "stages kernel"
    assert place_of("stages.0.blocks.2.kernel") == "stages.0.kernel"
    assert (kind_of("stem"), place_of("stem")) == ("stem", "stem")
    assert (kind_of("head.1.width"), place_of("head.1.width")) == ("head width", "head.1.width")


# ── what is drawn ──


def test_the_front_has_a_bar_of_noise_for_each_network(searched):
    summary = summarise(load_search(searched[1]), models=True)
    drawn = page.pictures(summary)
    assert len(marks(drawn["front.svg"], "noise")) == len(summary.front)
    assert len(marks(drawn["front.svg"], "evaluated")) == 80
    quiet = summary._replace(selection=summary.selection._replace(noise=None))
    assert not marks(page.pictures(quiet)["front.svg"], "noise")


def test_the_choices_of_a_front_are_a_cell_each(searched):
    found, _ = searched
    line = front(found, BUDGET)
    places = choices.places(line)
    assert set(places) == {gene.path for gene in SPACE.genes}
    text = choices.picture(line, BUDGET)
    assert len(marks(text, "choice")) == len(choices.thinned(line)) * len(places)
    longer = [line[0]] * 40 + [line[-1]]
    assert choices.thinned(longer)[0] == line[0]
    assert choices.thinned(longer)[-1] == line[-1]
    assert len(choices.thinned(longer)) == choices.MOST


def test_blocks_of_a_stage_are_a_mean_and_those_past_the_depth_do_not_count():
    space = Space.load("litepose-blocks")
    arch = space.sample(random.Random(0))
    (one,) = score(Problem(space, Budget(), costs.cost), {arch: {"score": 1.0}})
    places = choices.places([one])
    assert len(places) < len(space.genes)
    genes = places["stages.0.kernel"]
    used = [block.kernel for block in arch.tree.stages[0].blocks[: arch.tree.stages[0].depth]]
    words, share = choices.chosen(genes, one)
    assert float(words) == pytest.approx(statistics.fmean(used), abs=0.05)
    assert share == pytest.approx(statistics.fmean(genes[0].choices.index(value) / 4 for value in used))


@pytest.mark.parametrize("name", ["litepose-tiny", "litepose", "litepose-blocks", "topdown-tiny"])
def test_every_block_of_a_network_is_a_box_and_every_reader_an_arrow(name):
    space = Space.load(name)
    for arch in (space.smallest, space.widest, space.sample(random.Random(1))):
        text, plan = drawing.drawing(arch, 17), arch.plan(17)
        assert len(marks(text, "block")) == len(plan)
        reads = list(costs.readers(plan))
        assert len(marks(text, "read")) == sum(name != "" for names in reads for name in names)
        boxes = drawing.arranged(arch, 17)
        order = sorted(boxes, key=lambda box: box.row.out[0])
        assert [box.width for box in order] == sorted(box.width for box in boxes)
        assert all(a.x + a.width < b.x for a, b in itertools.pairwise(boxes))


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.links += [value for key, value in attrs if key in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def data_arch(block, number):
    """The architecture of a network in a page."""
    (family,), one = block["families"], block["networks"][number]
    return dict(zip(family["genes"], one["v"], strict=True))


def test_the_page_is_whole_and_needs_nothing_else(searched, tmp_path):
    summary = summarise(load_search(searched[1]), models=True)
    paths = page.write(summary, tmp_path)
    assert sorted(path.name for path in paths) == sorted(file.name for file in tmp_path.iterdir())
    text = (tmp_path / "report.html").read_text()
    tags = _Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.links == []
    assert tags.seen.count("script") == 2
    drawings = [svg(block["svg"]) for block in page_data.blocks(text, "drawing")]
    assert [drawing.tag for drawing in drawings] == [f"{SVG}svg"] * 4
    assert set(re.findall(r"https?://[^\"' \\]+", text)) == {"http://www.w3.org/2000/svg"}
    (block,) = page_data.blocks(text, "search")
    assert len(block["networks"]) == 80
    assert SPACE.arch(data_arch(block, block["chosen"])) == summary.chosen.arch
    for path in paths:
        if path.suffix == ".svg":
            assert svg(path.read_text()).tag == f"{SVG}svg"
    data = json.loads((tmp_path / "front.json").read_text())
    assert [SPACE.arch(one["arch"]) for one in data["front"]] == [one.arch for one in summary.front]
    assert data == summary_json(summary)
    with (tmp_path / "front.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["score"]) for row in rows] == [one.score for one in summary.front]
    assert {float(row["noise"]) for row in rows} == {summary.selection.noise}


def test_the_command_chooses_again(searched, tmp_path, monkeypatch, capsys):
    found, folder = searched
    monkeypatch.chdir(tmp_path)
    assert run(f"litepose-nas report {folder} --budget 30MMAC --out here", monkeypatch) == 0
    out = capsys.readouterr().out
    assert "next: litepose-nas extract subnet.json --supernet FILE" in out
    assert "gone/last.safetensors: the supernet is not there any more" in out
    chosen = subnet_file.read("subnet.json")
    assert chosen.cost.macs <= 30e6
    assert chosen.info["score"]["of"] == "inherited weights"
    assert (tmp_path / "here" / "report.html").is_file()
    assert run(f"litepose-nas report {folder} --json --out here", monkeypatch) == 0
    assert json.loads(capsys.readouterr().out)["evaluated"] == len(found)


# ── audits ──


def nets(count=24, seeds=2, spread=0.3):
    rng = random.Random(0)
    archs = sorted({SPACE.sample(rng) for _ in range(4 * count)}, key=lambda arch: costs.cost(arch).macs)[::4][:count]
    out = []
    for arch in archs:
        truth = math.log(costs.cost(arch).macs) + rng.gauss(0, 1)
        alone = [{"ap": 0.5 + 0.1 * (truth - 16 + rng.gauss(0, spread)), "loss": 20 - truth} for _ in range(seeds)]
        out.append(Net(arch, costs.cost(arch), {"ap": 0.3 + 0.1 * (truth - 16), "loss": 20 - truth}, tuple(alone)))
    return out


def test_an_audit_is_told_in_words_tables_and_a_picture(tmp_path):
    found = rank(nets())
    head, lines = table(found)
    assert [line[0] for line in lines] == [
        "inherited AP",
        "inherited loss",
        "inherited AP, smoothed",
        "cost alone",
        "trained alone, another seed",
    ]
    assert head[2] == "tau inside 8 strata"
    assert all(len(line) == len(head) for line in lines)
    assert any(
        "inherited AP: tau inside strata +" in line and "better than cost alone" in line for line in verdict(found)
    )
    text = picture(found, "an audit")
    assert len(marks(text, "network")) == len(marks(text, "seeds")) == 24
    write_csv(tmp_path / "audit.csv", found)
    with (tmp_path / "audit.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [SPACE.arch(json.loads(row["arch"])) for row in rows] == [net.arch for net in found.nets]
    assert [int(row["stratum"]) for row in rows] == [at // 3 for at in range(24)]
    plain = json.loads(json.dumps(to_json(found), allow_nan=False))
    assert plain["agreement"]["inherited AP"]["tau"]["value"] > 0.7


def test_an_audit_of_few_or_failed_networks_says_so():
    few = rank(nets(4, seeds=1))
    head, lines = table(few)
    assert (len(head), len(lines)) == (3, 4)
    said = "\n".join(verdict(few))
    assert "too few networks for strata" in said
    assert "no ceiling" in said
    assert not marks(picture(few, "few"), "seeds")
    broken = nets(12)
    broken[3] = broken[3]._replace(alone=({"ap": 0.0, "loss": "inf"}, {"ap": 0.4, "loss": 1.0}))
    found = rank(broken, "loss")
    assert number(broken[3].alone[0], "loss") == -math.inf
    assert len(marks(picture(found, "broken"), "network")) == 11
    assert "4 strata of cost, as many as 12 networks carry" in "\n".join(verdict(found))


def test_the_networks_of_a_journal_are_the_complete_ones():
    whole = nets(3)
    records = []
    for at, net in enumerate(whole):
        records.append({"net": at, "cost": net.cost._asdict(), "inherited": net.inherited})
        records += [{"net": at, "seed": seed, "alone": one} for seed, one in enumerate(net.alone)]
    archs = [net.arch for net in whole]
    assert of_records(records, archs, 2) == whole
    assert of_records(records[:-1], archs, 2) == whole[:2]
