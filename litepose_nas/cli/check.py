"""litepose-nas data check: everything wrong with a dataset, named."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from litepose_nas.cli import console
from litepose_nas.cli.options import Json
from litepose_nas.errors import UserError


def check(
    source: Annotated[
        str, typer.Argument(metavar="SRC", help="A dataset YAML, a JSON, a folder, or a name such as coco.")
    ],
    html: Annotated[Path | None, typer.Option(help="Write a page with drawings there.")] = None,
    split: Annotated[list[str] | None, typer.Option(help="train, val or test; train and val if not given.")] = None,
    images: Annotated[bool, typer.Option("--images/--no-images", help="Decode every picture.")] = True,
    json: Json = False,
) -> None:
    """Name everything wrong with a dataset; exit code 2 when training would stop on it.

    Example: litepose-nas data check people --html check.html
    """
    from litepose_nas.data.check.checkup import check_source
    from litepose_nas.data.check.messages import lines, tree
    from litepose_nas.data.check.page import page
    from litepose_nas.data.dataset import subjects
    from litepose_nas.files import replacing
    from litepose_nas.synthetic.dataset import open_or_draw

    opened = open_or_draw(source)
    with console.progress("decoding") as step:
        report = check_source(opened, tuple(dict.fromkeys(split or ())), images, step)
    if html:
        with replacing(html) as path:
            path.write_text(page(report), encoding="utf-8")
    if json:
        console.as_json(tree(report))
    else:
        who = subjects("person" if all(one.category == "person" for one in report.splits) else "subject")
        head = ("split", "pictures", who, "crowds", "joints", "hidden joints")
        counts = [(one.name, one.counts) for one in report.splits]
        rows = [
            (name, c.images, c.people, c.crowds, c.joints, f"{c.hidden / max(c.joints, 1):.0%}") for name, c in counts
        ]
        console.table(head, rows)
        console.out()
        for line in lines(report):
            console.out(line)
        if html:
            console.out(f"drawings: {html}")
    if not report.trainable:
        raise UserError(f"{source}: training would stop; mend what is called an error above")
