"""The supernet: the biggest network, and one rule for how a smaller tensor lives inside it. All elastic code is here.

A subnet is an ordinary network whose tensors are windows onto the supernet's store: the head of every axis, the middle
of kernel axes, and no tensor at all for a block past the depth. Its gradients land in the store. Windows are for
training; whatever is scored, saved or shipped goes through `extract` and then `calibrate`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from litepose_nas.blocks.block import Block, Part
from litepose_nas.costs import MOST_PARAMS, plan_cost
from litepose_nas.errors import UserError
from litepose_nas.network import Network, attach, build, frozen, is_frozen
from litepose_nas.space import Arch, Space
from litepose_nas.store import Store

MOST_MODULES = 80_000  # in the windows that a supernet keeps, of about 3 kB each


def window(big: Tensor, shape: Sequence[int], centred: Sequence[int] = ()) -> Tensor:
    """The part of a tensor where a smaller one lives: the head of every axis, the middle of centred ones."""
    for axis, size in enumerate(shape):
        spare = big.shape[axis] - size
        if spare:
            big = big.narrow(axis, spare // 2 if axis in centred else 0, size)
    return big


def module_window(module: nn.Module, key: str, big: Tensor, shape: Sequence[int]) -> Tensor:
    """The window of one module's tensor; a module whose tensors nest in another way says how itself."""
    own = getattr(module, "window", None)
    if own is not None:
        return own(key, big)
    return window(big, shape, getattr(module, "centred", (2, 3) if isinstance(module, _ConvNd) else ()))


class Supernet:
    """The store of a whole space; `subnet(arch)` is a pure function of the architecture."""

    def __init__(
        self,
        space: Space,
        joints: int = 17,
        *,
        device: torch.device | str = "cpu",
        memory_format: torch.memory_format = torch.contiguous_format,
        kernel_maps: bool = False,
    ):
        _check_size(space, joints)
        _hear_layout_warning()
        self.space, self.joints, self.kernel_maps = space, joints, kernel_maps
        self.largest: dict[str, Any] = {}
        still: set[str] = set()
        for corner in space.corners(pairs=True):
            for part in corner.plan(joints):
                other = self.largest.get(part.home, part.block)
                self.largest[part.home] = type(part.block)(*map(max, part.block, other))
                if part.frozen:
                    still.add(part.home)
        root = nn.Module()
        for name, block in self.largest.items():
            if kernel_maps and hasattr(block, "mapped") and name not in still:
                block = self.largest[name] = block._replace(mapped=True)
            # What is frozen is one network's, so it is kept as that network has it.
            build_stored = getattr(block, "store", block.build)
            attach(root, name, frozen(block.build()) if name in still else build_stored())
        self.store = Store(root, device, memory_format)
        self._windows: dict[tuple[str, type, Block], nn.Module] = {}  # the last used last
        self._modules = 0  # in all windows

    def subnet(self, arch: Arch) -> Network:
        """The network of an architecture with windows for tensors, in training mode."""
        if arch.space != self.space:
            raise UserError(
                f"an architecture of the space {arch.space.name} has no windows in a supernet of {self.space.name}"
            )
        # Blocks are shared by all subnets that have them, so the mode of one would leak into the others.
        return Network(arch.plan(self.joints), self.space.family.forward, self.window).train()

    def has_every_block(self, arch: Arch) -> bool:
        """Whether every block of the store is in the network of an architecture: of some, only one can be."""
        return self.largest.keys() == {part.home for part in arch.plan(self.joints)}

    def window(self, part: Part) -> nn.Module:
        """The module of a block whose tensors are windows; equal blocks in equal places share one.

        Those last used are kept, for in a long training hardly any block is the first of its kind, and cutting one out
        takes longer than running it.
        """
        name, block = part.home, part.block
        if part.frozen:
            return self.store.root.get_submodule(name)
        if self.kernel_maps and hasattr(block, "mapped"):
            # A kernel of one number is scaled by the normalisation behind it already.
            block = block._replace(mapped=1 < block.kernel < self.largest[name].kernel)
        place = name, type(block), block  # as tuples, blocks of two kinds with the same numbers are equal
        if place not in self._windows:
            with torch.device("meta"):
                small = block.build()
            for path, module in small.named_modules():
                owner = self.store.root.get_submodule(f"{name}.{path}".rstrip("."))
                for key, param in list(module.named_parameters(recurse=False)):
                    big = owner.get_parameter(key)
                    view = nn.Parameter(self._view(name, module, key, big.detach(), param.shape))
                    assert big.grad is not None
                    view.grad = module_window(module, key, big.grad, param.shape)  # backward() lands in the store
                    module.register_parameter(key, view)
                for key, buffer in list(module.named_buffers(recurse=False)):
                    if not isinstance(module, _BatchNorm):
                        # A table that follows from a size is no part of the table of a larger size: windows of it
                        # would compute something else, in silence.
                        raise RuntimeError(f"{name}.{path}.{key}: a buffer; work it out in forward instead")
                    module.register_buffer(key, self._view(name, module, key, owner.get_buffer(key), buffer.shape))
                if isinstance(module, _BatchNorm):
                    # Training normalises by the batch and must leave no trace, or one subnet would change another.
                    module.track_running_stats = False
            self._windows[place] = small
            self._modules += _modules(small)
            while self._modules > MOST_MODULES and len(self._windows) > 1:
                self._modules -= _modules(self._windows.pop(next(iter(self._windows))))
        found = self._windows[place] = self._windows.pop(place)
        return found

    def _view(self, name: str, module: nn.Module, key: str, big: Tensor, shape: torch.Size) -> Tensor:
        view = module_window(module, key, big, shape)
        if view.shape != shape:
            raise RuntimeError(f"{name}.{key}: window {tuple(view.shape)} where the block has {tuple(shape)}")
        return view


