"""Pictures of cuts: turned so that the face is upright, with the others where they are then."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest
from faceset_builders import face
from numpy.typing import NDArray

from immich_facesets.exports.cuts import Framing
from immich_facesets.exports.picture_encoding import PictureFormat
from immich_facesets.exports.profile import PictureFile
from immich_facesets.faces import Box, Landmarks
from service.files.crops import keep_crop
from service.passes.context import PassContext
from service.passes.publishing.cut_rendering import CutDrawing
from service.passes.publishing.cuts import Cuts
from service.progress import ProgressBoard
from service.settings import Settings
from service.store.cuts import StoredCut
from service.store.database import Store

UPRIGHT: Landmarks = ((60.0, 60.0), (100.0, 60.0), (80.0, 80.0), (65.0, 100.0), (95.0, 100.0))
LYING: Landmarks = ((60.0, 100.0), (60.0, 60.0), (80.0, 80.0), (100.0, 95.0), (100.0, 65.0))
AREA, OWN, OTHER = Box(100, 50, 500, 250), Box(150, 100, 190, 140), Box(420, 180, 440, 200)
"""Of the original: the cut, the face in green, and the other face in red."""

TEXTS = {"Software": "1", "Asset": "a", "Identity": "1"}


class Prepared:
    """The one cut there is."""

    def __init__(self, cut: StoredCut) -> None:
        self.cut = cut

    def of(self, *_: object) -> StoredCut:
        return self.cut

    def strangers(self, *_: object) -> tuple[Box, ...]:
        return (OTHER,)


def drawn(
    folder: Path, points: Landmarks, *, pixels: int = 512, kind: PictureFormat = PictureFormat.PNG, mask: bool = True
) -> PictureFile:
    original = np.full((300, 600, 3), 200, np.uint8)
    for box, colour in ((OWN, (0, 255, 0)), (OTHER, (0, 0, 255))):
        original[round(box.y1) : round(box.y2), round(box.x1) : round(box.x2)] = colour
    shown = original[50:250, 100:500]
    settings = Settings(data_dir=folder, immich_url="http://127.0.0.1:1")
    context = PassContext(cast("Store", None), settings, ProgressBoard(), asyncio.Event())
    body = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, 97])[1].tobytes()
    file = keep_crop(context.crops_dir, "ab" * 32, body)
    cut = StoredCut(1, "head", "", 512, file, AREA, (400, 200), "", ())
    seen = replace(face(1), box=OWN, landmarks=points)
    drawing = CutDrawing(context, cast("Cuts", Prepared(cut)))
    return drawing.picture(
        seen, Framing.HEAD, pixels, TEXTS, kind, is_transparent=kind.has_transparency, has_mask_file=mask
    )


def pixels_of(made: PictureFile) -> NDArray[np.uint8]:
    return cast("NDArray[np.uint8]", cv2.imdecode(np.frombuffer(made.encode(), np.uint8), cv2.IMREAD_UNCHANGED))


def middle(where: NDArray[np.bool_]) -> tuple[float, float]:
    rows, columns = np.nonzero(where)
    return float(rows.mean()), float(columns.mean())


@pytest.mark.parametrize(
    ("points", "shape", "own", "other"),
    [(UPRIGHT, (200, 400), (70, 70), (140, 330)), (LYING, (400, 200), (70, 130), (330, 60))],
    ids=["upright", "lying"],
)
def test_a_cut_is_turned_with_all_that_is_in_it(
    tmp_path: Path, points: Landmarks, shape: tuple[int, int], own: tuple[int, int], other: tuple[int, int]
) -> None:
    made = drawn(tmp_path, points)
    picture = pixels_of(made)
    assert picture.shape == (*shape, 4)
    green = (picture[:, :, 1] > 180) & (picture[:, :, 0] < 100)
    assert middle(green) == pytest.approx(own, abs=1.5)
    assert middle(picture[:, :, 3] == 0) == pytest.approx(other, abs=1.5)
    assert (picture[:, :, 3] == 0).sum() == pytest.approx(30 * 30, abs=130)
    assert made.mask is not None
    weights = pixels_of(made.mask)
    assert weights.shape == shape
    assert middle(weights == 0) == pytest.approx(other, abs=1.5)
    assert weights[own] == 255
    assert made.hides


def test_a_cut_is_reduced_to_the_wanted_pixels_and_never_enlarged(tmp_path: Path) -> None:
    small = drawn(tmp_path, UPRIGHT, pixels=100)
    assert pixels_of(small).shape[:2] == (70, 141)
    assert small.scale == 0.352
    assert small.mask is not None
    assert pixels_of(small.mask).shape == (70, 141)
    assert drawn(tmp_path, UPRIGHT, pixels=4096).scale == 1.0


def test_a_jpeg_has_its_mask_beside_it_alone(tmp_path: Path) -> None:
    made = drawn(tmp_path, UPRIGHT, kind=PictureFormat.JPG)
    assert pixels_of(made).shape == (200, 400, 3)
    assert (made.hides, made.has_alpha_mask) == (True, False)
    assert made.facts["masked"] == [[420, 180, 440, 200]]
    plain = drawn(tmp_path, UPRIGHT, kind=PictureFormat.JPG, mask=False)
    assert (plain.mask, plain.hides, plain.facts["masked"]) == (None, False, [])
