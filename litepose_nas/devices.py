"""Which device to run on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from litepose_nas.errors import UserError

Net = TypeVar("Net", bound=nn.Module)


def pick(text: str = "auto") -> torch.device:
    """The device that a word means: auto, cpu, cuda, cuda:N, mps."""
    if text == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(text)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"--device {text}: not on this machine; choose among auto, cpu, cuda:0, mps") from error
    return device


def layout(device: torch.device) -> torch.memory_format:
    """The memory format in which convolutions are fastest: channels last, on processors as on GPUs."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def place(net: Net, device: torch.device) -> Net:
    """Move a network to a device, in the memory format that is fastest there."""
    return net.to(device).to(memory_format=layout(device))  # type: ignore[call-overload]


def beside(net: object, tensor: torch.Tensor) -> torch.Tensor:
    """The tensor on the device of a module's weights; as it is for what has none."""
    weight = next(net.parameters(), None) if isinstance(net, nn.Module) else None
    return tensor if weight is None else tensor.to(weight.device)


def precision(text: str, device: torch.device) -> torch.dtype | None:
    """The type for autocast: auto takes bf16 on a GPU that has it."""
    known = {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}
    if text == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else None
    if text not in known:
        raise UserError(f"--amp {text}: not one of auto, off, bf16, fp16")
    return known[text]


def loaders(device: torch.device) -> int:
    """How many threads prepare pictures unless told: one beside a processor that trains, more for a GPU."""
    return 1 if device.type == "cpu" else max(1, min(8, (os.cpu_count() or 1) - 1))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use this many threads; the number decides how sums on a processor are rounded."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_thread() -> Iterator[None]:
    with threads(1):
        yield


def most_memory(device: torch.device) -> int | None:
    """The bytes that this process has held at most, on a GPU there; None where the system does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if device.type != "cpu" or sys.platform == "win32":
        return None
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
