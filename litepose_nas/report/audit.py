"""What an audit found: how networks rank with the weights they inherit, by cost alone, and when trained alone."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from litepose_nas.costs import Cost
from litepose_nas.report import plots
from litepose_nas.report.plots import BLUE, BOTTOM, GREY, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from litepose_nas.search import rank_correlation
from litepose_nas.search.rank_correlation import Agreement, Audited
from litepose_nas.search.ranking import Result, by_smoothed_ap, ranked_by
from litepose_nas.space import Arch
from litepose_nas.untrusted.display import in_html

COST, AP, LOSS, SMOOTHED = "cost alone", "inherited AP", "inherited loss", "inherited AP, smoothed"
LIGHT, DARK = (168, 205, 235), (13, 47, 87)  # the cheapest and the dearest network


class Net(NamedTuple):
    """A network, its score with inherited weights, and its score after each training alone."""

    arch: Arch
    cost: Cost
    inherited: Result
    alone: tuple[Result, ...]


class Ranking(NamedTuple):
    """How well each score ranks networks as training them alone does."""

    nets: list[Net]
    by: str  # ap or loss: what tells how good a network trained alone is
    audited: Audited
    ceiling: Agreement | None  # between seeds; None where there is one


def rank(nets: Sequence[Net], by: str | None = None) -> Ranking:
    """Return the comparison; by AP, or by loss while most networks trained alone have next to none."""
    by = by or ranked_by([result for net in nets for result in net.alone])
    costs = [float(net.cost.macs) for net in nets]
    seeds = [[number(net.alone[seed], by) for net in nets] for seed in range(len(nets[0].alone))]
    truth = [fmean(values) for values in zip(*seeds, strict=True)]
    scores = {
        AP: [number(net.inherited, "ap") for net in nets],
        LOSS: [number(net.inherited, "loss") for net in nets],
        SMOOTHED: by_smoothed_ap([{**net.inherited, "pixels": math.prod(net.arch.input)} for net in nets]),
        COST: costs,
    }
    inside = rank_correlation.strata(costs)
    audited = rank_correlation.audit(scores, truth, inside, base=COST)
    return Ranking(list(nets), by, audited, rank_correlation.between(seeds, inside) if len(seeds) > 1 else None)


def number(result: Result, by: str) -> float:
    """Return an AP, or minus a loss: greater is better; -inf where the training or the scoring failed."""
    value = float(result[by])  # in a journal, `inf` is a word
    value = -value if by == "loss" else value
    return value if math.isfinite(value) else -math.inf


def table(found: Ranking) -> tuple[list[str], list[list[str]]]:
    strata = max(found.audited.strata) + 1
    head = ["ranked by", "tau", f"tau inside {strata} strata", f"best {found.audited.k}", "best of each stratum"]
    named: dict[str, Agreement] = dict(found.audited.agreements)
    if found.ceiling:
        named["trained alone, another seed"] = found.ceiling
    if strata == 1:
        head = [word for at, word in enumerate(head) if at in (0, 1, 3)]
        return head, [[name, str(one.tau), str(one.precision)] for name, one in named.items()]
    lines = [[name, *map(str, one)] for name, one in named.items()]
    return head, lines


def verdict(found: Ranking) -> list[str]:
    strata = max(found.audited.strata) + 1
    word, part = ("tau inside strata", "tau_inside") if strata > 1 else ("tau", "tau")
    lines = []
    for name in (AP, LOSS, SMOOTHED):
        ahead = found.audited.ahead[name][part]
        if not math.isfinite(ahead.value):
            lines.append(f"{name}: all alike, or failed; nothing to compare")
            continue
        state = "better than cost alone" if ahead.low > 0 else "worse than cost alone" if ahead.high < 0 else ""
        state = state or "not told apart from cost alone by so few networks"
        lines.append(f"{name}: {word} {ahead.value:+.2f} ({ahead.low:+.2f} to {ahead.high:+.2f}) over cost: {state}")
    if strata == 1:
        lines.append(f"too few networks for strata of cost: give {2 * rank_correlation.LEAST_IN_STRATUM} or more")
    elif strata < rank_correlation.MOST_STRATA:
        wanted = rank_correlation.MOST_STRATA * rank_correlation.LEAST_IN_STRATUM
        lines.append(f"{strata} strata of cost, as many as {len(found.nets)} networks carry; octiles take {wanted}")
    if found.ceiling is None:
        lines.append("no ceiling: with --seeds 2 or more, how well trainings agree that differ in their seed alone")
    return lines


def to_json(found: Ranking) -> dict[str, Any]:
    audited = found.audited
    return {
        "networks": audited.networks,
        "seeds": len(found.nets[0].alone),
        "truth": f"{found.by} of networks trained alone, mean over seeds",
        "strata": max(audited.strata) + 1,
        "k": audited.k,
        "agreement": {name: one.plain() for name, one in audited.agreements.items()},
        "over_cost": {name: {word: one.plain() for word, one in both.items()} for name, both in audited.ahead.items()},
        "between_seeds": found.ceiling.plain() if found.ceiling else None,
        "intervals": f"middle 95 % of {rank_correlation.DRAWS} bootstrap draws of networks",
    }


def write_csv(path: Path, found: Ranking) -> None:
    """Write a line for each network: its costs, its stratum, each of its scores, and the architecture."""
    seeds = range(len(found.nets[0].alone))
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        alone = [f"alone_{key}_{seed}" for seed in seeds for key in ("ap", "loss")]
        out.writerow([*Cost._fields, "stratum", "inherited_ap", "inherited_loss", *alone, "arch"])
        for net, stratum in zip(found.nets, found.audited.strata, strict=True):
            scores = [one[key] for one in (net.inherited, *net.alone) for key in ("ap", "loss")]
            out.writerow([*net.cost, stratum, *scores, json.dumps(net.arch.to_dict())])


def picture(found: Ranking, title: str) -> str:
    """Return inherited scores to the right, scores of trainings alone upwards, darker where dearer, as an SVG.

    A stroke through a network reaches from its worst training to its best.
    """
    inherited = ranked_by([net.inherited for net in found.nets])
    points = [
        (number(net.inherited, inherited), [number(one, found.by) for one in net.alone], net) for net in found.nets
    ]
    shown = [point for point in points if all(map(math.isfinite, (point[0], *point[1])))]
    xs, ys = [x for x, _, _ in shown] or [0.0], [y for _, ends, _ in shown for y in ends] or [0.0]
    x = plots.scale(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    y = plots.scale(min(ys), max(ys), HEIGHT - BOTTOM, TOP)
    words = {"ap": "AP", "loss": "minus the loss"}
    marks = plots.axes(x, y, f"{words[inherited]}, inherited weights", f"{words[found.by]}, trained alone")
    order = sorted(net.cost.macs for _, _, net in points)
    for at, ends, net in shown:
        share = order.index(net.cost.macs) / max(len(order) - 1, 1)
        colour = "rgb" + str(tuple(round(a + (b - a) * share) for a, b in zip(LIGHT, DARK, strict=True)))
        cx, cy = x.at(at), y.at(fmean(ends))
        if len(ends) > 1:
            bar = f"M{cx} {y.at(min(ends))}V{y.at(max(ends))}"
            marks.append(f'<path d="{bar}" stroke="{colour}" stroke-width="1.5" class="seeds"/>')
        hint = f"{net.cost.macs:,} MACs, inherited {at:.4g}, alone {fmean(ends):.4g}"
        style = f'fill="{colour}" stroke="white" class="network"'
        marks.append(f'<circle cx="{cx}" cy="{cy}" r="5" {style}><title>{in_html(hint)}</title></circle>')
    marks.append(plots.text(LEFT, 22, title, "start", "#111", 16))
    score = found.audited.agreements[AP if inherited == "ap" else LOSS]
    failed = f"; {len(points) - len(shown)} failed" if len(shown) < len(points) else ""
    said = f"tau {score.tau}, inside strata of cost {score.tau_inside}{failed}"
    marks.append(plots.text(LEFT, 42, said, "start", BLUE))
    right = WIDTH - RIGHT
    ends_of = zip((LIGHT, DARK), (-128, -56), ("cheap", "dear"), strict=True)
    for colour_of, moved, word in ends_of:
        marks.append(f'<circle cx="{right + moved}" cy="38" r="5" fill="rgb{colour_of}"/>')
        marks.append(plots.text(right + moved + 10, 42, word, "start", GREY))
    return plots.svg(marks)


def of_records(records: Sequence[Mapping[str, Any]], archs: Sequence[Arch], seeds: int) -> list[Net]:
    inherited: dict[int, Mapping[str, Any]] = {}
    alone: dict[tuple[int, int], Result] = {}
    for record in records:
        if "inherited" in record:
            inherited[record["net"]] = record
        else:
            alone[record["net"], record["seed"]] = record["alone"]
    return [
        Net(arch, Cost(**inherited[at]["cost"]), inherited[at]["inherited"], tuple(alone[at, s] for s in range(seeds)))
        for at, arch in enumerate(archs)
        if at in inherited and all((at, seed) in alone for seed in range(seeds))
    ]
