"""A camera, a stream, or a file played as one: the newest frame is given, those that nobody took are dropped."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import cv2

from litepose_nas.data.augment import Image
from litepose_nas.data.video_frames import RATE
from litepose_nas.errors import UserError

SCHEMES = ("rtsp://", "rtsps://", "http://", "https://", "rtmp://", "udp://", "tcp://")
PREFIX = "camera:"
PATIENCE = 5000  # milliseconds for a stream to begin, and between two frames


class CameraFrame(NamedTuple):
    number: int  # from 1 up, of all that came
    image: Image
    taken: float  # by time.perf_counter


def is_camera(source: str) -> bool:
    return source.lower().startswith((PREFIX, *SCHEMES))


class LiveCamera:
    """Reads frames in a thread of its own and keeps the newest; a context that lets the camera go at its end."""

    def __init__(self, source: str):
        """Open camera:0, camera:FILE (played at its own rate, again and again) or the address of a stream."""
        self.source = source
        rest = source[len(PREFIX) :] if source.lower().startswith(PREFIX) else source
        self._file = Path(rest) if rest is not source and not rest.isdecimal() else None
        if self._file is not None and not self._file.is_file():
            raise UserError(f"{source}: no such video; name a camera by its number, such as camera:0, or a file")
        self._reader = _opened(source, rest, self._file is not None)
        self.rate = self._reader.get(cv2.CAP_PROP_FPS)
        self.rate = self.rate if 0 < self.rate < 1000 else RATE
        self._newest: CameraFrame | None = None
        self._changed = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def newest(self, after: int = 0, seconds: float = PATIENCE / 1000) -> CameraFrame | None:
        """The newest frame with a number above `after`, waited for; None when no more come."""
        with self._changed:
            ready = self._changed.wait_for(lambda: self._over or self._number() > after, seconds)
            return self._newest if ready and self._number() > after else None

    def close(self) -> None:
        self._over = True
        self._thread.join()
        self._reader.release()

    def __enter__(self) -> LiveCamera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _number(self) -> int:
        return self._newest.number if self._newest else 0

    def _read(self) -> None:
        begun, number = time.perf_counter(), 0
        while not self._over:
            there, image = self._reader.read()
            if not there and self._file is not None and number:
                self._reader.set(cv2.CAP_PROP_POS_FRAMES, 0)
                there, image = self._reader.read()
            if not there:
                break
            number += 1
            if self._file is not None:  # a file would be read as fast as the disk is
                time.sleep(max(0.0, begun + number / self.rate - time.perf_counter()))
            picture = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
            with self._changed:
                self._newest = CameraFrame(number, picture, time.perf_counter())  # type: ignore[arg-type]
                self._changed.notify_all()
        with self._changed:
            self._over = True
            self._changed.notify_all()


def _opened(source: str, rest: str, file: bool) -> cv2.VideoCapture:
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # our message says more than those of the decoder
    quiet = cv2.utils.logging
    before = quiet.getLogLevel()
    quiet.setLogLevel(quiet.LOG_LEVEL_SILENT)
    try:
        if rest.isdecimal():
            reader = cv2.VideoCapture(int(rest))
        elif file:
            reader = cv2.VideoCapture(rest)
        else:
            waits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, PATIENCE, cv2.CAP_PROP_READ_TIMEOUT_MSEC, PATIENCE]
            reader = cv2.VideoCapture(rest, cv2.CAP_FFMPEG, waits)
    finally:
        quiet.setLogLevel(before)
    if not reader.isOpened():
        reader.release()
        what = "no such camera" if rest.isdecimal() else "no video" if file else "no stream answers there"
        raise UserError(f"{source}: {what}; name another, such as camera:0 or rtsp://HOST/PATH")
    reader.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return reader
