"""What holds for every space, family and block: plain functions of a supernet, an architecture of it, and inputs."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode

import litepose_nas as ln
from litepose_nas.space import Arch, Space
from litepose_nas.supernet import Supernet, copy_frozen, module_window
from tests.helpers.memory import traced_peak

Inputs = tuple[Tensor, ...]
Check = Callable[[Supernet, Arch, Inputs], None]
NESTED = {"litepose", "simple_topdown"}  # families whose every network lies inside the widest


# ── what the properties are asked of ──


def rough_supernet(space: Space, joints: int, **options: Any) -> Supernet:
    """A supernet whose norms, biases and BN statistics are not the ones and zeros that hide a wrong window."""
    torch.manual_seed(0)
    supernet = Supernet(space, joints, **options)
    with torch.no_grad():
        for module in supernet.store.root.modules():
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                if (tensor.dim() == 1 or isinstance(module, _BatchNorm)) and tensor.is_floating_point():
                    tensor.add_(0.2 * torch.rand_like(tensor))
    return supernet


def sampled(space: Space, number: int, seed: int = 0) -> list[Arch]:
    """The widest and the smallest architecture, then random ones."""
    rng = random.Random(seed)
    return [space.widest, space.smallest, *(space.sample(rng) for _ in range(number - 2))]


def run(net: nn.Module, inputs: Inputs) -> list[Tensor]:
    """Every output of a network as a list."""
    outputs = net(*inputs)
    return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]


def loss(outputs: Sequence[Tensor]) -> Tensor:
    """Some scalar that depends on every element of every output."""
    return sum((output.float().square().mean() + output.float().mean() for output in outputs), torch.zeros(()))


@contextmanager
def evaluating(net: nn.Module) -> Iterator[nn.Module]:
    """Eval mode for a while; the windows of a supernet must be left in training mode."""
    try:
        yield net.eval()
    finally:
        net.train()


def assert_same(one: Sequence[Tensor], other: Sequence[Tensor], what: str, tolerance: float = 0.0) -> None:
    """Bit for bit, or within a part of the largest value."""
    assert len(one) == len(other), what
    for a, b in zip(one, other, strict=True):
        assert a.shape == b.shape, f"{what}: {tuple(a.shape)} against {tuple(b.shape)}"
        assert a.isfinite().all(), f"{what}: not finite"
        if tolerance:
            apart = (a.float() - b.float()).abs().max().item() / max(a.float().abs().max().item(), 1e-30)
            assert apart <= tolerance, f"{what}: {apart:.1e} apart"
        else:
            assert torch.equal(a, b), f"{what}: {(a.float() - b.float()).abs().max().item():.1e} apart"


# ── windows ──


@torch.no_grad()
def subnet_equals_extraction(supernet: Supernet, arch: Arch, inputs: Inputs, tolerance: float = 0.0) -> None:
    """In train and in eval mode; and a forward leaves the store as it was."""
    before = {name: tensor.clone() for name, tensor in supernet.store.state_dict().items()}
    subnet, extracted = supernet.subnet(arch), ln.extract(supernet, arch)
    train = run(subnet, inputs)
    with evaluating(subnet):
        score = run(subnet, inputs)
    for name, tensor in supernet.store.state_dict().items():
        assert torch.equal(before[name], tensor), f"{arch}: a forward changed {name}"
    assert_same(score, run(extracted.eval(), inputs), f"{arch} in eval mode", tolerance)
    # Training mode last, for it moves the running statistics of the extraction.
    assert_same(train, run(extracted.train(), inputs), f"{arch} in train mode", tolerance)


def independent_of_what_ran(supernet: Supernet, arch: Arch, inputs: Inputs, tolerance: float = 0.0) -> None:
    """Other subnets, run and trained in between, leave no trace but their gradients."""
    with torch.no_grad():
        first = run(supernet.subnet(arch), inputs)
    for other in sampled(supernet.space, 3, seed=1):
        loss(run(supernet.subnet(other), inputs)).backward()
    supernet.store.zero_grad()
    with torch.no_grad():
        assert_same(first, run(supernet.subnet(arch), inputs), f"{arch} after others ran", tolerance)


@torch.no_grad()
def fresh_net_is_equal(supernet: Supernet, arch: Arch, inputs: Inputs, tolerance: float = 0.0) -> None:
    """A network built from scratch that receives only the parameters: whatever else it holds follows from the arch."""
    fresh = copy_frozen(supernet, ln.build(arch, supernet.joints).to(inputs[0].device))
    parameters = dict(ln.extract(supernet, arch).named_parameters())
    assert not fresh.load_state_dict(parameters, strict=False).unexpected_keys
    assert_same(run(supernet.subnet(arch), inputs), run(fresh.train(), inputs), f"{arch} built from scratch", tolerance)


def gradients_equal_autograd(supernet: Supernet, arch: Arch, inputs: Inputs, tolerance: float = 0.0) -> None:
    """What backward() leaves in the store is what autograd says of slices of the store's tensors."""
    supernet.store.zero_grad()
    loss(run(supernet.subnet(arch), inputs)).backward()
    trained = {name: param for name, param in supernet.store.root.named_parameters() if param.requires_grad}
    mine = {name: param.grad.clone() for name, param in trained.items()}
    supernet.store.zero_grad()
    big = {name: param.detach().clone().requires_grad_() for name, param in trained.items()}
    skeleton = copy_frozen(supernet, ln.build(arch, supernet.joints).to(inputs[0].device)).train()
    at_home = homes(arch, supernet.joints)
    sliced = {
        name: module_window(module, key, big[at_home(name)], param.shape)
        for name, module, key, param in _parameters(skeleton)
        if param.requires_grad
    }
    loss(run_functional(skeleton, sliced, inputs)).backward()
    assert sum(bool(grad.any()) for grad in mine.values()) >= len(sliced) / 4, f"{arch}: hardly any gradients"
    for name, tensor in big.items():
        want = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
        assert_same([want], [mine[name]], f"{arch}, gradient of {name}", tolerance)


