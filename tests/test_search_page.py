"""The page of a search in a browser: points are clicked, and its sliders choose as `report --budget` does."""

import json
import math
import random
import shlex
from fractions import Fraction

import pytest

from litepose_nas import costs
from litepose_nas.budget import Budget
from litepose_nas.errors import UserError
from litepose_nas.formats import subnet_file
from litepose_nas.report import example_poses, page
from litepose_nas.report.example_poses import ExampleImage, ExamplePoses, key_of
from litepose_nas.report.pages import search_page
from litepose_nas.report.record import load_search
from litepose_nas.report.summary import summarise
from litepose_nas.search.pareto import front
from tests.helpers import page_data
from tests.helpers.browser import looks, opened
from tests.helpers.commands import run
from tests.test_report import SPACE, write_journal
from tests.test_report_times import record_of

CHOOSE = """([limits, people]) => {
  const block = JSON.parse(document.getElementById("data").textContent).blocks.find((one) => one.is === "search");
  const data = unpacked(block);
  const load = people ? { ...data.workload, num: people[0], den: people[1] } : data.workload;
  const wanted = limits.map((one) => ({ ...one, time: data.fields[one.field].time, run: data.fields[one.field].run }));
  const one = choose(data, wanted, load);
  return [one ? one.index : null, frontOf(data, wanted, load).map((each) => each.index)];
}"""


def store_poses(folder, summary):
    """Two images and one person found by each network of the front, in a place of its own."""
    black = bytes.fromhex(
        "ffd8ffdb004300" + "01" * 64 + "ffc0000b080001000101011100ffc40014000100000000000000000000"
        "000000000009ffc40014100100000000000000000000000000000000ffda0008010100003f007fffd9"
    )
    person = [coordinate for joint in range(17) for coordinate in (10.0 + joint, 20.0 + joint)]
    images = [ExampleImage(f"{at}.jpg", 64, 48, f"image {at} <b>", [person]) for at in range(2)]
    for image in images:
        (folder / example_poses.FOLDER).mkdir(exist_ok=True)
        (folder / example_poses.FOLDER / image.name).write_bytes(black)
    networks = {}
    for at, one in enumerate(summary.front):
        moved = [None if place in (6, 7) else value + at for place, value in enumerate(person)]
        networks[summary.record.family_of(one), key_of(one.arch.to_dict())] = [[moved], []]
    example_poses.write(folder, ExamplePoses(images, [[0, 1], [1, 2]], networks))


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a search") / "run"
    folder.mkdir()
    write_journal(folder / "journal.jsonl")
    store_poses(folder, summarise(load_search(folder)))
    page.write(summarise(load_search(folder), models=True), folder / "report")
    return folder


def page_of(folder):
    return folder / "report" / "report.html"


def random_limits(rng, summary, texts):
    """Limits near what networks of the search cost, as texts and as the page has them."""
    chosen = rng.sample(texts, rng.randint(1, len(texts)))
    fields = list(summary.chosen.cost._fields)
    near = rng.choice(summary.found).cost
    budget = [
        text.format(round(rng.uniform(0.7, 1.4) * getattr(near, field), 2 if text == "{}ms" else None))
        for field, text in chosen
    ]
    limits = Budget.of(budget, summary.budget.convention, times=summary.record.times).limits
    return budget, [{"field": fields.index(limit.field), "most": limit.most} for limit in limits]


def test_the_page_holds_what_choosing_needs_and_is_small(searched, tmp_path):
    text = page_of(searched).read_text()
    (block,) = page_data.blocks(text, "search")
    assert [one["s"] for one in block["networks"]] == [one.score for one in summarise(load_search(searched)).found]
    assert len(block["poses"]["networks"]) == len(summarise(load_search(searched)).front)
    found = write_journal(tmp_path / "journal.jsonl", evals=1000)
    page.write(summarise(load_search(tmp_path), models=False), tmp_path / "report")
    assert len(found) == 1000
    assert page_of(tmp_path).stat().st_size < 2.5e6  # of 5 MB, half is for the images of a dozen people


