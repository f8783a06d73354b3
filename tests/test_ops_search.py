"""Searching with an op set: nothing it does not run is evaluated, by any method, from the command line and across."""

import json
import random
import shutil
from pathlib import Path

import pytest

from litepose_nas import Space, UserError, costs, weights
from litepose_nas.budget import Budget, in_words
from litepose_nas.runs import journal
from litepose_nas.runs.journal import Journal
from litepose_nas.search.encoding import Genome
from litepose_nas.search.journal import evaluations, header
from litepose_nas.search.loop import run_search
from litepose_nas.search.methods import METHODS, searcher_of
from litepose_nas.search.part import PartSearcher
from litepose_nas.search.pricing import Prices
from litepose_nas.search.problem import Problem
from litepose_nas.targets import op_set_file
from litepose_nas.targets.op_set import KernelRule, OpCounter, OpSet
from litepose_nas.targets.reachable import ends, reachable
from tests.helpers import tiny

TRAIN = "train-supernet --space small.yaml --data people --steps 2 --device cpu --out net batch=2"
ALONE = "train-supernet --space topdown-tiny --data people --steps 2 --device cpu --out alone batch=2"
SEARCH = "search net --device cpu --evals 8 --budget 30MMAC"
JOINTS = 17
# The first cuts choices; the second leaves pairs that do not go together, which every network has to be asked for:
# groups of one channel with a kernel of 7, or of several with any.
CUTS = ("litepose-tiny", OpSet("fives", depthwise=KernelRule(largest=5)))
PAIRS = ("s_vipnas_mbv3", OpSet("pairs", depthwise=KernelRule(largest=3), convolution=KernelRule(kernels=(1, 3, 7))))


def problems(name, op_set, budget):
    """The problem in the whole space, and in what is left of it."""
    whole = Space.load(name)
    left = reachable(whole, op_set)
    price = costs.timed_by([], JOINTS)
    limits = Budget.of([budget])
    anchor = limits.check_reachable(left.space, JOINTS, price, op_set.broken)
    many = costs.columns(left.space, JOINTS, [OpCounter(op_set, JOINTS)])
    part = Problem(left.space, limits, price, many=many, feasible=anchor, broken=op_set.broken)
    return Problem(whole, limits, price), part


def scored(arch):
    """More is better, kernels above all: what is forbidden would be chosen first."""
    kernels = sum(value for path, value in arch.to_dict().items() if path.endswith("kernel"))
    return {"score": kernels + random.Random(str(arch)).random()}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("case", "budget"), [(CUTS, "60MMAC"), (PAIRS, "400MMAC")], ids=["cuts", "pairs"])
