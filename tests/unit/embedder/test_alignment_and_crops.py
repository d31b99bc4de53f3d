"""Faces on the template, measured, and cut out."""

import io
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from embedder.engine import Aligned, Detection
from embedder.engines.scrfd import area_view, suppress, whole_view
from embedder.faces.measures import measure
from embedder.images.alignment import TEMPLATE, align, similarity, template
from embedder.images.crops import cut_crop, plan_square
from embedder.images.picture import Picture
from immich_facesets.errors import ItemError
from immich_facesets.faces import Box, Landmarks
from immich_facesets.wire import CropRequest


def moved(scale: float, angle: float, x: float, y: float) -> Landmarks:
    """The template scaled, turned (degrees) and shifted."""
    c, s = math.cos(math.radians(angle)) * scale, math.sin(math.radians(angle)) * scale
    points = TEMPLATE @ np.array([[c, -s], [s, c]]).T + np.array([x, y])
    p, q, r, t, u = ((float(a), float(b)) for a, b in points)
    return p, q, r, t, u


def smooth(height: int = 300, width: int = 400) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns % 256, rows % 256, (rows + columns) % 256], axis=-1).astype(np.uint8)


@settings(max_examples=50, deadline=None)
@given(scale=st.floats(0.2, 20), angle=st.floats(-180, 180), x=st.floats(-2000, 2000), y=st.floats(-2000, 2000))
def test_the_transform_brings_a_moved_template_back(scale: float, angle: float, x: float, y: float) -> None:
    points = moved(scale, angle, x, y)
    matrix = similarity(points, template(112))
    back = np.array(points) @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(back, TEMPLATE, atol=1e-3)


def test_a_mirrored_face_is_turned_and_scaled_but_never_mirrored() -> None:
    mirrored = tuple((300 - x, y) for x, y in moved(1, 0, 50, 50))
    p, q, r, s, t = mirrored
    matrix = similarity((p, q, r, s, t), template(112))
    assert np.linalg.det(matrix[:, :2]) > 0


def test_points_on_one_spot_are_no_face() -> None:
    with pytest.raises(ItemError) as caught:
        similarity(((5, 5), (5, 5), (5, 5), (5, 5), (5, 5)), template(112))
    assert caught.value.reason == "degenerate_face"


def test_the_crop_shows_the_face_where_the_template_has_it() -> None:
    pixels = smooth()
    face = Detection(Box(0, 0, 1, 1), moved(1, 0, 100, 60), 1.0)
    aligned = align(pixels, face, 112)
    np.testing.assert_array_equal(aligned.crop, pixels[60:172, 100:212])
    assert aligned.span == pytest.approx(112)
    assert align(pixels, Detection(face.box, moved(2, 30, 100, 60), 1.0), 112).span == pytest.approx(224)


def test_what_lies_outside_the_picture_is_black() -> None:
    aligned = align(np.full((300, 300, 3), 200, np.uint8), Detection(Box(0, 0, 1, 1), moved(1, 0, -56, 0), 1), 112)
    assert (aligned.crop[:, :50] == 0).all()
    assert (aligned.crop[:, 60:] == 200).all()


def test_a_panorama_longer_than_opencv_allows_is_aligned_all_the_same() -> None:
    wide = np.zeros((200, 40_000, 3), np.uint8)
    wide[:, -400:] = smooth(200, 400)
    far = align(wide, Detection(Box(0, 0, 1, 1), moved(1.2, 10, 39_700, 30), 1), 112)
    near = align(smooth(200, 400), Detection(Box(0, 0, 1, 1), moved(1.2, 10, 100, 30), 1), 112)
    assert np.abs(far.crop.astype(int) - near.crop.astype(int)).mean() < 1.0


def test_a_sharp_face_measures_sharper_than_a_blurred_one() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    face = Detection(Box(0, 0, 1, 1), moved(1, 0, 0, 0), 1)
    sharp = measure(Aligned(noise, 112.0, face))
    soft = measure(Aligned(np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.uint8), 250.4, face))
    assert sharp.blur > 100 * soft.blur > 0
    assert (sharp.blur_size, soft.blur_size) == (112, 250)
    assert sharp.brightness == pytest.approx(127, abs=8)
    assert sharp.contrast > soft.contrast
    assert (sharp.yaw, sharp.pitch, sharp.roll) == pytest.approx((0, 0, 0), abs=1e-6)
    black = measure(Aligned(np.zeros((112, 112, 3), np.uint8), 50.0, face))
    assert (black.blur, black.brightness, black.contrast) == (0, 0, 0)


@given(
    width=st.floats(20, 500), ratio=st.floats(1.0, 1.6), x=st.floats(-50, 500), y=st.floats(-50, 500),
    pad=st.floats(0.5, 2),
)  # fmt: skip
def test_half_a_box_is_left_above_and_a_quarter_elsewhere(
    width: float, ratio: float, x: float, y: float, pad: float
) -> None:
    height = width * ratio
    square = plan_square(Box(x, y, x + width, y + height), pad)
    assert square.side == round(max(width, height) * (1 + 2 * pad))
    assert y - square.top >= 0.5 * height - 2
    assert square.top + square.side - (y + height) >= 0.25 * height - 2
    assert x - square.left >= 0.25 * width - 2
    assert square.left + square.side - (x + width) >= 0.25 * width - 2


