"""Sigmas: the spread of labels that a metric forgives, joint by joint."""

from __future__ import annotations

from litepose_nas.data.check.finding import DataFinding, finding
from litepose_nas.data.skeleton import Skeleton

LOW, HIGH = 0.01, 0.2  # the published ones of bodies, hands and faces lie within


def check_sigmas(split: str, skeleton: Skeleton | None) -> list[DataFinding]:
    if skeleton is None:
        return []
    named = list(zip(skeleton.names, skeleton.sigmas, strict=True))
    odd = [f"{name}: {sigma:g}" for name, sigma in named if not LOW <= sigma <= HIGH]
    alike = [f"all are {skeleton.sigmas[0]:g}"] if len(set(skeleton.sigmas)) == 1 < len(named) else []
    uneven = [
        f"{skeleton.names[a]}: {skeleton.sigmas[a]:g}, {skeleton.names[b]}: {skeleton.sigmas[b]:g}"
        for a, b in skeleton.flip_pairs
        if skeleton.sigmas[a] != skeleton.sigmas[b]
    ]
    return [
        *finding("odd-sigmas", split, odd),
        *finding("equal-sigmas", split, alike),
        *finding("uneven-sigmas", split, uneven),
    ]