def test_nothing_forbidden_is_evaluated(tmp_path, method, case, budget):
    name, op_set = case
    evals = 16 if method == "guided" else 36  # its rounds take longer
    whole, part = problems(name, op_set, budget)
    searcher = PartSearcher(searcher_of(method, part, 3, evals), part.space, whole.space)
    book = Journal(tmp_path / "j", header({"": (whole.space, "")}, 0))
    found = run_search(whole, searcher, scored, book, evals)
    assert len({one.arch for one in found}) == evals
    for one in found:
        assert one.arch.space == whole.space
        assert not op_set.violations(one.arch)
        assert whole.budget.ok(one.cost)
    # Killed in the middle, it goes on to the same end.
    lines = (tmp_path / "j").read_bytes().splitlines(keepends=True)
    (tmp_path / "k").write_bytes(b"".join(lines[: evals // 2]))
    again = PartSearcher(searcher_of(method, part, 3, evals), part.space, whole.space)
    book = Journal(tmp_path / "k", header({"": (whole.space, "")}, 0))
    assert [one.arch for one in run_search(whole, again, scored, book, evals)] == [one.arch for one in found]


def test_rows_are_priced_in_columns_and_what_is_forbidden_is_beyond():
    _, part = problems(*PAIRS, "400MMAC")
    genome = Genome(part.space)
    prices = Prices(part, genome)
    assert prices._quick is not None
    rows = genome.rows(list(part.space.neighbours(part.feasible)))
    line = prices.of(rows)
    runs = [not part.broken(genome.arch(row)) for row in rows]
    assert 0 < sum(runs) < len(runs)
    kept = [part.budget.ok(part.cost(genome.arch(row))) for row in rows]
    assert prices.ok(line).tolist() == [a and b for a, b in zip(runs, kept, strict=True)]
    assert ((prices.excess(line) == 0) == prices.ok(line)).all()
    assert prices.logs(line).shape == (len(rows), len(prices.fields))


def test_a_budget_that_what_is_left_cannot_keep_names_its_range():
    """The cheapest network of all has a kernel that is forbidden with groups of one channel."""
    name, op_set = PAIRS[0], OpSet("large", depthwise=KernelRule(kernels=(5, 7)))
    left = reachable(Space.load(name), op_set)
    price = costs.timed_by([], JOINTS)
    least, _ = ends(left, op_set, lambda arch: price(arch).macs)
    assert price(least).macs > price(Space.load(name).smallest).macs
    with pytest.raises(UserError, match=f"smallest: {in_words('macs', price(least).macs)}"):
        Budget.of(["10MMAC"]).check_reachable(left.space, JOINTS, price, op_set.broken)


# ── from the command line ──


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tiny.room_after(tmp_path_factory.mktemp("ops"), TRAIN, ALONE)
    (folder / "threes.yaml").write_text("depthwise: {kernels: [3, 5]}  # the output has a 5\nchannels: 8\n")
    return folder


@pytest.fixture
def room(trained, tmp_path, monkeypatch):
    folder = tmp_path / "room"
    shutil.copytree(trained, folder)
    monkeypatch.chdir(folder)
    return folder


def archs_of(folder, space):
    read = journal.read(Path(folder) / "journal.jsonl")
    return [one.arch for one in evaluations(space, read)]


def test_a_search_keeps_an_op_set_and_resumes_with_the_same(room, said):
    text = said(f"{SEARCH} --ops xnnpack --out found")
    assert "op set xnnpack, small.yaml: 4 choices of 4 genes are cut" in text
    space, xnnpack = Space.load("small.yaml"), op_set_file.load("xnnpack")
    assert not any(xnnpack.violations(arch) for arch in archs_of("found", space))
    assert journal.read("found/journal.jsonl").header["ops"] == xnnpack.sha256
    assert op_set_file.load("found/ops/xnnpack.yaml") == xnnpack
    assert json.loads(said("profile subnet.json --ops xnnpack --json"))["ops"]["runs"]
    assert "every network keeps the op set xnnpack: depthwise.largest: 5" in said("report found")
    assert "op set xnnpack: depthwise.largest: 5" in Path("found/report/report.html").read_text()
    whole = Path("found/journal.jsonl").read_bytes()

    def killed():
        Path("found/journal.jsonl").write_bytes(whole[: 2 * len(whole) // 3])
        Path("found/ended.json").unlink(missing_ok=True)

    killed()
    before = archs_of("found", space)
    said("search --resume --out found")
    assert archs_of("found", space)[: len(before)] == before
    assert not any(xnnpack.violations(arch) for arch in archs_of("found", space))
    killed()
    Path("found/ops/xnnpack.yaml").write_text("depthwise: {largest: 9}\n")
    assert "a journal of another ops" in said("search --resume --out found", 2)
    assert "leave out --ops" in said("search --resume --ops xnnpack --out found", 2)


def test_across_families_each_keeps_it(room, said):
    text = said(f"{SEARCH} alone --people 1 --ops xnnpack --out both")
    assert "op set xnnpack, small.yaml" in text
    assert "op set xnnpack, topdown-tiny" in text
    read, xnnpack = journal.read("both/journal.jsonl"), op_set_file.load("xnnpack")
    spaces = {entry["name"]: Space(entry["tree"], entry["space"]) for entry in read.header["families"]}
    archs = [spaces[record["family"]].arch(record["arch"]) for record in read.records if "result" in record]
    assert {arch.space.name for arch in archs} == {"small.yaml", "topdown-tiny"}
    assert not any(xnnpack.violations(arch) for arch in archs)
    Path("no7.yaml").write_text("transposed: false\n")
    words = said(f"{SEARCH} alone --people 1 --ops no7.yaml", 2)
    assert "op set no7 runs no small.yaml network: head.fuse.0" in words
    assert "or leave net out" in words


def test_what_cannot_be_is_told_before_weights_are_read(room, said, monkeypatch):
    def read(*_, **__):
        raise AssertionError("weights were read")

    monkeypatch.setattr(weights, "load_supernet", read)
    words = said(f"{SEARCH} --ops tensorrt-dla", 2)
    assert "op set tensorrt-dla runs no small.yaml network: head.fuse.0 (FusionDeconv): deconvolution 4x4" in words
    assert words.count("\n") == 1
    assert "did you mean 'xnnpack'" in said(f"{SEARCH} --ops xnpack", 2)
    words = said("search net --device cpu --budget 0.1MMAC --ops xnnpack", 2)
    assert "in what op set xnnpack leaves" in words
    assert "smallest:" in words


def test_spaces_and_networks_are_shown_with_what_is_broken(room, said):
    text = said("space show litepose --ops xnnpack")
    assert "at most 4.59e+10 networks are left" in text
    assert "most that xnnpack runs" in text
    told = json.loads(said("space show litepose --ops xnnpack --json"))
    assert told["left"]["genes"]["stages.0.kernel"] == [3, 5]
    assert told["left"]["size"] < told["size"]
    assert told["cost"]["most that xnnpack runs"]["macs"] < told["cost"]["widest"]["macs"]
    text = said("profile litepose-xs --ops xnnpack")
    assert "op set xnnpack cannot run this network" in text
    assert "depthwise convolution 7x7" in text
    told = json.loads(said("profile litepose-xs --ops xnnpack --json"))["ops"]
    assert not told["runs"]
    assert {one["rule"] for one in told["broken"]} == {"depthwise.largest: 5"}
    assert "op set threes runs this network" in said("profile mobilevitpose-xs --ops threes.yaml")
