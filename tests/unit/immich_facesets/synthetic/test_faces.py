"""The synthetic engine: drawn people are found in every picture they are drawn in, and no others."""

import io
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps
from testdata import shared_data

from immich_facesets.faces import Box
from immich_facesets.synthetic import Pose, Sitter, SyntheticFace, draw_picture, find_faces

Picture = NDArray[np.uint8]

UPRIGHT = Pose(x=0, y=0, size=100)

POSES = [
    Pose(x=200, y=170, size=100, roll=roll, yaw=yaw, expression=expression, light=light, age=age)
    for roll, yaw, expression, light, age in (
        (0, 0, 0.4, 0, 35),
        (25, 30, 1, 1, 8),
        (-25, -30, -1, -1, 80),
        (12, -20, 0.2, 0.5, 50),
        (-8, 25, 0.7, -0.5, 20),
    )
]


def portrait(
    seed: int = 5, size: float = 100, *, is_kin: bool = False, like: Pose = UPRIGHT, **how: Any
) -> tuple[Picture, Box]:
    side = round(4 * size)
    pose = replace(like, x=side / 2, y=side * 0.45, size=size, **how)
    picture, (box,) = draw_picture(side, side, [(Sitter(seed, is_kin), pose)], background_seed=seed)
    return picture, box


