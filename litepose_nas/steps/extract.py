"""The third step: take one network out of its supernet."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch

from litepose_nas import devices, files, weights
from litepose_nas.data.source import Source
from litepose_nas.errors import UserError
from litepose_nas.formats import subnet_file
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.network import Network
from litepose_nas.scoring import Judge, Protocol
from litepose_nas.steps.common import check_joints, needed, read_data, task_of
from litepose_nas.supernet import calibrate, extract
from litepose_nas.train.recipe import from_mapping


class Extracted(NamedTuple):
    """A network with its own weights, and how it scores on the slice."""

    net: Network
    subnet: Subnet
    scores: dict[str, float]


def extract_subnet(path: Path, source: Source, device: str, supernet_path: str | None = None) -> Extracted:
    """Copy the windows of a subnet.json's network out of its supernet, prove them equal, and calibrate."""
    subnet = subnet_file.read(path)
    info = needed(subnet, str(path))
    store = Path(supernet_path or str(info["supernet"].get("path")))
    if not store.is_file():
        raise UserError(f"{store}: the supernet that {path} names is not there; name its place with --supernet")
    if supernet_path is None and files.sha256(store) != info["supernet"].get("sha256"):
        raise UserError(
            f"{store}: changed since {path} was written; search again, or name the right file with --supernet"
        )
    where = devices.pick(device)
    supernet = weights.load_supernet(store, device=where, memory_format=devices.layout(where))
    net = extract(supernet, subnet.arch)
    recipe = from_mapping(info["recipe"])
    data = read_data(source, info["seed"])
    check_joints(data, source, subnet.joints, path)
    judge = Judge(data.held, task_of(data.skeleton, recipe, subnet.arch.space.task), recipe, where, Protocol())
    batches = judge.calibration(subnet.input)
    with torch.no_grad():
        pairs = list(zip(supernet.subnet(subnet.arch)(batches[0]), net.train()(batches[0]), strict=True))
    apart = max(float((one - other).abs().max()) for one, other in pairs)
    # On a processor the same bits; on a GPU another memory layout may choose another algorithm.
    if apart > (0.0 if where.type == "cpu" else 1e-3):
        raise RuntimeError(f"the extraction differs from the supernet by {apart}; please report {path}")
    calibrate(net, batches)
    return Extracted(net, subnet, judge(net, subnet.input, calibrated=True))
