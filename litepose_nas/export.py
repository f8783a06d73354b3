"""Export: a network as a file for another runtime, proven equal to torch before it is kept."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from litepose_nas import network
from litepose_nas.errors import UserError
from litepose_nas.files import replacing
from litepose_nas.optional import need

TOLERANCE = 1e-4


class Parity(NamedTuple):
    """How far an exported file is from torch: the largest difference by batch size, and the largest value compared."""

    difference: dict[int, float]
    scale: float


def to_onnx(net: nn.Module, path: str | Path, input: tuple[int, ...], names: Sequence[str], meta: dict) -> Parity:
    """Write the raw outputs as ONNX with a free batch size, checked against torch through ONNX Runtime.

    The input is the height and width of a picture; before them may stand the frames of a clip.
    """
    onnx, _, _ = need("onnx", "export"), need("onnxscript", "export"), need("onnxruntime", "export")
    net = net.eval()
    written = network.plain(net).eval()  # weights with axes of our own would become operations of the graph
    example = torch.zeros(2, *_shape(input))  # a batch of one would be taken for a constant
    with replacing(path) as temporary:
        with _hushed():
            program = torch.onnx.export(
                written,
                (example,),
                dynamo=True,
                dynamic_shapes={"inputs": ({0: torch.export.Dim("batch")},)},
                input_names=["image"],
                output_names=list(names),
                verbose=False,
            )
        assert program is not None
        program.save(str(temporary))
        model = onnx.load(str(temporary))
        onnx.helper.set_model_props(model, {"litepose_nas": json.dumps(meta)})
        onnx.checker.check_model(model)
        onnx.save(model, str(temporary))
        parity = onnx_parity(net, temporary, input)
        worst = max(parity.difference.values())
        if not worst <= TOLERANCE * max(1.0, parity.scale):
            raise UserError(
                f"{path}: not written, for ONNX Runtime differs from torch by {worst:.1e} on outputs up to "
                f"{parity.scale:.1e}; please report the architecture"
            )
    return parity


@torch.no_grad()
def present(net: nn.Module, input: tuple[int, int], names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the outputs that a network has: some networks of a family leave out the last ones."""
    return tuple(names[: len(net.eval()(torch.zeros(1, 3, *input)))])


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep the exporter's remarks, about its own future and packages it could use, from the user."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _shape(input: tuple[int, ...]) -> tuple[int, ...]:
    return *input[:-2], 3, *input[-2:]


def onnx_parity(net: nn.Module, path: str | Path, input: tuple[int, ...], batches: Sequence[int] = (1, 3)) -> Parity:
    """Compare an ONNX file with a network on random pictures."""
    session = need("onnxruntime", "export").InferenceSession(str(path), providers=["CPUExecutionProvider"])
    draw = torch.Generator().manual_seed(0)
    difference, scale = {}, 0.0
    for batch in batches:
        image = torch.randn(batch, *_shape(input), generator=draw)
        with torch.no_grad():
            wanted: Sequence[Tensor] = net(image)
        if not all(output.isfinite().all() for output in wanted):
            raise UserError(
                "the network's outputs are not finite numbers; are its weights from a training that diverged?"
            )
        found = session.run(None, {"image": image.numpy()})
        pairs = [(torch.from_numpy(a), b) for a, b in zip(found, wanted, strict=True)]
        difference[batch] = max(float((a - b).abs().max()) for a, b in pairs)
        scale = max(scale, *(float(b.abs().max()) for _, b in pairs))
    return Parity(difference, scale)


Exporter = Callable[[nn.Module, "str | Path", tuple[int, ...], Sequence[str], dict], Parity]
FORMATS: dict[str, tuple[str, Exporter]] = {"onnx": (".onnx", to_onnx)}