def run_functional(net: nn.Module, tensors: dict[str, Tensor], inputs: Inputs) -> list[Tensor]:
    """Every output of a network that computes with these tensors."""
    outputs = functional_call(net, tensors, inputs)
    return list(outputs) if isinstance(outputs, tuple) else [outputs]


def homes(arch: Arch, joints: int) -> Callable[[str], str]:
    """Where the tensors of a network live in its supernet: parts of it may share theirs."""
    parts = {part.name: part.home for part in arch.plan(joints)}

    def home(name: str) -> str:
        part = next(part for part in parts if name.startswith(f"{part}."))
        return parts[part] + name[len(part) :]

    return home


def _parameters(net: nn.Module) -> Iterator[tuple[str, nn.Module, str, Tensor]]:
    for path, module in net.named_modules():
        for key, param in module.named_parameters(recurse=False):
            yield f"{path}.{key}".lstrip("."), module, key, param


def difference_inside(supernet: Supernet, arch: Arch, wide: Arch, inputs: Inputs) -> float:
    """Zero the store outside a narrow net's windows and run a wider one: how far from the narrow net's output?"""
    store, device = supernet.store, inputs[0].device
    saved = store.flat.clone()
    mask = torch.zeros_like(store.flat)
    masks, at_home = store.views(mask), homes(arch, supernet.joints)
    for name, module, key, param in _parameters(ln.build(arch, supernet.joints)):
        if param.requires_grad:
            module_window(module, key, masks[at_home(name)], param.shape).fill_(1)
    try:
        with torch.no_grad():
            with evaluating(supernet.subnet(arch)) as net:
                narrow = run(net, inputs)
            store.flat.mul_(mask)
            with evaluating(supernet.subnet(wide)) as net:
                widest = run(net, inputs)
    finally:
        store.flat.copy_(saved)
    assert device == store.flat.device
    assert all(output.abs().max() > 0 for output in narrow), f"{arch}: nothing but zeros"
    apart = [((a - b[:, : a.shape[1]]).abs().max() / a.abs().max()).item() for a, b in zip(narrow, widest, strict=True)]
    return max(apart)


def lies_inside(supernet: Supernet, arch: Arch, wide: Arch, inputs: Inputs, tolerance: float = 1e-5) -> None:
    """The narrow net is the wide one with the rest of the store at zero."""
    apart = difference_inside(supernet, arch, wide, inputs)
    assert apart <= tolerance, f"{arch} does not lie inside {wide}: {apart:.1e} apart"


def inside_widest(supernet: Supernet, arch: Arch, inputs: Inputs) -> None:
    """The narrow net lies inside the widest one."""
    lies_inside(supernet, arch, supernet.space.widest, inputs)


# ── cost ──


