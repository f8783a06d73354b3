"""litepose-nas space: what can be searched."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from litepose_nas import costs, resources
from litepose_nas.cli import console
from litepose_nas.cli.options import Json, Latency, Ops, Seed
from litepose_nas.errors import UserError
from litepose_nas.formats import subnet_file
from litepose_nas.latency import profile as profile_file
from litepose_nas.space import Gene, Space, Value
from litepose_nas.targets import op_set_file, reachable

app = typer.Typer(help="Look at search spaces: list, show, sample, count.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="A name from `space list`, or a YAML file of your own.")]
MOST_DRAWN = 10_000  # at a time; a larger number is a slip, and would be drawn before anything is printed
Joints = Annotated[int, typer.Option(min=1, max=subnet_file.MOST_JOINTS, help="Keypoints of the skeleton.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the search spaces that come with this installation.

    Example: litepose-nas space list
    """
    spaces = [Space.load(name) for name in resources.names("search_spaces", ".yaml")]
    if as_json:
        console.as_json([{"name": s.name, "genes": len(s.genes), "size": s.size, "about": s.about} for s in spaces])
        return
    rows = [(space.name, len(space.genes), _size(space.size), space.about) for space in spaces]
    console.table(("space", "genes", "networks", "about"), rows)


@app.command()
def show(name: Name, joints: Joints = 17, latency: Latency = None, ops: Ops = None, as_json: Json = False) -> None:
    """Show the choices of a space and the costs they span.

    Example: litepose-nas space show litepose
    """
    space = Space.load(name)
    if not space.genes:
        raise UserError(f"{space.name}: no list of choices in it, so there is nothing to search")
    clocks = [profile_file.clock(profile_file.read(latency), str(latency), space)] if latency else []
    price = costs.timed_by(clocks, joints)
    ends = {"smallest": price(space.smallest), "widest": price(space.widest)}  # resolution is a choice like any other
    op_set = op_set_file.load(ops) if ops else None
    left = reachable.reachable(space, op_set) if op_set else None
    if left and op_set:
        found = reachable.ends(left, op_set, lambda arch: price(arch).macs)
        ends |= zip((f"least that {op_set.name} runs", f"most that {op_set.name} runs"), map(price, found), strict=True)
    if as_json:
        genes = {gene.path: list(gene.choices) for gene in space.genes}
        span = {label: cost._asdict() for label, cost in ends.items()}
        shown = {"name": space.name, "about": space.about, "size": space.size, "genes": genes, "cost": span}
        if left:
            choices = {gene.path: list(left.choices(gene.path)) for gene in space.genes}
            shown["left"] = {"ops": ops, "size": left.space.size, "genes": choices}
        console.as_json(shown)
        return
    console.out(f"{space.name}: {space.about}" if space.about else space.name)
    console.out(f"{_size(space.size)} networks, {len(space.genes)} genes\n")
    console.table(("gene", "choices"), _rows(space.genes, lambda gene: gene.choices))
    console.out()
    if left and op_set:
        cut = {path for path, _ in left.cut}
        rows = _rows([gene for gene in space.genes if gene.path in cut], lambda gene: left.choices(gene.path))
        console.out(f"op set {op_set.words}")
        console.out(f"at most {_size(left.space.size)} networks are left" if cut else "every choice can be kept")
        console.listed((("gene", "choices that are left"), rows))
        console.out()
    costed = [(label, console.short(c.macs, "MAC"), console.short(c.params, "params")) for label, c in ends.items()]
    if not latency:
        console.table(("", "MACs", "parameters"), costed)
        return
    times = [f"{c.latency_ms:.4g} ms, below {c.latency_ms_bound:.4g} ms" for c in ends.values()]
    console.table(
        ("", "MACs", "parameters", "latency"), [(*row, time) for row, time in zip(costed, times, strict=True)]
    )
    fit = clocks[0].known.fit
    console.out(f"{clocks[0].profile.words}; mean error {fit.errors.mape:.1%}, {fit.covered:.0%} are below the bound")


@app.command()
def sample(
    name: Name,
    n: Annotated[int, typer.Option("-n", min=1, max=MOST_DRAWN, help="How many.")] = 1,
    seed: Seed = 0,
    joints: Joints = 17,
    out: Annotated[Path | None, typer.Option(help="A folder to write each as subnet-K.json.")] = None,
    as_json: Json = False,
) -> None:
    """Draw random architectures, with their costs.

    Example: litepose-nas space sample litepose-tiny -n 3 --seed 1
    """
    space, rng = Space.load(name), random.Random(seed)
    archs = [space.sample(rng) for _ in range(n)]
    counted = [costs.cost(arch, joints=joints) for arch in archs]
    if out:
        for i, arch in enumerate(archs):
            subnet_file.write(out / f"subnet-{i}.json", subnet_file.Subnet(arch, joints, {}))
    if as_json:
        pairs = zip(archs, counted, strict=True)
        console.as_json([{"arch": arch.to_dict(), "cost": cost._asdict()} for arch, cost in pairs])
        return
    for arch, cost in zip(archs, counted, strict=True):
        console.out(f"{console.short(cost.macs, 'MAC')}, {console.short(cost.params, 'params')}  {arch.to_dict()}")
    if out:
        console.out(f"written to {out}/; next: litepose-nas profile {out / 'subnet-0.json'}")


@app.command()
def count(name: Name, as_json: Json = False) -> None:
    """Count the distinct networks of a space, exactly.

    Example: litepose-nas space count litepose
    """
    space = Space.load(name)
    console.as_json({"name": space.name, "size": space.size}) if as_json else console.out(f"{space.size}")


def _rows(genes: Sequence[Gene], choices: Callable[[Gene], Sequence[Value]]) -> list[tuple[str, str]]:
    """A line for each gene, one for all blocks that offer the same."""
    alike: dict[str, dict[str, str]] = {}
    for gene in genes:
        path, _, rest = gene.path.partition(".blocks.")
        key = f"{path}.blocks.*.{rest.partition('.')[2]}" if rest else path
        alike.setdefault(key, {})[gene.path] = ", ".join(map(str, choices(gene))) or "none: it counts no more"
    rows: list[tuple[str, str]] = []
    for key, lines in alike.items():
        rows += [(key, next(iter(lines.values())))] if len(set(lines.values())) == 1 else lines.items()
    return rows


def _size(size: int) -> str:
    return f"{size:,}" if size < 10**7 else f"{size:.2e}"
