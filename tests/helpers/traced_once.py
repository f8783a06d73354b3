"""Torch's exporter to ONNX takes seconds a network: here it takes them once for the same network and input."""

import hashlib

import pytest
import torch


def trace_once(monkeypatch: pytest.MonkeyPatch) -> None:
    export, known = torch.onnx.export, {}

    def traced(net, args, **how):
        digest = hashlib.sha256(repr((net, [(each.shape, each.dtype) for each in args], how)).encode())
        for name, tensor in net.state_dict().items():
            digest.update(name.encode() + tensor.numpy().tobytes())
        key = digest.hexdigest()
        if key not in known:
            known[key] = export(net, args, **how)
        return known[key]

    monkeypatch.setattr(torch.onnx, "export", traced)