def _modules(net: nn.Module) -> int:
    return sum(1 for _ in net.modules())


def _check_size(space: Space, joints: int) -> None:
    """Refuse a space that is too large before memory is taken for it."""
    params = plan_cost(space.widest.plan(joints), *space.widest.input).params
    if params > MOST_PARAMS:
        raise UserError(
            f"{space.name}: its widest network has {params:,} parameters; more than {MOST_PARAMS:,} is no "
            "pose network: take smaller widths, kernels or expansions"
        )


def _hear_layout_warning() -> None:
    """Use up, unheard, a warning that torch gives once a process when a gradient's memory is not contiguous.

    Gradients of windows never are, on purpose, and the result is the same. A filter would have to stay for good and to
    stand wherever someone calls backward(); provoking the one warning here touches nobody's filters.
    """
    leaf = nn.Parameter(torch.zeros(2, 2, device="cpu")[:, :1])
    leaf.grad = torch.zeros(2, 2, device="cpu")[:, :1]
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")
        leaf.sum().backward()


def extract(supernet: Supernet, arch: Arch) -> Network:
    """The plain network of an architecture with its own copies of the supernet's tensors."""
    subnet = supernet.subnet(arch)
    state = {
        key: value.detach().clone(memory_format=torch.contiguous_format) for key, value in subnet.state_dict().items()
    }
    for path, module in subnet.named_modules(remove_duplicate=False):  # equal blocks of one net may share a window
        if hasattr(module, "plain_weights"):
            state = {key: value for key, value in state.items() if not key.startswith(f"{path}.")}
            state.update({f"{path}.{key}": value.detach().clone() for key, value in module.plain_weights().items()})
    with torch.device("meta"):
        net = build(arch, supernet.joints)
    net.load_state_dict(state, assign=True)
    # In the store's layout, for in another one convolutions may add in another order.
    net = net.to(memory_format=supernet.store.memory_format)  # type: ignore[call-overload]
    return net


@torch.no_grad()
def copy_frozen(supernet: Supernet, net: nn.Module) -> nn.Module:
    """Give a network of the space what is frozen in its supernet, as one has it that was extracted."""
    mine = supernet.store.state_dict()
    for path, module in net.named_modules():
        if is_frozen(module):
            for key, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
                tensor.copy_(mine[f"{path}.{key}"])
    return net


@torch.no_grad()
def calibrate(net: nn.Module, batches: Iterable[Tensor]) -> nn.Module:
    """Set the BN statistics of an extracted network to the average over these batches; return it in eval mode.

    The result depends on the batch size (each batch is normalised by itself), not on what the network saw before.
    """
    norms = [module for module in net.modules() if isinstance(module, _BatchNorm) and not is_frozen(module)]
    if not all(norm.track_running_stats for norm in norms):
        raise UserError("calibrate: this network is a window onto a supernet; take it out with `extract` first")
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over all batches
    net.train()
    seen = 0
    for batch in batches:
        net(batch)
        seen += 1
    if not seen:
        raise UserError("calibrate: no batches, so there are no statistics; give at least one batch of pictures")
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return net.eval()
