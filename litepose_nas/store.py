"""The tensors of a supernet: one flat buffer of parameters, one of gradients, and views of them under their names.

One buffer makes zeroing, all-reduce, clipping, averaging and the optimizer single operations. It is moved, loaded and
zeroed only here: windows are views, and a view of a tensor that has been replaced is silently stale.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

ALIGN = 64  # floats: each tensor starts on 256 bytes


class Store:
    """Owns the parameters, gradients and buffers of a supernet for its whole life."""

    def __init__(self, root: nn.Module, device: torch.device | str, memory_format: torch.memory_format):
        self.memory_format = memory_format
        self.root = root.to(device)
        # Weight decay is for weights, not for biases and norms: those with it come first, so each kind is one slice.
        # What needs no gradient is frozen: it is kept, but no part of what an optimizer sees.
        moved = [(name, param) for name, param in root.named_parameters() if param.requires_grad]
        norms = _norms(root)
        named = sorted(moved, key=lambda item: item[1].dim() <= 1 or item[0] in norms)
        for param in root.parameters():
            if param.dim() == 4 and not param.requires_grad:
                param.data = param.data.contiguous(memory_format=memory_format)
        self._spans: dict[str, tuple[int, torch.Size, tuple[int, ...]]] = {}
        size = self._decayed = 0
        for name, param in named:
            # Made in the format, not brought into it: that would leave a 1x1 weight its strides.
            how = memory_format if param.dim() == 4 else torch.contiguous_format
            layout = torch.empty(param.shape, device="meta", memory_format=how)
            self._spans[name] = (size, param.shape, layout.stride())
            size += -(-param.numel() // ALIGN) * ALIGN
            if param.dim() > 1 and name not in norms:
                self._decayed = size
        self.flat = torch.zeros(size, device=device)
        self.grad = torch.zeros(size, device=device)
        views, grads = self.views(self.flat), self.views(self.grad)
        for name, param in named:
            views[name].copy_(param.detach())
            param.data = views[name]
            param.grad = grads[name]

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """The named tensors in a flat one laid out like the store, such as an optimizer's momentum."""
        return {name: flat.as_strided(shape, strides, at) for name, (at, shape, strides) in self._spans.items()}

    def parameters(self) -> tuple[nn.Parameter, nn.Parameter]:
        """The store as two flat parameters for an optimizer: those that decay and those that do not.

        Zero their gradients with `zero_grad` of this store only: the optimizer's own would cut every window off.
        """
        slices = slice(0, self._decayed), slice(self._decayed, None)
        flat = tuple(nn.Parameter(self.flat[part]) for part in slices)
        for param, part in zip(flat, slices, strict=True):
            param.grad = self.grad[part]
        return flat[0], flat[1]

    def buffers(self) -> dict[str, Tensor]:
        """Running statistics: tensors that no gradient moves, and training does."""
        return dict(self.root.named_buffers())

    def zero_grad(self) -> None:
        self.grad.zero_()

    def state_dict(self) -> dict[str, Tensor]:
        """The named tensors, as views."""
        return {name: tensor.detach() for name, tensor in self.root.state_dict().items()}

    @torch.no_grad()
    def copy_to(self, net: nn.Module, flat: Tensor) -> None:
        """Give another network like the root the tensors of a flat one; what is frozen has none there."""
        views = self.views(flat)
        for name, param in net.named_parameters():
            if name in views:
                param.copy_(views[name])

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        mine = self.state_dict()
        if mine.keys() != state.keys():
            raise ValueError(f"tensors differ: {sorted(mine.keys() ^ state.keys())[:4]}")
        odd = [name for name, tensor in mine.items() if state[name].shape != tensor.shape]
        if odd:  # they would be repeated where they are smaller
            raise ValueError(f"{odd[0]} is {list(state[odd[0]].shape)}, not {list(mine[odd[0]].shape)}")
        for name, tensor in mine.items():
            tensor.copy_(state[name])


def _norms(root: nn.Module) -> set[str]:
    """The names of what batch normalisations have, which may be more than one axis."""
    norms = [(path, module) for path, module in root.named_modules() if isinstance(module, _BatchNorm)]
    return {f"{path}.{key}" for path, module in norms for key in module._parameters}
