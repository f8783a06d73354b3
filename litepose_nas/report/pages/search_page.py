"""The page of a search: its front, networks in detail, other budgets, and what the search learned."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from litepose_nas import costs
from litepose_nas.budget import CONVENTIONS, field_name, is_time
from litepose_nas.report import example_poses, times, words
from litepose_nas.report.example_poses import ExamplePoses
from litepose_nas.report.frame_costs import per_frame
from litepose_nas.report.genes import Fitted
from litepose_nas.report.pages.html import Block, PageContent, picture
from litepose_nas.report.summary import Summary
from litepose_nas.search import baselines
from litepose_nas.search.finalists import new_scores
from litepose_nas.search.problem import Evaluated
from litepose_nas.search.ranking import LOSS, WORDS, by_ap
from litepose_nas.search.workload import RUNS
from litepose_nas.space import Arch

SHOWN = 3  # effects of a gene's choices in the table
DRAWN = 80  # networks whose blocks are drawn
UNITS = {"macs": "MAC", "macs_litepose": "MAC", "params": "", "weight_bytes": "B", "peak_bytes": "B"}
SLIDERS = {"params": "params", "weight_bytes": "B", "peak_bytes": "Bpeak"}  # and the unit in which a budget says it
NO_POSES = "No poses are stored of this search: it stores those of the networks on its front when it ends."


def content(found: Summary, drawn: dict[str, str], poses: ExamplePoses | None) -> PageContent:
    """The page; `drawn` are its plots as SVG, by the names of their files."""
    several = found.record.several
    spaces = ", ".join(found.record.families) if several else found.chosen.arch.space.name
    title = f"Search across {spaces}" if several else f"Search of {spaces}"
    limits = ", ".join(limit.text for limit in found.budget.limits) or "none"
    ops = f"; op set {found.record.ops}" if found.record.ops else ""
    about = [
        f"{len(found.found)} networks evaluated, ranked by {'AP' if found.by == 'ap' else found.by}; budget {limits}"
        f"{' a picture' if several else ''}{ops}. From {found.record.journal}"
    ]
    blocks = [search_block(found, poses)]
    if several:
        about.append(words.rule(found))
        blocks += _families(found, drawn)
    blocks += [
        {"is": "heading", "text": "Was it worth searching?"},
        {"is": "list", "lines": baselines.in_words(found.baselines, found.by)},
        {"is": "table", "title": "The front", **dict(zip(("head", "rows"), _front(found), strict=True))},
        *_measured(found),
    ]
    if not several:
        blocks += [_drawing("What the budget buys", drawn["choices.svg"]), *_models(found.models, drawn, found.by)]
    blocks.append(_drawing("The chosen network", drawn["architecture.svg"]))
    if not several:
        head, rows = per_frame(found.chosen.arch, next(iter(found.record.families.values())).joints)
        blocks += [{"is": "table", "title": "Frame by frame", "head": head, "rows": rows}] if rows else []
    blocks.append({"is": "code", "text": json.dumps(found.chosen.arch.to_dict())})
    return PageContent(title, about, blocks)


def axis(by: str) -> str:
    return f"minus the {by}" if by == LOSS else WORDS[by]


def search_block(found: Summary, poses: ExamplePoses | None) -> Block:
    """Everything that choosing again in the page needs, and what is shown of each network."""
    record, fields = found.record, found.chosen.cost._fields
    index = {field: at for at, field in enumerate(fields)}
    macs = CONVENTIONS[found.budget.convention]
    over, drawn = times.axis(found) or macs, _drawn(found)
    networks: list[dict[str, Any]] = []
    numbers: dict[Arch, int] = {}
    for number, name in enumerate(record.families):
        family = record.families[name]
        again = new_scores(family.problem, family.found, family.again)
        for one in family.found:
            arch = one.arch
            numbers[arch] = len(networks)
            packed: dict[str, Any] = {
                "f": number, "v": [arch.values[gene.at] for gene in _genes(arch)], "c": list(one.cost),
                "s": one.score, "ap": by_ap([one.result])[0], "i": list(arch.input),
            }  # fmt: skip
            if arch in again:
                packed |= {"r": again[arch], "ra": by_ap(family.again[arch])}
            if arch in family.times:
                packed["m"] = {index[field]: ms for field, ms in family.times[arch].items()}
            if arch in drawn:
                rows = costs.table(arch, joints=family.joints)
                packed["b"] = [[row.name, row.block, *row.out, row.macs] for row in rows]
            networks.append(packed)
    convention = found.budget.convention
    people = record.needs_boxes
    workload = found.workload
    low = record.results(found.budget)[0].problem.low
    return {
        "is": "search",
        "fields": [
            {"name": field_name(field), "unit": UNITS.get(field, ""), "time": is_time(field), "run": field in RUNS}
            for field in fields
        ],
        "families": [
            {
                "name": name,
                "oncePerPerson": record.several and family.problem.space.task.once_a_person,
                "genes": [gene.path for gene in _genes(family.found[0].arch)],
            }
            for name, family in record.families.items()
        ],
        "networks": networks,
        "chosen": numbers[found.chosen.arch],
        "score": axis(found.by),
        "by": found.by,
        "noise": None if record.several else found.selection.noise,
        "low": [index[field] for field in low],
        "x": index[over],
        "params": index["params"],
        "counted": "" if convention == "exact" else f", as {convention} counts",
        "sliders": _sliders(found, index, macs),
        "workload": {
            "num": workload.people.numerator,
            "den": workload.people.denominator,
            "macs": workload.detector_macs,
            "ms": workload.detector_ms,
        },
        "people": people,
        "command": f"litepose-nas report {shlex.quote(str(record.folder))}",
        "more": [f"--mac-convention {convention}"] if convention != record.budget.convention else [],
        "peopleGiven": float(workload.people) if people and workload.people != record.workload.people else None,
        "poses": _poses(found, poses, numbers),
        "noPoses": NO_POSES,
    }


def _genes(arch: Arch) -> list[Any]:
    return [gene for gene in arch.space.genes if len(gene.choices) > 1]


def _drawn(found: Summary) -> set[Arch]:
    """The networks whose blocks are drawn: a page of all would be large."""
    record = found.record
    wanted = [found.chosen, *found.front, *(one.one for one in found.comparison.choices)]
    again = [arch for family in record.families.values() for arch in family.again]
    return set([*dict.fromkeys([*(one.arch for one in wanted), *again])][:DRAWN])


def _sliders(found: Summary, index: dict[str, int], macs: str) -> list[dict[str, Any]]:
    own = {limit.field: {"most": limit.most, "text": limit.text} for limit in found.budget.limits}
    sliders: list[dict[str, Any]] = [{"field": macs, "unit": "MAC", "always": True}]
    sliders += [{"field": field, "unit": unit} for field, unit in SLIDERS.items()]
    prefixes: dict[str, str] = {}
    for name, field in found.record.times.items():
        prefixes.setdefault(field, f"{name}:" if name else "")
    sliders += [{"field": field, "time": True, "prefix": prefix} for field, prefix in prefixes.items()]
    return [
        {
            "unit": "",
            "prefix": "",
            "time": False,
            "always": False,
            **slider,
            "name": field_name(slider["field"]),
            "field": index[slider["field"]],
            "own": own.get(slider["field"]),
        }
        for slider in sliders
    ]


def _poses(found: Summary, poses: ExamplePoses | None, numbers: dict[Arch, int]) -> dict[str, Any] | None:
    if poses is None:
        return None
    networks = {}
    for arch, number in numbers.items():
        name = next(name for name, family in found.record.families.items() if family.problem.space == arch.space)
        people = poses.of(name, arch.to_dict())
        if people is not None:
            networks[number] = people
    folder: Path = found.record.folder
    images = [
        {
            "src": picture(example_poses.image_bytes(folder, image)),
            "width": image.width,
            "height": image.height,
            "caption": image.caption,
            "truth": image.truth,
        }
        for image in poses.images
    ]
    return {"limbs": poses.limbs, "images": images, "networks": networks}


def _families(found: Summary, drawn: dict[str, str]) -> list[Block]:
    links = [[one.family, f"{one.family}/report.html"] for one in found.comparison.choices]
    return [
        {"is": "heading", "text": "Which family"},
        {"is": "list", "lines": words.verdict(found)},
        {"is": "table", "head": words.head(found), "rows": words.table(found)},
        *([_drawing("How many people are in a picture?", drawn["people.svg"])] if found.people else []),
        {"is": "links", "title": "Each family by itself", "head": ["family"], "rows": links},
    ]


def _front(found: Summary) -> tuple[list[str], list[list[str]]]:
    expected = found.models.expected if found.models else {}
    numbers = {one.arch: at for at, one in enumerate(found.found)}
    several = found.record.several

    def row(one: Evaluated) -> list[str]:
        at = numbers[one.arch]
        mark = " (chosen)" if one.arch == found.chosen.arch else ""
        size = "x".join(map(str, one.arch.input))
        cells = [f"{at + 1}{mark}", size, f"{found.budget.macs(one.cost) / 1e6:,.1f}", f"{one.cost.params:,}"]
        guess = f"{expected[at]:.4f}" if at in expected else ""
        more = [found.record.family_of(one)] if several else [guess]
        return [*cells, *times.cells(found, one), f"{one.score:.4f}", *more]

    macs = "MMAC of a picture" if several else "MMAC"
    last = "family" if several else "expected by a model that has not seen it"
    return ["evaluation", "input", macs, "params", *times.heads(found), "score", last], list(map(row, found.front))


def _measured(found: Summary) -> Iterable[Block]:
    said, (head, rows) = times.in_words(found), times.table(found)
    if said:
        yield {"is": "list", "title": "Measured again", "lines": said}
    if said and rows:
        yield {"is": "table", "head": list(head), "rows": rows}


def _models(models: Fitted | None, drawn: dict[str, str], by: str) -> list[Block]:
    heading: Block = {"is": "heading", "text": "What matters"}
    if models is None:
        return [heading, {"is": "text", "soft": True, "lines": ["No model of the scores is fitted yet."]}]
    said = [
        f"of the variance of left-out scores, a linear model of choices and costs explains {models.explained:.0%}, "
        f"one of the costs alone {models.by_cost:.0%}",
        f"the model that ranks better is the {models.model}: with what cost explains taken out, Kendall's tau of its "
        f"left-out predictions is {models.tau:.2f}",
    ]
    rows = []
    for gene in models.genes:
        middle = sum(effect for _, effect in gene.effects) / len(gene.effects)
        best = sorted(gene.effects, key=lambda pair: -pair[1])[:SHOWN]
        options = ", ".join(f"{value}: {effect - middle:+.2g}" for value, effect in best)
        rows.append([gene.name, f"{100 * gene.gained:.1f} %", f"{100 * gene.lost:.1f} %", options])
    head = [
        "choice",
        "explained beside costs",
        "and by nothing else",
        f"its best options add to {axis(by)}, costs equal",
    ]
    drawings = [{"is": "drawing", "svg": drawn[name]} for name in ("kinds.svg", "genes.svg")]
    return [heading, {"is": "list", "lines": said}, *drawings, {"is": "table", "head": head, "rows": rows}]


def _drawing(title: str, svg: str) -> Block:
    return {"is": "drawing", "title": title, "svg": svg}
