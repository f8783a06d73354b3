"""The published rules read literally, one joint at a time: slow, plain, and the judge of the fast code."""

from __future__ import annotations

import math

import numpy as np


def literal_gaussians(joints, height, width, sigma=2.0):
    """joints (P, J, 3) in map pixels -> (J, H, W)."""
    maps = np.zeros((joints.shape[1], height, width))
    reach = int(3 * sigma + 1)
    for person in joints:
        for joint, (x, y, flag) in enumerate(person):
            if not flag > 0:
                continue
            cx, cy = int(x), int(y)
            if not (0 <= cx < width and 0 <= cy < height):
                continue
            for row in range(max(0, cy - reach), min(height, cy + reach + 1)):
                for column in range(max(0, cx - reach), min(width, cx + reach + 1)):
                    bell = math.exp(-((row - cy) ** 2 + (column - cx) ** 2) / (2 * sigma**2))
                    maps[joint, row, column] = max(maps[joint, row, column], bell)
    return maps.astype(np.float32)


def literal_tag_loss(tags, joints, push_price):
    """Tags (J, H, W), joints (P, J, 3) in map pixels -> (push, pull) of one picture."""
    means, pull = [], 0.0
    for person in joints:
        read = []
        for joint, (x, y, flag) in enumerate(person):
            if flag > 0 and 0 <= int(x) < tags.shape[2] and 0 <= int(y) < tags.shape[1]:
                read.append(float(tags[joint, int(y), int(x)]))
        if read:
            means.append(sum(read) / len(read))
            pull += sum((tag - means[-1]) ** 2 for tag in read) / len(read)
    people = len(means)
    if people == 0:
        return 0.0, 0.0
    push = sum(push_price(means[a] - means[b]) for a in range(people) for b in range(people) if a != b)
    return (0.5 * push / (people * (people - 1)) if people > 1 else 0.0), pull / people


def hungarian(cost):
    """Return the cheapest column of each row; cost has at least as many columns as rows (potentials, O(n^3))."""
    rows, columns = len(cost), len(cost[0])
    row_price, column_price = [0.0] * (rows + 1), [0.0] * (columns + 1)
    owner, back = [0] * (columns + 1), [0] * (columns + 1)
    for row in range(1, rows + 1):
        owner[0], at = row, 0
        slack, visited = [math.inf] * (columns + 1), [False] * (columns + 1)
        while True:
            visited[at] = True
            current, step, following = owner[at], math.inf, 0
            for column in range(1, columns + 1):
                if not visited[column]:
                    reduced = cost[current - 1][column - 1] - row_price[current] - column_price[column]
                    if reduced < slack[column]:
                        slack[column], back[column] = reduced, at
                    if slack[column] < step:
                        step, following = slack[column], column
            for column in range(columns + 1):
                if visited[column]:
                    row_price[owner[column]] += step
                    column_price[column] -= step
                else:
                    slack[column] -= step
            at = following
            if owner[at] == 0:
                break
        while at:
            owner[at] = owner[back[at]]
            at = back[at]
    chosen = [0] * rows
    for column in range(1, columns + 1):
        if owner[column]:
            chosen[owner[column] - 1] = column - 1
    return chosen


