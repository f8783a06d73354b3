"""The people of one picture from the peaks that an exported bottom-up network answers with. It needs numpy alone.

    peaks, = session.run(None, {"image": image})
    keypoints, scores = group_people(peaks[0])

With the maps, too (`export --decode --maps`), a joint that a person lacks is looked for where tags suit that person:

    peaks, heatmaps, tags = session.run(None, {"image": image})
    keypoints, scores = group_people(peaks[0], heatmaps[0], tags[0], input=(height, width))

Where a runtime gives raw maps alone (ncnn), the peaks are found here, too:

    peaks, heatmaps, tags = find_peaks([output[0] for output in outputs], (height, width))
"""

from __future__ import annotations

import numpy as np

COCO_ORDER = [0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16]  # head and trunk before limbs
OUT_OF_QUESTION = 1e10  # the price of leaving a peak to nobody, above that of anybody


def group_people(
    peaks: np.ndarray,
    heatmaps: np.ndarray | None = None,
    tags: np.ndarray | None = None,
    input: tuple[int, int] | None = None,
    threshold: float = 0.1,
    tag_threshold: float = 1.0,
    most: int = 30,
) -> tuple[np.ndarray, np.ndarray]:
    """Return keypoints (P, J, 3), that is x, y, value, zeros where a joint was not found, and scores (P,).

    peaks is (J, K, 3 + D): x, y, value and a tag of D numbers. heatmaps (J, H, W) and tags (J, H, W) or (J, H, W, D)
    are optional, and need the input's (height, width). Values up to `threshold` are no peaks; tags that are
    `tag_threshold` apart are not of one person; after `most` people nobody else gains a joint.
    """
    peaks = np.asarray(peaks)
    if not np.isfinite(peaks).all():
        raise ValueError("the peaks hold NaN or infinity: the network's outputs are no numbers in this runtime")
    joints = len(peaks)
    taken = np.zeros((0, joints), dtype=np.int64)  # the row of `peaks` that each person has for each joint, -1 for none
    sums, counts = np.zeros((0, peaks.shape[2] - 3)), np.zeros((0, 1))  # of the person's tags
    for joint in [j for j in COCO_ORDER if j < joints] if joints in (14, 17) else range(joints):
        rows = np.nonzero(peaks[joint, :, 2] > threshold)[0]
        value, tag = np.split(peaks[joint, rows, 2:].astype(np.float64), [1], axis=1)
        person = join(value, tag, sums[:most] / counts[:most], tag_threshold)
        fresh = int((person < 0).sum())
        person[person < 0] = np.arange(fresh) + len(taken)
        more = ((0, fresh), (0, 0))
        taken, sums, counts = np.pad(taken, more, constant_values=-1), np.pad(sums, more), np.pad(counts, more)
        taken[person, joint] = rows
        sums[person] += tag
        counts[person] += 1
    keypoints = np.where(taken[..., None] >= 0, peaks[np.arange(joints), taken, :3], 0).astype(np.float32)
    scores = keypoints[:, :, 2].mean(1, dtype=np.float64).astype(np.float32)
    if heatmaps is not None:
        if tags is None or input is None:
            raise ValueError("heatmaps come with tags and the (height, width) of the input")
        find_missing(keypoints, (sums / counts).astype(np.float32), np.asarray(heatmaps), np.asarray(tags), input)
    return keypoints, scores


