"""A page as one HTML file: its content as JSON, and the styles and scripts that draw it, from `report/web/`.

The file needs nothing else. Its content security policy forbids every request and every script but its own, so even a
name that got past the escaping could load and run nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from litepose_nas import files
from litepose_nas.untrusted.display import clean_lines, in_html

PAGE = "report.html"
FOLDER = "report"  # of a run: where its page and the files beside it are
WEB = Path(__file__).parent.parent / "web"
SCRIPTS = ("base", "charts", "poses", "choose", "search", "page")  # each uses those before it
Block = dict[str, Any]  # `is`: what draws it, a name in page.js; `title`: a heading above it


class PageContent(NamedTuple):
    title: str
    about: Sequence[str]  # lines below the title
    blocks: Sequence[Block]


def write(path: Path, content: PageContent, every: float | None = None) -> None:
    """Write the page; with `every` it is one of a run under way, and loads itself again after so many seconds."""
    files.write(path, render(content, every))


def render(content: PageContent, every: float | None = None) -> str:
    live = {"every": every, "written": time.time()} if every is not None else None
    page = _cleaned({"title": content.title, "about": content.about, "live": live, "blocks": content.blocks})
    script = "\n".join((WEB / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return Template((WEB / "page.html").read_text(encoding="utf-8")).substitute(
        title=in_html(content.title),
        style=(WEB / "page.css").read_text(encoding="utf-8"),
        hash=f"sha256-{digest}",
        data=_in_script(page),
        script=script,
    )


def picture(data: bytes, suffix: str = ".jpg") -> str:
    """A picture as an address that holds it."""
    kind = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png"}[suffix]
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _in_script(value: Any) -> str:
    """JSON that can stand in a script: nothing in it ends the script or begins a comment."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _cleaned(value: Any) -> Any:
    """The value with codes in its texts written out, and null for what is no finite number."""
    if isinstance(value, str):
        return value if value.isprintable() else clean_lines(value)
    if isinstance(value, Mapping):
        return {_cleaned(str(key)): _cleaned(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(one) for one in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value
