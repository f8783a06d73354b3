"""The grouping in JavaScript, run by node."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from litepose_nas.pose.standalone import STANDALONE

MODULE = STANDALONE / "group_people.mjs"
RUNNER = Path(__file__).with_name("group_people.mjs")
NODE = shutil.which("node")


def answers(cases: Sequence[dict[str, Any]]) -> list[Any]:
    """What the module says of each case, whose arrays become tensors."""
    assert NODE
    told = [
        {key: tensor(value) if isinstance(value, np.ndarray) else value for key, value in case.items()}
        for case in cases
    ]
    ended = subprocess.run([NODE, RUNNER, MODULE], input=json.dumps(told).encode(), capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr.decode()
    return json.loads(ended.stdout)


def tensor(array: np.ndarray) -> dict[str, Any]:
    packed = np.ascontiguousarray(array, np.float32)
    return {"base64": base64.b64encode(packed).decode(), "dims": list(array.shape)}


def people(cases: Sequence[dict[str, Any]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Keypoints (P, J, 3) and scores (P,) of each case."""
    joints = [case["peaks"].shape[-3] for case in cases]
    found = zip(joints, answers(cases), strict=True)
    return [
        (
            np.array([person["keypoints"] for person in group], np.float32).reshape(-1, count, 3),
            np.array([person["score"] for person in group], np.float32),
        )
        for count, group in found
    ]
