"""A supernet keeps the windows that it used last, and forgets others without a trace."""

import random

import torch

from litepose_nas import supernet as supernets
from litepose_nas.space import Space
from litepose_nas.supernet import Supernet


def trained(most, monkeypatch, nets=12):
    """Return the gradients of some random networks after each other, and the modules that were kept."""
    monkeypatch.setattr(supernets, "MOST_MODULES", most)
    torch.manual_seed(0)
    supernet, rng, kept = Supernet(Space.load("litepose-tiny")), random.Random(0), []
    pictures = torch.randn(2, 3, 64, 64)
    for _ in range(nets):
        net = supernet.subnet(supernet.space.sample(rng))
        sum(output.square().mean() for output in net(pictures)).backward()
        kept.append(sum(1 for window in supernet._windows.values() for _ in window.modules()))
    return supernet.store.grad.clone(), kept


def test_forgetting_windows_changes_no_gradient(monkeypatch):
    every, all_kept = trained(10**9, monkeypatch)
    some, some_kept = trained(200, monkeypatch)
    none, _ = trained(0, monkeypatch)
    assert torch.equal(every, some)
    assert torch.equal(every, none)
    assert all_kept[-1] > 2 * max(some_kept)
    assert max(some_kept) <= 200
    assert all_kept == sorted(all_kept)


def test_the_last_used_stay(monkeypatch):
    monkeypatch.setattr(supernets, "MOST_MODULES", 300)
    supernet, rng = Supernet(Space.load("litepose-tiny")), random.Random(0)
    (first, *_) = supernet.space.smallest.plan(17)
    window = supernet.window(first)
    for _ in range(20):
        for part in supernet.space.sample(rng).plan(17):
            supernet.window(part)
            assert supernet.window(first) is window
