"""Breaking what holds arrays or files: MATLAB's files, numpy's and torch's archives, zips, and PNG's chunks.

The change is made inside, and all sums and sizes around it are right again: what only looks at those does not stop it.
"""

from __future__ import annotations

import io
import random
import struct
import warnings
import zipfile
import zlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.io import loadmat, savemat

from tests.helpers.fuzz.mutations import PATHS, Breaker, broken_bytes, broken_tree
from tests.helpers.odd_json import places

NUMBERS = (0, -1, 1, 7, 10**9, float("nan"), float("inf"), -1e308)
KINDS = ("f8", "f4", "i8", "u1", "c16", "?", "U5")
TORCH_KINDS = (torch.float64, torch.float16, torch.int64, torch.bool, torch.complex64, torch.uint8)
HUGE = 1 << 40  # numbers that a tensor may claim to have


def changed_array(rng: random.Random, array: NDArray[Any]) -> NDArray[Any]:
    """The same array but for its kind of numbers, its shape, or some of its values."""
    how = rng.randrange(7)
    if how == 0:
        kind = rng.choice(KINDS)
        if array.dtype.kind in "biuf":
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return array.astype(kind)
        return np.zeros(array.shape, kind)
    if how == 1:
        return array.reshape(-1)
    if how == 2:
        return array[None]
    if how == 3 and array.ndim and array.size:
        return np.delete(array, rng.randrange(array.shape[at := rng.randrange(array.ndim)]), at)
    if how == 4:
        return np.zeros(rng.choice(((0,), (0, 3), (1,), (2, 2, 2, 2), (1, 2000))), array.dtype)
    if how == 5:
        return array.transpose()
    whole = array.copy()
    if array.size and array.dtype.kind in "iuf":
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole.reshape(-1)[rng.randrange(array.size)] = np.array(rng.choice(NUMBERS)).astype(array.dtype)
    return whole


def changed_arrays(rng: random.Random, arrays: dict[str, Any]) -> dict[str, Any]:
    name = rng.choice(sorted(arrays))
    how = rng.random()
    if how < 0.1:
        del arrays[name]
    elif how < 0.2:
        arrays[rng.choice(("x", "a" * 31, "count", f"{name}_"))] = arrays.pop(name)
    elif how < 0.3:
        arrays[name] = arrays[rng.choice(sorted(arrays))]
    else:
        arrays[name] = changed_array(rng, np.asarray(arrays[name]))
    return arrays


def broken_mat(rng: random.Random, content: bytes) -> bytes:
    """A MATLAB file with one array that is another."""
    arrays = {name: array for name, array in loadmat(io.BytesIO(content)).items() if not name.startswith("__")}
    made = io.BytesIO()
    savemat(made, changed_arrays(rng, arrays), do_compression=rng.random() < 0.5)
    return made.getvalue()


def broken_npz(rng: random.Random, content: bytes) -> bytes:
    """An archive of numpy with one array that is another."""
    with np.load(io.BytesIO(content), allow_pickle=False) as kept:
        arrays = {name: kept[name] for name in kept.files}
    made = io.BytesIO()
    np.savez(made, **changed_arrays(rng, arrays))
    return made.getvalue()


def broken_torch(rng: random.Random, content: bytes) -> bytes:
    """A file of torch with something else in one to three places of its tree, or with one tensor that is another."""
    tree = torch.load(io.BytesIO(content), weights_only=True)
    tensors = [way for way in places(tree, 12) if isinstance(_at(tree, way), torch.Tensor)]
    if tensors and rng.random() < 0.5:
        way = rng.choice(tensors)
        holder = _at(tree, way[:-1])
        holder[way[-1]] = _changed_tensor(rng, holder[way[-1]])
    else:
        tree = broken_tree(rng, tree)
    made = io.BytesIO()
    torch.save(tree, made)
    return made.getvalue()


def _at(tree: Any, way: tuple[Any, ...]) -> Any:
    for key in way:
        tree = tree[key]
    return tree


def _changed_tensor(rng: random.Random, tensor: torch.Tensor) -> torch.Tensor:
    how = rng.randrange(8)
    if how == 0:
        return tensor.detach().to(rng.choice(TORCH_KINDS))
    if how == 1:
        return torch.zeros(1).expand(HUGE)
    if how == 2:
        return tensor.detach().reshape(-1)[: max(tensor.numel() // 2, 0)]
    if how == 3:
        return tensor.detach()[None]
    if how == 4:
        return tensor.detach().to_sparse() if tensor.dim() else torch.zeros(2, 0)
    if how == 5:
        return torch.full_like(tensor, float("nan")) if tensor.is_floating_point() else -tensor
    if how == 6:
        return torch.nn.Parameter(tensor.detach().float())
    return tensor.detach().t() if tensor.dim() == 2 else tensor.detach().double() * 1e300


def broken_zip(rng: random.Random, content: bytes) -> bytes:
    """A zip in which a file has another name, is packed otherwise, stands twice, or says something wrong of itself."""
    with zipfile.ZipFile(io.BytesIO(content)) as whole:
        files = [(one.filename, one.compress_type, whole.read(one)) for one in whole.infolist()]
    at, how = rng.randrange(len(files)), rng.randrange(5)
    name, packing, data = files[at]
    if how == 0:
        files[at] = (rng.choice((*PATHS, "val", "val/", f"{name}/a.png", name.upper())), packing, data)
    elif how == 1:
        files[at] = (name, rng.choice((zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED)), data)
    elif how == 2:
        files.insert(rng.randrange(len(files) + 1), (name, packing, data[::-1]))
    elif how == 3:
        files[at] = (name, packing, broken_bytes(rng, data))
    made = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(made, "w") as archive:
        warnings.simplefilter("ignore")  # of names that stand twice
        for name, packing, data in files:
            archive.writestr(zipfile.ZipInfo(name.encode("utf-8", "replace").decode()), data, packing)
    return _lied_about(rng, made.getvalue()) if how == 4 else made.getvalue()


def _lied_about(rng: random.Random, content: bytes) -> bytes:
    """A zip whose list says something else of a file: how it is packed, its sum, its sizes, where it begins."""
    data = bytearray(content)
    at = data.find(b"PK\x01\x02")
    where, form = rng.choice(((8, "<H"), (10, "<H"), (16, "<I"), (20, "<I"), (24, "<I"), (42, "<I")))
    most = 0xFFFF if form == "<H" else 0xFFFFFFFF
    struct.pack_into(form, data, at + where, rng.choice((0, 1, 8, 99, 1 << 15, most)))
    return bytes(data)


def broken_picture(rng: random.Random, content: bytes) -> bytes:
    """A picture with broken bytes; in half of the PNGs the sums of the chunks are right nevertheless."""
    data = broken_bytes(rng, content)
    if not data.startswith(b"\x89PNG") or rng.random() < 0.5:
        return data
    made, at = bytearray(data), 8
    while at + 12 <= len(made):
        size = int.from_bytes(made[at : at + 4], "big")
        if at + 12 + size > len(made):
            break
        made[at + 8 + size : at + 12 + size] = zlib.crc32(made[at + 4 : at + 8 + size]).to_bytes(4, "big")
        at += 12 + size
    return bytes(made)


# By form: how its structure is broken, and how often that is rather than its bytes.
ARCHIVES: dict[str, tuple[Breaker, float]] = {
    "mat": (broken_mat, 0.6),
    "npz": (broken_npz, 0.7),
    "torch": (broken_torch, 0.75),
    "zip": (broken_zip, 0.6),
    "picture": (broken_picture, 1.0),
}
