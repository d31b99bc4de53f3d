"""Alignment of faces to the template of the recogniser."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from embedder.engine import Detection
from embedder.images.alignment import align
from immich_facesets.errors import ItemError
from immich_facesets.face_template import TEMPLATE, similarity, template
from immich_facesets.faces import Box, Landmarks


def moved(scale: float, angle: float, x: float, y: float) -> Landmarks:
    """The template scaled, turned (degrees) and shifted."""
    c, s = math.cos(math.radians(angle)) * scale, math.sin(math.radians(angle)) * scale
    points = TEMPLATE @ np.array([[c, -s], [s, c]]).T + np.array([x, y])
    p, q, r, t, u = ((float(a), float(b)) for a, b in points)
    return p, q, r, t, u


def smooth(height: int = 300, width: int = 400) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns % 256, rows % 256, (rows + columns) % 256], axis=-1).astype(np.uint8)


@settings(max_examples=50)
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
