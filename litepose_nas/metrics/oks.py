"""Average precision by object-keypoint similarity, from arrays: pycocotools' numbers to the last bits, but quick.

pycocotools stays the judge of what is printed. Its rules in short: in each picture the twenty best-scored results
choose, one after the other, the most similar labelled person that is free; crowds and people without joints only excuse
a result. The many thresholds and pictures go through that choice together. People of all sizes count.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
LARGEST = 1e10  # area: people beyond it are of no size that COCO knows
MAX_DETECTIONS = 20  # results a picture
CHUNK = 50_000  # pairs of a result and a person that are compared at a time: the arrays stay in the cache


class Labels(NamedTuple):
    """The labelled people of some pictures, those of a picture beside each other."""

    image: Integers  # (G,): the place of each one's picture, rising
    joints: Floats  # (G, J, 3): x, y, flag
    boxes: Floats  # (G, 4): left, top, width, height
    areas: Floats  # (G,)
    crowd: Flags  # (G,)
    ignored: Flags  # (G,): crowds, and people without joints
    sigmas: Floats  # (J,)
    images: int


class Detections(NamedTuple):
    """The people that were predicted."""

    image: Integers  # (N,): the place of the picture
    joints: Floats  # (N, J, 2)
    scores: Floats  # (N,)
    areas: Floats  # (N,)


class Matches(NamedTuple):
    """Which results are right, for each threshold; those of a picture by falling score."""

    image: Integers  # (N,): rising
    scores: Floats  # (N,)
    right: Flags  # (T, N): found a person who counts
    wrong: Flags  # (T, N): found no person, and nothing excuses it
    people: Integers  # (I,): how many of each picture count


def average_precision(labels: Labels, found: Detections) -> float:
    """Only the AP; -1 where no person counts."""
    return known_mean(precisions(match(labels, found)))


def mean_similarity(labels: Labels, found: Detections) -> float:
    """The mean over people who count of the most similar result of their picture, 0 where it has none; -1 of nobody.

    It moves with every joint, where the AP of a few pictures jumps. False results cost nothing.
    """
    best = np.zeros(len(labels.image))
    _, person, similarity = close_pairs(labels, found, 0.0)
    np.maximum.at(best, person, similarity)
    return known_mean(best[~labels.ignored])


def match(labels: Labels, found: Detections) -> Matches:
    """Match the results of every picture."""
    found = _best(found)
    counts = ~labels.ignored & (labels.areas <= LARGEST)
    hit, excused = _choose(labels, found, counts)
    outside = (found.areas < 0) | (found.areas > LARGEST)
    people = np.bincount(labels.image[counts], minlength=labels.images)
    return Matches(found.image, found.scores, hit & ~excused, ~hit & ~outside, people)


def precisions(matches: Matches, drawn: Integers | None = None) -> Floats:
    """Precision at 101 recalls for each threshold (T, 101), -1 where no person counts.

    They are those over all pictures, or over the places of those drawn (some more than once).
    """
    image, scores, right, wrong, people = matches
    if drawn is not None:
        first, last = np.searchsorted(image, drawn, "left"), np.searchsorted(image, drawn, "right")
        rows = _ranges(first, last - first)
        scores, people = scores[rows], people[drawn]
    by_score = np.argsort(-scores, kind="stable")
    rows = by_score if drawn is None else rows[by_score]
    hits = np.cumsum(right[:, rows], axis=1).astype(float)
    misses = np.cumsum(wrong[:, rows], axis=1).astype(float)
    thresholds, count = hits.shape
    total = people.sum()
    precision = np.zeros((thresholds, len(RECALLS))) if total else -np.ones((thresholds, len(RECALLS)))
    highest = hits / (misses + hits + np.spacing(1))
    highest = np.maximum.accumulate(highest[:, ::-1], axis=1)[:, ::-1]
    for t in range(thresholds if total else 0):
        at = np.searchsorted(hits[t] / total, RECALLS, side="left")
        inside = at < count
        precision[t, inside] = highest[t, at[inside]]
    return precision


def known_mean(values: Floats) -> float:
    """The mean of what is not -1, or -1."""
    known = values[values > -1]
    return float(known.mean()) if known.size else -1.0


def ratio(part: Any, whole: Any) -> Floats:
    """part / whole, NaN where whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=np.asarray(whole) > 0)


