"""Scores beside the inherited ones: after a short training of what was inherited, and of an untrained network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import torch
from real_pictures import Subject
from torch import nn
from trained_alone import CPU, Length, failed, score, scorer_of, train

from litepose_nas import devices
from litepose_nas.network import build
from litepose_nas.space import Arch
from litepose_nas.supernet import Supernet, extract


class Scored(NamedTuple):
    scores: list[float]  # greater is better
    seconds: float  # of the processor, for one network


def inherited(supernet: Supernet, archs: Sequence[Arch], subject: Subject, length: Length, figure: str) -> Scored:
    """Return minus a figure that falls, such as the loss, of networks trained for `length` from what they inherit."""
    scorer, found, began = scorer_of(subject, supernet.space, length.recipe), [], time.process_time()
    for arch in archs:
        net = devices.place(extract(supernet, arch), CPU)
        trained = not length.steps or train(subject, net, arch, length, 0, scorer) is not None
        found.append(-(score(scorer, net, arch.input, subject) if trained else failed(subject))[figure])
    return Scored(found, (time.process_time() - began) / len(archs))


def synaptic_flow(archs: Sequence[Arch], joints: int) -> Scored:
    """Return the log of SynFlow (Tanaka et al., 2020) of untrained networks: it sees no picture."""
    found, began = [], time.process_time()
    for arch in archs:
        torch.manual_seed(0)
        net = build(arch, joints).double().eval()
        with torch.no_grad():
            for weight in net.parameters():
                weight.abs_()
        sum(output.sum() for output in net(torch.ones(1, 3, *arch.input, dtype=torch.double))).backward()
        flow = sum((w * w.grad).abs().sum().item() for w in net.parameters() if w.grad is not None)
        found.append(float(torch.tensor(flow).log()))
    return Scored(found, (time.process_time() - began) / len(archs))


def gradient_norm(archs: Sequence[Arch], subject: Subject, length: Length, space: object) -> Scored:
    """Return the norm of the gradient of untrained networks on one batch of 16 pictures."""
    task = scorer_of(subject, space, length.recipe).task
    found, began = [], time.process_time()
    for arch in archs:
        torch.manual_seed(0)
        net = build(arch, subject.joints).train()
        batch = task.train_batch(subject.split.train, arch.input, 16, 0, 0, None)
        outputs = net(batch.images)
        task.target(outputs, batch.joints, batch.masks, arch.input, length.recipe.loss)(outputs)["total"].backward()
        found.append(_norm(net))
    return Scored(found, (time.process_time() - began) / len(archs))


def _norm(net: nn.Module) -> float:
    return float(sum(w.grad.square().sum() for w in net.parameters() if w.grad is not None) ** 0.5)
