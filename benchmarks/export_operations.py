"""The dearest operations of a network in LiteRT and ExecuTorch, whose Python packages have no profile of operations.

    python benchmarks/export_operations.py levitpose-like-t mobilevitpose-seed-xxs

Each operation of the network is converted and timed alone, as `export` writes it, of those that are alike only one: one
thread, processor time, the least of all rounds. Its milliseconds are multiplied by how often the network has it, and
those of a kind are added. The sum stands beside the milliseconds of the whole network: what lies between are borders
that vanish in the whole, and what only the whole pays. ONNX Runtime's own profile of its file, by kind of operation,
is beside it. The runtimes stand in the environments of scripts/runtimes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export_speed import HERE, python_of

from litepose_nas.errors import UserError
from litepose_nas.latency import elsewhere
from litepose_nas.plan_files.network_graph import network_graph
from litepose_nas.plan_files.onnx_file import write_onnx
from litepose_nas.resolve import resolve

JOINTS, SHOWN, CALLS = 17, 3, 30
RUNTIMES = ("litert", "executorch")


def pieces(network: str, runtime: str, rounds: int) -> dict[str, Any]:
    """What export_operations_pieces.py says."""
    words = [python_of(runtime), elsewhere.__file__, str(HERE / "export_operations_pieces.py")]
    done = subprocess.run([*words, network, runtime, str(rounds)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{network}, {runtime}: {done.stderr.strip().splitlines()[-1][:300]}")
    said: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return said


def by_kind(said: Mapping[str, Any]) -> list[tuple[str, int, float, str, float]]:
    """Kind, how many, ms of all, and of the dearest that are alike: what it is, and ms of all of those."""
    kinds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in said["operations"]:
        kinds[each["kind"]].append(each)
    found = []
    for kind, own in kinds.items():
        dearest = max(own, key=lambda each: each["count"] * each["ms"])
        total = sum(each["count"] * each["ms"] for each in own)
        words = f"{dearest['count']} x {dearest['what']}"
        found.append((kind, sum(each["count"] for each in own), total, words, dearest["count"] * dearest["ms"]))
    return sorted(found, key=lambda one: -one[2])


def profile(network: str) -> tuple[float, list[tuple[str, int, float]]]:
    """ONNX Runtime's ms of all operations, and kind, number and ms of each kind, the fastest run of each."""
    import numpy as np
    import onnxruntime as ort

    arch = resolve(network, JOINTS).subnet.arch
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        write_onnx(network_graph(arch, JOINTS), path, arch.space.family.outputs)
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder) / "profile")
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        image = np.random.default_rng(0).standard_normal((1, 3, *arch.input), np.float32)
        for _ in range(CALLS):
            session.run(None, {session.get_inputs()[0].name: image})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    nodes: dict[str, tuple[str, float]] = {}  # its kind, and its fastest run
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            kind, took = event["args"]["op_name"], event["dur"] / 1e3
            nodes[event["name"]] = kind, min(took, nodes.get(event["name"], (kind, took))[1])
    times: dict[str, list[float]] = defaultdict(list)
    for kind, took in nodes.values():
        times[kind].append(took)
    rows = [(kind, len(own), sum(own)) for kind, own in times.items()]
    return sum(ms for _, _, ms in rows), sorted(rows, key=lambda one: -one[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--runtimes", nargs="+", choices=RUNTIMES, default=list(RUNTIMES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--shown", type=int, default=SHOWN)
    given = parser.parse_args()
    for network in given.networks:
        whole, rows = profile(network)
        print(f"\n{network}, ONNX Runtime's own profile, {whole:.1f} ms\n\n| operation | times | ms |\n|---|---|---|")
        for kind, count, ms in rows[: given.shown]:
            print(f"| {kind} | {count} | {ms:.2f} |")
        for runtime in given.runtimes:
            said = pieces(network, runtime, given.rounds)
            found = by_kind(said)
            alone = sum(ms for _, _, ms, _, _ in found)
            print(f"\n{network}, {runtime}: {said['whole']:.1f} ms, its operations alone {alone:.1f} ms\n")
            print("| operation | times | ms | the dearest of them, all that are alike | ms |\n|---|---|---|---|---|")
            for kind, count, ms, words, dearest in found[: given.shown]:
                print(f"| {kind} | {count} | {ms:.2f} | {words} | {dearest:.2f} |", flush=True)
            for each in said["failed"]:
                print(f"not converted alone: {each}")


if __name__ == "__main__":
    main()
