"""A page as a file: names stay text, nothing of it leads outside, and writing it again and again costs a run little."""

import json
import re

import pytest

from litepose_nas.errors import UserError
from litepose_nas.report.pages import html
from litepose_nas.report.pages.html import PageContent
from litepose_nas.report.refresh import FIRST, LEAST, PageRefresher
from tests.helpers import page_data
from tests.helpers.browser import opened

EVIL = "</script><script>document.title='taken'</script><!-- \"'&amp; \u202eevil\u0007\x7f \ud800 $data"
SHOWN = "</script><script>document.title='taken'</script><!-- \"'&amp; \\u202eevil\\x07\\x7f \\ud800 $data"
BLOCKS = [
    {"is": "heading", "text": EVIL},
    {"is": "list", "title": EVIL, "lines": [EVIL]},
    {"is": "table", "title": EVIL, "head": [EVIL], "rows": [[EVIL]]},
    {
        "is": "links",
        "title": EVIL,
        "head": [EVIL, "n"],
        "rows": [[EVIL, "a%20b/report.html", EVIL], ["no page", None, 1]],
    },
    {
        "is": "bars",
        "title": EVIL,
        "names": ["before", "after"],
        "rows": [{"name": EVIL, "values": [1.0, float("nan")]}],
    },
    {
        "is": "curves",
        "title": EVIL,
        "x": EVIL,
        "y": "y",
        "series": [{"name": EVIL, "points": [[0, 1], [5, float("inf")], [9, 2]]}],
    },
    {"is": "curves", "title": "nothing yet", "x": "step", "y": "y", "series": [{"name": "loss", "points": []}]},
    {
        "is": "dots",
        "title": EVIL,
        "x": "x",
        "y": "y",
        "groups": [{"name": EVIL, "points": [[1, 2, EVIL], [3, 4, "b"]]}],
    },
]


def test_names_stay_text_and_nothing_ends_the_script(tmp_path):
    html.write(tmp_path / "page.html", PageContent(EVIL, [EVIL], BLOCKS))
    text = (tmp_path / "page.html").read_text()
    assert text.count("</script>") == 2
    assert text.count("<script") == 2
    data = page_data.data_of(text)
    assert data["title"] == data["about"][0] == data["blocks"][0]["text"] == SHOWN
    assert data["blocks"][4]["rows"][0]["values"] == [1.0, None]
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text).group(1)
    assert policy.startswith("default-src 'none'; img-src data:;")


@pytest.mark.browser
def test_a_browser_shows_such_names_as_they_are(tmp_path):
    html.write(tmp_path / "page.html", PageContent(EVIL, [EVIL], BLOCKS))
    with opened(tmp_path / "page.html", 420) as one:
        shown = SHOWN.replace("\x07", "\\x07")
        assert one.page.locator("h1").text_content() == shown
        assert one.page.locator("h2").first.text_content() == shown
        assert one.page.locator("td").first.text_content() == shown
        assert one.page.title() == shown
        assert one.page.locator("a").get_attribute("href") == "a%20b/report.html"
        assert one.page.evaluate("document.documentElement.scrollWidth") <= 420


@pytest.mark.browser
def test_curves_are_read_with_the_pointer_and_with_keys(tmp_path):
    series = [{"name": "loss", "points": [[step, 100 / step] for step in range(1, 41)]}]
    block = {"is": "curves", "title": "Losses", "x": "step", "y": "loss", "series": series}
    html.write(tmp_path / "page.html", PageContent("Curves", [], [block]))
    with opened(tmp_path / "page.html") as one:
        chart, readout = one.page.locator("svg.chart"), one.page.locator(".readout")
        chart.hover()
        assert re.fullmatch(r"step (1\d|2\d) · loss [\d.]+", readout.text_content())
        chart.focus()
        one.page.keyboard.press("End")
        assert readout.text_content() == "step 40 · loss 2.5"
        one.page.keyboard.press("ArrowLeft")
        assert readout.text_content() == "step 39 · loss 2.564"


@pytest.mark.browser
def test_a_page_of_a_run_under_way_loads_itself_again_where_it_was(tmp_path):
    def write(title):
        lines = [f"line {at}" for at in range(200)]
        html.write(tmp_path / "page.html", PageContent(title, [], [{"is": "text", "lines": lines}]), 1.0)

    write("first")
    with opened(tmp_path / "page.html") as one:
        assert one.page.evaluate("document.documentElement.dataset.theme") == "light"
        one.page.click("#theme")
        one.page.evaluate("scrollTo(0, 900)")
        write("second")
        one.until("document.querySelector('h1').textContent == 'second'")
        one.until("scrollY == 900")
        assert one.page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert "The run is under way" in one.page.locator("#live").text_content()
        old = page_data.data_of((tmp_path / "page.html").read_text())["live"]["written"]
        text = (tmp_path / "page.html").read_text()
        (tmp_path / "page.html").write_text(text.replace(json.dumps(old), json.dumps(old - 600)))
        one.until("document.querySelector('#live').textContent.includes('not since')")


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_a_page_is_written_the_more_seldom_the_longer_it_takes():
    clock, pages = Clock(), []

    def write(every):
        pages.append((clock.now, every))
        clock.now += 2.0

    refresh = PageRefresher(write, clock=clock)
    while clock.now < 100 + 3600:
        refresh()
        clock.now += 0.5
    assert pages[0] == (100 + FIRST, LEAST)
    assert pages[1][1] == 200.0
    assert 17 <= len(pages) <= 19
    assert refresh.spent < 0.02 * 3600


def test_a_page_that_cannot_be_written_is_said_once_and_does_not_end_the_run():
    clock, said, tried = Clock(), [], []

    def write(every):
        tried.append(every)
        raise UserError("the disk is full")

    refresh = PageRefresher(write, said.append, clock)
    for _ in range(100):
        clock.now += 10
        refresh()
    assert len(tried) == 1
    assert said == ["the page of this run is not written: the disk is full"]
