"""litepose-nas profile: what a network costs, without building it."""

from __future__ import annotations

from typing import Annotated

import typer

from litepose_nas import costs
from litepose_nas.cli import console
from litepose_nas.cli.options import Json, Latency, Ops
from litepose_nas.formats.subnet_file import MOST_JOINTS
from litepose_nas.latency import profile as profile_file
from litepose_nas.report.frame_costs import of_whom, per_frame
from litepose_nas.resolve import resolve
from litepose_nas.space import input_size
from litepose_nas.targets import op_set_file

Target = Annotated[
    str, typer.Argument(help="A name (litepose-xs), a subnet.json, a LitePose JSON, or a .safetensors file.")
]


def profile(
    target: Target,
    input: Annotated[str | None, typer.Option(help="Input size HxW, if not the architecture's own.")] = None,
    joints: Annotated[
        int | None, typer.Option(min=1, max=MOST_JOINTS, help="Keypoints, if not the target's own.")
    ] = None,
    latency: Latency = None,
    ops: Ops = None,
    as_json: Json = False,
) -> None:
    """Print parameters, MACs, memory, and a table of blocks. Needs no weights.

    With --latency also what its milliseconds leave out, measured here: preparing a picture, and decoding.

    Example: litepose-nas profile litepose-xs --joints 14
    """
    subnet = resolve(target, joints).subnet
    h, w = subnet.input if input is None else input_size(input)
    cost = costs.cost(subnet.arch, (h, w), subnet.joints)
    rows = costs.table(subnet.arch, (h, w), subnet.joints)
    times: dict[str, float] = {}
    if latency is not None:
        from litepose_nas.steps import around_network  # imports torch

        known = profile_file.read(latency)
        clock = profile_file.clock(known, str(latency), subnet.arch.space)
        found = profile_file.network_ms(clock, subnet.arch, subnet.joints, (h, w))
        times = dict(zip(clock.fields, found, strict=True))
        shown = found[0], clock.known.fit.covered, found[1]
        aside = around_network.around(subnet, (h, w))
    op_set = op_set_file.load(ops) if ops else None
    violations = op_set.violations(subnet.arch) if op_set else []
    if as_json:
        blocks = [row._asdict() for row in rows]
        of = of_whom(subnet.arch).removeprefix("of one ") or "picture"
        made = {"of_one": of, "input": [h, w], "joints": subnet.joints, "blocks": blocks}
        if frames := costs.by_frame(subnet.arch, (h, w), subnet.joints):
            made["frames"] = [row._asdict() for row in frames]
        if times:
            made |= {"prepare_ms": aside.prepare_ms, "decode_ms": aside.decode_ms}
        if op_set:
            broken = [one._asdict() for one in violations]
            made["ops"] = {"name": op_set.name, "runs": not broken, "broken": broken}
        console.as_json({**cost._asdict(), **times, **made})
        return
    console.table(
        ("part", "block", "output", "MACs", "share", "params"),
        [
            (r.name, r.block, "x".join(map(str, r.out)), r.macs, f"{100 * r.macs / cost.macs:.1f} %", r.params)
            for r in rows
        ],
    )
    whom = of_whom(subnet.arch)
    console.out(f"\n{target}: {h}x{w} input, {subnet.joints} joints{f'; the cost is that {whom}' if whom else ''}")
    console.listed(per_frame(subnet.arch, subnet.joints, (h, w)))
    console.table(
        ("", ""),
        [
            ("parameters", f"{cost.params:,}"),
            ("MACs (exact)", f"{cost.macs:,} = {console.short(cost.macs, 'MAC')}"),
            (
                "MACs (as LitePose's paper counts)",
                f"{cost.macs_litepose:,} = {console.short(cost.macs_litepose, 'MAC')}",
            ),
            ("weights in fp32", f"{cost.weight_bytes / 1e6:.2f} MB"),
            ("peak activations in fp32, batch 1", f"{cost.peak_bytes / 1e6:.2f} MB"),
            *(
                [("latency", "{:.2f} ms; {:.0%} of such networks take less than {:.2f} ms".format(*shown))]
                if times
                else []
            ),
        ],
    )
    if times:
        console.out(f"one picture, in {known.words}")
        console.out(around_network.in_words(aside, f"{shown[0]:.3g} ms, predicted"))
    if op_set:
        verdict = f"cannot run this network, {len(violations)} rules are broken:" if violations else "runs this network"
        console.out(f"\nop set {op_set.name} {verdict}")
        console.listed((("part", "block", "operation", "rule"), violations))
