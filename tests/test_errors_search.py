"""What a search refuses: budgets, supernets and journals that cannot be; the cause is said, and no file changes."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from litepose_nas import Space
from litepose_nas.runs.journal import Journal, read
from litepose_nas.runs.run import digest
from litepose_nas.search.journal import header
from tests.helpers import tiny
from tests.helpers.unsummed import without_sums

SEARCH = Path("runs/search/search")
JOURNAL = SEARCH / "journal.jsonl"
WEIGHTS = Path("runs/train-supernet/supernet/weights/last.safetensors")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder with a supernet that has hardly been trained, and a search of it."""
    return tiny.room_after(
        tmp_path_factory.mktemp("done"),
        "train-supernet --space small.yaml --data people --steps 4 --device cpu batch=2",
        "search --budget 16MMAC --evals 6 --device cpu",
    )


@pytest.fixture
def command(done, tmp_path, monkeypatch, command):
    """Commands run in a copy of that folder."""
    shutil.copytree(done, tmp_path / "room")
    monkeypatch.chdir(tmp_path / "room")
    return command


NOTES = ("lock", "log.txt", "command.txt")  # who works in a run, what it said, and what it was asked


def everything():
    """Return the bytes of every file but for notes."""
    names = (path for path in Path().rglob("*") if path.is_file() and path.name not in NOTES)
    return {str(path): path.read_bytes() for path in names}


@pytest.fixture
def refused(command):
    """Run a command that must end with one error with these words, and no file changed, made or gone."""

    def check(text, *words):
        before = everything()
        code, _, errors = command(text)
        assert code == 2, errors
        assert errors.splitlines()[-1].startswith("error: ")
        for word in words:
            assert word in errors.splitlines()[-1]
        after = everything()
        assert sorted(after) == sorted(before)
        assert [name for name in after if after[name] != before[name]] == []

    return check


# ── budgets ──


@pytest.mark.parametrize(
    ("budgets", "words"),
    [
        (["1kMAC"], ["no small.yaml network fits MACs <= 1 kMAC", "smallest: 4.57 MMAC", "allow 4.58MMAC or more"]),
        (["10kparams"], ["fits parameters <= 10 k", "smallest:", "widest:", "allow"]),
        (["1KB"], ["fits weights <= 1 KB", "allow"]),
        (["1KBpeak"], ["fits peak activations <= 1 KB", "allow"]),
        (["20MMAC", "1KBpeak"], ["fits peak activations <= 1 KB"]),
        (["10MMAC", "20MMAC"], ["10MMAC and 20MMAC both limit MACs", "give one of them"]),
        (["10MMAC", "10 MFLOPs"], ["both limit MACs"]),
        (["20ms"], ["litepose-nas latency measure"]),
    ],
    ids=str,
)
def test_budgets_that_cannot_be_kept(refused, budgets, words):
    options = " ".join(f"--budget {budget.replace(' ', '')}" for budget in budgets)
    refused(f"search {options}", *words)
    refused(f"search {options} --out {SEARCH}", *words)  # the place of another run is not looked at before


# ── supernets ──


@pytest.mark.parametrize("kept", [0, 4, 100, 0.5, 0.999])
def test_a_supernet_that_cannot_be_read(refused, kept):
    data = WEIGHTS.read_bytes()
    WEIGHTS.write_bytes(data[: kept if kept >= 4 else int(kept * len(data))])
    refused("search --budget 16MMAC", str(WEIGHTS))
    refused(f"search --resume --out {SEARCH}", str(WEIGHTS))


def test_weights_of_something_else(refused):
    WEIGHTS.write_bytes(b"no weights at all, but words")
    refused("search --budget 16MMAC", str(WEIGHTS), "not the size of a header")
    torch.save({"weights": torch.zeros(3)}, WEIGHTS)
    refused("search --budget 16MMAC", str(WEIGHTS))
    WEIGHTS.unlink()
    WEIGHTS.mkdir()
    refused("search --budget 16MMAC", "train-supernet")


# ── journals ──


def test_a_journal_cut_in_a_line_goes_on_to_the_same_end(command):
    whole, left = JOURNAL.read_bytes(), tiny.left_by_search(SEARCH, Path("subnet.json"))
    ends = [place for place, byte in enumerate(whole) if byte == ord("\n")]
    for cut in (ends[0] + 1, ends[2] + 40, ends[4], ends[-2] + 1, len(whole) - 2):
        JOURNAL.write_bytes(whole[:cut])
        assert command(f"search --resume --device cpu --out {SEARCH}")[0] == 0
        lines = whole[:cut].rpartition(b"\n")[0]
        assert JOURNAL.read_bytes().startswith(lines)  # what was whole stays, to the byte
        tiny.same(tiny.left_by_search(SEARCH, Path("subnet.json")), left)


