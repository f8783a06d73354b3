"""The store as an optimizer sees it, and calibration, against what their words mean."""

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from litepose_nas import Space, Supernet, UserError, build, calibrate, extract

TINY = Space.load("litepose-tiny")


def pictures(number: int, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, 3, 64, 64, generator=generator) * (i + 1) for i in range(number)]


def first_norm(net: nn.Module) -> _BatchNorm:
    return next(module for module in net.modules() if isinstance(module, _BatchNorm))


def test_calibration_is_the_plain_average_over_the_batches():
    torch.manual_seed(0)
    net, batches = build(TINY.smallest, 3), pictures(3)
    momenta = [module.momentum for module in net.modules() if isinstance(module, _BatchNorm)]
    with torch.no_grad():
        features = [net.stem.conv.conv(batch) for batch in batches]
    means = torch.stack([x.mean((0, 2, 3)) for x in features]).mean(0)
    variances = torch.stack([x.transpose(0, 1).flatten(1).var(1) for x in features]).mean(0)
    assert calibrate(net, batches) is net
    torch.testing.assert_close(first_norm(net).running_mean, means)
    torch.testing.assert_close(first_norm(net).running_var, variances)
    assert not net.training
    assert [module.momentum for module in net.modules() if isinstance(module, _BatchNorm)] == momenta


def test_calibration_forgets_what_the_network_saw_before():
    torch.manual_seed(0)
    one, other = build(TINY.smallest, 3), build(TINY.smallest, 3)
    other.load_state_dict(one.state_dict())
    calibrate(other, pictures(2, seed=9))
    for net in (one, other):
        calibrate(net, pictures(2))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_calibration_of_nothing_or_of_a_window_is_refused():
    supernet = Supernet(TINY, 3)
    before = {name: tensor.clone() for name, tensor in supernet.store.state_dict().items()}
    window = supernet.subnet(TINY.smallest)
    with pytest.raises(UserError, match="`extract` first"):
        calibrate(window, pictures(1))
    assert all(module.training for module in window.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in supernet.store.state_dict().items())
    with pytest.raises(UserError, match="no batches"):
        calibrate(extract(supernet, TINY.smallest), iter(()))


def test_an_optimizer_of_the_store_moves_a_subnet_as_one_of_its_own_would():
    torch.manual_seed(0)
    supernet = Supernet(TINY, 3)
    decays, others = supernet.store.parameters()
    plain = extract(supernet, TINY.smallest).train()
    groups = [[p for p in plain.parameters() if p.dim() > 1], [p for p in plain.parameters() if p.dim() <= 1]]
    options = [{"weight_decay": 0.1}, {"weight_decay": 0.0}]
    ours = torch.optim.SGD([{"params": [p], **o} for p, o in zip((decays, others), options, strict=True)], lr=0.1)
    theirs = torch.optim.SGD([{"params": p, **o} for p, o in zip(groups, options, strict=True)], lr=0.1)
    for batch in pictures(3):
        supernet.store.zero_grad()
        theirs.zero_grad()
        for net in (supernet.subnet(TINY.smallest), plain):
            sum(out.square().mean() for out in net(batch)).backward()
        ours.step()
        theirs.step()
    moved = dict(extract(supernet, TINY.smallest).named_parameters())
    for name, param in plain.named_parameters():
        torch.testing.assert_close(moved[name], param, msg=name)


def test_decay_is_for_weights_alone():
    supernet = Supernet(TINY, 3)
    decays, others = supernet.store.parameters()
    with torch.no_grad():
        decays.fill_(1.0)
        others.fill_(2.0)
    for name, param in supernet.store.root.named_parameters():
        assert (param == (1.0 if param.dim() > 1 else 2.0)).all(), name
    assert len(decays) + len(others) == len(supernet.store.flat)


def test_a_kernel_of_one_number_needs_no_map():
    tree = {key: value for key, value in vars(TINY.widest.tree).items() if key not in ("stages", "head")}
    stages = [{"depth": 1, "width": 8, "kernel": kernels, "expand": 3} for kernels in ([1, 3, 5], 3, 3, [1, 5])]
    head = [{"width": 8}] * 3
    space = Space({"family": "litepose", **tree, "stages": stages, "head": head})
    supernet, batch = Supernet(space, 3, kernel_maps=True), pictures(1)[0]
    for arch in space:
        with torch.no_grad():
            pairs = zip(supernet.subnet(arch)(batch), extract(supernet, arch).train()(batch), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs), arch


def test_joints_are_a_whole_number_from_one_up():
    for wrong in (0, -1, 2.5, "17", True):
        with pytest.raises(UserError, match="joints: expected a whole number"):
            build(TINY.smallest, wrong)
        with pytest.raises(UserError, match="joints: expected a whole number"):
            Supernet(TINY, wrong)
