"""Batches: pixels and joints as stated, one stream whatever prepares it, every fault named where it is used."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from litepose_nas.data import augment as aug
from litepose_nas.data import loader, pixels
from litepose_nas.data.augment import Augment
from litepose_nas.data.dataset import Dataset, Record
from litepose_nas.data.dataset_yaml import known_skeleton
from litepose_nas.data.images import load_picture
from litepose_nas.data.layouts.toy import toy_split
from litepose_nas.data.loader import Batch, Pictures, train_batch
from litepose_nas.data.prefetch import work_ahead
from litepose_nas.data.regions import IgnoredRegion
from litepose_nas.errors import UserError
from litepose_nas.synthetic.dataset import write_toy
from tests.helpers.coco_file import read_coco

SIZE = (64, 96)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("people") / "toy"
    write_toy(place, train=13, val=2, size=96)
    return place


@pytest.fixture(scope="module")
def dataset(folder) -> Dataset:
    return read_coco(*toy_split(folder, "train"))


def same(one: Batch, other: Batch) -> bool:
    masks = one.masks is other.masks is None or (
        one.masks is not None and other.masks is not None and torch.equal(one.masks, other.masks)
    )
    return torch.equal(one.images, other.images) and torch.equal(one.joints, other.joints) and masks


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CONVENTIONS = {
    "imagenet": (*IMAGENET, False),
    "unit": ((0, 0, 0), (1, 1, 1), False),
    "unit-bgr": ((0,) * 3, (1,) * 3, True),
}


def test_every_convention_of_pixels_is_tested():
    assert CONVENTIONS.keys() == pixels.CONVENTIONS.keys()


@pytest.mark.parametrize("name", CONVENTIONS)
def test_pixels_are_normalised_as_stated(dataset, name):
    mean, std, bgr = CONVENTIONS[name]
    batch = train_batch(Pictures(dataset), (96, 96), 2, seed=0, step=0, augment=None, pixels=name)
    assert batch.pixels == name
    assert batch.images.shape == (2, 3, 96, 96)
    assert batch.images.dtype == batch.joints.dtype == torch.float32
    for image, number in zip(batch.images, batch.image_ids, strict=True):
        record = next(record for record in dataset.records if record.image_id == number)
        literal = (load_picture(record) / 255 - np.array(mean)) / np.array(std)  # 96 px: nothing is resized
        literal = literal[..., ::-1] if bgr else literal
        assert np.abs(image.numpy() - literal.transpose(2, 0, 1)).max() < 1e-5
        assert (loader.to_picture(image, name) == load_picture(record)).all()
    kept = loader.CachedBatches([(batch, [])])
    ((again, _),) = kept.batches
    assert torch.equal(again.images, batch.images)


def test_joints_are_moved_by_half_a_pixel_and_padded_with_zeros(dataset):
    batch = train_batch(Pictures(dataset), (96, 96), 13, seed=0, step=0, augment=None)
    counts = []
    for joints, number in zip(batch.joints.numpy(), batch.image_ids, strict=True):
        record = next(record for record in dataset.records if record.image_id == number)
        people = len(record.joints)
        labelled = record.joints[..., 2] > 0
        assert joints[:people][labelled] == pytest.approx(record.joints[labelled] + (0.5, 0.5, 0), abs=1e-4)
        assert (joints[:people][~labelled] == 0).all()
        assert (joints[people:] == 0).all()
        counts.append(people)
    assert batch.joints.shape[1] == max(counts) > min(counts)


def test_a_batch_without_people_still_has_a_row(dataset):
    empty = dataset.records[0]._replace(joints=np.zeros((0, 17, 3), np.float32), ignored=())
    batch = train_batch(Pictures(dataset._replace(records=(empty,))), SIZE, 1, 0, 0)
    assert batch.joints.shape == (1, 1, 17, 3)
    assert not batch.joints.any()
    assert batch.masks is None


def test_an_epoch_shows_every_picture_once_in_its_own_order(dataset):
    pictures = Pictures(dataset)
    seen = [number for step in range(13) for number in train_batch(pictures, (32, 32), 4, 3, step).image_ids]
    epochs = [seen[first : first + 13] for first in range(0, 52, 13)]
    everything = sorted(record.image_id for record in dataset.records)
    assert all(sorted(epoch) == everything for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    other = [number for step in range(3) for number in train_batch(pictures, (32, 32), 4, 4, step).image_ids]
    assert other != seen[:12]


def test_a_picture_is_changed_anew_each_time(dataset):
    pictures = Pictures(dataset._replace(records=dataset.records[:1]))
    batch = train_batch(pictures, SIZE, 4, seed=0, step=0)
    later = train_batch(pictures, SIZE, 4, seed=0, step=1)
    images = [*batch.images, *later.images]
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(images, 2))


def test_the_stream_is_the_same_resumed_prefetched_or_uncached(dataset):
    def size(step: int) -> tuple[int, int]:
        return (64, 64) if step % 2 else (48, 80)

    def stream(start: int, cache: int = 2**30, **how) -> list[tuple[int, Batch]]:
        pairs = loader.batches(Pictures(dataset, cache), size, 5, seed=7, start=start, stop=8, **how)
        return [(step, batch) for step, batch, _ in pairs]

    plain = stream(0, workers=0)
    assert [step for step, _ in plain] == list(range(8))
    assert plain[0][1].images.shape[2:] == (48, 80)
    assert plain[1][1].images.shape[2:] == (64, 64)
    others = [stream(0), *(stream(0, workers=workers) for workers in (1, 2, 4)), stream(0, workers=3, ahead=4)]
    resumed = [stream(start, workers=workers) for start, workers in ((5, 1), (3, 4), (7, 0))]
    for other in (*others, *resumed, stream(0, cache=0), stream(2, cache=0, workers=2)):
        for step, batch in other:
            assert same(batch, plain[step][1]), step
    assert [step for step, _ in stream(5)] == [5, 6, 7]


def test_the_cache_keeps_to_its_budget(dataset):
    one = 96 * 96 * 3
    plain = dataset._replace(records=tuple(record._replace(ignored=()) for record in dataset.records))
    pictures = Pictures(plain, cache_bytes=3 * one + 10)
    images = [pictures.get(index)[0] for index in range(6)]
    kept = [pictures.get(index)[0] is image for index, image in enumerate(images)]
    assert kept == [True] * 3 + [False] * 3
    assert pictures.free_bytes == 10


def test_big_pictures_do_not_fill_the_memory(tmp_path):
    """The most that is held at once: the cache, a picture and a batch for each thread, and what is made ahead."""
    side, count, size, batch = 1500, 12, (64, 64), 4
    one = side * side * 3
    nobody = np.zeros((0, 17, 3), np.float32)
    noise = np.random.default_rng(0).integers(0, 255, (side // 10, side // 10, 3), dtype=np.uint8)
    picture = cv2.resize(noise, (side, side))
    for index in range(count):
        cv2.imwrite(str(tmp_path / f"{index}.jpg"), picture)
    records = tuple(
        Record(
            index, tmp_path / f"{index}.jpg", side, side, nobody, nobody[:, 0], nobody[:, 0, 0], np.zeros(0, int), ()
        )
        for index in range(count)
    )
    skeleton = known_skeleton("coco")
    budget = int(2.5 * one)
    pictures = Pictures(Dataset(tmp_path, tmp_path, skeleton, records), budget)
    tracemalloc.start()
    try:
        for _ in loader.batches(pictures, size, batch, seed=0, stop=12, workers=2):
            pass
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Decoding makes a second picture of the first, and the queue holds four batches.
    assert 2 * one < most < budget + 2 * 3 * one + 8 * batch * 64 * 64 * 3 * 4 + 2_000_000
    assert budget - pictures.free_bytes == 2 * one


def test_masks_are_false_where_nobody_is_labelled(dataset):
    crowd = IgnoredRegion((0, 0, 48, 96), None, True)  # the left half
    record = dataset.records[0]._replace(ignored=(crowd,))
    pictures = Pictures(dataset._replace(records=(record, dataset.records[1]._replace(ignored=()))))
    batch = next(loader.eval_batches(pictures, (96, 192), 2))[0]
    assert batch.masks is not None
    assert batch.masks.dtype == torch.bool
    # The picture fills the middle half of the input; beyond it the loss counts.
    assert not batch.masks[0, :, 49:95].any()
    assert batch.masks[0, :, :47].all()
    assert batch.masks[0, :, 97:].all()
    assert batch.masks[1].all()
    still = Augment(rotation=0, scale=(1, 1), translate=0, flip=1, colour=0)
    flipped = train_batch(Pictures(dataset._replace(records=(record,))), (96, 96), 1, 0, 0, still)
    assert flipped.masks is not None
    assert flipped.masks[0, :, :47].all()
    assert not flipped.masks[0, :, 49:].any()


def test_whole_pictures_come_in_order_with_their_maps(dataset):
    pictures = Pictures(dataset)
    found = list(loader.eval_batches(pictures, SIZE, 5))
    assert [len(batch.images) for batch, _ in found] == [5, 5, 3]
    assert [number for batch, _ in found for number in batch.image_ids] == [r.image_id for r in dataset.records]
    for batch, warps in found:
        assert batch.joints[0, 0].numpy() == pytest.approx(
            aug.warp_joints(
                loader.continuous(next(r for r in dataset.records if r.image_id == batch.image_ids[0]).joints), warps[0]
            )[0]
        )
    kept = loader.CachedBatches(loader.eval_batches(pictures, SIZE, 5))
    for _ in range(2):
        assert all(same(one, other) for (one, _), (other, _) in zip(kept.batches, found, strict=True))


def test_a_damaged_picture_is_named_where_its_batch_is_asked_for(dataset, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(dataset.records[0].path.read_bytes()[:700])
    records = tuple(record._replace(path=broken) if k == 2 else record for k, record in enumerate(dataset.records))
    pictures = Pictures(dataset._replace(records=records))
    for workers in (0, 1, 2):
        stream = loader.batches(pictures, SIZE, 1, seed=0, workers=workers)
        seen = []
        with pytest.raises(UserError, match=r"broken\.jpg: it is a JPEG that was cut off"):
            seen.extend(step for step, _, _ in stream)
        bad = [step for step in range(13) if loader.shuffled(0, step, 13) == 2]
        assert seen == list(range(bad[0]))
    with pytest.raises(UserError, match=r"broken\.jpg"):
        list(loader.eval_batches(pictures, SIZE, 4))


def test_working_ahead_stops_when_its_user_does():
    begun = []

    def slow(item: int) -> int:
        begun.append(item)
        time.sleep(0.02)
        return item * item

    stream = work_ahead(slow, itertools.count(), ahead=3)
    assert [next(stream)[:2] for _ in range(4)] == [(0, 0), (1, 1), (2, 4), (3, 9)]
    stream.close()
    until = time.monotonic() + 5
    while any(thread.name.startswith("ahead") for thread in threading.enumerate()) and time.monotonic() < until:
        time.sleep(0.01)
    assert not any(thread.name.startswith("ahead") for thread in threading.enumerate())
    assert len(begun) <= 4 + 3


def test_waiting_is_measured():
    def slow(item: int) -> int:
        time.sleep(0.05)
        return item

    assert min(seconds for _, _, seconds in work_ahead(slow, range(3), workers=0)) > 0.04
    assert max(seconds for _, _, seconds in work_ahead(slow, range(3))) > 0.02
    patient = []
    for _, _, seconds in work_ahead(slow, range(4)):
        patient.append(seconds)
        time.sleep(0.15)
    assert sum(patient[1:]) < 0.1


def test_a_program_that_is_interrupted_ends():
    code = (
        "import itertools, time\n"
        "from litepose_nas.data.prefetch import work_ahead\n"
        "for item, _, _ in work_ahead(lambda item: time.sleep(0.01), itertools.count(), workers=2):\n"
        "    if item == 3: raise KeyboardInterrupt\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], timeout=20, capture_output=True, text=True, check=False)
    assert "KeyboardInterrupt" in ended.stderr
    assert ended.returncode != 0


def test_the_option_reaches_the_loader_and_changes_nothing_else(folder, tmp_path, monkeypatch, said):
    monkeypatch.chdir(tmp_path)
    used = []

    def seen(work, items, ahead=3, workers=1):
        used.append(workers)
        return work_ahead(work, items, ahead, workers)

    monkeypatch.setattr(loader, "work_ahead", seen)
    small = (Path(__file__).parent.parent / "search_spaces" / "litepose-tiny.yaml").read_text()
    Path("small.yaml").write_text(small.replace("[64, 96, 128, 160]", "[64]"))
    left = []
    for count in (0, 3):
        used.clear()
        words = (
            f"train-supernet --space small.yaml --data {folder} --steps 3 --loaders {count} --out run{count} batch=2"
        )
        said(f"{words} batch=2")
        assert used[0] == count
        left.append({name: (tmp_path / f"run{count}" / name).read_bytes() for name in ("config.yaml", "metrics.csv")})
        left[-1]["weights"] = (tmp_path / f"run{count}" / "weights" / "last.safetensors").read_bytes()
    assert left[0] == left[1]
    said("finetune run0 --candidates 2 --loaders 2", 2)
