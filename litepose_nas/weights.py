"""Weights on disk: safetensors, with what the network is in the metadata. Nothing in such a file can run code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as packed
from torch import Tensor, nn

from litepose_nas import files, sums
from litepose_nas.errors import UserError
from litepose_nas.formats import subnet_file, tensor_file
from litepose_nas.formats.subnet_file import Subnet
from litepose_nas.network import Network, build
from litepose_nas.resolve import CHANGED, DIGEST, METADATA, SUPERNET_METADATA, description, subnet_of
from litepose_nas.space import Space
from litepose_nas.supernet import Supernet
from litepose_nas.untrusted.display import short


def save(net: nn.Module | Mapping[str, Tensor], path: str | Path, subnet: Subnet) -> None:
    """Write the weights of a network, and beside them in the same file what network it is."""
    state = net.state_dict() if isinstance(net, nn.Module) else net
    compare(shapes(state), shapes(skeleton(subnet).state_dict()), f"{path}: the weights to be saved")
    _write(state, path, METADATA, subnet.to_json())


def load(path: str | Path) -> Network:
    """The network in a file, ready to predict; its `meta` is the data of its subnet.json."""
    subnet = subnet_of(path)
    net = skeleton(subnet)
    state = _read(path, net.state_dict())
    net.load_state_dict(state, assign=True)
    net.meta = subnet.to_json()
    return net.eval()


def save_supernet(supernet: Supernet, path: str | Path, pixels: str | None = None) -> None:
    """Write the store of a supernet with its whole space, so that the file stays readable when the space changes.

    `pixels` is the convention of the pictures it was trained with, where that is known.
    """
    said = {
        "schema_version": subnet_file.VERSION,
        "space": supernet.space.name,
        "space_tree": json.loads(supernet.space.source),
        "joints": supernet.joints,
        "kernel_maps": supernet.kernel_maps,
        **({} if pixels is None else {"pixels": pixels}),
    }
    _write(supernet.store.state_dict(), path, SUPERNET_METADATA, said)


def load_supernet(
    path: str | Path,
    *,
    device: torch.device | str = "cpu",
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Supernet:
    widest, kernel_maps = _description(path)
    blocks = {part.home: part.block for part in widest.arch.plan(widest.joints)}  # parts may share their tensors
    needed = sum(op.params for block in blocks.values() for op in block.ops(*widest.input))
    if needed > tensor_file.read_header(path).elements:
        raise UserError(f"{path}: damaged: fewer weights in it than its space needs")  # said before memory is taken
    space, joints = widest.arch.space, widest.joints
    supernet = Supernet(space, joints, device=device, memory_format=memory_format, kernel_maps=kernel_maps)
    supernet.store.load(_read(path, supernet.store.state_dict()))
    return supernet


def supernet_space(path: str | Path) -> Space:
    return _description(path)[0].arch.space


def _description(path: str | Path) -> tuple[Subnet, bool]:
    """The widest network of the supernet in a file, and whether it has maps of kernels."""
    header = tensor_file.read_header(path)
    if SUPERNET_METADATA not in header.metadata:
        what = "one network" if METADATA in header.metadata else "a file of another program"
        raise UserError(
            f"{path}: {what}, not a supernet; `litepose-nas train-supernet` and `import --space` make those"
        )
    where = f"{path}, metadata"
    data = description(path, header.metadata[SUPERNET_METADATA], "the description of a supernet")
    keys = ("schema_version", "space", "space_tree", "joints", "kernel_maps")
    if not isinstance(data, dict) or any(key not in data for key in keys):
        raise UserError(f"{where}: expected a mapping with the keys {', '.join(keys)}, got {short(data)}")
    if data["schema_version"] != subnet_file.VERSION or type(data["kernel_maps"]) is not bool:
        raise UserError(f"{where}: written by another version of this program, or damaged")
    space = subnet_file.read_space(data["space"], data["space_tree"], where)
    widest = subnet_file.checked(Subnet(space.widest, subnet_file.check_joints(data["joints"], where)), where)
    return widest, data["kernel_maps"]


def skeleton(subnet: Subnet) -> Network:
    """The network without memory for its weights: names, shapes and wiring only."""
    with torch.device("meta"):
        return build(subnet.arch, subnet.joints)


def shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def compare(found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]], where: str) -> None:
    """Refuse tensors whose names or shapes are not those wanted, naming the first few."""
    problems = [f"no {name}" for name in wanted if name not in found]
    problems += [f"unknown {short(name)}" for name in found if name not in wanted]
    pairs = [(name, found[name], wanted[name]) for name in wanted if name in found]
    problems += [f"{name} is {mine}, not {theirs}" for name, mine, theirs in pairs if mine != theirs]
    if problems:
        more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise UserError(f"{where}: not the tensors of the network it should be: {', '.join(problems[:4])}{more}")


def _write(state: Mapping[str, Tensor], path: str | Path, key: str, content: dict[str, Any]) -> None:
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    said = sums.added(content)
    # inside the description: safetensors writes several keys in any order, and equal weights shall be equal files
    text = json.dumps({**said, DIGEST: _digest(tensors, said)}, allow_nan=False)
    # not `save_file`, which has a temporary file of its own: killed, it would leave that for good
    files.write(path, packed(tensors, {key: text}))


def _read(path: str | Path, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file, in the precision of those they stand for."""
    compare(tensor_file.read_header(path).shapes, shapes(like), str(path))
    state = read_tensors(path)
    for name, tensor in state.items():
        if tensor.is_floating_point() != like[name].is_floating_point() or tensor.is_complex():
            raise UserError(f"{path}: {name} holds {tensor.dtype}, expected {like[name].dtype}")
    return {name: tensor.to(like[name].dtype) for name, tensor in state.items()}


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    metadata = tensor_file.read_header(path).metadata
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: damaged or cut short ({str(error)[:200]}); copy or download it again") from error
    text = metadata.get(METADATA, metadata.get(SUPERNET_METADATA, "{}"))
    said = description(path, text, "the description of a network")
    # files of other programs have no digest, nor has what was written before there were any
    if isinstance(said, dict) and DIGEST in said and said.pop(DIGEST) != _digest(tensors, said):
        raise UserError(f"{path}: {CHANGED}")
    return tensors


def _digest(tensors: Mapping[str, Tensor], said: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(said).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