def similarities(labels: Labels, found: Detections, person: Integers, result: Integers) -> Floats:
    """How similar the joints of some results are to those of some people, pair by pair."""
    seen = labels.joints[:, :, 2] > 0
    count = seen.sum(axis=1)
    seen_first = np.argsort(~seen, axis=1, kind="stable")
    spread = (2 * labels.sigmas) ** 2
    room = labels.areas + np.spacing(1)
    oks = np.empty(len(person))
    # People with as many joints go together: sums over absent joints would round otherwise than the judge's.
    for joints in np.unique(count[person]):
        pairs = np.flatnonzero(count[person] == joints)
        for begin in range(0, len(pairs), CHUNK):
            chosen = pairs[begin : begin + CHUNK]
            who, what = person[chosen], result[chosen]
            if joints:
                which = seen_first[who, :joints]
                gap = found.joints[what[:, None], which] - labels.joints[who[:, None], which, :2]
                width = spread[which]
            else:
                gap, width = _beyond(labels.boxes[who], found.joints[what]), spread
            gap **= 2
            error = (gap[..., 0] + gap[..., 1]) / width / room[who][:, None] / 2
            oks[chosen] = np.exp(-error).sum(axis=1) / error.shape[1]
    return oks


def _beyond(boxes: Floats, joints: Floats) -> Floats:
    """How far joints lie outside boxes that were made three times as large."""
    left_top, size = boxes[:, None, :2], boxes[:, None, 2:]
    below = np.maximum(0, (left_top - size) - joints)
    return below + np.maximum(0, joints - (left_top + size * 2))


def _best(found: Detections) -> Detections:
    """The results by picture and falling score, no more of a picture than count."""
    order = np.lexsort((-found.scores, found.image))
    image = found.image[order]
    rank = np.arange(len(image)) - np.searchsorted(image, image, "left")
    kept = order[rank < MAX_DETECTIONS]
    return Detections(found.image[kept], found.joints[kept], found.scores[kept], found.areas[kept])


def _choose(labels: Labels, found: Detections, counts: Flags) -> tuple[Flags, Flags]:
    """Which results got a person, and which of those one who does not count but excuses them (T, N)."""
    limits = np.minimum(THRESHOLDS, 1 - 1e-10)
    result, person, oks = close_pairs(labels, found, limits[0])
    first = np.searchsorted(found.image, found.image, "left")
    rank = (np.arange(len(found.image)) - first)[result]
    # Within the pairs of a result the best comes last, and of equal ones the later person: the last that fits is taken.
    order = np.lexsort((person, oks, result, rank))
    result, person, oks, rank = result[order], person[order], oks[order], rank[order]
    hit = np.zeros((len(found.image), len(limits)), bool)
    excused = np.zeros_like(hit)
    taken = np.zeros((len(labels.image), len(limits)), bool)
    for turn in range(MAX_DETECTIONS):
        begin, end = np.searchsorted(rank, (turn, turn + 1))
        if begin == end:
            continue
        who, what = person[begin:end], result[begin:end]
        count = end - begin
        place = np.arange(count, dtype=np.int32)[:, None]
        fits = (oks[begin:end, None] >= limits) & ~taken[who]
        wish = np.where(fits, place + np.int32(count) * counts[who][:, None], -1)
        starts = np.flatnonzero(np.diff(what, prepend=-1))
        best = np.maximum.reduceat(wish, starts, axis=0)
        chooser = what[starts]
        hit[chooser] = best >= 0
        excused[chooser] = (best >= 0) & (best < count)
        winner, at = np.nonzero(best >= 0)
        got = who[best[winner, at] % count]
        free = ~labels.crowd[got]
        taken[got[free], at[free]] = True
    return np.ascontiguousarray(hit.T), np.ascontiguousarray(excused.T)


def close_pairs(labels: Labels, found: Detections, min_similarity: float) -> tuple[Integers, Integers, Floats]:
    """Results and people of the same pictures who are at least so similar, and how similar."""
    first = np.searchsorted(labels.image, found.image, "left")
    count = np.searchsorted(labels.image, found.image, "right") - first
    result = np.repeat(np.arange(len(found.image)), count)
    person = _ranges(first, count)
    oks = similarities(labels, found, person, result)
    close = oks >= min_similarity
    return result[close], person[close], oks[close]


def _ranges(first: Integers, count: Integers) -> Integers:
    """The numbers first, first + 1, ... of each range, after each other."""
    return np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)
