"""The frames of a video one after the other, from a video file or from a folder of pictures."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2

from litepose_nas.data import zipped
from litepose_nas.data.augment import Image
from litepose_nas.data.images import read_image
from litepose_nas.data.layouts.building import SUFFIXES
from litepose_nas.errors import UserError

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
RATE = 25.0  # frames a second of a folder, and of a file that does not say


class VideoFrames(NamedTuple):
    source: Path
    pictures: tuple[Path, ...]  # of a folder; none of a video file
    length: int  # of a file what it says of itself, which need not be so; 0 where it says nothing
    rate: float  # frames a second

    @property
    def name(self) -> str:
        """What files that are made of the video are called by."""
        return self.source.name if self.pictures else self.source.stem

    def number(self, place: int) -> int:
        """The number of the frame at a place: that of its file where files have numbers, else the place."""
        stem = self.pictures[place].stem if self.pictures else ""
        return int(stem) if stem.isascii() and stem.isdigit() and len(stem) < 19 else place

    def posetrack_id(self, place: int) -> int:
        """PoseTrack18's id of a frame: 1, the six digits its video's name begins with, four of the frame."""
        found = re.match(r"(\d{6})(?!\d)", self.name)
        return 10_000_000_000 + 10_000 * (int(found.group(1)) if found else 0) + self.number(place)

    def images(self) -> Iterator[Image]:
        """Yield the frames (H, W, 3) in red, green, blue; they all have the size of the first."""
        size = None
        from_files = (read_image(path, upright=True) for path in self.pictures)
        for place, image in enumerate(from_files if self.pictures else self._from_video()):
            size = size or image.shape
            if image.shape != size:
                where = self.pictures[place] if self.pictures else f"{self.source}, frame {place}"
                raise UserError(
                    f"{where} is {image.shape[1]}x{image.shape[0]} pixels, and the frames before {size[1]}x{size[0]}; "
                    "give frames of one size"
                )
            yield image

    def _from_video(self) -> Iterator[Image]:
        reader = _opened(self.source)
        try:
            while True:
                there, image = reader.read()
                if not there:
                    return
                yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB)  # type: ignore[misc]
        finally:
            reader.release()


def is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEOS


def open_frames(path: Path) -> VideoFrames:
    """The frames of a video file, or those of a folder or zip of pictures in the order of their numbers."""
    if zipped.is_folder(path):
        names = (name for name in zipped.names_in(path) if Path(name).suffix.lower() in SUFFIXES)
        pictures = tuple(path / name for name in sorted(names, key=_in_order))
        if not pictures:
            raise UserError(f"{path} holds no pictures ({', '.join(SUFFIXES)}); name the folder of the frames")
        return VideoFrames(path, pictures, len(pictures), RATE)
    reader = _opened(path)
    try:
        rate, count = reader.get(cv2.CAP_PROP_FPS), reader.get(cv2.CAP_PROP_FRAME_COUNT)
        if not reader.grab():
            raise UserError(f"{path}: no frame can be read, it is empty or damaged; fetch or convert it again")
    finally:
        reader.release()
    return VideoFrames(path, (), int(count) if 0 < count < 1e9 else 0, rate if 0 < rate < 1000 else RATE)


def _opened(path: Path) -> cv2.VideoCapture:
    if not path.is_file():
        raise UserError(f"there is no {path}; name a video file, or a folder of frames")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: the file is empty; fetch the video again")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # our message says more than those of the decoder
    reader = cv2.VideoCapture(str(path))
    if not reader.isOpened():
        reader.release()
        raise UserError(f"{path}: damaged, cut off, or no video; play it to see, or convert it to .mp4")
    return reader


def _in_order(name: str) -> tuple[list[tuple[int, str]], str]:
    """What puts 10.jpg behind 9.jpg."""
    parts = re.split(r"(\d+)", name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], name
