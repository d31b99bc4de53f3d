"""Large pictures with many small faces: labelled photos of one person each, before the ground of another photo."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from immich_facesets.faces import Box

Pixels = NDArray[np.uint8]

_AROUND = 3.0
"""The side of the part of a photo that is shown, in shorter sides of its face."""


@dataclass(frozen=True, eq=False)
class Crowd:
    """``boxes`` and ``vectors`` (n, d) are those that the reference finds in the photos, in the order of the faces."""

    pixels: Pixels
    boxes: tuple[Box, ...]
    vectors: NDArray[np.float32]

    @cached_property
    def jpeg(self) -> bytes:
        done, encoded = cv2.imencode(
            ".jpg", cv2.cvtColor(self.pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92]
        )
        assert done
        return encoded.tobytes()

    def found(self, boxes: Sequence[Box]) -> list[int]:
        """For each face the index of the box that shows it, -1 for none."""
        best = [max(((box.iou(one), at) for at, one in enumerate(boxes)), default=(0.0, -1)) for box in self.boxes]
        return [at if overlap > 0.4 else -1 for overlap, at in best]


class Crowds:
    """The labelled photos of LFW, of 250 x 250 pixels, of which pictures are put together."""

    def __init__(self, data: Path) -> None:
        found = np.load(data / "reference_bench_s.npz")
        with (data / "labels.csv").open(newline="") as rows:
            single = {row["file"] for row in csv.DictReader(rows) if row["kind"] == "single" and "/lfw/" in row["file"]}
        self._data = data
        self._paths, self._boxes, self._vectors = found["path"], found["bbox"], found["embedding"]
        places = {path: np.flatnonzero(self._paths == path) for path in sorted(single)}
        self._rows = [int(at[0]) for at in places.values() if len(at) == 1]
        self._grounds = [_opened(path) for path in sorted((data / "images/negatives").glob("*.jpg"))]

    def __len__(self) -> int:
        return len(self._rows)

    def draw(self, size: tuple[int, int], shorts: tuple[float, float], count: int, *, seed: int = 0) -> Crowd:
        """
        Return a picture of this width and height with up to ``count`` faces, each in a cell of its own.

        The shorter sides of the faces lie between the two ``shorts``.
        """
        width, height = size
        random = np.random.default_rng(seed)
        cell = round(shorts[1] * _AROUND)
        columns, rows = width // cell, height // cell
        ground = self._grounds[seed % len(self._grounds)]
        pixels = np.asarray(cv2.resize(ground, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        chosen = random.permutation(self._rows)[: min(count, columns * rows)]
        boxes = []
        for face, at in zip(chosen, random.permutation(columns * rows), strict=False):
            part, box = self._part(int(face), random.uniform(*shorts))
            free = [max(1, cell - length) for length in part.shape[1::-1]]
            x, y = ((int(at) % columns) * cell, (int(at) // columns) * cell)
            x, y = x + int(random.integers(free[0])), y + int(random.integers(free[1]))
            place = pixels[y : y + part.shape[0], x : x + part.shape[1]]
            share = _soft_edged(part.shape[0], part.shape[1], box.face_short)
            place[:] = np.rint(place * (1 - share) + part * share).astype(np.uint8)
            boxes.append(Box(box.x1 + x, box.y1 + y, box.x2 + x, box.y2 + y))
        return Crowd(pixels, tuple(boxes), self._vectors[chosen].astype(np.float32))

    def _part(self, row: int, short: float) -> tuple[Pixels, Box]:
        """The surroundings of a face whose shorter side has ``short`` pixels, and its box there."""
        own = Box(*self._boxes[row].tolist())
        factor = short / own.face_short
        photo = _opened(self._data / str(self._paths[row]))
        way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        photo = np.asarray(cv2.resize(photo, None, fx=factor, fy=factor, interpolation=way), np.uint8)
        box = own.scaled(factor, factor)
        half = short * _AROUND / 2
        left, top = max(0, round((box.x1 + box.x2) / 2 - half)), max(0, round((box.y1 + box.y2) / 2 - half))
        part = photo[top : top + round(2 * half), left : left + round(2 * half)]
        return part, Box(box.x1 - left, box.y1 - top, box.x2 - left, box.y2 - top)


def _opened(path: Path) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _soft_edged(height: int, width: int, short: float) -> NDArray[np.float32]:
    """The share of a part in each pixel, (height, width, 1): its edges fade into the ground."""
    share, margin = np.zeros((height, width), np.float32), round(0.3 * short)
    share[margin:-margin, margin:-margin] = 1
    return np.asarray(cv2.GaussianBlur(share, (0, 0), 0.12 * short), np.float32)[..., None]