def find_peaks(
    outputs: list[np.ndarray],
    input: tuple[int, int],
    tag_cue: tuple[float, float] = (0.0, 0.0),
    most: int = 30,
    window: int = 5,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what a file with peaks and maps answers: (J, K, 4), and fused heatmaps and tags, both (J, H, W).

    outputs are raw: (2J, h, w), heatmaps and tags, then finer heatmaps (J, H, W), if any. input is (height, width),
    `tag_cue` what the file says of itself under this name.
    """
    coarse, *finer = outputs
    joints, size = len(coarse) // 2, outputs[-1].shape[1:]
    tags = coarse[joints:]
    y, x = ((np.arange(side) + 0.5) / side - 0.5 for side in tags.shape[1:])
    tags = resized(tags + np.float32(tag_cue[0]) * x + np.float32(tag_cue[1]) * y[:, None], size)
    maps = np.stack([resized(each, size) for each in (coarse[:joints], *finer)])
    heatmaps: np.ndarray = maps.mean(axis=0, dtype=np.float32)
    height, width = size
    reach = window // 2
    around = np.pad(heatmaps, ((0, 0), (reach, reach), (reach, reach)), constant_values=-np.inf)
    best = np.max([around[:, :, i : i + width] for i in range(window)], axis=0)
    best = np.max([best[:, i : i + height] for i in range(window)], axis=0)
    maxima = (heatmaps * (heatmaps == best)).reshape(joints, -1)
    pixel = np.argsort(-maxima, axis=1, kind="stable")[:, :most]
    joint, (y, x) = np.arange(joints)[:, None], np.divmod(pixel, width)
    value, tag = maxima[joint, pixel], tags[joint, y, x]
    right = heatmaps[joint, y, np.minimum(x + 1, width - 1)] > heatmaps[joint, y, np.maximum(x - 1, 0)]
    below = heatmaps[joint, np.minimum(y + 1, height - 1), x] > heatmaps[joint, np.maximum(y - 1, 0), x]
    x, y = (x + 0.25 + 0.5 * right) * input[1] / width, (y + 0.25 + 0.5 * below) * input[0] / height
    peaks = np.stack([x, y, value, tag], axis=-1) * (value > 0)[..., None]
    return peaks.astype(np.float32), heatmaps, tags.astype(np.float32)


def resized(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return maps (J, h, w) at another size, bilinear, with the edges of pixels aligned."""
    for axis, side in enumerate(size, 1):
        old = maps.shape[axis]
        at = np.clip((np.arange(side) + 0.5) * old / side - 0.5, 0, None)
        low = np.minimum(at.astype(np.int64), old - 1)
        share = (at - low).astype(np.float32).reshape((-1, 1) if axis == 1 else (-1,))
        one, other = np.take(maps, low, axis), np.take(maps, np.minimum(low + 1, old - 1), axis)
        maps = one + (other - one) * share
    return maps


def join(value: np.ndarray, tag: np.ndarray, means: np.ndarray, tag_threshold: float) -> np.ndarray:
    """Return the person whom each peak of one joint joins, all different, -1 where it fits nobody."""
    peaks, people = len(tag), len(means)
    if not peaks or not people:
        return np.full(peaks, -1)
    distance = np.sqrt(((tag[:, None] - means) ** 2).sum(-1))
    # A peak may be left to nobody where there are more peaks than people.
    nobody = np.full((peaks, max(peaks - people, 0)), OUT_OF_QUESTION)
    column = assign(np.concatenate([np.round(distance) * 100 - value, nobody], axis=1))
    near = distance[np.arange(peaks), np.minimum(column, people - 1)] < tag_threshold
    return np.where((column < people) & near, column, -1)


def find_missing(
    keypoints: np.ndarray, means: np.ndarray, heatmaps: np.ndarray, tags: np.ndarray, input: tuple[int, int]
) -> None:
    """Give each joint that a person lacks the pixel that suits the person's mean tag best, if it is warm at all."""
    height, width = heatmaps.shape[1:]
    scale = np.array([input[1] / width, input[0] / height], dtype=np.float32)
    for person, joint in np.argwhere(keypoints[:, :, 2] == 0):
        heat, tag = heatmaps[joint], tags[joint].reshape(height, width, -1)
        distance = np.sqrt(((tag - means[person]) ** 2).sum(-1))
        y, x = divmod(int((heat - np.round(distance)).argmax()), width)
        if heat[y, x] > 0:
            right = heat[y, min(x + 1, width - 1)] > heat[y, max(x - 1, 0)]
            below = heat[min(y + 1, height - 1), x] > heat[max(y - 1, 0), x]
            place = np.array([x + 0.25 + right * 0.5, y + 0.25 + below * 0.5], dtype=np.float32)
            keypoints[person, joint] = *(place * scale), heat[y, x]


def assign(cost: np.ndarray) -> np.ndarray:
    """Return each row's column, all different, whose costs are the least together; no more rows than columns.

    Rows come in one after the other, each along the cheapest path of columns that change hands (Crouse, IEEE
    Transactions on Aerospace and Electronic Systems, 2016). Of equal columns a free one is taken, the last looked at,
    as other implementations do: equal costs are frequent here, and must not end in different people.
    """
    rows, columns = cost.shape
    row_price, column_price = np.zeros(rows), np.zeros(columns)
    owner, owned = np.full(columns, -1), np.full(rows, -1)
    for start in range(rows):
        left = np.arange(columns)[::-1]  # columns not looked at yet
        length, before = np.full(columns, np.inf), np.full(columns, -1)  # of the cheapest path to a column
        seen_rows, seen_columns = [], []
        row, least = start, 0.0
        while row >= 0:
            seen_rows.append(row)
            through = least + cost[row, left] - row_price[row] - column_price[left]
            shorter = through < length[left]
            before[left[shorter]] = row
            length[left] = np.where(shorter, through, length[left])
            least = length[left].min()
            equal = np.nonzero(length[left] == least)[0]
            free = equal[owner[left[equal]] < 0]
            place = free[-1] if len(free) else equal[0]
            column = left[place]
            seen_columns.append(column)
            left[place], left = left[-1], left[:-1]
            row = owner[column]
        row_price[start] += least
        for row in seen_rows[1:]:
            row_price[row] += least - length[owned[row]]
        column_price[seen_columns] -= least - length[seen_columns]
        while True:  # the columns along the path change hands
            row = before[column]
            owner[column] = row
            owned[row], column = column, owned[row]
            if row == start:
                break
    return owned
