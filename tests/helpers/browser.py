"""A headless Chromium for tests of pages: nothing leaves this machine, and every complaint of a page is collected."""

import atexit
import functools
import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
]
LOCAL = {"file", "data", "blob", "about"}


def chromium():
    """The browser's program, or skip."""
    pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine; install it, or name it in CHROMIUM")
    return found


class OpenPage:
    """A page in the browser, what it complained of and what it asked for elsewhere."""

    def __init__(self, page):
        self.page, self.complaints, self.outside = page, [], []
        page.on("console", lambda said: said.type in ("error", "warning") and self.complaints.append(said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._asked)

    def _asked(self, request):
        address = urlsplit(request.url)
        if address.scheme not in LOCAL and address.hostname not in ("127.0.0.1", "localhost"):
            self.outside.append(request.url)

    def until(self, script, seconds=20):
        """Wait until a script is true; through the debugger, for the page itself forbids what is not its own."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if self.page.evaluate(script):
                    return
            except Exception as error:  # it is loading itself again
                if "context was destroyed" not in str(error) and "null" not in str(error):
                    raise
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds} s: {script}")

    def check(self):
        assert self.complaints == []
        assert self.outside == []


@functools.cache
def browser():
    """One browser for all tests of this process, each of which has a window of its own."""
    program = chromium()
    from playwright.sync_api import sync_playwright

    playwright = sync_playwright().start()
    started = playwright.chromium.launch(executable_path=program, args=FLAGS)
    atexit.register(playwright.stop)
    atexit.register(started.close)  # the last that is registered goes first
    return started


@contextmanager
def opened(address, width=1400, height=1000, dark=False, wait_until="load", **more):
    """A path or an address in a new window; at the end nobody may have complained, or asked for anything elsewhere."""
    scheme = "dark" if dark else "light"
    context = browser().new_context(viewport={"width": width, "height": height}, color_scheme=scheme, **more)
    try:
        one = OpenPage(context.new_page())
        where = str(address) if "://" in str(address) else Path(address).resolve().as_uri()
        one.page.goto(where, wait_until=wait_until)
        yield one
        one.check()
    finally:
        context.close()


def looks(address, folder, name):
    """Pictures of a whole page at two widths, light and dark, for somebody to look at."""
    for width in (1400, 420):
        for dark in (False, True):
            with opened(address, width, 900, dark) as one:
                one.page.screenshot(path=f"{folder}/{name}-{width}-{'dark' if dark else 'light'}.png", full_page=True)
                wide = one.page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, f"{name} at {width} px is {wide} px wide"
