"""Copies of real photos, and different photos of one person, with real models: the former are one, the latter two."""

import csv
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from testdata import shared_data

from embedder.engines.onnx import OnnxEngine, Tuning
from embedder.engines.recogniser import unit_rows
from embedder.images.crops import cut_crop
from embedder.images.decoder import Decoder
from embedder.images.picture import Picture
from embedder.models.pack import open_pack
from immich_facesets.exports.crops import grey_picture, points_in_crop
from immich_facesets.face_requests import CropRequest
from immich_facesets.near_duplicates.faces import CopyFacts, near_groups
from immich_facesets.near_duplicates.perceptual_hash import face_hash
from immich_facesets.quality.pose import upright_turns

pytestmark = pytest.mark.models
Pixels = NDArray[np.uint8]
DATES = ("2001-01-01", "2002-02-02")

EXTENT = pytest.mark.parametrize("every", [6, pytest.param(1, marks=pytest.mark.slow)])
"""The quick run takes every sixth person, the slow run all."""


def turned(pixels: Pixels, degrees: float) -> Pixels:
    """The picture straightened as photo programs do it: turned, and enlarged so that no corner is empty."""
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.05 + 0.02 * degrees)
    return np.asarray(cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_CUBIC), np.uint8)


def framed_anew(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    return np.ascontiguousarray(pixels[height // 20 : -height // 20, width // 20 : -width // 20])


COPIES: dict[str, Callable[[Pixels], Pixels]] = {
    "1 degree": lambda pixels: turned(pixels, 1),
    "5 degrees": lambda pixels: turned(pixels, 5),
    "8 degrees": lambda pixels: turned(pixels, 8),
    "mirrored": lambda pixels: np.ascontiguousarray(pixels[:, ::-1]),
    "framed anew": framed_anew,
}


class Looker:
    """Finds the largest face of a picture, with its vector and the hash of its stored crop."""

    def __init__(self) -> None:
        self._engine = OnnxEngine(open_pack(shared_data() / "data" / "models", "bench_s"), Tuning())

    def look(self, pixels: Pixels) -> tuple[NDArray[np.float32], int] | None:
        found = self._engine.detect([self._engine.view(pixels)])[0]
        if not found:
            return None
        face = max(found, key=lambda one: one.box.area)
        vector = unit_rows(self._engine.recognise([self._engine.align(pixels, face)]))[0]
        turns = upright_turns(face.landmarks)
        crop = cut_crop(Picture.whole(pixels), face.box, CropRequest(512), turns=turns)
        assert crop is not None
        grey = grey_picture(crop.image)
        return vector, face_hash(grey, points_in_crop(face.landmarks, crop.area, grey.shape[0], turns=turns))


@pytest.fixture(scope="module")
def looker() -> Looker:
    return Looker()


def photos(every: int) -> dict[str, list[Pixels]]:
    """The photos of people with several portraits, by person."""
    data, decoder = shared_data() / "data", Decoder(150_000_000)
    with (data / "labels.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if "/lfw/" in row["file"]]
    people: dict[str, list[Path]] = {}
    for row in rows:
        people.setdefault(row["identity"], []).append(data / row["file"])
    several = sorted(name for name, paths in people.items() if len(paths) > 1)
    return {name: [decoder.decode(path.read_bytes()).pixels for path in people[name][:4]] for name in several[::every]}


@EXTENT
def test_straightened_mirrored_and_reframed_copies_count_once(looker: Looker, every: int) -> None:
    caught: dict[str, list[bool]] = {name: [] for name in COPIES}
    for shots in photos(every).values():
        own = looker.look(shots[0])
        if own is None:
            continue
        for name, copied in COPIES.items():
            other = looker.look(copied(shots[0]))
            if other is not None:
                vectors = np.stack([own[0], other[0]])
                caught[name].append(len(near_groups(vectors, CopyFacts.of([own[1], other[1]], DATES))) == 1)
    assert all(len(found) >= 5 for found in caught.values())
    assert {name: np.mean(found) >= 0.95 for name, found in caught.items()} == dict.fromkeys(COPIES, True)


@EXTENT
def test_different_photos_of_a_person_count_each(looker: Looker, every: int) -> None:
    pairs = 0
    for shots in photos(every).values():
        seen = [one for pixels in shots if (one := looker.look(pixels)) is not None]
        for one, other in combinations(seen, 2):
            vectors = np.stack([one[0], other[0]])
            assert len(near_groups(vectors, CopyFacts.of([one[1], other[1]], (None, None)))) == 2
            pairs += 1
    assert pairs >= 10
