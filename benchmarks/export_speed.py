"""How much faster LiteRT and ExecuTorch run a network that was rewritten than one converted as it is, and than others.

    python benchmarks/export_speed.py litepose-xs litepose-s s_vipnas-res50 s_vipnas-mbv3

One thread, processor time of each runtime's process, networks in turn, the least of all rounds; ONNX Runtime's file is
the exporter's own. Outputs are compared with torch's. The runtimes stand in the environments of scripts/runtimes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from litepose_nas.errors import UserError
from litepose_nas.latency import elsewhere
from litepose_nas.latency.standalone.children import Child, Target
from litepose_nas.runtimes.table import runtime_of

HERE = Path(__file__).resolve().parent
WAYS = ("onnxruntime", "litert plain", "litert", "executorch plain", "executorch")


def python_of(runtime: str) -> str:
    own = HERE.parent / ".runtimes" / runtime / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def write(network: str, way: str, folder: Path) -> tuple[Path, tuple[int, ...], float]:
    """The file, the shape that it takes, and its largest difference from torch as a share of the largest output."""
    runtime = way.split()[0]
    path = folder / f"{way.replace(' ', '-')}.file"
    words = [python_of(runtime), elsewhere.__file__, str(HERE / "export_speed_file.py"), network, way, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{network}, {way}: {done.stderr.strip().splitlines()[-1][:300]}")
    said = json.loads(done.stdout.strip().splitlines()[-1])
    return path, tuple(said["shape"]), said["share"]


def measure(network: str, ways: list[str], rounds: int) -> Mapping[str, tuple[float, float, float]]:
    """For each way the least milliseconds, the share by which its outputs differ, and the ratio to the first way."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        shares, children = {}, {}
        for way in ways:
            try:
                path, shape, shares[way] = write(network, way, Path(folder))
            except UserError as error:
                print(f"left out: {error}", flush=True)
                continue
            known = runtime_of(way.split()[0])
            through = elsewhere.__file__
            target = Target(known.name, known.path, known.pip, python_of(known.name), 1, through)
            children[way] = stack.enter_context(closing(Child(target, (path, shape))))
            children[way].opened()
        times: dict[str, list[float]] = {way: [] for way in children}
        for turn in range(rounds + 1):
            for way, child in children.items():
                least = min(child.visit(0.3)[1])
                if turn:  # the first warms up
                    times[way].append(least)
        first = times[next(iter(times))]
        ratios = {
            way: statistics.median(a / b for a, b in zip(took, first, strict=True)) for way, took in times.items()
        }
        return {way: (min(took), shares[way], ratios[way]) for way, took in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    print(f"| network | way | ms | / {given.ways[0]} | plain / rewritten | share of the largest output |")
    print("|---" * 6 + "|", flush=True)
    for network in given.networks:
        found = measure(network, given.ways, given.rounds)
        for way, (ms, share, ratio) in found.items():
            plain = found.get(f"{way} plain")
            faster = f"{plain[0] / ms:.2f}" if plain else ""
            print(f"| {network} | {way} | {ms:.1f} | {ratio:.2f} | {faster} | {share:.0e} |", flush=True)


if __name__ == "__main__":
    main()
