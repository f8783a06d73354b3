"""At the end of a search: who the networks of its front find in the same few held-out images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from litepose_nas import devices
from litepose_nas.data.augment import HALF
from litepose_nas.data.dataset import Dataset, Record
from litepose_nas.data.images import load_picture, write_image
from litepose_nas.data.loader import Pictures, continuous
from litepose_nas.inference.batches import predict_batches
from litepose_nas.inference.previews import SURE
from litepose_nas.metrics.results import Result
from litepose_nas.pose.people import DivergedError
from litepose_nas.report import example_poses
from litepose_nas.report.choices import thinned
from litepose_nas.report.example_poses import FOLDER, ExampleImage, ExamplePoses, Person, key_of, person_of
from litepose_nas.report.summary import Summary
from litepose_nas.runs.run import Run
from litepose_nas.search.scoring import SupernetScorer
from litepose_nas.space import Arch
from litepose_nas.steps.search_plan import Search
from litepose_nas.supernet import extract

IMAGES, NETWORKS = 12, 24  # as many are stored at most
CROWD = 8  # people of an image that are stored at most, where no more than half as many are labelled
SIDE = 320  # pixels of the longer side of a stored image
QUALITY = 80


def store_poses(run: Run, ready: Search, found: Summary) -> None:
    """Write them into the run; what an earlier end of the same search found is not looked for again."""
    wanted = [found.chosen, *(one.one for one in found.comparison.choices), *thinned(found.front, NETWORKS)]
    archs = list(dict.fromkeys(one.arch for one in wanted))
    dataset = examples(next(iter(ready.families.values())).candidates.scorer.split.heldout.dataset)
    folder = run.folder / FOLDER
    images = [store_image(folder / f"{number}.jpg", record) for number, record in enumerate(dataset.records)]
    old = example_poses.read(run.folder)
    known = old.networks if old and old.images == images else {}
    networks = {}
    with devices.one_thread():
        for arch in archs:
            family = next(name for name, one in ready.families.items() if one.problem.space == arch.space)
            key = (family, key_of(arch.to_dict()))
            networks[key] = known.get(key) or _people(ready.families[family].candidates, arch, dataset)
    limbs = [list(limb) for limb in dataset.skeleton.limbs]
    example_poses.write(run.folder, ExamplePoses(images, limbs, networks))


def examples(dataset: Dataset, most: int = IMAGES) -> Dataset:
    """A few images of a dataset, evenly far apart; of those with people where there are any."""
    records = [one for one in dataset.records if one.labelled and (one.joints[:, :, 2] > 0).any()]
    records = records or list(dataset.records)
    if len(records) > most:
        records = [records[round(at * (len(records) - 1) / (most - 1))] for at in range(most)]
    return dataset._replace(records=tuple(records))


def store_image(path: Path, record: Record) -> ExampleImage:
    """The image, made small and stored, with the people who are labelled in it."""
    picture, zoom = load_picture(record), zoom_of(record)
    width, height = max(1, round(record.width * zoom)), max(1, round(record.height * zoom))
    if zoom < 1:
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    write_image(path, picture, QUALITY)
    people = [person_of(person, zoom) for person in continuous(record.joints).tolist()]
    truth = [person for person in people if any(value is not None for value in person)]
    return ExampleImage(path.name, width, height, f"image {record.image_id}", truth)


def zoom_of(record: Record) -> float:
    return min(1.0, SIDE / max(record.width, record.height))


def people_of(results: Sequence[Result], dataset: Dataset, least: float = SURE) -> list[list[Person]]:
    """Who was found in each image of a dataset with a score of `least` or more, in pixels of its stored image.

    Of very many the best: a network of a short training finds each person several times.
    """
    found = []
    for record in dataset.records:
        mine = [one for one in results if one["image_id"] == record.image_id and one["score"] >= least]
        mine = sorted(mine, key=lambda one: -one["score"])[: max(CROWD, 2 * len(record.joints))]
        found.append([_found_person(one, zoom_of(record)) for one in mine])
    return found


def _found_person(result: Result, zoom: float) -> Person:
    points = np.array(result["keypoints"], float).reshape(-1, 3)
    points[:, :2] += HALF
    points[:, 2] = 1  # the value of a heatmap may be nothing; the place is what was found
    return person_of(points.tolist(), zoom)


def _people(candidates: SupernetScorer, arch: Arch, dataset: Dataset) -> list[list[Person]]:
    scorer = candidates.scorer
    net = scorer.calibrated(extract(candidates.supernet, arch), arch.input).eval()
    views = scorer.seen_by.eval_batches(Pictures(dataset), arch.input, scorer.protocol.batch)
    try:
        results = predict_batches(net, views, scorer.task, category_id=scorer.truth.category_id)
    except DivergedError:
        results = []
    return people_of(results, dataset)