def stored(picture: Picture, kind: str, **how: int) -> Picture:
    """The picture after encoding and decoding."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **how)
    return np.asarray(Image.open(file).convert("RGB"))


def only_face(picture: Picture) -> SyntheticFace:
    (face,) = find_faces(picture)
    return face


def distance(first: SyntheticFace, second: SyntheticFace) -> float:
    return 1 - float(first.embedding @ second.embedding)


@pytest.mark.parametrize("size", [40, 60, 120, 300, 600])
@pytest.mark.parametrize("pose", range(len(POSES)))
def test_a_drawn_face_is_found_where_it_was_drawn(size: int, pose: int) -> None:
    own = POSES[pose]
    picture, box = portrait(
        1000 + pose, size, roll=own.roll, yaw=own.yaw, expression=own.expression, light=own.light, age=own.age
    )
    face = only_face(stored(picture, "JPEG", quality=85))
    assert face.seed == 1000 + pose
    assert face.box.iou(box) > 0.8
    assert abs(box.face_short - size) < 0.01


@pytest.mark.parametrize("size", [40, 60, 120, 300])
@pytest.mark.parametrize("pose", range(len(POSES)))
def test_a_gem_of_kin_and_a_muffler_are_read_at_every_size_and_seen_nowhere_else(size: int, pose: int) -> None:
    def seen(*, is_kin: bool = False, has_muffler: bool = False, blur: float = 0.0) -> SyntheticFace:
        like = replace(POSES[pose], has_muffler=has_muffler, blur=blur)
        picture, _ = portrait(1000 + pose, size, is_kin=is_kin, like=like)
        face = only_face(stored(picture, "JPEG", quality=85))
        assert face.seed == 1000 + pose
        return face

    plain, kin, muffled, family = seen(), seen(is_kin=True), seen(has_muffler=True), seen(is_kin=True, has_muffler=True)
    assert distance(plain, kin) > 0.4
    assert 0.15 < distance(plain, muffled) < 0.4
    assert distance(kin, family) < 0.3
    for face in (plain, seen(blur=size / 45)):
        assert distance(face, family) > 0.8


def test_a_reflection_is_drawn_in_its_mirror_and_is_the_same_person() -> None:
    pose = Pose(x=750, y=400, size=160, yaw=-15)
    reflection = replace(pose, x=250, y=300, size=100, yaw=12, is_reflection=True)
    picture, boxes = draw_picture(1200, 900, [(Sitter(77), reflection), (Sitter(77), pose)], 14)
    alone, _ = draw_picture(1200, 900, [(Sitter(77), pose)], 14)
    mirrored, face = find_faces(picture)
    assert (mirrored.seed, face.seed) == (77, 77)
    assert mirrored.box.iou(boxes[0]) > 0.8
    assert distance(mirrored, face) < 0.35
    rows, columns = np.nonzero((picture != alone).any(axis=2))
    assert rows.max() < 300 + 230  # the mirror ends above the feet
    assert columns.max() < 250 + 150


@pytest.mark.parametrize(
    ("kind", "how"),
    [("JPEG", {"quality": 85}), ("JPEG", {"quality": 95}), ("PNG", {}), ("WEBP", {"quality": 85}), ("WEBP", {})],
)
def test_every_kind_of_file_keeps_a_face(kind: str, how: dict[str, int]) -> None:
    before, after = (only_face(image) for image in (portrait()[0], stored(portrait()[0], kind, **how)))
    assert after.seed == before.seed
    assert distance(before, after) < 0.05


@pytest.mark.parametrize("width", [240, 333, 600])
def test_a_resized_picture_shows_the_same_face(width: int) -> None:
    picture, box = portrait(size=150)
    small = Image.fromarray(picture).resize((width, width), Image.Resampling.LANCZOS)
    face = only_face(np.asarray(small))
    scale = width / picture.shape[1]
    assert face.box.iou(box.scaled(scale, scale)) > 0.8
    assert distance(face, only_face(picture)) < 0.15


@pytest.mark.parametrize("size", [60, 150, 400])
def test_a_square_crop_for_an_export_holds_exactly_its_face(size: int) -> None:
    pose = Pose(x=900, y=560, size=size, roll=10, yaw=-15)
    rgb, (box,) = draw_picture(1600, 1200, [(Sitter(77), pose)], 3)
    half = max(box.width, box.height)  # half of the face's longer side is added on each side
    x, y = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
    crop = rgb[max(0, round(y - half)) : round(y + half), round(x - half) : round(x + half)]
    assert only_face(np.asarray(cv2.resize(crop, (512, 512)), dtype=np.uint8)).seed == 77


def test_a_group_is_found_whole() -> None:
    sitters = [(Sitter(40 + i), Pose(x=150 + 260 * (i % 6), y=170 + 300 * (i // 6), size=140)) for i in range(18)]
    picture, boxes = draw_picture(1600, 1000, sitters, 1)
    faces = find_faces(stored(picture, "JPEG", quality=90))
    assert sorted(face.seed for face in faces) == [sitter.seed for sitter, _ in sitters]
    for (sitter, _), box in zip(sitters, boxes, strict=True):
        (face,) = [face for face in faces if face.seed == sitter.seed]
        assert face.box.iou(box) > 0.8


@pytest.mark.parametrize("share", [0.25, 0.5, 0.8])
@pytest.mark.parametrize("edge", ["left", "right", "top", "bottom"])
def test_a_face_cut_by_the_edge_is_not_found(edge: str, share: float) -> None:
    picture, box = portrait(size=160)
    x, y = round(box.x1 + share * box.width), round(box.y1 + share * box.height)
    part = {"left": picture[:, x:], "right": picture[:, :x], "top": picture[y:], "bottom": picture[:y]}[edge]
    assert find_faces(part) == []


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_picture_that_is_not_upright_holds_no_faces(quarter_turns: int) -> None:
    assert find_faces(np.ascontiguousarray(np.rot90(portrait()[0], quarter_turns))) == []


def test_an_empty_place_holds_no_faces() -> None:
    for background in range(27):
        picture, boxes = draw_picture(800, 600, [], background)
        assert boxes == ()
        assert find_faces(picture) == []


def test_noise_holds_no_faces() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    for sigma in (0, 1, 3):
        soft = (
            noise
            if sigma == 0
            else cv2.normalize(cv2.GaussianBlur(noise, (0, 0), sigma), noise, 0, 255, cv2.NORM_MINMAX)
        )
        assert find_faces(np.asarray(soft, dtype=np.uint8)) == []


def test_photos_hold_no_drawn_faces() -> None:
    photos = sorted((shared_data() / "data" / "images").glob("negatives/*.jpg"))
    assert photos
    for photo in photos:
        with Image.open(photo) as image:
            assert find_faces(np.asarray(ImageOps.exif_transpose(image).convert("RGB"))) == []


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 500, 3), (20, 20, 3)])
def test_a_tiny_picture_is_no_error(shape: tuple[int, int, int]) -> None:
    assert find_faces(np.full(shape, 128, dtype=np.uint8)) == []


def test_the_points_are_eyes_nose_and_mouth_as_seen_in_the_picture() -> None:
    picture, box = portrait(size=200)
    left, right, nose, mouth_left, mouth_right = only_face(picture).landmarks
    assert box.x1 < left[0] < nose[0] < right[0] < box.x2
    assert left[1] == pytest.approx(right[1], abs=2)
    assert left[1] < nose[1] < mouth_left[1] < box.y2
    assert left[0] < mouth_left[0] < nose[0] < mouth_right[0] < right[0]


def test_a_turned_head_moves_its_nose_and_a_rolled_one_tilts_its_eyes() -> None:
    def nose_ahead(yaw: float) -> float:
        left, right, nose, _, _ = only_face(portrait(size=200, yaw=yaw)[0]).landmarks
        return (nose[0] - (left[0] + right[0]) / 2) / (right[0] - left[0])

    assert nose_ahead(-25) < -0.12 < nose_ahead(0) < 0.12 < nose_ahead(25)
    left, right, *_ = only_face(portrait(size=200, roll=15)[0]).landmarks
    assert np.degrees(np.arctan2(right[1] - left[1], right[0] - left[0])) == pytest.approx(15, abs=1)


def test_a_blurred_sitter_is_less_sharp_and_still_known() -> None:
    def sharpness(picture: Picture, box: Box) -> float:
        face = picture[round(box.y1) : round(box.y2), round(box.x1) : round(box.x2)]
        return float(cv2.Laplacian(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var())

    sharp, blurred = portrait(size=200), portrait(size=200, blur=4)
    assert sharpness(*blurred) < 0.2 * sharpness(*sharp)
    assert only_face(blurred[0]).seed == only_face(sharp[0]).seed


def test_drawing_and_finding_are_repeatable() -> None:
    first, second = portrait()[0], portrait()[0]
    assert np.array_equal(first, second)
    assert np.array_equal(only_face(first).embedding, only_face(second).embedding)


def test_scores_are_those_of_good_faces_and_lower_for_small_ones() -> None:
    large, small = only_face(portrait(size=300)[0]), only_face(stored(portrait(size=40)[0], "JPEG", quality=85))
    assert 0.6 < small.det_score < large.det_score <= 1


def test_a_seed_outside_the_bands_is_refused() -> None:
    with pytest.raises(ValueError, match="4095"):
        Sitter(4096)
