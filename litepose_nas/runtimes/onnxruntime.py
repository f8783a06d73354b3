"""ONNX Runtime, on the processor."""

from __future__ import annotations

from pathlib import Path

import torch

from litepose_nas.optional import need
from litepose_nas.runtimes.base import Session


def open_onnx(path: str | Path, threads: int | None = None) -> Session:
    ort = need("onnxruntime", "export")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0  # 0: a thread for each core
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (image,) = (each.name for each in session.get_inputs())
    return lambda batch: [torch.from_numpy(output) for output in session.run(None, {image: batch.numpy()})]