def cost_is_exact(supernet: Supernet, arch: Arch, inputs: Inputs) -> None:
    """MACs as torch counts them on the meta device, parameters, stored bytes."""
    cost = ln.cost(arch, input=tuple(inputs[0].shape[-2:]), joints=supernet.joints)
    net, one = _on_meta(supernet, arch, inputs)
    # The meta device, because fused attention on a processor is counted as nothing.
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(*one)
    assert 2 * cost.macs == counter.get_total_flops(), (
        f"{arch}: {cost.macs} MACs, torch {counter.get_total_flops() / 2}"
    )
    params = sum(param.numel() for param in net.parameters())
    assert cost.params == params, f"{arch}: {cost.params} parameters, torch {params}"
    stored = sum(4 * value.numel() for value in net.state_dict().values() if value.is_floating_point())
    assert cost.weight_bytes == stored, f"{arch}: {cost.weight_bytes} bytes of weights, torch {stored}"


def peak_is_exact(supernet: Supernet, arch: Arch, inputs: Inputs) -> None:
    """The most memory at once, as a trace of the network says."""
    cost = ln.cost(arch, input=tuple(inputs[0].shape[-2:]), joints=supernet.joints)
    peak = 4 * traced_peak(*_on_meta(supernet, arch, inputs))
    assert cost.peak_bytes == peak, f"{arch}: {cost.peak_bytes} bytes at the peak, traced {peak}"


def _on_meta(supernet: Supernet, arch: Arch, inputs: Inputs) -> tuple[nn.Module, Inputs]:
    """The network and inputs for one picture, of sizes alone."""
    with torch.device("meta"):
        net = ln.build(arch, supernet.joints).eval()
    return net, tuple(x[:1].to("meta") for x in inputs)


def convolutions_equal_fvcore(supernet: Supernet, arch: Arch, inputs: Inputs) -> None:
    """For networks of convolutions and linear maps alone: the count of a second judge."""
    net = ln.build(arch, supernet.joints).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # importing and tracing use what newer releases of torch call deprecated
        from fvcore.nn import FlopCountAnalysis

        theirs = FlopCountAnalysis(net, tuple(x[:1].cpu() for x in inputs))
        theirs.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        counted = theirs.by_operator()["conv"] + theirs.by_operator()["linear"]
    mine = ln.cost(arch, input=tuple(inputs[0].shape[-2:]), joints=supernet.joints).macs
    assert mine == counted, f"{arch}: {mine} MACs, fvcore {counted}"


# ── other ways to run ──


def compiles(supernet: Supernet, arch: Arch, inputs: Inputs) -> None:
    """One graph, forward and backward, with no break."""
    torch._dynamo.reset()
    supernet.store.zero_grad()
    compiled = torch.compile(supernet.subnet(arch), backend="aot_eager", fullgraph=True)
    outputs = run(compiled, inputs)
    loss(outputs).backward()
    with torch.no_grad():
        assert_same(run(supernet.subnet(arch), inputs), [o.detach() for o in outputs], f"{arch} compiled", 1e-5)
    assert supernet.store.grad.any(), f"{arch}: no gradients from the compiled net"
    supernet.store.zero_grad()
    torch._dynamo.reset()


@torch.no_grad()
def exports(supernet: Supernet, arch: Arch, inputs: Inputs) -> None:
    """The extraction can be exported and computes the same."""
    net = ln.extract(supernet, arch).eval()
    program = torch.export.export(net, inputs)
    assert_same(run(net, inputs), run(program.module(), inputs), f"{arch} exported", 1e-5)


def all_build(supernet: Supernet, number: int = 1000) -> None:
    """Random architectures all find their windows, and a few are built as plain networks."""
    rng = random.Random(7)
    for i in range(number):
        arch = supernet.space.sample(rng)
        subnet = supernet.subnet(arch)
        if i % 100 == 0:
            with torch.device("meta"):
                plain = ln.build(arch, supernet.joints)
            assert {k: v.shape for k, v in plain.state_dict().items()} == {
                k: v.shape for k, v in subnet.state_dict().items()
            }


WINDOWS: dict[str, Callable[..., None]] = {  # these take a tolerance, too
    "extraction": subnet_equals_extraction,
    "order": independent_of_what_ran,
    "fresh": fresh_net_is_equal,
    "gradients": gradients_equal_autograd,
}
CHECKS: dict[str, Check] = {**WINDOWS, "cost": cost_is_exact, "peak": peak_is_exact}
