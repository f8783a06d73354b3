"""How many windows does a long training keep, and how much memory do they take?

    python benchmarks/windows_kept.py [SPACE ...] [--nets 20000] [--built 2000]

A supernet keeps the modules of the blocks that it has cut out, for cutting takes longer than running them. `distinct`
counts the different blocks of random networks, without a training; `MB` is what the process grew by while some of them
were cut out, each with its gradients, and with it what all of them would take.
"""

from __future__ import annotations

import argparse
import random
import resource
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch

from litepose_nas.space import Space
from litepose_nas.supernet import MOST_MODULES, Supernet

SPACES = (
    *("litepose", "litepose-blocks", "s_vipnas_res50", "s_vipnas_mbv3", "t_vipnas", "hrnet_davit", "efficientvit"),
    *("mobilevitpose", "levitpose", "litepose-tiny", "topdown-tiny"),
)


def rss() -> float:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def measure(name: str, nets: int, built: int) -> str:
    """Return the row of a space. It wants a process of its own: memory that was used before would not count."""
    space, rng, parts = Space.load(name), random.Random(0), {}
    for _ in range(nets):
        for part in space.sample(rng).plan(17):
            if not part.frozen:
                parts[part.home, type(part.block), part.block] = part
    supernet = Supernet(space, memory_format=torch.channels_last)
    chosen = rng.sample(list(parts.values()), min(built, len(parts)))
    few = max(1, len(chosen) // 10)
    for part in chosen[:few]:  # what the first ones load counts for none
        supernet.window(part)
    before = rss()
    for part in chosen[few:]:
        supernet.window(part)
    each = (rss() - before) / (len(chosen) - few)
    modules = sum(sum(1 for _ in supernet.window(part).modules()) for part in chosen) / len(chosen)
    most = min(len(parts), MOST_MODULES / modules)
    cells = [name, f"{len(parts):,}", f"{modules:.0f}", f"{1000 * each:.0f}", f"{each * len(parts):,.0f}"]
    return "| " + " | ".join([*cells, f"{each * most:,.0f}"]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spaces", nargs="*", default=SPACES)
    parser.add_argument("--nets", type=int, default=20_000)
    parser.add_argument("--built", type=int, default=2000, help="windows to cut out, at most")
    asked = parser.parse_args()
    print(f"| space | distinct in {asked.nets:,} networks | modules each | kB each | MB of all | MB of those kept |")
    print("|---|---|---|---|---|---|")
    for name in asked.spaces:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            print(pool.submit(measure, name, asked.nets, asked.built).result(), flush=True)


if __name__ == "__main__":
    main()
