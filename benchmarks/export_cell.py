"""One cell of export_table.py: write a network for a target, run the file, and say how far it is from torch.

    python export_cell.py TARGET SPACE ARCH_JSON JOINTS FOLDER        with state.npz, image.npy and outputs.npz

It imports nothing but what the converter's own environment has.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch

from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.table import FORMATS
from litepose_nas.network import build
from litepose_nas.space import Space


def main() -> None:
    target, space, arch_json, joints, folder = sys.argv[1:]
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a converter prints must not come between
    torch.set_num_threads(1)
    room, format, arch = Path(folder), FORMATS[target], Space.load(space).arch(json.loads(arch_json))
    net = build(arch, int(joints)).eval()
    net.load_state_dict({name: torch.from_numpy(values) for name, values in np.load(room / "state.npz").items()})
    wanted = list(np.load(room / "outputs.npz").values())
    what = Exported(net, arch, int(joints), arch.input, arch.space.family.outputs[: len(wanted)], {})
    path, begun = room / f"net{format.suffix}", time.process_time()
    format.write(what, path)
    seconds = time.process_time() - begun
    found = format.open(path)(np.load(room / "image.npy"))
    shapes = [one.shape for one in found], [one.shape for one in wanted]
    if shapes[0] != shapes[1]:
        raise ValueError(f"outputs have the shapes {shapes[0]}, not {shapes[1]}")
    difference = max(float(np.abs(one - other).max()) for one, other in zip(found, wanted, strict=True))
    if not np.isfinite(difference):
        raise ValueError("outputs are not finite numbers")
    said = {
        "difference": difference,
        "largest": max(float(np.abs(one).max()) for one in wanted),
        "mb": sum(file.stat().st_size for file in room.glob("net.*")) / 1e6,
        "seconds": seconds,
    }
    for file in room.glob("net.*"):
        file.unlink()
    replies.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
