"""Whatever stands in predictions and annotations is judged or refused in one message; no traceback reaches anybody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litepose_nas.errors import UserError
from litepose_nas.metrics.from_files import PredictionFiles, judge
from tests.helpers.drawn_results import drawn_crowd, drawn_pair, drawn_truth, drawn_video
from tests.helpers.odd_json import changed, places

JUNK = [None, True, -1, 0, 1e400, float("nan"), 10**400, "x", "", [], {}, [[1, 2], [3]], [None] * 51, {"a": 1}, 2.5]
JUNK += [[1.0] * 50]


def spoiled(value: Any, rng: np.random.Generator) -> Any:
    """Return a copy in which something was replaced, removed or doubled."""
    ways = places(value, 3)[1:]
    how = rng.choice(["remove", "double", "replace"], p=[0.2, 0.1, 0.7])
    return changed(value, ways[rng.integers(len(ways))], how, JUNK[rng.integers(len(JUNK))])


def pair_for(metric: str) -> tuple[Any, Any]:
    if metric == "crowdpose":
        return drawn_crowd(9)
    if metric == "posetrack":
        document, results = drawn_video(6)
        for person in document["annotations"]:
            person["bbox_head"] = person.pop("head_box")  # as in PoseTrack18's files
        return document, results
    document, results = drawn_pair(2, images=3)
    if metric == "mpii":
        truth, _, found = drawn_truth(1, people=2)
        points = np.concatenate([truth.joints, 2.0 * truth.present[..., None]], 2).reshape(2, -1)
        document["categories"][0]["keypoints"] = [f"joint {number}" for number in range(16)]
        document["annotations"] = [
            {"id": number + 1, "image_id": document["images"][number]["id"], "category_id": 1, "bbox": [0, 0, 50, 50]}
            | {"keypoints": points[number].tolist(), "num_keypoints": 9, "head_box": [0, 0, 30, 40]}
            for number in range(2)
        ]
        results = [
            {"image_id": image["id"], "score": 1.0, "annotation_id": number + 1}
            | {"keypoints": np.concatenate([found[number], np.ones((16, 1))], 1).ravel().tolist()}
            for number, image in enumerate(document["images"][:2])
        ]
    return document, results


@pytest.mark.parametrize("metric", ["coco", "crowdpose", "mpii", "posetrack", "pck", "nme"])
@pytest.mark.filterwarnings("ignore:no ")  # of names that were spoiled
def test_spoiled_files(tmp_path: Path, metric: str):
    rng = np.random.default_rng(0)
    document, results = pair_for(metric)
    truth, guess = tmp_path / "truth.json", tmp_path / "guess.json"
    asked = str(truth)
    if metric == "nme":  # a dataset's YAML names the joints between which a face is measured
        asked = str(tmp_path / "data.yaml")
        (tmp_path / "data.yaml").write_text("val: {images: ., annotations: truth.json}\nnme_joints: [5, 6]\n")
    judged = refused = 0
    for turn in range(150):
        truth.write_text(json.dumps(spoiled(document, rng) if turn % 2 else document))
        guess.write_text(json.dumps(results if turn % 2 else spoiled(results, rng)))
        try:
            report = judge(metric, PredictionFiles(guess, asked))
            json.dumps(report.figures, allow_nan=False)
            judged += 1
        except UserError as error:
            refused += len(str(error)) > 20
    assert judged > 20
    assert refused > 20
