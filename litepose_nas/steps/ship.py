"""An app folder from a network: the model with its decode inside, a Python program, a page, a card, licences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from litepose_nas import __version__, app, files, weights
from litepose_nas.data.augment import BORDER
from litepose_nas.errors import UserError
from litepose_nas.exporters.checked import export
from litepose_nas.exporters.parity import Parity
from litepose_nas.exporters.table import FORMATS
from litepose_nas.pose.standalone import STANDALONE
from litepose_nas.report import card
from litepose_nas.steps import evaluate, web_runtime
from litepose_nas.steps.card import network_of, saved_figures
from litepose_nas.steps.export import exported
from litepose_nas.steps.web_runtime import WebRuntime
from litepose_nas.task_kind import TaskKind

APP = Path(app.__file__).parent
PYTHON = ("pose.py", "network.py", "follow.py", "look.py")
PAGE = ("index.html", "app.css", "app.js", "network.js", "look.js")
REQUIREMENTS = "numpy\nopencv-python\nonnxruntime\n"
LICENCES = """\
What is in this folder, and under which licence

pose.py, network.py, follow.py, look.py, group_people.py,
index.html, app.css, app.js, network.js, look.js, group_people.js
    litepose-nas {version}, MIT licence
{ort}
model.onnx{detector}
    weights of your own training. Which licence they may be given depends on the data they were trained on:
    {data}
"""
ORT = """\
ort/
    onnxruntime-web {version}, Copyright (c) Microsoft Corporation, MIT licence
"""
HOW_TO = [
    "## Use it",
    "",
    "    pip install -r requirements.txt",
    "    python pose.py photo.jpg",
    "    python pose.py clip.mp4 --out found",
    "",
]
HOW_TO_PAGE = ["In a browser: `python -m http.server`, then open the address that it prints.", ""]


class AppFolder(NamedTuple):
    folder: Path
    parities: dict[str, Parity | None]  # how far each file is from torch; None: it was not run
    web: str  # the version of the runtime in the page; empty: there is no page
    why_not: str = ""


def ship(target: str, detector: str | None, out: Path, web: Path | None = None) -> AppFolder:
    """Write the folder, whole or not at all; `web` is an unpacked onnxruntime-web, without it npm is asked."""
    subnet, _ = network_of(target)
    kind = TaskKind(subnet.arch.space.task)
    if kind.clips:
        raise UserError(f"{target}: sees clips, and files of such networks do not decode yet; ship another")
    if detector is not None and not kind.one_person:
        raise UserError(f"--detector {detector}: {kind.why_no_boxes}; leave it out")
    if detector is not None and TaskKind(network_of(detector)[0].arch.space.task).one_person:
        raise UserError(f"--detector {detector}: sees one person at a time and finds nobody; give a bottom-up network")
    runtime = web_runtime.from_folder(web) if web is not None else web_runtime.from_npm()
    parities: dict[str, Parity | None] = {}
    with files.new_folder(out) as folder:
        described = {}
        for name, path in (("model", target), ("detector", detector)):
            if path is not None:
                described[name], parities[name] = _model(folder, name, path)
        loaded = evaluate.load(target, "cpu")
        info = {
            "made_with": f"litepose-nas {__version__}",
            "model": described["model"],
            "detector": described.get("detector"),
            "keypoints": list(loaded.skeleton.names),
            "skeleton": [list(limb) for limb in loaded.skeleton.limbs],
        }
        files.write(folder / "pose.json", json.dumps(info, indent=1) + "\n")
        for name in PYTHON:
            files.write(folder / name, (APP / name).read_bytes())
        files.write(folder / "group_people.py", (STANDALONE / "group_people.py").read_bytes())
        files.write(folder / "requirements.txt", REQUIREMENTS)
        if isinstance(runtime, WebRuntime):
            add_page(folder, runtime)
        version = runtime.version if isinstance(runtime, WebRuntime) else ""
        how_to = [*HOW_TO, *(HOW_TO_PAGE if version else [])]
        said = card.text(Path(target).stem, subnet, saved_figures(subnet), how_to=how_to)
        files.write(folder / "README.md", said)
        ort = ORT.format(version=version) if version else ""
        data = str(subnet.info.get("data", "not said"))
        also = ", detector.onnx" if detector else ""
        files.write(folder / "LICENCES.txt", LICENCES.format(version=__version__, ort=ort, detector=also, data=data))
    return AppFolder(out, parities, version, runtime if isinstance(runtime, str) else "")


def add_page(folder: Path, runtime: WebRuntime) -> None:
    for name in PAGE:
        files.write(folder / name, (APP / name).read_bytes())
    # Servers do not all know what .mjs is.
    files.write(folder / "group_people.js", (STANDALONE / "group_people.mjs").read_bytes())
    web_runtime.write(runtime, folder / "ort")


def _model(folder: Path, name: str, target: str) -> tuple[dict[str, Any], Parity | None]:
    """Write a network's file, and say what an app needs to know of it."""
    subnet, path = network_of(target)
    kind = TaskKind(subnet.arch.space.task)
    what = exported(weights.load(path), subnet, subnet.input, False, True, True, not kind.one_person)
    checked = export(what, folder / f"{name}.onnx", FORMATS["onnx"])
    loaded = evaluate.load(target, "cpu")
    return {
        "file": f"{name}.onnx",
        "kind": "topdown" if kind.one_person else "bottomup",
        "input": list(subnet.input),
        "border": list(BORDER),
        "sigmas": list(loaded.skeleton.sigmas),
    }, checked.parity
