"""Core ML: an .mlpackage of one picture, which is a folder. It runs on Apple's systems alone and is not checked."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch

from litepose_nas.errors import UserError
from litepose_nas.exporters.exported import Exported
from litepose_nas.optional import need
from litepose_nas.rewrites.folded_norms import with_folded_norms
from litepose_nas.rewrites.ordinary_modules import with_ordinary_modules
from litepose_nas.runtimes.base import Session

UNVERIFIED = "Core ML runs on Apple's systems alone: a file for it is never run here"


def write_coreml(what: Exported, path: Path, half: bool = False) -> None:
    never = "a file for Core ML is never run here, so its decoding and its bytes could not be checked"
    what.check_plain("coreml", never, never)
    what.check_single("coreml")
    with _quiet():
        tools = need("coremltools", "coreml")
        net = with_folded_norms(with_ordinary_modules(what.net).eval())
        program = torch.export.export(net, (torch.from_numpy(what.images(1)),)).run_decompositions({})
        try:
            model = tools.convert(
                program,
                inputs=[tools.TensorType(name="image", shape=(1, 3, *what.size))],
                outputs=[tools.TensorType(name=name) for name in what.outputs],
                convert_to="mlprogram",
                compute_precision=tools.precision.FLOAT16 if half else tools.precision.FLOAT32,
                minimum_deployment_target=tools.target.iOS16,
            )
        except (NotImplementedError, ValueError, TypeError, RuntimeError) as error:  # what it says of what it lacks
            words = " ".join(str(error).split())[:200]
            raise UserError(f"{what.arch.space.name}: coremltools cannot convert it ({words}); choose onnx") from error
        model.user_defined_metadata["litepose_nas"] = json.dumps({**what.meta, "unverified": UNVERIFIED})
        model.save(str(path))


def open_nothing(path: Path, threads: int | None = None) -> Session:
    raise UserError(f"{path}: {UNVERIFIED}; judge it on a Mac")


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep the converter's bars, and its remarks on versions it was not tried with, from the user."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
