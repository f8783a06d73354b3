"""ONNX, checked in ONNX Runtime."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from litepose_nas.errors import UserError
from litepose_nas.exporters.exported import Exported
from litepose_nas.exporters.parity import Parity, compare, shape_of
from litepose_nas.files import replacing
from litepose_nas.optional import need
from litepose_nas.rewrites.folded_norms import with_folded_norms
from litepose_nas.rewrites.ordinary_modules import with_ordinary_modules
from litepose_nas.rewrites.plain_clamps import with_plain_clamps
from litepose_nas.runtimes.onnxruntime import open_session


def to_onnx(net: nn.Module, path: str | Path, input: tuple[int, ...], names: Sequence[str], meta: dict) -> Parity:
    """Write the raw outputs as ONNX with a free batch size; a file that differs from torch is not kept."""
    with replacing(path) as temporary:
        write_program(net, temporary, torch.zeros(2, *shape_of(input)), names, meta)
        parity = compare(net, open_session(temporary), input)
        parity.check(path, "ONNX Runtime")
    return parity


def write_onnx_program(what: Exported, path: Path, folded: bool = False) -> None:
    """With normalisations as they are, or folded; what was traced before is written again."""
    known, key = {} if what.traced is None else what.traced, "folded" if folded else "as it is"
    if key in known:
        model = onnx_package().load_from_string(known[key])
        _describe(model, what.meta)
        onnx_package().save(model, str(path))
        return
    net = with_folded_norms(with_ordinary_modules(what.net).eval()) if folded else what.net
    write_program(net, path, torch.from_numpy(what.images(2)), what.outputs, what.meta)
    known[key] = path.read_bytes()


def write_program(net: nn.Module, path: Path, example: Tensor, names: Sequence[str], meta: dict) -> None:
    """`example` is a batch of two: a batch of one would be taken for a constant."""
    onnx = onnx_package()
    net = net.eval()
    # Weights with axes of our own would become operations of the graph.
    written = with_plain_clamps(with_ordinary_modules(net)).eval()
    with _hushed():
        program = torch.onnx.export(
            written,
            (example,),
            dynamo=True,
            dynamic_shapes=(({0: torch.export.Dim("batch")},),),  # by position: torch 2.6 takes no names here
            input_names=["image"],
            output_names=list(names),
            verbose=False,
        )
    assert program is not None
    program.save(str(path))
    model = onnx.load(str(path))
    _describe(model, meta)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _describe(model: Any, meta: dict[str, Any]) -> None:
    onnx_package().helper.set_model_props(model, {"litepose_nas": json.dumps(meta)})


def onnx_package() -> Any:
    """The package onnx, where all that an export needs is there and fits together."""
    onnx, onnxscript, _ = (need(name, "export") for name in ("onnx", "onnxscript", "onnxruntime"))
    if torch.__version__.startswith("2.6.") and tuple(map(int, onnxscript.__version__.split(".")[:2])) >= (0, 3):
        raise UserError(
            f"torch {torch.__version__} cannot export with onnxscript {onnxscript.__version__}; "
            "pip install 'onnxscript<0.3', or a newer torch"
        )
    return onnx


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
