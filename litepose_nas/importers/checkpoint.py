"""Reading the tensors of a checkpoint that somebody else made, without running anything in it."""

from __future__ import annotations

import io
import pickle
import pickletools
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from litepose_nas import weights
from litepose_nas.errors import UserError
from litepose_nas.formats import tensor_file
from litepose_nas.untrusted.archives import check_stored
from litepose_nas.untrusted.display import short

MOST_AXES = 16  # of a tensor; those of networks have up to six
# Where training programs put the weights; the first that is there is taken.
HOLDERS = ("best_state_dict", "state_dict", "model_state_dict", "model", "net")
# Wrappers put these before every name: data parallelism, and half precision as [cast, network, cast].
PREFIXES = ("module.", "1.")


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint under their bare names, floating-point ones as fp32.

    Accepted: safetensors, and torch files that hold only data; a plain state dict or one inside a training checkpoint.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: {'a folder, not a checkpoint' if Path(path).is_dir() else 'no such file'}")
    content = weights.read_tensors(path) if _is_safetensors(path) else _read_torch(path)
    state = _find_state(content, str(path))
    for name, tensor in state.items():
        _check(tensor, f"{path}: {short(name)}")
    names = _bare(list(state))
    tensors = (tensor.detach() for tensor in state.values())
    return {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in zip(names, tensors, strict=True)
    }


def _is_safetensors(path: str | Path) -> bool:
    if Path(path).suffix == ".safetensors":
        tensor_file.read_header(path)  # its errors say more than the reader's own
        return True
    try:
        tensor_file.read_header(path)
    except UserError:
        return False
    return True


def _read_torch(path: str | Path) -> Any:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as parts:
                check_stored(parts)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about kinds of file that are refused in the next lines anyway
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if strange := _strange_names(path):
            raise UserError(
                f"{path}: refused: its pickle would run code or make objects of its own ({', '.join(strange)}). If you "
                "trust its maker, load it in the program that wrote it and save only the state dict, with torch.save "
                "or safetensors"
            ) from error
        raise UserError(f"{path}: not a checkpoint, or damaged; expected a torch file or .safetensors") from error
    except Exception as error:  # a damaged or hostile file can break the unpickler in any way it likes
        raise UserError(
            f"{path}: not a checkpoint, or damaged ({type(error).__name__}); expected a torch file or .safetensors"
        ) from error


def _strange_names(path: str | Path) -> list[str]:
    """Return the first names, other than torch's own, that a refused pickle asks for; it is read, never run."""
    found: list[str] = []
    words: list[str] = []
    try:
        with _pickles(path) as file:
            while len(found) < 3:
                for code, argument, _ in pickletools.genops(file):
                    if isinstance(argument, str):
                        words.append(argument)
                    if code.name in ("GLOBAL", "INST", "STACK_GLOBAL"):
                        name = ".".join(words[-2:]) if code.name == "STACK_GLOBAL" else words[-1].replace(" ", ".")
                        found += [] if name.startswith(("torch.", "collections.OrderedDict")) else [name[:100]]
    except Exception:  # past the last pickle, or damaged in whatever way
        return found[:3]
    return found[:3]


def _pickles(path: str | Path) -> IO[bytes]:
    """Return the file, or the part of a zip, in which torch's pickles lie."""
    if not zipfile.is_zipfile(path):
        return open(path, "rb")
    with zipfile.ZipFile(path) as archive:
        inside = next(info for info in archive.infolist() if info.filename.endswith("data.pkl"))
        with archive.open(inside) as file:
            return io.BytesIO(file.read(1 << 24))


def _find_state(content: Any, where: str) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        raise UserError(f"{where}: expected a state dict, a map from names to tensors, got {type(content).__name__}")
    for holder in HOLDERS:
        if isinstance(content.get(holder), Mapping):
            content = content[holder]
            break
    state = {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if not state:
        keys = ", ".join(short(key) for key in list(content)[:5])
        raise UserError(f"{where}: no tensors in it, neither at the top nor under {', '.join(HOLDERS)}; it has: {keys}")
    return state


def _bare(names: list[str]) -> list[str]:
    while prefix := next((p for p in PREFIXES if all(name.startswith(p) for name in names)), None):
        names = [name[len(prefix) :] for name in names]
    return names


def _check(tensor: Tensor, where: str) -> None:
    if tensor.dim() > MOST_AXES:
        raise UserError(f"{where}: damaged: {tensor.dim()} axes")
    plain = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
    if not plain or tensor.is_complex():
        raise UserError(f"{where}: expected a plain tensor of real numbers, got {tensor.dtype} {tensor.layout}")
    # A few bytes can claim to be a tensor of any size, repeated by strides of zero.
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise UserError(f"{where}: damaged: a shape of {list(tensor.shape)} with fewer numbers behind it")
    if not tensor.isfinite().all():
        raise UserError(f"{where}: holds infinities or what is not a number; is it from a training that diverged?")
