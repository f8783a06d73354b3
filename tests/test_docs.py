"""Every command in the documentation is run as it stands, page by page, in an empty folder."""

import json
import re
from pathlib import Path

import pytest
import torch

from litepose_nas import Space, Subnet
from litepose_nas.resolve import resolve
from litepose_nas.steps import web_runtime
from tests.helpers.commands import run
from tests.helpers.released import formula_state, released_shapes
from tests.helpers.traced_once import trace_once

ROOT = Path(__file__).parent.parent
KEYS = ROOT / "tests" / "keys"
SHORTENED = {  # in their full length they take minutes
    "litepose-nas demo": "litepose-nas demo --quick",
    "litepose-nas latency measure litepose": "litepose-nas latency measure litepose --nets 4 --minutes 0.1",
    "litepose-nas export litepose-xs --untrained --input 128x128 --format torch": (
        "litepose-nas export xs.json --untrained --input 128x128 --format torch"
    ),
}
EXPORTED = "export litepose_xs.safetensors"  # on a page with this, litepose-xs is the smallest network that there is
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    trace_once(monkeypatch)
    monkeypatch.setattr(web_runtime, "from_npm", lambda: "documentation is tested without a network")
    text = page.read_text()
    for name, content in re.findall(r"Save this as `([\w.]+)`:\n\n```yaml\n(.*?)```", text, re.DOTALL):
        Path(name).write_text(content)
    small = EXPORTED in text
    xs = Space.load("litepose-tiny").smallest if small else resolve("litepose-xs").subnet.arch
    Path("xs.json").write_text(json.dumps(Subnet(xs, 14).to_json()))
    if "litepose_xs.pth.tar" in text:  # what a reader would have
        torch.save(formula_state(released_shapes(xs, 14)), "litepose_xs.pth.tar")
    if "mobilevit_xs.pt" in text:
        torch.save(formula_state(json.loads((KEYS / "mobilevit_xs_cvnets.json").read_text())), "mobilevit_xs.pt")
    commands = re.findall(r"^    (litepose-nas [^#\n]+)", text, re.MULTILINE)
    for command in map(str.strip, commands):
        words = SHORTENED.get(command, command)
        code = run(words.replace("--arch litepose-xs", "--arch xs.json") if small else words, monkeypatch)
        assert code == 0, (command, capsys.readouterr().err)


def test_python_in_the_readme():
    for code in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL):
        exec(compile(code, "README.md", "exec"), {})


def test_links_lead_somewhere():
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page.name}: {link}"
