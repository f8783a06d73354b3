"""A GPU that is not there: real tensors on the CPU that say they are on "cuda", and what would make the CPU wait.

    with PretendedDevice() as device:
        net.to("cuda"); ...
    device.waits  # [Wait(what, where)], in order

Tensors keep their values, so results are real. Each storage remembers the device that it pretends to be on. Operations
on tensors of two devices raise, as they would there; what makes a CPU wait for a GPU is noted with the line that asked.

It cannot see: kernels that differ on a GPU, streams and races, memory, autocast's own choice of types, what C++ reads
without the dispatcher, and work in other threads, where it is not active.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

PACKAGE = Path(__file__).parents[2] / "litepose_nas"
CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
aten = torch.ops.aten
# They return how many there are of something that only the GPU knows.
COUNTING = {aten.nonzero, aten.masked_select, aten._unique2, aten.unique_dim, aten.repeat_interleave, aten.bincount}
READING = {"tolist": "tolist()", "__reduce_ex__": "pickle"}  # past the dispatcher


class Wait(NamedTuple):
    what: str
    where: str  # the line of the package, or of whoever called

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class MixedDevicesError(RuntimeError):
    """Tensors of two devices in one operation."""


class PretendedDevice:
    """Storages and the device that each pretends to be on."""

    def __init__(self) -> None:
        self.waits: list[Wait] = []
        self._known: dict[
            int, StorageWeakRef
        ] = {}  # storages on the GPU; the reference keeps the number from being reused
        self._pinned: dict[int, StorageWeakRef] = {}

    def __enter__(self) -> PretendedDevice:
        self._modes = (_Calls(self), _Operations(self))
        for mode in self._modes:
            mode.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(*error)

    @contextmanager
    def no_waits(self) -> Iterator[None]:
        """Raise an AssertionError that names the lines, if anything waits."""
        before = len(self.waits)
        yield
        if new := self.waits[before:]:
            raise AssertionError("the CPU waits for the GPU:\n" + "\n".join(map(str, dict.fromkeys(new))))

    def of(self, tensor: Tensor) -> torch.device:
        return GPU if self._has(self._known, tensor) else CPU

    def put(self, tensor: Tensor, device: torch.device) -> None:
        if device.type == GPU.type:
            self._note(self._known, tensor)

    def pin(self, tensor: Tensor) -> None:
        self._note(self._pinned, tensor)

    def pinned(self, tensor: Tensor) -> bool:
        return self._has(self._pinned, tensor)

    def wait(self, what: str) -> None:
        self.waits.append(Wait(what, _where()))

    def _note(self, storages: dict[int, StorageWeakRef], tensor: Tensor) -> None:
        reference = StorageWeakRef(tensor.untyped_storage())
        storages[reference.cdata] = reference

    def _has(self, storages: dict[int, StorageWeakRef], tensor: Tensor) -> bool:
        if tensor.layout is not torch.strided:
            return False
        return tensor.untyped_storage()._cdata in storages


class _Calls(TorchFunctionMode):
    """What Python asks for: devices in arguments become the CPU, and whoever asks is told the pretended one."""

    def __init__(self, device: PretendedDevice):
        super().__init__()
        self.device = device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        first = args[0] if args and isinstance(args[0], Tensor) else None
        if first is not None and name == "__get__":
            if func == Tensor.device.__get__:  # type: ignore[attr-defined]
                return self.device.of(first)
            if func == Tensor.is_cuda.__get__:  # type: ignore[attr-defined]
                return self.device.of(first) == GPU
            if func == Tensor.is_cpu.__get__:  # type: ignore[attr-defined]
                return self.device.of(first) == CPU
        if first is not None and func in (Tensor.to, Tensor.cpu, Tensor.cuda):
            return self._moved(func, first, args[1:], dict(kwargs))
        if first is not None and func is Tensor.new_tensor:
            made = func(*args, **kwargs)
            if self.device.of(first) == GPU:
                self.device.wait("new_tensor() copies from memory that is not pinned")
                self.device.put(made, GPU)
            return made
        if first is not None and func is Tensor.pin_memory:
            copy = first.clone()
            self.device.pin(copy)
            return copy
        if first is not None and self.device.of(first) == GPU:
            if func is Tensor.numpy or name == "__array__":
                raise TypeError("can't convert a tensor on cuda:0 to numpy; use Tensor.cpu() first")
            if name in READING:
                self.device.wait(READING[name])
        wanted = kwargs.get("device")
        if wanted is None:
            return func(*args, **kwargs)
        asked = torch.device(wanted) if not isinstance(wanted, int) else GPU
        if asked.type == "meta":
            return func(*args, **kwargs)
        made = func(*args, **{**kwargs, "device": CPU})
        if isinstance(made, Tensor):
            if func in (torch.tensor, torch.as_tensor) and asked.type == GPU.type:
                self.device.wait(f"torch.{name}(..., device='cuda') copies from memory that is not pinned")
            self.device.put(made, asked)
        return made

    def _moved(self, func: Any, tensor: Tensor, args: Any, kwargs: dict[str, Any]) -> Tensor:
        """`to`, `cpu` or `cuda`, to a pretended device."""
        here = self.device.of(tensor)
        if func is Tensor.to:
            device, dtype, non_blocking, memory_format = _parsed(args, kwargs)
            copy = bool(kwargs.get("copy", False))
        else:
            device, dtype, copy = (CPU if func is Tensor.cpu else GPU), None, False
            non_blocking, memory_format = bool(kwargs.get("non_blocking", False)), kwargs.get("memory_format")
        there = here if device is None else torch.device(device.type, 0) if device.type == GPU.type else device
        options = {} if memory_format is None else {"memory_format": memory_format}
        if there == here or there.type == "meta":
            target = {"device": there} if there.type == "meta" else {}
            return tensor.to(dtype or tensor.dtype, copy=copy, **options) if not target else tensor.to(**target)
        if there == CPU and not non_blocking:
            self.device.wait("a copy to the CPU")
        if there == GPU and not (non_blocking and self.device.pinned(tensor)):
            self.device.wait("a copy to the GPU of memory that is not pinned, or blocking")
        moved = tensor.to(dtype or tensor.dtype, copy=True, **options)
        # A copy of a tensor on the GPU is taken for one of its device by the operations; here it changes sides.
        self.device._known.pop(moved.untyped_storage()._cdata, None)
        self.device.put(moved, there)
        return moved


class _Operations(TorchDispatchMode):
    """What the dispatcher runs: outputs are on the device of the inputs, of which there may be one."""

    def __init__(self, device: PretendedDevice):
        super().__init__()
        self.device = device

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        packet = func.overloadpacket
        inputs = [one for one in tree_flatten((args, kwargs))[0] if isinstance(one, Tensor)]
        # A number on the CPU goes along with anything.
        devices = {self.device.of(one) for one in inputs if one.dim() or self.device.of(one) == GPU}
        if len(devices) > 1:
            if packet is aten.copy_:
                self._copied(args[0], args[1], bool(kwargs.get("non_blocking", len(args) > 2 and args[2])))
            elif not _moves_numbers(packet, args, self.device):
                shapes = ", ".join(f"{list(one.shape)} on {self.device.of(one).type}" for one in inputs)
                raise MixedDevicesError(f"{func}: tensors of two devices: {shapes}")
        if GPU in devices:
            self._note_waits(packet, args)
        found = func(*args, **kwargs)
        if GPU in devices and packet is not aten.copy_:
            for one in tree_flatten(found)[0]:
                if isinstance(one, Tensor):
                    self.device.put(one, GPU)
        return found

    def _copied(self, to: Tensor, source: Tensor, non_blocking: bool) -> None:
        if self.device.of(to) == CPU:
            self.device.wait("a copy to the CPU")
        elif not (non_blocking and self.device.pinned(source)):
            self.device.wait("a copy to the GPU of memory that is not pinned, or blocking")

    def _note_waits(self, packet: Any, args: Any) -> None:
        if packet is aten._local_scalar_dense:
            self.device.wait("item(), or a condition")
        elif packet in COUNTING:
            self.device.wait(f"{packet.__name__}() returns as many as the GPU finds")
        elif packet in (aten.index, aten.index_put_, aten.index_put, aten._index_put_impl_):
            masks = [one for one in tree_flatten(args[1])[0] if isinstance(one, Tensor)]
            if any(one.dtype in (torch.bool, torch.uint8) for one in masks):
                self.device.wait("an index of booleans")
        elif packet in (aten.equal, aten.is_nonzero, aten.allclose):
            self.device.wait(f"{packet.__name__}() is an answer for the CPU")


def _moves_numbers(packet: Any, args: Any, device: PretendedDevice) -> bool:
    """Indices on the CPU are copied to the GPU by indexing itself, which waits."""
    if packet in (aten.index, aten.index_put_, aten.index_put, aten._index_put_impl_) and device.of(args[0]) == GPU:
        device.wait("an index on the CPU is copied to the GPU")
        return True
    return False


def _parsed(args: Any, kwargs: dict[str, Any]) -> tuple[torch.device | None, torch.dtype | None, bool, Any]:
    """The device, type, and so on that `Tensor.to` is asked for."""
    others = {name: value for name, value in kwargs.items() if name != "copy"}
    if args and isinstance(args[0], Tensor):
        raise NotImplementedError("Tensor.to(other)")
    device, dtype, non_blocking, memory_format = torch._C._nn._parse_to(*args, **others)
    return device, dtype, non_blocking, memory_format


def _where() -> str:
    """The line of the package that asked, or else the nearest that is not of torch."""
    frames: Iterable[traceback.FrameSummary] = traceback.extract_stack(sys._getframe(2))
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(PACKAGE)]
    others = [frame for frame in frames if "/torch/" not in frame.filename and frame.filename != __file__]
    frame = (own or others)[-1]
    name = Path(frame.filename)
    return f"{name.relative_to(PACKAGE.parent) if own else name.name}:{frame.lineno}"
