"""What is exported where: families x targets, how far files are from torch on photographs, or why there is none.

    POSE_REAL_DATA=... python benchmarks/export_table.py --out table.csv

Of each space the smallest published network (of a space without one the smallest it has) and two random ones; with
--all every published one, and ten. Each cell is a process of its own and a row of the CSV, so that a converter that
ends its process costs one cell, and a run that was killed goes on. LiteRT and ExecuTorch run in the environments of
scripts/runtimes, if there are any. Weights are random; normalisations have the statistics of 16 photographs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import rows
import torch
from torch import Tensor, nn

from litepose_nas.costs import cost
from litepose_nas.data.loader import to_input
from litepose_nas.latency import elsewhere
from litepose_nas.network import build
from litepose_nas.resolve import published, resolve
from litepose_nas.space import Arch, Space

ROOT = Path(__file__).resolve().parent.parent
SPACES = (
    *("litepose", "s_vipnas_res50", "s_vipnas_mbv3", "hrnet_davit", "efficientvit", "mobilevitpose", "levitpose"),
    "t_vipnas",
)
TARGETS = ("torch", "onnx", "openvino", "ncnn", "litert", "executorch")
JOINTS, MOST, LONGEST = 17, 1e-3, 1800  # seconds of a cell
FOLDER = Path("coco_extra", "train2017")


class Subject(NamedTuple):
    space: str
    name: str
    arch: Arch


def subjects(space: str, all: bool) -> Iterator[Subject]:
    loaded = Space.load(space)
    known = [(name, resolve(name, JOINTS).subnet.arch) for name in published()]
    own = sorted(((n, a) for n, a in known if a.space.name == space), key=lambda one: cost(one[1]).macs)
    for name, arch in (own if all else own[:1]) or [("smallest", loaded.smallest)]:
        yield Subject(space, name, arch)
    for seed in range(10 if all else 2):
        yield Subject(space, f"random {seed}", loaded.sample(random.Random(seed)))


def photographs(count: int, size: tuple[int, int]) -> Tensor:
    """The middle of each, as large as fits, as a network takes it."""
    folder = Path(os.environ["POSE_REAL_DATA"]) / FOLDER
    images = []
    for path in sorted(folder.glob("*.jpg"))[:count]:
        image = cv2.imread(str(path))
        scale = min(image.shape[0] / size[0], image.shape[1] / size[1])
        high, wide = (int(side * scale) for side in size)
        top, left = (image.shape[0] - high) // 2, (image.shape[1] - wide) // 2
        cut = image[top : top + high, left : left + wide]
        small = cv2.resize(cut, size[::-1], interpolation=cv2.INTER_AREA)
        images.append(np.ascontiguousarray(small[:, :, ::-1]))
    return to_input(images)


def prepare(subject: Subject, folder: Path) -> None:
    """Write the weights, one photograph (or a clip of them), and what torch makes of it."""
    arch = subject.arch
    torch.manual_seed(0)
    net, pictures = build(arch, JOINTS), photographs(16, arch.input)
    for module in net.modules():
        if isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.LayerNorm)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # means of all that is seen
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, module.in_features**-0.5)  # some start as nearly nothing
    frames = arch.clip_length
    if frames > 1:
        pictures = pictures[: len(pictures) // frames * frames].unflatten(0, (-1, frames))
    with torch.no_grad():
        net.train()(pictures)
        wanted = net.eval()(pictures[:1])
    np.savez(folder / "state.npz", **{name: tensor.numpy() for name, tensor in net.state_dict().items()})
    np.savez(folder / "outputs.npz", *[output.numpy() for output in wanted])
    np.save(folder / "image.npy", pictures[:1].numpy())


def python_of(target: str) -> str:
    own = ROOT / ".runtimes" / target / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def run_cell(target: str, subject: Subject, folder: Path) -> dict[str, Any]:
    words = [python_of(target), elsewhere.__file__, str(Path(__file__).with_name("export_cell.py"))]
    words += [target, subject.space, json.dumps(subject.arch.to_dict()), str(JOINTS), str(folder)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=LONGEST, check=False)
    except subprocess.TimeoutExpired:
        return {"why": f"not written in {LONGEST} s"}
    if done.returncode == 0:
        said: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return said
    last = [line for line in done.stderr.strip().splitlines() if line.strip()][-1:]
    return {"why": f"{last[0][:300] if last else 'no word'} (ended with {done.returncode})"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("export-table.csv"))
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--spaces", nargs="+", choices=SPACES, default=SPACES)
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=TARGETS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    networks = [list(subjects(space, given.all)) for space in given.spaces]
    for subject in (one for turn in zip_longest(*networks) for one in turn if one):  # first one of each space
        done = {row["target"] for row in rows.read(given.out) if (row["space"], row["network"]) == subject[:2]}
        left = [target for target in given.targets if target not in done]
        if left:
            with tempfile.TemporaryDirectory() as folder:
                prepare(subject, Path(folder))
                for target in left:
                    row = row_of(subject, target, run_cell(target, subject, Path(folder)))
                    rows.append(given.out, row)
                    print(*row.values(), sep=" | ", flush=True)
    print("\n".join(table(rows.read(given.out))))


def row_of(subject: Subject, target: str, said: dict[str, Any]) -> dict[str, str]:
    share = said["difference"] / said["largest"] if "largest" in said else None
    why = said.get("why", "") if share is None or share < MOST else f"more than {MOST} of the largest output"
    numbers = [f"{said[name]:.3g}" if name in said else "" for name in ("difference", "largest", "mb", "seconds")]
    return {
        "space": subject.space,
        "network": subject.name,
        "input": "x".join(map(str, subject.arch.input)),
        "mmac": f"{cost(subject.arch).macs / 1e6:.0f}",
        "target": target,
        "share": "" if share is None else f"{share:.1e}",
        **dict(zip(("difference", "largest", "mb", "seconds"), numbers, strict=True)),
        "why": why,
    }


def table(found: Sequence[Mapping[str, str]]) -> list[str]:
    """The largest share of each space and target in Markdown, and below it what has no file."""
    lines = [f"| space | networks | {' | '.join(TARGETS)} |", "|---" * (len(TARGETS) + 2) + "|"]
    for space in dict.fromkeys(row["space"] for row in found):
        own = [row for row in found if row["space"] == space]
        cells = []
        for target in TARGETS:
            its = [row for row in own if row["target"] == target]
            good = [float(row["share"]) for row in its if not row["why"]]
            missing = f" ({len(its) - len(good)} without)" if len(good) < len(its) else ""
            cells.append((f"{max(good):.0e}" if good else "none") + missing if its else "")
        lines.append(f"| {space} | {len({row['network'] for row in own})} | {' | '.join(cells)} |")
    gaps = dict.fromkeys(f"{row['space']}, {row['target']}: {row['why']}" for row in found if row["why"])
    return [*lines, *([""] if gaps else []), *gaps]


if __name__ == "__main__":
    main()