def literal_peaks(heatmaps, most=30, threshold=0.1, kernel=5):
    """heatmaps (J, H, W) -> for each joint a list of (x, y, value), the best first."""
    import torch
    import torch.nn.functional as F

    maps = torch.from_numpy(heatmaps)
    kept = maps * (F.max_pool2d(maps[None], kernel, 1, kernel // 2)[0] == maps)
    value, index = kept.flatten(1).topk(min(most, kept[0].numel()), dim=1)
    width = heatmaps.shape[2]
    peaks = []
    for values, places in zip(value.tolist(), index.tolist(), strict=True):
        peaks.append([(p % width, p // width, v) for v, p in zip(values, places, strict=True) if v > threshold])
    return peaks


def literal_group(peaks, tags, order, most=30, tag_threshold=1.0, beyond=None):
    """Return (people, tag lists): each person a list of J [x, y, value] or None."""
    people, person_tags = [], []
    for joint in order:
        known = min(len(people), most)
        own = [np.asarray(tags[joint, y, x], dtype=np.float64) for x, y, _ in peaks[joint]]
        cost, far = [], []
        for (_, _, value), tag in zip(peaks[joint], own, strict=True):
            distance = [float(np.sqrt(((tag - np.mean(person_tags[p], axis=0)) ** 2).sum())) for p in range(known)]
            price = [np.round(d) * 100 - value for d in distance]
            if beyond is not None:
                price = [beyond if d >= tag_threshold else p for d, p in zip(distance, price, strict=True)]
            cost.append(price + [1e10] * (len(own) - known))
            far.append(distance)
        chosen = hungarian(cost) if known and own else [len(people)] * len(own)
        for row, column in enumerate(chosen):
            if known and column < known and far[row][column] < tag_threshold:
                person = column
            else:
                people.append([None] * len(peaks))
                person_tags.append([])
                person = len(people) - 1
            people[person][joint] = list(peaks[joint][row])
            person_tags[person].append(own[row])
    return people, person_tags


def quarter(heat, x, y):
    """One map, one pixel -> the shifted place."""
    height, width = heat.shape
    dx = 0.25 if heat[y, min(x + 1, width - 1)] > heat[y, max(x - 1, 0)] else -0.25
    dy = 0.25 if heat[min(y + 1, height - 1), x] > heat[max(y - 1, 0), x] else -0.25
    return x + dx + 0.5, y + dy + 0.5


def literal_adjust(people, heatmaps):
    """Move every peak a quarter of a pixel."""
    for person in people:
        for joint, found in enumerate(person):
            if found is not None:
                found[0], found[1] = quarter(heatmaps[joint], found[0], found[1])


def literal_refine(people, person_tags, heatmaps, tags):
    """Fill the missing joints of every person from the whole map."""
    for person, own in zip(people, person_tags, strict=True):
        mean = np.mean(own, axis=0).astype(np.float32)
        for joint in range(len(person)):
            distance = np.sqrt(((tags[joint] - mean) ** 2).sum(-1))
            merit = heatmaps[joint] - np.round(distance)
            y, x = np.unravel_index(int(merit.argmax()), merit.shape)
            value = float(heatmaps[joint, y, x])
            if person[joint] is None and value > 0:
                person[joint] = [*quarter(heatmaps[joint], int(x), int(y)), value]


def literal_decode(heatmaps, tags, order, refine=True, adjust=True, beyond=None):
    """One picture, numpy: (J, H, W) and (J, H, W, D) -> keypoints (P, J, 3) and scores (P,)."""
    people, person_tags = literal_group(literal_peaks(heatmaps), tags, order, beyond=beyond)
    if adjust:
        literal_adjust(people, heatmaps)
    scores = np.array([np.mean([joint[2] if joint else 0.0 for joint in person]) for person in people])
    if refine:
        literal_refine(people, person_tags, heatmaps, tags)
    keypoints = [[joint or [0.0, 0.0, 0.0] for joint in person] for person in people]
    return np.array(keypoints, dtype=np.float32).reshape(len(people), heatmaps.shape[0], 3), scores


def drawn_scene(people, joints, size, dims=1, seed=0, spread=0.15, missing=0.1, gap=2.0):
    """Heatmaps (J, H, W) and tags (J, H, W, D) of people in random places, tags `gap` apart with noise inside."""
    rng = np.random.default_rng(seed)
    heat = rng.uniform(0, 0.05, (joints, size, size)).astype(np.float32)
    tags = rng.normal(0, 0.3, (joints, size, size, dims)).astype(np.float32) - gap
    rows, columns = np.mgrid[:size, :size]
    for person in range(people):
        centre = rng.uniform(0.15, 0.85, 2) * size
        for joint in range(joints):
            place = centre + rng.normal(0, 0.08, 2) * size
            if rng.uniform() < missing or not ((place > 2) & (place < size - 3)).all():
                continue
            square = (rows - place[1]) ** 2 + (columns - place[0]) ** 2
            heat[joint] = np.maximum(heat[joint], rng.uniform(0.3, 1.0) * np.exp(-square / 8))
            near = square < 20
            tags[joint, near] = (person + 1) * gap + rng.normal(0, spread, (int(near.sum()), dims))
    return heat.astype(np.float32), tags.astype(np.float32)