def as_of_the_past(settings, **options):
    """Make the run what version 0.1.0 would have begun: its settings, the first line of its journal, its records."""
    first, *records = without_sums(JOURNAL)
    (family,), notes = first.pop("families"), first.pop("notes")
    for key in ("people", "detector_macs", "boxes"):
        del first[key]
    for key in ("supernets", "people", "detector_macs", "boxes", "people_are"):
        settings.pop(key, None)
    settings |= {"supernet": "runs/train-supernet/supernet", **options}
    told = {key: notes[key] for key in ("budget", "convention")} | notes["families"][family.pop("name")]
    lines = [{**first, **family, **options, "notes": told}]
    lines += [{key: value for key, value in record.items() if key != "family"} for record in records]
    JOURNAL.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (SEARCH / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    env = json.loads((SEARCH / "env.json").read_text()) | {"config": digest(settings)}
    (SEARCH / "env.json").write_text(json.dumps(env))


def test_a_search_of_the_past_goes_on_unless_it_was_begun_with_an_option_that_is_gone(command, refused):
    left, settings = Path("subnet.json").read_bytes(), yaml.safe_load((SEARCH / "config.yaml").read_text())
    whole = JOURNAL.read_text()
    as_of_the_past(settings, first_look=1.0, eager=False)
    old = JOURNAL.read_text()
    report = [command(f"report {SEARCH} --json")[1]]
    JOURNAL.write_text(old[: len(old) // 2])
    assert command(f"search --resume --device cpu --out {SEARCH}")[0] == 0
    assert Path("subnet.json").read_bytes() == left
    assert JOURNAL.read_text().startswith(old[: len(old) // 2].rpartition("\n")[0])
    report += [command(f"report {SEARCH} --json")[1]]
    JOURNAL.write_text(whole)
    report += [command(f"report {SEARCH} --json")[1]]
    assert report[0] == report[1] == report[2]
    for option, value in (("first-look", 0.25), ("eager", True)):
        JOURNAL.write_text(whole)
        as_of_the_past(dict(settings), **{option.replace("-", "_"): value})
        refused(f"search --resume --out {SEARCH}", f"--{option}, which is gone", "the version that began it (0.1.0")


@pytest.mark.parametrize("line", [1, 2, 5])
def test_a_journal_damaged_before_its_last_line(refused, line):
    lines = JOURNAL.read_bytes().splitlines(keepends=True)
    lines[line - 1] = lines[line - 1][:20] + b"\n"
    JOURNAL.write_bytes(b"".join(lines))
    refused(f"search --resume --out {SEARCH}", str(JOURNAL), f"line {line} is damaged", "restore the file")


def test_a_journal_of_another_space(refused):
    first = read(JOURNAL).header
    (notes, _), other = (first.pop("notes"), first.pop("journal")), Space.load("litepose")
    JOURNAL.unlink()
    Journal(JOURNAL, {**first, **header({"small": (other, "")}, 0)}, notes).append(
        {"n": 1, "arch": other.widest.to_dict()}
    )
    refused(
        f"search --resume --out {SEARCH}", str(JOURNAL), "another space: 'litepose', not 'small.yaml'", "nothing was"
    )


def test_a_journal_of_the_same_space_changed_of_another_budget_or_of_no_search(refused):
    without_sums(JOURNAL)
    text = JOURNAL.read_text()
    for old, new, words in (
        ("[24, 32, 48]", "[24, 32, 40]", "a journal of another tree"),
        ("16 MMAC", "17 MMAC", "a journal of another budget"),
        ('"kind": "search"', '"kind": "audit"', "a journal of another kind: 'audit', not 'search'"),
        ('"journal": 1', '"journal": 7', "a journal of version 7"),
        ('"guided"', '"nsga2"', "a journal of another method"),
    ):
        assert old in text.splitlines()[0]
        JOURNAL.write_text(text.replace(old, new, 1))
        refused(f"search --resume --out {SEARCH}", str(JOURNAL), words)
    JOURNAL.write_text("Dear diary,\n")
    refused(f"search --resume --out {SEARCH}", str(JOURNAL))


def test_a_place_that_is_taken(refused):
    refused(f"search --budget 16MMAC --evals 2 --out {SEARCH}", str(SEARCH))


# ── every cost, through the command ──


def test_memory_and_weights_are_limits_and_objectives_of_the_command(command):
    words = "--budget 700KBpeak --budget 500KB --objective peak_bytes --objective weight_bytes"
    code, _, errors = command(f"search {words} --evals 12 --device cpu --out both")
    assert code == 0, errors
    records = [json.loads(line) for line in Path("both/journal.jsonl").read_text().splitlines()][1:]
    costs = [record["cost"] for record in records if "cost" in record]
    assert len(costs) == 12
    assert all(cost["peak_bytes"] <= 700_000 and cost["weight_bytes"] <= 500_000 for cost in costs)
    with Path("both/front.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(int(row["peak_bytes"]), int(row["weight_bytes"])) for row in rows} <= {
        (cost["peak_bytes"], cost["weight_bytes"]) for cost in costs
    }
    fronts = [json.loads(path.read_text()) for path in sorted(Path("both/front").iterdir())]
    archs = [record["arch"] for record in records if "cost" in record]
    assert all(one["arch"] in archs for one in fronts)
