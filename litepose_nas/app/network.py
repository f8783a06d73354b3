"""The shipped networks: who is in an image. It needs numpy, OpenCV and onnxruntime."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import look
import numpy as np
import onnxruntime
from group_people import group_people

LEAST_VALUE = 0.2  # joints below it do not count in the score of a person who is looked at alone
SAME_PERSON = 0.9  # similarity above which two people are one
BATCH = 16  # people who are looked at together
NOBODY: Any = np.zeros((0, 5))


class Person:
    """Somebody in an image: joints (J, 3) x, y, value, and a score; a number in a video."""

    def __init__(self, keypoints: np.ndarray, score: float, track: int | None = None):
        self.keypoints, self.score, self.track = keypoints, score, track

    def plain(self) -> dict[str, Any]:
        found = {"score": round(self.score, 4), "keypoints": np.round(self.keypoints, 3).tolist()}
        return found if self.track is None else {"track": self.track, **found}


class ShippedNetwork:
    """One file of a network. It takes images of red, green and blue bytes (H, W, 3)."""

    def __init__(self, folder: Path, info: dict[str, Any], threads: int = 0):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            str(folder / info["file"]), options, providers=["CPUExecutionProvider"]
        )
        self.reads = self.session.get_inputs()[0].name
        self.input = (int(info["input"][0]), int(info["input"][1]))
        self.border = [int(value) for value in info["border"]]
        self.sigmas = np.array(info["sigmas"], float)
        self.one_person = info["kind"] == "topdown"

    def answer(self, image: np.ndarray, warps: Sequence[np.ndarray]) -> list[np.ndarray]:
        views = np.stack([look.shown(image, warp, self.input, self.border) for warp in warps])
        return self.session.run(None, {self.reads: views})

    def everybody(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The people (P, J, 3) whom a bottom-up network finds, and their scores."""
        warp = look.whole(image.shape[:2], self.input)
        peaks, heatmaps, tags = self.answer(image, [warp])
        keypoints, scores = group_people(peaks[0], heatmaps[0], tags[0], input=self.input)
        return look.in_picture(keypoints, warp), scores

    def at(self, image: np.ndarray, warps: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The one person (N, J, 3) in each view, and the scores."""
        joints = [self.answer(image, warps[first : first + BATCH])[0] for first in range(0, len(warps), BATCH)]
        found = np.concatenate(joints)
        value = found[..., 2] * (found[..., 2] > LEAST_VALUE)
        scores = value.sum(1) / np.maximum((value > 0).sum(1), 1)
        places = [look.in_picture(one[None], warp)[0] for one, warp in zip(found, warps, strict=True)]
        return np.array(places), scores


class Finder:
    """Finds people in images with a network, and with a detector where the network sees one person at a time."""

    def __init__(self, folder: Path, threads: int = 0):
        self.info = json.loads((folder / "pose.json").read_text(encoding="utf-8"))
        self.network = ShippedNetwork(folder, self.info["model"], threads)
        self.detector = ShippedNetwork(folder, self.info["detector"], threads) if self.info["detector"] else None

    def boxes(self, image: np.ndarray, least_score: float = 0.1) -> np.ndarray:
        """Where the detector finds people: (N, 5) left, top, width, height, score."""
        assert self.detector is not None
        rows = []
        for one in surest_first(*self.detector.everybody(image), least_score):
            box = look.around(np.round(one.keypoints, 3), 0.0)
            if box is not None:
                rows.append([*box, round(one.score, 4)])
        return np.array(rows, float).reshape(-1, 5)

    def people(self, image: np.ndarray, least_score: float = 0.1) -> list[Person]:
        """The people of an image, the surest first."""
        if not self.network.one_person:
            return surest_first(*self.network.everybody(image), least_score)
        size, input = image.shape[:2], self.network.input
        if self.detector is None:
            warps, shares = [look.whole(size, input)], np.ones(1)
        else:
            inside = [(box, look.clipped(box, size)) for box in look.without_doubles(self.boxes(image).tolist())]
            boxes = [(part, box[4]) for box, part in inside if part is not None]
            if not boxes:
                return []
            warps, shares = [look.cut_out(part, input) for part, _ in boxes], np.array([share for _, share in boxes])
        keypoints, scores = self.network.at(image, warps)
        scores = (scores * shares).astype(np.float32)
        areas = np.array([input[0] * input[1] / abs(np.linalg.det(warp[:, :2])) for warp in warps])
        kept = look.surest(keypoints, scores, areas, self.network.sigmas, SAME_PERSON)
        return surest_first(keypoints[kept], scores[kept], least_score)


def surest_first(keypoints: np.ndarray, scores: np.ndarray, least_score: float) -> list[Person]:
    order = np.argsort(-scores, kind="stable")
    return [Person(keypoints[place], float(scores[place])) for place in order if scores[place] >= least_score]
