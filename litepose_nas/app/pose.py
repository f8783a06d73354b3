"""People in images, folders, videos and cameras. It needs numpy, opencv-python and onnxruntime.

python pose.py photo.jpg                 # poses.json, and the photo with its people
python pose.py photos/ --out found
python pose.py clip.mp4                  # who is who stays the same from frame to frame
python pose.py camera:0                  # a window, until q or Ctrl-C
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from follow import follower
from network import Finder, Person

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
# Of people; easy to tell apart for eyes that see red and green alike as well. Blue, green, red, as OpenCV has it.
COLOURS = ((0, 159, 230), (233, 180, 86), (115, 158, 0), (66, 228, 240), (167, 121, 204), (178, 114, 0), (0, 94, 213))
COORDINATES = "pixels of the upright picture; the middle of its first pixel is 0, 0; the third number is a value"


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("source", help="an image, a folder of images, a video, camera:0, or an address of a stream")
    parser.add_argument("--out", type=Path, default=Path("poses"), help="the folder to write (default: poses)")
    parser.add_argument("--min-score", type=float, default=0.1, help="drop people below this score (default: 0.1)")
    parser.add_argument("--threads", type=int, default=0, help="of the network; all cores if 0")
    asked = parser.parse_args(words)
    finder = Finder(Path(__file__).resolve().parent, asked.threads)
    try:
        if asked.source.startswith("camera:") or "://" in asked.source:
            return camera(finder, asked.source, asked.min_score)
        path = Path(asked.source)
        if path.suffix.lower() in VIDEOS and path.is_file():
            return video(finder, path, asked.out, asked.min_score)
        return images(finder, path, asked.out, asked.min_score)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def images(finder: Finder, path: Path, out: Path, least: float) -> int:
    inside = sorted(path.iterdir()) if path.is_dir() else [path]
    paths = [one for one in inside if one.suffix.lower() in IMAGES and one.is_file()]
    if not paths:
        return wrong(f"{path}: no image, folder of images, or video ({', '.join(IMAGES + VIDEOS)})")
    entries: list[dict[str, Any]] = []
    count = 0
    for one in paths:
        image = cv2.imdecode(np.frombuffer(one.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            print(f"{one}: cannot be read; left out", file=sys.stderr)
            continue
        people = finder.people(image[..., ::-1], least)
        count += len(people)
        entries.append(
            {"file": str(one), "width": image.shape[1], "height": image.shape[0], "people": [p.plain() for p in people]}
        )
        write_image(out / one.name, drawn(image, people, finder.info))
    if not entries:
        return wrong(f"{path}: no image of it can be read")
    write(out / "poses.json", {**described(finder), "pictures": entries})
    print(f"{count} people in {len(entries)} images: {out}")
    return 0


def video(finder: Finder, path: Path, out: Path, least: float) -> int:
    frames = cv2.VideoCapture(str(path))
    rate, follow = frames.get(cv2.CAP_PROP_FPS) or 25.0, follower(finder, least)
    writer, tracks = None, set()
    found: list[dict[str, Any]] = []
    out.mkdir(parents=True, exist_ok=True)
    try:
        while True:
            ok, image = frames.read()
            if not ok:
                break
            people = follow.step(image[..., ::-1])
            found.append({"frame": len(found), "people": [one.plain() for one in people]})
            tracks |= {one.track for one in people}
            if writer is None:
                size = (image.shape[1], image.shape[0])
                writer = cv2.VideoWriter(str(out / f"{path.stem}.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), rate, size)
            writer.write(drawn(image, people, finder.info))
    finally:
        frames.release()
        if writer is not None:
            writer.release()
        if found:
            write(out / f"{path.stem}.json", {**described(finder), "video": str(path), "rate": rate, "frames": found})
    if not found:
        return wrong(f"{path}: no frame of it can be read")
    print(f"{len(found)} frames, {len(tracks)} people: {out}")
    return 0


def camera(finder: Finder, source: str, least: float) -> int:
    """Show what is found until q is pressed; where OpenCV has no windows, print how many people there are."""
    number = source.partition(":")[2] if source.startswith("camera:") else source
    frames = cv2.VideoCapture(int(number) if number.isdecimal() else number)
    if not frames.isOpened():
        return wrong(f"{source}: no such camera or stream")
    frames.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    follow, windows, begun, count = follower(finder, least), True, time.perf_counter(), 0
    try:
        while True:
            ok, image = frames.read()
            if not ok:
                return wrong(f"{source}: it gives no more frames")
            people = follow.step(image[..., ::-1])
            count += 1
            fast = count / (time.perf_counter() - begun)
            if windows:
                try:
                    cv2.imshow("q ends it", drawn(image, people, finder.info))
                    if cv2.waitKey(1) & 0xFF == ord("q"):
                        return 0
                except cv2.error:
                    windows = False
            else:
                print(f"\r{len(people)} people, {fast:.1f} frames a second ", end="", flush=True)
    finally:
        frames.release()


def drawn(image: np.ndarray, people: list[Person], info: dict[str, Any]) -> np.ndarray:
    """The image, blue first as OpenCV has it, with its people."""
    canvas, stroke = image.copy(), max(1, round(max(image.shape[:2]) / 220))
    for number, one in enumerate(people):
        who = number if one.track is None else one.track
        colour = COLOURS[who % len(COLOURS)]
        places = [(round(float(x)), round(float(y))) for x, y, _ in one.keypoints]
        there = [bool(value) for _, _, value in one.keypoints]
        for a, b in info["skeleton"]:
            if there[a] and there[b]:
                cv2.line(canvas, places[a], places[b], (20, 20, 20), stroke + 2, cv2.LINE_AA)
                cv2.line(canvas, places[a], places[b], colour, stroke, cv2.LINE_AA)
        for place, known in zip(places, there, strict=True):
            if known:
                cv2.circle(canvas, place, stroke + 1, colour, -1, cv2.LINE_AA)
        seen = [place for place, known in zip(places, there, strict=True) if known]
        if one.track is not None and seen:
            at = (min(x for x, _ in seen), max(12, min(y for _, y in seen) - 6))
            cv2.putText(canvas, str(who), at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)
    return canvas


def described(finder: Finder) -> dict[str, Any]:
    return {"coordinates": COORDINATES, "keypoints": finder.info["keypoints"], "skeleton": finder.info["skeleton"]}


def write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    ok, data = cv2.imencode(path.suffix, image)
    if ok:
        path.write_bytes(data.tobytes())


def write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def wrong(text: str) -> int:
    print(f"error: {text}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
