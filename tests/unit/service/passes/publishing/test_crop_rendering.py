"""Pictures of exports made of stored crops: no invented area in any, and a frame without neighbours."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest
from faceset_builders import candidate, face
from numpy.typing import NDArray

from embedder.engine import Detection
from embedder.images.alignment import align
from embedder.images.crops import cut_crop
from embedder.images.picture import Picture
from immich_facesets.exports.crop_geometry import plan_square
from immich_facesets.exports.picture_encoding import PictureFormat
from immich_facesets.exports.profile import PictureFile
from immich_facesets.face_requests import CropRequest
from immich_facesets.faces import Box, Landmarks
from immich_facesets.facesets.faceset import ExportFace, ExportRules
from immich_facesets.quality.pose import upright_turns
from immich_facesets.quality.score import quality
from service.embedders.pool import EmbedderPool
from service.files.crops import keep_crop
from service.passes.context import PassContext
from service.passes.publishing.crop_checks import CropChecks
from service.passes.publishing.crop_rendering import Drawing
from service.progress import ProgressBoard
from service.settings import Settings
from service.store.database import Store
from service.store.exports import StoredCrop

WIDTH, HEIGHT, SIDE = 400, 300, 256
RULES = ExportRules(0.45, out_size=SIDE)
UPRIGHT: Landmarks = ((60.0, 60.0), (100.0, 60.0), (80.0, 80.0), (65.0, 100.0), (95.0, 100.0))
LYING: Landmarks = ((60.0, 100.0), (60.0, 60.0), (80.0, 80.0), (100.0, 95.0), (100.0, 65.0))


def original() -> NDArray[np.uint8]:
    """A picture of bright squares, RGB."""
    dice = np.random.default_rng(1)
    return dice.integers(120, 256, (HEIGHT // 10, WIDTH // 10, 3), dtype=np.uint8).repeat(10, axis=0).repeat(10, axis=1)


def drawing(folder: Path, seen: ExportFace) -> tuple[Drawing, CropChecks]:
    """A drawing of one face in a picture without a black pixel, whose crop was cut by the embedder."""
    pixels = original()
    shown, turns = seen.candidate.face, upright_turns(seen.candidate.face.landmarks)
    cut = cut_crop(Picture(np.ascontiguousarray(pixels), WIDTH, HEIGHT), shown.box, CropRequest(SIDE), turns=turns)
    assert cut is not None
    settings = Settings(data_dir=folder, immich_url="http://127.0.0.1:1")
    context = PassContext(cast("Store", None), settings, ProgressBoard(), asyncio.Event())
    checks = CropChecks(context, cast("EmbedderPool", None), RULES)
    context.crops_dir.mkdir(parents=True)
    file = keep_crop(context.crops_dir, shown.sha256, cut.image)
    checks.crops = {shown.face_id: StoredCrop(file, Box(*cut.area), WIDTH, HEIGHT, 0.5, None, None, None, (), SIDE)}
    return Drawing(checks, RULES, "1"), checks


def exported(box: Box, points: Landmarks = UPRIGHT, frame: Box | None = None) -> ExportFace:
    shown = replace(face(1), box=box, landmarks=points)
    return ExportFace(candidate(of=shown), quality(shown), 0.1, frame=frame)


def pixels_of(made: PictureFile) -> NDArray[np.uint8]:
    return cast("NDArray[np.uint8]", cv2.imdecode(np.frombuffer(made.encode(), np.uint8), cv2.IMREAD_COLOR))


def black_share(picture: NDArray[np.uint8]) -> float:
    return float((picture.max(axis=2) < 8).mean())


@pytest.mark.parametrize(
    ("stored", "pixels", "whole", "half"),
    [
        (SIDE, 100, 0.5, 1.0),
        (SIDE, SIDE, 1.28, 2.56),
        (100, 100, 0.5, 2.0),
        (100, SIDE, 2.56, 5.12),
        (SIDE, 2 * SIDE, 2.56, 5.12),
    ],
)
def test_the_scale_of_a_picture_counts_the_pixels_that_its_source_has(
    tmp_path: Path, stored: int, pixels: int, whole: float, half: float
) -> None:
    """The crop shows 200 pixels of the original; ``stored``: the pixels of a side that were kept of them, at most."""
    seen = exported(Box(150, 100, 250, 200))
    made, checks = drawing(tmp_path, seen)
    checks.crops = {1: replace(checks.crops[1], most_side=stored)}
    assert checks.crops[1].area.width == 200
    assert made.picture(seen, 1, pixels, for_swapping=True).scale == whole
    framed = replace(seen, frame=Box(0.25, 0.25, 0.75, 0.75))
    assert made.picture(framed, 1, pixels, for_swapping=True).scale == half


@pytest.mark.parametrize("side", [112, 256])
@pytest.mark.parametrize("box", [Box(150, 100, 250, 200), Box(0, 0, 100, 100)], ids=["inside", "at the edge"])
@pytest.mark.parametrize("points", [UPRIGHT, LYING])
def test_an_aligned_face_is_the_one_that_the_embedder_sees(
    tmp_path: Path, points: Landmarks, box: Box, side: int
) -> None:
    shift = (box.x1 + box.x2) / 2 - 80, (box.y1 + box.y2) / 2 - 80
    moved = cast("Landmarks", tuple((x + shift[0], y + shift[1]) for x, y in points))
    seen = exported(box, moved)
    made, _ = drawing(tmp_path, seen)
    found = made.picture(seen, 1, side, for_swapping=False, is_aligned=True)
    detection = Detection(box, moved, 0.9)
    expected = align(np.ascontiguousarray(original()), detection, side)
    apart = np.abs(pixels_of(found)[:, :, ::-1].astype(float) - expected.crop)
    assert apart.mean() < 6.0
    assert found.scale == pytest.approx(side / expected.span, abs=0.001)


@pytest.mark.parametrize(
    ("box", "shown"),
    [(Box(150, 100, 230, 200), Box(150, 100, 230, 200)), (Box(-10, 0, 90, 120), Box(0, 0, 90, 120))],
    ids=["inside", "at the edge"],
)
@pytest.mark.parametrize("points", [UPRIGHT, LYING])
def test_a_picture_cut_to_the_box_shows_the_box_in_its_own_shape_and_nothing_outside_the_picture(
    tmp_path: Path, points: Landmarks, box: Box, shown: Box
) -> None:
    shift = (box.x1 + box.x2) / 2 - 80, (box.y1 + box.y2) / 2 - 80
    seen = exported(box, cast("Landmarks", tuple((x + shift[0], y + shift[1]) for x, y in points)))
    made, _ = drawing(tmp_path, seen)
    found = made.picture(seen, 1, 60, for_swapping=False, is_cut_to_box=True)
    expected = original()[int(shown.y1) : int(shown.y2), int(shown.x1) : int(shown.x2), ::-1]
    expected = np.rot90(expected, upright_turns(seen.candidate.face.landmarks))
    high, wide = (round(60 * side / max(expected.shape[:2])) for side in expected.shape[:2])
    assert pixels_of(found).shape == (high, wide, 3)
    small = cv2.resize(np.ascontiguousarray(expected), (wide, high), interpolation=cv2.INTER_AREA)
    assert np.abs(pixels_of(found).astype(float) - small).mean() < 8.0
    assert found.scale == pytest.approx(60 / max(expected.shape[:2]), abs=0.001)


@pytest.mark.parametrize("points", [UPRIGHT, LYING])
def test_a_face_at_the_edge_has_black_beside_it_for_detectors_and_nothing_for_people(
    tmp_path: Path, points: Landmarks
) -> None:
    seen = exported(Box(20, 30, 120, 130), points)
    made, checks = drawing(tmp_path, seen)
    shown = checks.crops[1].area
    inside = (min(shown.x2, WIDTH) - max(shown.x1, 0)) * (min(shown.y2, HEIGHT) - max(shown.y1, 0))
    for_detectors = pixels_of(made.picture(seen, 1, None, for_swapping=True))
    assert black_share(for_detectors) == pytest.approx(1 - inside / shown.area, abs=0.02)
    for_people = pixels_of(made.picture(seen, 1, None, for_swapping=False))
    assert for_people.shape == for_detectors.shape
    assert black_share(for_people) == 0.0


def test_a_face_in_the_middle_is_the_same_for_everybody(tmp_path: Path) -> None:
    seen = exported(Box(150, 110, 230, 190))
    made, checks = drawing(tmp_path, seen)
    one, other = (pixels_of(made.picture(seen, 1, None, for_swapping=swap)) for swap in (True, False))
    np.testing.assert_array_equal(one, other)
    assert black_share(one) == 0.0
    square = plan_square(seen.candidate.face.box, 0.5)
    assert (checks.crops[1].area.x1, checks.crops[1].area.y1) == (square.left, square.top)


def test_a_frame_is_shown_alone_and_at_full_size(tmp_path: Path) -> None:
    seen = exported(Box(150, 110, 230, 190), frame=Box(0.0, 0.25, 0.5, 0.75))
    made, _ = drawing(tmp_path, seen)
    framed = pixels_of(made.picture(seen, 1, None, for_swapping=True))
    whole = pixels_of(made.picture(replace(seen, frame=None), 1, None, for_swapping=True))
    part = cv2.resize(whole[SIDE // 4 : 3 * SIDE // 4, : SIDE // 2], (SIDE, SIDE), interpolation=cv2.INTER_LANCZOS4)
    assert float(np.abs(framed.astype(int) - part.astype(int)).mean()) < 6.0


TOUCHING = Box(150.0, 90.0, 230.0, 170.0)  # in the crop's pixels: over a corner of the face, so no frame leaves it out


@pytest.mark.parametrize("pixels", [None, 2 * SIDE])
@pytest.mark.parametrize("picture_format", [PictureFormat.PNG, PictureFormat.WEBP])
def test_trainers_learn_nothing_of_a_second_face_that_no_frame_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixels: int | None, picture_format: PictureFormat
) -> None:
    seen = exported(Box(150, 110, 230, 190))
    made, checks = drawing(tmp_path, seen)
    own = checks.place(seen.candidate.face)
    assert own.iou(TOUCHING) > 0.0
    monkeypatch.setattr(checks, "strangers", lambda _face_id: (TOUCHING,))

    def shown(*, reads_alpha_masks: bool) -> PictureFile:
        return made.picture(
            seen,
            1,
            pixels,
            for_swapping=False,
            picture_format=picture_format,
            reads_alpha_masks=reads_alpha_masks,
        )

    masked, plain = shown(reads_alpha_masks=True), shown(reads_alpha_masks=False)
    assert (masked.has_alpha_mask, plain.has_alpha_mask) == (True, False)
    assert masked.key != plain.key
    found = cv2.imdecode(np.frombuffer(masked.encode(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert found is not None
    factor = (pixels or SIDE) / SIDE

    def alpha(box: Box) -> NDArray[np.uint8]:
        rows, columns = (
            slice(round(factor * first), round(factor * last)) for first, last in ((box.y1, box.y2), (box.x1, box.x2))
        )
        return found[rows, columns, 3].astype(np.uint8)

    assert (alpha(own) == 255).all()
    assert (alpha(Box(own.x2 + 1, TOUCHING.y1, TOUCHING.x2 + 15, TOUCHING.y2)) == 0).all()
    assert (alpha(Box(0, 0, SIDE, 60)) == 255).all()
    assert (pixels_of(plain).shape) == (round(SIDE * factor), round(SIDE * factor), 3)
    if picture_format is PictureFormat.PNG:
        np.testing.assert_array_equal(found[:, :, :3], pixels_of(plain))


def test_there_is_no_mask_where_a_frame_leaves_the_second_face_out_or_the_format_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = exported(Box(150, 110, 230, 190))
    made, checks = drawing(tmp_path, seen)
    monkeypatch.setattr(checks, "strangers", lambda _face_id: (Box(0.0, 0.0, 20.0, 20.0),))
    assert not made.picture(seen, 1, None, for_swapping=False, reads_alpha_masks=True).has_alpha_mask
    monkeypatch.setattr(checks, "strangers", lambda _face_id: (TOUCHING,))
    jpg = made.picture(seen, 1, None, for_swapping=False, picture_format=PictureFormat.JPG, reads_alpha_masks=True)
    assert not jpg.has_alpha_mask
    assert pixels_of(jpg).shape == (SIDE, SIDE, 3)
