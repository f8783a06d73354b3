"""What is known of an exported file, added to what it says already."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from litepose_nas import files
from litepose_nas.exporters.table import Format
from litepose_nas.optional import need

KEY = "litepose_nas"  # in an ONNX file's metadata


def annotate(path: Path, format: Format, facts: Mapping[str, Any]) -> None:
    if format.describes_itself:
        onnx = need("onnx", "export")
        model = onnx.load(str(path))
        said = {each.key: each.value for each in model.metadata_props}
        said[KEY] = json.dumps({**json.loads(said.get(KEY, "{}")), **facts})
        onnx.helper.set_model_props(model, said)
        with files.replacing(path) as temporary:
            onnx.save(model, str(temporary))
        return
    beside = Path(f"{path}.json")
    known = json.loads(beside.read_text(encoding="utf-8"))
    files.write(beside, json.dumps({**known, **facts}, indent=1) + "\n")


def files_of(path: Path, suffix: str) -> list[Path]:
    """The files of an export that a runtime reads: OpenVINO and ncnn have a second one."""
    second = {".xml": ".bin", ".ncnn.param": ".ncnn.bin"}.get(suffix)
    return [path, *([path.with_name(path.name.removesuffix(suffix) + second)] if second else [])]


def bytes_of(path: Path, suffix: str) -> int:
    found = [inside for each in files_of(path, suffix) for inside in ([each] if each.is_file() else each.rglob("*"))]
    return sum(each.stat().st_size for each in found if each.is_file())