def test_a_wide_pad_leaves_the_face_in_the_middle() -> None:
    square = plan_square(Box(100, 100, 180, 200), 1.0)
    assert (square.side, square.left, square.top) == (300, -10, 0)


def test_a_tight_pad_gives_what_room_there_is_to_the_side_above() -> None:
    square = plan_square(Box(100, 100, 180, 200), 0.3)
    assert (square.side, 100 - square.top, square.top + square.side - 200) == (160, 35, 25)


def test_a_crop_is_cut_at_its_own_size_and_never_enlarged() -> None:
    pixels = smooth()
    crop = cut_crop(Picture.whole(pixels), Box(150, 100, 210, 180), CropRequest(side=512))
    assert crop is not None
    assert crop.area == (100.0, 60.0, 260.0, 220.0)
    frame = crop.image.index(b"\xff\xc0")
    assert [crop.image[frame + 11 + 3 * channel] for channel in range(3)] == [0x11] * 3  # 4:4:4
    with Image.open(io.BytesIO(crop.image)) as image:
        assert image.size == (160, 160)
        shown = np.asarray(image).astype(int)
    assert np.abs(shown[8:-8, 8:-8] - pixels[68:212, 108:252]).mean() < 6


def test_beyond_the_picture_its_edge_goes_on() -> None:
    pixels = np.zeros((200, 200, 3), np.uint8)
    pixels[:, :40] = (200, 30, 30)
    crop = cut_crop(Picture.whole(pixels), Box(5, 60, 65, 140), CropRequest(side=512))
    assert crop is not None
    assert crop.area[0] < 0
    shown = np.asarray(Image.open(io.BytesIO(crop.image)))
    assert shown.shape == (160, 160, 3)
    assert np.abs(shown[:, :40].astype(int) - (200, 30, 30)).max() < 12


def test_a_crop_larger_than_wished_is_reduced_and_one_outside_is_none() -> None:
    pixels = smooth(1500, 1500)
    crop = cut_crop(Picture.whole(pixels), Box(-200, -300, 900, 1000), CropRequest(side=333))
    assert crop is not None
    with Image.open(io.BytesIO(crop.image)) as image:
        assert image.size == (333, 333)
    assert crop.area[2] - crop.area[0] == 2600
    assert cut_crop(Picture.whole(pixels), Box(4000, 0, 4010, 10), CropRequest(side=64)) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (640, 640), (333, 1000)])
def test_any_shape_of_picture_can_be_shown_to_the_detector(shape: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), 255, np.uint8)
    view = whole_view(pixels, 640)
    assert view.tensor.shape == (1, 3, 640, 640)
    assert view.tensor[0, 0, 0, 0] == pytest.approx(127.5 / 128)
    assert view.x_factor == view.y_factor


@settings(max_examples=60, deadline=None)
@given(x=st.floats(-300, 500), y=st.floats(-300, 400), side=st.floats(5, 900))
def test_a_look_at_an_area_knows_the_way_back(x: float, y: float, side: float) -> None:
    pixels = np.zeros((300, 400, 3), np.uint8)
    u, v = 137, 211  # one bright spot in the picture
    cv2.circle(pixels, (u, v), 5, (255, 255, 255), -1)
    view = area_view(pixels, Box(x, y, x + side, y + side), 192)
    plane = np.asarray(view.tensor)[0, 0] + 127.5 / 128
    inside = x + 8 < u < x + side - 8 and y + 8 < v < y + side - 8
    if not inside or plane.sum() < 1:
        return
    rows, columns = np.mgrid[:192, :192]
    column, row = (plane * columns).sum() / plane.sum() + 0.5, (plane * rows).sum() / plane.sum() + 0.5
    found = (
        (column - view.margin_x) / view.x_factor + view.left - 0.5,
        (row - view.margin_y) / view.y_factor + view.top - 0.5,
    )
    assert found == pytest.approx((u, v), abs=1.0)


def test_of_overlapping_boxes_the_best_stays() -> None:
    boxes = np.array([[0, 0, 100, 100], [5, 5, 105, 105], [200, 0, 300, 100], [0, 0, 100, 60]], np.float32)
    scores = np.array([0.7, 0.9, 0.6, 0.8], np.float32)
    assert suppress(boxes, scores) == [1, 2]
    assert suppress(np.zeros((0, 4), np.float32), np.zeros(0, np.float32)) == []


@pytest.mark.parametrize(("shift", "scale", "kept"), [(4, 1.0, [0]), (5, 1.0, [0, 1]), (4, 10.0, [0, 1])])
def test_boxes_include_their_last_pixel_of_the_original(shift: float, scale: float, kept: list[int]) -> None:
    boxes = np.array([[0, 0, 9, 9], [shift, 0, 9 + shift, 9]], np.float32)
    assert suppress(boxes, np.array([0.9, 0.8], np.float32), scale=scale) == kept
