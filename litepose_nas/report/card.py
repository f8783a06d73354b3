"""A model card: what a network is, costs and reaches, and on what, as hubs read it: README.md with metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from litepose_nas import costs
from litepose_nas.budget import in_words
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.runs.journal import plain
from litepose_nas.task_kind import TaskKind
from litepose_nas.untrusted.display import clean

TASK = "keypoint-detection"
NAMES = {
    "ap": "AP (OKS 0.50:0.95)", "ap50": "AP at OKS 0.50", "ap75": "AP at OKS 0.75", "ar": "AR (OKS 0.50:0.95)",
    "pckh": "PCKh at 0.5", "nme": "NME", "loss": "loss",
}  # fmt: skip
NOT_SAID = "not said"


class CardFigures(NamedTuple):
    """Figures of a network on one split, and the conditions that make them comparable."""

    data: str
    split: str
    figures: Mapping[str, float]
    conditions: Sequence[str]  # lines
    args: Mapping[str, Any] = {}  # the same for machines


class CardLatency(NamedTuple):
    ms: float
    bound: float
    device: str


def text(
    name: str,
    subnet: Subnet,
    figures: Sequence[CardFigures],
    latency: Sequence[CardLatency] = (),
    license: str = "other",
    data_license: str = NOT_SAID,
    how_to: Sequence[str] = (),
) -> str:
    """The card as Markdown; `how_to` are lines that say how this copy is used."""
    info, (h, w) = subnet.info, subnet.input
    name = clean(name)  # a line of its own would end the metadata
    cost = costs.cost(subnet.arch, joints=subnet.joints)
    kind = TaskKind(subnet.arch.space.task)
    data = str(info.get("data", NOT_SAID))
    meta: dict[str, Any] = {
        "license": clean(license),
        "library_name": "litepose-nas",
        "pipeline_tag": TASK,
        "tags": ["pose-estimation", "neural-architecture-search", clean(subnet.arch.space.name)],
        "model-index": [{"name": name, "results": [_result(one) for one in figures]}],
    }
    if not figures:
        del meta["model-index"]
    sees = "one person at a time, cut out by a box" if kind.one_person else "whole images"
    lines = [
        f"# {_line(name)}",
        "",
        f"A network that finds {subnet.joints} keypoints of each {_line(info.get('category', 'person'))}; it sees "
        f"{sees}, {h}x{w} pixels. Its architecture is one of the space `{_line(subnet.arch.space.name)}` of "
        "litepose-nas.",
        "",
        *how_to,
        "## Cost",
        "",
        "| what | |",
        "|---|---|",
        f"| multiply-accumulates, counted exactly | {in_words('macs', cost.macs)} |",
        f"| the same as LitePose counts them | {in_words('macs', cost.macs_litepose)} |",
        f"| parameters | {in_words('params', cost.params)} |",
        f"| weights in fp32 | {in_words('weight_bytes', cost.weight_bytes)} |",
        f"| most activations alive at once, fp32 | {in_words('peak_bytes', cost.peak_bytes)} |",
        *(
            f"| milliseconds on {_line(one.device)} | {one.ms:.3g} predicted, {one.bound:.3g} at most |"
            for one in latency
        ),
        "",
        "Costs are of one run of the network"
        + (": there is one for each person." if kind.once_a_person else ", which is one image.")
        + ("" if latency else " No milliseconds are known."),
        "",
        "## Figures",
        "",
        *_figures(figures),
        "## Data",
        "",
        f"Trained on `{_line(data)}`; its licence: {_line(data_license)}. Networks learn who is in their images: where "
        "people of a kind, a pose or a light are missing there, expect more errors.",
        "",
        "Keypoints, in their order: " + ", ".join(_line(one) for one in info.get("keypoints", ())) + ".",
        "",
    ]
    front = yaml.safe_dump(plain(meta), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{front}---\n\n" + "\n".join(lines)


def _figures(figures: Sequence[CardFigures]) -> list[str]:
    if not figures:
        return ["None were made.", ""]
    lines = []
    for one in figures:
        lines += [f"On `{_line(one.data)}`, {_line(one.split)}:", "", "| metric | |", "|---|---|"]
        lines += [f"| {NAMES.get(key, key)} | {value:.4g} |" for key, value in one.figures.items()]
        lines += ["", *(f"{_line(line)}." for line in one.conditions), ""]
    return lines


def _result(one: CardFigures) -> dict[str, Any]:
    args = plain(dict(one.args))
    return {
        "task": {"type": TASK, "name": "Keypoint detection"},
        "dataset": {"name": clean(one.data), "type": clean(one.data), "split": clean(one.split)},
        "metrics": [
            {"type": key, "name": NAMES.get(key, key), "value": float(value), **({"args": args} if args else {})}
            for key, value in one.figures.items()
        ],
    }


def _line(value: Any) -> str:
    """A name that stays one, whatever is in it."""
    return clean(str(value)).replace("|", "\\|").replace("`", "'").replace("<", "&lt;")
