"""What a network's milliseconds leave out, as a line of its own."""

from __future__ import annotations

from litepose_nas import costs
from litepose_nas.data.skeleton import Skeleton
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.inference.around_network import PICTURE, AroundNetwork, around_network
from litepose_nas.latency.standalone.conditions import describe_device
from litepose_nas.pose.make_task import make_task


def around(subnet: Subnet, input: tuple[int, int] | None = None) -> AroundNetwork:
    """Measure preparing a picture for a network, and decoding its outputs; no weights are needed."""
    arch, joints, size = subnet.arch, subnet.joints, input or subnet.input
    names = tuple([f"joint {number}" for number in range(joints)])  # only their number matters for the time
    skeleton = Skeleton(names, tuple(range(joints)), (), ())
    task = make_task(skeleton, subnet.info, arch.space.task, arch.clip_length)
    plan = arch.plan(joints)
    read = {name for names in costs.readers(plan) for name in names}
    # The outputs are the parts that no other reads.
    maps = [row.out for row, part in zip(costs.table(arch, size, joints), plan, strict=True) if part.name not in read]
    return around_network(task, maps, size)


def in_words(found: AroundNetwork, alone: str) -> str:
    """The line; `alone` is what the network takes."""
    people = f"{found.people} people" if found.people > 1 else "one person"
    return (
        f"the network alone {alone}; preparing the picture {found.prepare_ms:.1f} ms and decoding "
        f"{found.decode_ms:.1f} ms here in Python, not in the budget (a picture of {PICTURE[1]}x{PICTURE[0]} with "
        f"{people}, one thread of {describe_device()['processor']})"
    )
