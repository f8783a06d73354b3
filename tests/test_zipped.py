"""Pictures in zips: the same batches as from folders, however many threads read; every fault names zip and file."""

from __future__ import annotations

import json
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import yaml

from litepose_nas.data import zipped
from litepose_nas.data.images import read_image
from litepose_nas.data.layouts.building import pictures_in
from litepose_nas.data.layouts.picture_size import picture_size
from litepose_nas.data.loader import Pictures, batches
from litepose_nas.data.source import open_source
from litepose_nas.errors import UserError
from litepose_nas.inference.pictures import find_pictures
from litepose_nas.synthetic.dataset import write_toy
from tests.helpers.commands import run


def pack(target: Path, folder: Path, top: str = "", method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(target, "w", method) as made:
        for file in sorted(folder.rglob("*")):
            made.write(file, f"{top}{file.relative_to(folder).as_posix()}")


@pytest.fixture
def room(tmp_path) -> Path:
    """Drawn people with their pictures in zips: `train` at the top of one, `val` in a folder of the other."""
    write_toy(tmp_path / "people", train=9, val=4, size=64)
    pack(tmp_path / "train.zip", tmp_path / "people" / "train", method=zipfile.ZIP_DEFLATED)
    pack(tmp_path / "val.zip", tmp_path / "people" / "val", "deep/er/")
    places = {"train": "train.zip", "val": "val.zip/deep/er"}
    tree = {
        name: {"images": images, "annotations": f"people/annotations/person_keypoints_{name}.json"}
        for name, images in places.items()
    }
    (tmp_path / "zipped.yaml").write_text(yaml.safe_dump(tree))
    return tmp_path


def test_batches_are_those_of_a_folder_for_any_workers_and_from_any_step(room):
    def stream(what: str, workers: int, start: int = 0, cache: int = 2**30) -> list:
        pictures = Pictures(open_source(str(room / what)).read("train"), cache)
        return list(batches(pictures, (48, 48), 4, seed=3, start=start, stop=9, ahead=2 * workers, workers=workers))

    plain = stream("people", 0)
    assert len(plain) == 9
    for other in (*(stream("zipped.yaml", workers, cache=0) for workers in (0, 1, 2, 4)), stream("zipped.yaml", 2, 5)):
        for step, batch, _ in other:
            assert torch.equal(batch.images, plain[step][1].images)
            assert torch.equal(batch.joints, plain[step][1].joints)
    assert other[0][0] == 5


def test_many_threads_read_one_zip(room):
    source = open_source(str(room / "zipped.yaml")).read("train")
    wanted = [(room / "people" / "train" / record.path.name).read_bytes() for record in source.records]
    barrier = threading.Barrier(8)

    def read(_: int) -> list[bytes]:
        barrier.wait(20)
        return [zipped.read_bytes(record.path) for _ in range(5) for record in source.records]

    with ThreadPoolExecutor(8) as pool:
        assert all(found == wanted * 5 for found in pool.map(read, range(8)))


def test_a_zip_looks_like_a_folder(room):
    top = room / "val.zip"
    assert zipped.is_folder(top)
    assert zipped.is_folder(top / "deep")
    assert zipped.is_folder(top / "deep" / "er")
    assert not zipped.is_folder(top / "other")
    names = sorted(file.name for file in (room / "people" / "val").iterdir())
    assert zipped.names_in(top) == []
    assert sorted(zipped.names_in(top / "deep" / "er")) == names
    assert pictures_in(top) == [f"deep/er/{name}" for name in names]
    assert pictures_in(top / "deep") == [f"er/{name}" for name in names]
    assert find_pictures(top / "deep/er") == [top / "deep/er" / name for name in names]
    assert picture_size(top / "deep/er" / names[0]) == (64, 64)
    assert (read_image(top / "deep/er" / names[0]) == read_image(room / "people/val" / names[0])).all()
    (room / "folder.zip").mkdir()
    (room / "folder.zip" / "a.jpg").write_bytes(b"plain")
    assert zipped.read_bytes(room / "folder.zip" / "a.jpg") == b"plain"


def test_a_zip_beside_a_json_stands_for_the_folder(room):
    beside = room / "beside"
    beside.mkdir()
    text = (room / "people/annotations/person_keypoints_val.json").read_text()
    (beside / "person_keypoints_val.json").write_text(text)
    pack(beside / "val.zip", room / "people/val", "val/")
    source = open_source(str(beside / "person_keypoints_val.json"))
    assert source.split("val").images == beside / "val.zip" / "val"
    assert len(source.read("val").records) == 4


def test_a_zip_that_is_written_anew_is_read_anew(room):
    first = room / "some.zip"
    pack(first, room / "people/train")
    assert len(zipped.names_in(first)) == 9
    pack(first, room / "people/val")
    assert len(zipped.names_in(first)) == 4


def test_faults_name_the_zip_and_the_file(room):
    image = "000000000001.jpg"
    data = (room / "people/train" / image).read_bytes()

    def refused(path: Path, words: str) -> None:
        with pytest.raises(UserError, match=words) as caught:
            zipped.read_bytes(path)
        assert str(room) in str(caught.value)

    refused(room / "train.zip" / "none.jpg", "holds no none.jpg")
    (room / "text.zip").write_text("no zip")
    refused(room / "text.zip" / image, "text.zip: no zip that can be read")
    whole = (room / "val.zip").read_bytes()
    (room / "cut.zip").write_bytes(whole[: len(whole) // 2])
    refused(room / "cut.zip" / image, "cut.zip: no zip that can be read")
    with zipfile.ZipFile(room / "rare.zip", "w", zipfile.ZIP_BZIP2) as made:
        made.writestr(image, data)
    refused(room / "rare.zip" / image, f"{image} in .*rare.zip: it is packed in a rare way")
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(room / "bad.zip", "w", method) as made:
            made.writestr(image, data)
        spoiled = bytearray((room / "bad.zip").read_bytes())
        spoiled[len(spoiled) // 2] ^= 255
        (room / "bad.zip").write_bytes(spoiled)
        refused(room / "bad.zip" / image, f"{image} in .*bad.zip: it is damaged")
    locked = bytearray((room / "val.zip").read_bytes())
    at = locked.find(b"PK\x01\x02")
    locked[at + 8] |= 1
    (room / "locked.zip").write_bytes(locked)
    refused(room / "locked.zip" / "deep/er" / "000001000001.jpg", "it is encrypted")


def test_more_than_is_listed_is_never_unpacked(room):
    """A file that says it is small and unpacks to a lot is damaged, not a full memory."""
    with zipfile.ZipFile(room / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a.jpg", bytes(50_000_000))
    data = bytearray((room / "bomb.zip").read_bytes())
    at = data.find(b"PK\x01\x02")
    data[at + 24 : at + 28] = (1000).to_bytes(4, "little")
    (room / "bomb.zip").write_bytes(data)
    with pytest.raises(UserError, match=r"a.jpg in .*bomb.zip: it is damaged"):
        zipped.read_bytes(room / "bomb.zip" / "a.jpg")
    data[at + 24 : at + 28] = (2**32 - 2).to_bytes(4, "little")
    (room / "bomb.zip").write_bytes(data)
    with pytest.raises(UserError, match="it would take 4,095 MB"):
        zipped.read_bytes(room / "bomb.zip" / "a.jpg")


def test_pictures_in_another_folder_of_the_zip_are_pointed_at(room):
    tree = yaml.safe_load((room / "zipped.yaml").read_text())
    tree["val"]["images"] = "val.zip"
    (room / "wrong.yaml").write_text(yaml.safe_dump(tree))
    with pytest.raises(UserError, match=r"should the pictures be in .*val.zip/deep/er\?"):
        open_source(str(room / "wrong.yaml")).read("val")


def test_data_check_reads_zips(room, monkeypatch, capsys):
    what = str(room / "zipped.yaml")
    assert run(f"litepose-nas data check {what} --html {room}/check.html --json", monkeypatch) == 0
    told = json.loads(capsys.readouterr().out)
    assert [split["images"] for split in told["splits"].values()] == [9, 4]
    assert (room / "check.html").read_text().count("<figure") >= 8
    data = bytearray((room / "train.zip").read_bytes())
    data[200] ^= 255
    (room / "train.zip").write_bytes(data)
    assert run(f"litepose-nas data check {what}", monkeypatch) == 2
    assert "000000000001.jpg in " in capsys.readouterr().out
    (room / "train.zip").write_bytes(b"no zip at all")
    assert run(f"litepose-nas data check {what}", monkeypatch) == 2
    assert "train.zip: no zip that can be read" in capsys.readouterr().out


def test_converting_unpacks_and_dividing_leaves(room, said):
    what = room / "zipped.yaml"
    for to in ("coco", "yolo"):
        said(f"data convert {what} {room}/{to} --to {to}")
        made = open_source(str(room / to)).read("train")
        assert len(made.records) == 9
        for record in made.records:
            assert record.path.read_bytes() == (room / "people/train" / record.path.name).read_bytes()
    said(f"data convert {what} {room}/left --to coco --images none")
    left = open_source(str(room / "left")).read("val")
    assert left.images == (room / "val.zip/deep/er").resolve()
    said(f"data split {what} --fraction 0.3 --out {room}/divided")
    assert len(open_source(str(room / "divided")).read("train").records) == 6


def test_a_whole_yolo_folder_in_a_zip(room, said):
    said(f"data convert {room}/people {room}/yolo --to yolo")
    plain = open_source(str(room / "yolo")).read("train")
    pack(room / "all.zip", room / "yolo")
    tree = yaml.safe_load((room / "yolo/data.yaml").read_text())
    (room / "all.yaml").write_text(yaml.safe_dump({**tree, "path": "all.zip"}))
    found = open_source(str(room / "all.yaml")).read("train")
    assert sum(len(record.joints) for record in plain.records) > 9
    for one, other in zip(plain.records, found.records, strict=True):
        assert one.image_id == other.image_id
        assert (one.joints == other.joints).all()


def test_a_mac_zip_has_each_picture_once(room):
    pack(room / "mac.zip", room / "people/val")
    with zipfile.ZipFile(room / "mac.zip", "a") as made:
        made.writestr("__MACOSX/._000001000001.jpg", b"of a Mac")
    assert len(pictures_in(room / "mac.zip")) == 4
