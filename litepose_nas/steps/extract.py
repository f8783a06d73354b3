"""The third step: take one network out of its supernet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from litepose_nas import devices, files, weights
from litepose_nas.data.source import Source
from litepose_nas.errors import UserError
from litepose_nas.formats import subnet_file
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.network import Network
from litepose_nas.search.scoring import Protocol, Scorer
from litepose_nas.steps.common import Say, check_joints, needed, read_data, task_of
from litepose_nas.supernet import calibrate, extract
from litepose_nas.train.recipe import from_mapping


def known_supernet(info: Mapping[str, Any], where: object, moved: str, changed: str) -> Path:
    """Find the file of the supernet that a subnet was found in; where it is gone or has changed, say the way out."""
    store = Path(str(info["supernet"].get("path")))
    if not store.is_file():
        raise UserError(f"{store}: the supernet that {where} names is not there; {moved}")
    if files.sha256(store) != info["supernet"].get("sha256"):
        raise UserError(f"{store}: changed since {where} was written; {changed}")
    return store


class Extracted(NamedTuple):
    """A network with its own weights, and how it scores on the slice."""

    net: Network
    subnet: Subnet
    scores: dict[str, float]


def extract_subnet(
    path: Path, source: Source, device: str, supernet_path: str | None = None, say: Say = lambda text: None
) -> Extracted:
    """Copy the windows of a subnet.json's network out of its supernet, prove them equal, and calibrate."""
    subnet = subnet_file.read(path)
    info = needed(subnet, str(path))
    if supernet_path is None:
        moved, changed = "name its place with --supernet", "search again, or name the right file with --supernet"
        store = known_supernet(info, path, moved, changed)
    else:
        store = Path(supernet_path)
    say(f"copying the network out of {store}")
    where = devices.pick(device)
    supernet = weights.load_supernet(store, device=where, memory_format=devices.layout(where))
    if supernet_path is not None:  # who goes on from here, such as a teacher, finds it there
        info["supernet"] = {"path": str(store), "sha256": files.sha256(store)}
        subnet = subnet._replace(info=info)
    net = extract(supernet, subnet.arch)
    recipe = from_mapping(info["recipe"])
    data = read_data(source, info["seed"], task=subnet.arch.space.task)
    check_joints(data, source, subnet.joints, path)
    scorer = Scorer(data.split, task_of(subnet.arch, data, recipe), recipe, where, Protocol())
    say(f"comparing and calibrating on {min(scorer.protocol.calibration, len(data.split.train))} training pictures")
    batches = scorer.calibration(subnet.input)
    with torch.no_grad():
        pairs = list(zip(supernet.subnet(subnet.arch)(batches[0]), net.train()(batches[0]), strict=True))
    apart = max(float((one - other).abs().max()) for one, other in pairs)
    # On a processor the same bits; on a GPU another memory layout may choose another algorithm.
    if apart > (0.0 if where.type == "cpu" else 1e-3):
        raise RuntimeError(f"the extraction differs from the supernet by {apart}; please report {path}")
    calibrate(net, batches)
    say(f"scoring on {len(data.split.heldout)} held-out pictures")
    return Extracted(net, subnet, scorer(net, subnet.input, calibrated=True))
