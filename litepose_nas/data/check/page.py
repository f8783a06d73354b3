"""A report as one HTML page that needs nothing else: findings, charts, drawings."""

from __future__ import annotations

import base64
from collections.abc import Iterable

import numpy as np

from litepose_nas.data.check.checkup import CheckReport, verdict
from litepose_nas.data.check.finding import DataFinding
from litepose_nas.data.check.histogram import histogram, joint_bars
from litepose_nas.data.check.samples import SampleDrawing, draw_samples, good_samples, jpeg
from litepose_nas.data.check.tolerant_reader import CheckedSplit
from litepose_nas.data.dataset import subjects
from litepose_nas.untrusted.display import in_html

SAMPLES = 8  # a split
SUSPECTS = 4  # a finding
LISTED = 200  # examples of a finding; JSON has them all
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1c2733; background: #fff; margin: 2em auto; max-width: 1100px;
  padding: 0 1em } h1 { font-size: 1.5em } h2 { font-size: 1.2em; margin-top: 2em } table { border-collapse: collapse }
th, td { text-align: left; padding: .3em .9em .3em 0; border-bottom: 1px solid #e3e7eb; vertical-align: top }
td.number { text-align: right } .error { color: #b3261e; font-weight: 600 }
.warning { color: #9a5b00; font-weight: 600 }
.note { color: #4c6378 } .good { color: #17703c } code, li { font-size: .88em } .row { display: flex; flex-wrap: wrap;
  gap: 18px; align-items: flex-start } figure { margin: 0; background: #f3f5f7; padding: 8px; border-radius: 6px }
figcaption { font-size: .8em; max-width: 620px; overflow-wrap: anywhere; margin-top: 4px } img { margin-right: 4px }
svg text { font-family: system-ui, sans-serif; fill: #333 } b.left { color: #0b8fb0 } b.right { color: #d8371c }
"""


def page(report: CheckReport) -> str:
    title = in_html(f"Check of {report.name}")
    state = "good" if report.trainable else "error"
    body = [
        f"<h1>{title}</h1>",
        f'<p class="{state}">{in_html(verdict(report))}.</p>',
        _counts(report.splits),
        "<h2>Findings</h2>",
        _findings(report.findings),
    ]
    for split in report.splits:
        body += _split(split, [found for found in report.findings if found.split == split.name])
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{chr(10).join(body)}\n</body></html>\n'


def _counts(splits: Iterable[CheckedSplit]) -> str:
    head = ("", "pictures", "annotations", "with joints", "crowds", "without joints", "joints", "hidden")
    rows = [
        (split.name, *(f"{n:,}" for n in split.counts[:-1]), f"{split.counts.hidden / max(split.counts.joints, 1):.0%}")
        for split in splits
    ]
    cells = [
        f"<tr><th>{in_html(name)}</th>{''.join(f'<td class=number>{n}</td>' for n in numbers)}</tr>"
        for name, *numbers in rows
    ]
    return f"<table><tr>{''.join(f'<th>{word}</th>' for word in head)}</tr>{''.join(cells)}</table>"


def _findings(findings: Iterable[DataFinding]) -> str:
    rows = []
    for found in findings:
        items = "".join(f"<li>{in_html(example)}</li>" for example in found.examples[:LISTED])
        more = f"<li>and {len(found.examples) - LISTED:,} more: see --json</li>" if len(found.examples) > LISTED else ""
        rows.append(
            f'<tr><td class="{found.severity}">{found.severity}</td><td>{in_html(found.split)}</td>'
            f'<td class="number">{len(found.examples):,}</td><td>{in_html(found.message)} <code>{found.code}</code><br>'
            f"<small>{in_html(found.remedy)}</small>"
            f"<details><summary><small>which</small></summary><ul>{items}{more}</ul></details></td></tr>"
        )
    return f"<table>{''.join(rows)}</table>" if rows else '<p class="good">Nothing was found.</p>'


def _split(split: CheckedSplit, findings: Iterable[DataFinding]) -> list[str]:
    if not split.people.names or split.skeleton is None:
        return []
    parts = [f"<h2>{in_html(split.name)}</h2>", f'<div class="row">{"".join(_charts(split))}</div>']
    drawn = draw_samples(split, good_samples(split, SAMPLES))
    if drawn:
        parts += [
            "<h3>As labelled, and mirrored with the pairs exchanged</h3>",
            '<p>The body\'s own <b class="left">left is blue</b>, its <b class="right">right is red</b>, in both '
            "pictures: a limb that leaves the body in the right one belongs to a wrong pair. Hollow joints are hidden."
            "</p>",
            _figures(drawn),
        ]
    for found in findings:
        suspects = draw_samples(split, found.people[:SUSPECTS])
        if suspects:
            parts += [f"<h3>{in_html(found.message)} <code>{found.code}</code></h3>", _figures(suspects)]
    return parts


def _charts(split: CheckedSplit) -> list[str]:
    people = split.people
    flags = people.joints[..., 2]
    where = people.picture[people.picture >= 0]
    per_picture = np.bincount(where, minlength=len(split.pictures)).astype(np.float64)
    size = np.array([max(p.width, p.height) for p in split.pictures] or [1], np.float64)[people.picture]
    shares = 100 * people.boxes[:, 2:].max(1) / size
    labelled = (flags > 0).sum(1).astype(np.float64)
    joints = flags.shape[1]
    names = split.skeleton.names if split.skeleton else ()
    step = max(1, joints // 16 + 1)
    return [
        histogram(per_picture, [*range(13)], f"{subjects(split.category)} in a picture"),
        histogram(labelled, [*range(0, joints + 2 * step, step)], "labelled joints of a person"),
        histogram(shares, [*range(0, 101, 10)], "longer side of the box, share of the picture's", " %"),
        joint_bars(
            names, (flags == 2).mean(0), (flags == 1).mean(0), "joints seen and hidden, share of the annotations"
        ),
    ]


def _figures(samples: Iterable[SampleDrawing]) -> str:
    figures = []
    for sample in samples:
        images = "".join(
            f'<img alt="{word}" src="data:image/jpeg;base64,{base64.b64encode(jpeg(image)).decode()}">'
            for word, image in (("as labelled", sample.image), ("mirrored", sample.mirrored))
        )
        figures.append(f"<figure>{images}<figcaption>{in_html(sample.caption)}</figcaption></figure>")
    return f'<div class="row">{"".join(figures)}</div>'