@pytest.mark.browser
def test_the_page_chooses_as_the_command_does(searched):
    record, rng = load_search(searched), random.Random(0)
    whole = summarise(record)
    numbers = {one.arch: at for at, one in enumerate(whole.found)}
    texts = [("macs", "{}MAC"), ("params", "{}params"), ("weight_bytes", "{}bytes"), ("peak_bytes", "{}Bpeak")]
    kept = 0
    with opened(page_of(searched)) as one:
        assert one.page.locator("path.network").count() == 80
        for _ in range(80):
            budget, limits = random_limits(rng, whole, texts)
            number, line = one.page.evaluate(CHOOSE, [limits, None])
            try:
                summary = summarise(record, Budget.of(budget))
            except UserError:
                assert (number, line) == (None, [])
                continue
            assert number == numbers[summary.chosen.arch], budget
            assert line == [numbers[each.arch] for each in summary.front], budget
            kept += 1
    assert kept > 40


@pytest.mark.browser
def test_several_families_with_times_and_people_are_chosen_alike(tmp_path):
    slow = {("topdown-tiny", at) for at in (1, 2, 3)}
    record, rng = record_of(tmp_path / "journal.jsonl", slow), random.Random(1)
    whole = summarise(record)
    page.write(whole, tmp_path / "report")
    numbers = {one.arch: at for at, one in enumerate(whole.found)}
    texts = [("macs", "{}MAC"), ("latency_ms_bound", "{}ms"), ("params", "{}params")]
    kept, families = 0, set()
    with opened(page_of(tmp_path)) as one:
        for _ in range(80):
            budget, limits = random_limits(rng, whole, texts)
            people = rng.choice([None, Fraction(1), Fraction(2), Fraction(5, 2), Fraction(9)])
            asked = None if people is None else [people.numerator, people.denominator]
            number, line = one.page.evaluate(CHOOSE, [limits, asked])
            workload = record.workload._replace(people=people) if people else None
            try:
                summary = summarise(record, Budget.of(budget, times=record.times), workload)
            except UserError:
                assert number is None, budget
                continue
            assert number == numbers[summary.chosen.arch], (budget, people)
            assert line == [numbers[each.arch] for each in summary.front], (budget, people)
            families.add(summary.comparison.winner.family)
            kept += 1
    assert kept > 20
    assert len(families) == 2


@pytest.mark.browser
def test_sliders_pick_again_and_show_the_command_that_does_the_same(searched, tmp_path, monkeypatch):
    whole = summarise(load_search(searched))
    monkeypatch.chdir(tmp_path)
    with opened(page_of(searched)) as one:
        choice, command = one.page.locator("#choice"), one.page.locator("#command")
        assert int(choice.get_attribute("data-choice")) == [each.arch for each in whole.found].index(whole.chosen.arch)
        assert shlex.split(command.text_content()) == ["litepose-nas", "report", str(searched), "--budget", "60MMAC"]
        for name, share in (
            ("MACs", 0.5),
            ("parameters", 0.4),
            ("MACs", 0.7),
            ("peak activations", 0.6),
            ("MACs", 1.0),
        ):
            slider = one.page.locator(f'[data-slider="{name}"]')
            last = int(slider.get_attribute("max"))
            slider.evaluate(
                "(one, at) => { one.value = at; one.dispatchEvent(new Event('input')); }", round(share * last)
            )
            number = choice.get_attribute("data-choice")
            code = run(f"{command.text_content()} --out here", monkeypatch)
            if number == "none":
                assert code == 2
            else:
                assert code == 0
                assert subnet_file.read("subnet.json").arch == whole.found[int(number)].arch
        one.page.reload()
        assert choice.get_attribute("data-choice") == number
        one.page.click("#reset")
        one.until("document.querySelector('#command').textContent.endsWith('--budget 60MMAC')")


