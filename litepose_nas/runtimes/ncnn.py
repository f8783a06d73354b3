"""ncnn, on the processor, in fp32; a network is a .param file and the .bin beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np


def version() -> str:
    import ncnn

    return str(ncnn.__version__)


def open_session(path: str | Path, threads: int | None = None) -> NcnnSession:
    import ncnn

    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    if threads:
        net.opt.num_threads = threads
    for load, file in ((net.load_param, Path(path)), (net.load_model, Path(path).with_suffix(".bin"))):
        if load(str(file)) != 0:
            raise ValueError(f"{file}: ncnn cannot read it")
    return NcnnSession(net)


class NcnnSession:
    """A batch is one picture."""

    keeps_time = False

    def __init__(self, net: Any):
        self._net = net
        self._outputs = [f"out{i}" for i in range(len(net.output_names()))]

    def __call__(self, batch: np.ndarray) -> Sequence[np.ndarray]:
        import numpy

        return [numpy.array(output)[None] for output in self.ready(batch)()]

    def ready(self, batch: np.ndarray) -> Callable[[], Any]:
        import ncnn

        (picture,) = batch
        image = ncnn.Mat(picture).clone()  # ncnn keeps no memory of numpy's alive

        def run() -> list[Any]:
            extractor = self._net.create_extractor()
            extractor.input("in0", image)
            return [extractor.extract(name)[1] for name in self._outputs]

        return run
