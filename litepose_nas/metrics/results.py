"""Predictions as COCO writes them, a list of objects: written, read, and checked before any figure is made of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from litepose_nas.data.fields import is_id, load_json
from litepose_nas.errors import UserError
from litepose_nas.files import write
from litepose_nas.untrusted.display import short

Result = dict[str, Any]  # image_id, category_id, keypoints (x, y, value after each other; COCO's pixels), score


class ResultTable(NamedTuple):
    results: Sequence[Result]
    image_ids: list[int]
    category_ids: NDArray[np.int64]
    joints: NDArray[np.float64]  # (N, J, 3)
    scores: NDArray[np.float64]
    areas: NDArray[np.float64]  # of their boxes if all have one, else of the boxes around their joints: COCO's rule
    boxed: bool


def read_results(path: Path) -> list[Result]:
    found = load_json(path, "predictions")
    if isinstance(found, dict) and isinstance(found.get("annotations"), list):
        raise UserError(f"{path} is an annotation file; predictions are a list of objects, as COCO's results are")
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise UserError(
            f"{path} holds no list of results; each is an object with image_id, category_id, keypoints and score"
        )
    return found


def write_coco(results: Sequence[Result], path: Path) -> None:
    """Write results as COCO takes them: a list of objects with four fields each.

    Results that say whose they are (`annotation_id`, for MPII) go on saying it.
    """
    rows = []
    for number, result in enumerate(results):
        points = np.array(result["keypoints"], float)
        if not np.isfinite(points).all() or not np.isfinite(result["score"]):
            raise UserError(
                f"result {number}, for image {result['image_id']}, has a NaN or an infinity; "
                "a network that diverged gives those: nothing was written"
            )
        rows.append(
            {
                "image_id": int(result["image_id"]),
                "category_id": int(result["category_id"]),
                "keypoints": points.tolist(),
                "score": float(result["score"]),
                **({"annotation_id": result["annotation_id"]} if "annotation_id" in result else {}),
            }
        )
    write(path, json.dumps(rows))


def tabulate(
    results: Sequence[Result], joints: int, image_ids: Collection[int], category_id: int | None = None
) -> ResultTable:
    """Results as arrays, refusing what no figure could be made of.

    Results of other categories stay, but if all are of another one, something is wrong.
    """
    for number, result in enumerate(results):
        missing = [key for key in ("image_id", "keypoints", "score") if key not in result]
        missing += ["category_id"] if category_id is not None and "category_id" not in result else []
        if missing:
            raise UserError(f"result {number} has no {missing[0]!r}; write it into the predictions")
        check_image(result["image_id"], image_ids)
        if category_id is not None and not is_id(result["category_id"]):
            raise UserError(f"result {number}: 'category_id' must be a whole number; mend the predictions")
        size = len(result["keypoints"]) if isinstance(result["keypoints"], list | tuple) else "no list of"
        if size != 3 * joints:
            raise UserError(
                f"a result for image {result['image_id']} has {size} numbers in 'keypoints', "
                f"and {joints} joints need {3 * joints}; give results with the joints of the annotations"
            )
    if category_id is not None and results and all(result["category_id"] != category_id for result in results):
        raise UserError(
            f"no result is of category {category_id}, the annotations' category with joints "
            f"(the first is of category {results[0]['category_id']!r}); give them that category_id"
        )
    points = _numbers(results, "keypoints", (joints, 3))
    scores = _numbers(results, "score", ())
    boxes = [result.get("bbox") for result in results]
    boxed = bool(results) and all(isinstance(box, list | tuple) and len(box) == 4 for box in boxes)
    if boxed:
        sides = _numbers(results, "bbox", (4,))[:, 2:]
    else:
        sides = np.ptp(points[:, :, :2], axis=1)
    return ResultTable(
        results,
        [result["image_id"] for result in results],
        np.array([result.get("category_id", 0) if category_id is not None else 0 for result in results], np.int64),
        points,
        scores,
        sides[:, 0] * sides[:, 1],
        boxed,
    )


def check_image(image_id: object, image_ids: Collection[int]) -> None:
    """Refuse a result of a picture that the annotations do not know."""
    if not is_id(image_id) or image_id not in image_ids:
        raise UserError(
            f"a result is for image {short(image_id, 40)}, which the annotations do not list; "
            "give the results of these pictures"
        )


def for_pycocotools(table: ResultTable, image_ids: Collection[int], category_id: int) -> list[Result]:
    """Copies of the results of some pictures and a category, with nothing in them that would mislead it."""
    inside = set(image_ids)
    keys = ("image_id", "category_id", "keypoints", "score", *(["bbox"] if table.boxed else []))
    return [
        {key: result[key] for key in keys}
        for result in table.results
        if result["image_id"] in inside and result["category_id"] == category_id
    ]


def _numbers(results: Sequence[Result], key: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    rows = [result[key] for result in results]
    kinds = {type(number) for row in rows for number in row} if shape else set(map(type, rows))
    try:
        # numpy would read the words "1.5" and True as numbers, and pycocotools would not
        if not all(issubclass(kind, int | float | np.number) and kind is not bool for kind in kinds):
            raise TypeError(f"{key} holds {', '.join(kind.__name__ for kind in kinds)}")
        values = np.array(rows, float).reshape(len(results), *shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"a result has something other than numbers in {key!r}; mend the predictions") from error
    bad = np.flatnonzero(~np.isfinite(values).all(axis=tuple(range(1, values.ndim))))
    if len(bad):
        raise UserError(
            f"result {bad[0]}, for image {results[bad[0]]['image_id']}, has a NaN or an infinity in {key!r} "
            f"({len(bad)} such results); a network that diverged writes them: mend or leave out these results"
        )
    return values
