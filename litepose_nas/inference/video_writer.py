"""Writing a video: frames in, a file that players open out, also when it ends early."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from litepose_nas.data.augment import Image
from litepose_nas.errors import UserError
from litepose_nas.untrusted.opening import open_in_place

SUFFIX = ".mp4"
CODEC = "mp4v"  # in every build of OpenCV with FFmpeg


class VideoWriter:
    """Writes frames of one size into a file; close it, or use it as a context."""

    def __init__(self, path: Path, rate: float):
        self.path, self.rate, self.frames = path, rate, 0
        self._writer: cv2.VideoWriter | None = None

    def add(self, image: Image) -> None:
        """Write the next frame (H, W, 3) in red, green, blue."""
        height, width = image.shape[:2]
        if self._writer is None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                os.close(open_in_place(self.path, os.O_WRONLY))  # OpenCV's own opening would follow a link
            except OSError as error:
                raise UserError(f"{self.path}: cannot be written ({error.strerror}); choose another --out") from error
            even = width + width % 2, height + height % 2
            self._writer = cv2.VideoWriter(str(self.path), cv2.VideoWriter.fourcc(*CODEC), self.rate, even)
            if not self._writer.isOpened():
                raise UserError(f"{self.path}: cannot be written; check the folder, or that OpenCV has FFmpeg")
        # The codec knows even sides alone: the last row or column stands twice.
        whole = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        self._writer.write(np.ascontiguousarray(whole[..., ::-1]))
        self.frames += 1

    def close(self) -> None:
        """End the file and make sure that it can be read."""
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        reader = cv2.VideoCapture(str(self.path))
        whole = reader.isOpened() and reader.grab()
        reader.release()
        if not whole:  # the writer does not say that the disk is full
            raise UserError(f"{self.path}: writing failed; make room, and begin again or go on with --resume")

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._writer is not None:  # what went wrong matters more than how the file ends
            self._writer.release()