@pytest.mark.browser
def test_points_are_clicked_compared_and_kept_over_a_reload(searched):
    summary = summarise(load_search(searched))
    numbers = {one.arch: at for at, one in enumerate(summary.found)}
    cheap, dear = numbers[summary.front[0].arch], numbers[summary.front[-1].arch]
    with opened(page_of(searched)) as one:
        one.page.locator(f'[data-network="{cheap}"]').click(force=True)
        detail = one.page.locator("#detail")
        assert f"network {cheap + 1}" in detail.text_content()
        assert one.page.locator("#poses svg").count() == 2
        assert one.page.locator("#poses [data-of=first] circle").count() == 16  # a joint is missing, an image is empty
        one.page.click("#pin")
        one.page.locator(f'[data-network="{dear}"]').click(force=True)
        heads = detail.locator("th").all_text_contents()
        assert heads == ["", f"network {dear + 1}", f"beside it: network {cheap + 1}"]
        assert detail.locator("tr.differs").count() > 3
        assert one.page.locator("#poses [data-of=second]").count() == 2
        one.page.click("[data-layer=truth]")
        assert one.page.locator("#poses [data-of=truth]").count() == 0
        one.page.reload()
        assert detail.locator("th").all_text_contents() == heads
        assert one.page.locator("#poses [data-of=truth]").count() == 0
        one.page.click("#unpin")
        assert len(detail.locator("th").all_text_contents()) == 2
        one.page.locator("svg.chart").first.focus()
        one.page.keyboard.press("ArrowLeft")
        before = numbers[summary.front[-2].arch]
        assert f"network {before + 1} " in one.page.locator("#readout").text_content()
        off = next(at for at in range(len(summary.found)) if at not in {numbers[each.arch] for each in summary.front})
        one.page.evaluate("(at) => { const all = kept.get('search'); all.first = at; kept.set('search', all); }", off)
        one.page.reload()
        assert f"No poses are stored of network {off + 1}" in detail.text_content()


@pytest.mark.browser
@pytest.mark.slow
def test_it_is_as_wide_as_the_window(searched, tmp_path):
    looks(page_of(searched), tmp_path, "search")


def test_poses_are_read_back_and_damaged_ones_are_refused(searched, tmp_path):
    poses = example_poses.read(searched)
    assert example_poses.read(tmp_path) is None
    arch = summarise(load_search(searched)).front[0].arch
    assert poses.of("", arch.to_dict())[1] == []
    assert poses.of("", SPACE.widest.to_dict()) is None
    folder = tmp_path / example_poses.FOLDER
    folder.mkdir()
    whole = json.loads((searched / example_poses.FOLDER / example_poses.FILE).read_text())
    outside = {**whole, "images": [{**whole["images"][0], "name": "../../secret.jpg"}, whole["images"][1]]}
    few = {**whole, "networks": [{**whole["networks"][0], "people": []}]}
    words = {**whole, "networks": [{**whole["networks"][0], "people": [[["x", "y"]], []]}]}
    half = {**whole, "networks": [{**whole["networks"][0], "people": [[[1, None]], []]}]}
    for odd in (outside, few, words, half, {}, []):
        (folder / example_poses.FILE).write_text(json.dumps(odd))
        with pytest.raises(UserError, match=r"damaged|leads out of the folder"):
            example_poses.read(tmp_path)


def test_a_person_is_stored_without_the_joints_that_are_not_there():
    points = [[1.0, 2.0, 2.0], [3.0, 4.0, 0.0], [math.nan, 1.0, 1.0], [5.26, 6.0, 1.0]]
    assert example_poses.person_of(points, 0.5) == [0.5, 1.0, None, None, None, None, 2.6, 3.0]


def test_blocks_are_drawn_of_the_front_and_of_finalists(searched):
    summary = summarise(load_search(searched))
    block = search_page.search_block(summary, None)
    drawn = {at for at, one in enumerate(block["networks"]) if "b" in one}
    again = {at for at, one in enumerate(block["networks"]) if "r" in one}
    line = {
        at
        for at, one in enumerate(summary.found)
        if one.arch in {each.arch for each in front(summary.found, summary.budget)}
    }
    assert drawn >= line | again
    assert len(again) == 5
    rows = block["networks"][min(line)]["b"]
    assert sum(row[5] for row in rows) == costs.cost(summary.found[min(line)].arch).macs
