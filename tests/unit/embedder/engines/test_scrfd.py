"""SCRFD detector: its input made of a picture, and the boxes that it keeps."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedder.engines.detector import suppress
from embedder.engines.scrfd import SUPPRESSION
from embedder.engines.views import area_view, closer_view, whole_view
from immich_facesets.faces import Box


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (640, 640), (333, 1000)])
def test_any_shape_of_picture_can_be_shown_to_the_detector(shape: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), 255, np.uint8)
    view = whole_view(pixels, 640)
    assert view.pixels.shape == (640, 640, 3)
    assert view.pixels[0, 0].tolist() == [255, 255, 255]
    assert view.x_factor == view.y_factor


@settings(max_examples=60)
@given(x=st.floats(-300, 500), y=st.floats(-300, 400), side=st.floats(5, 900))
def test_a_look_at_an_area_knows_the_way_back(x: float, y: float, side: float) -> None:
    pixels = np.zeros((300, 400, 3), np.uint8)
    u, v = 137, 211  # one bright spot in the picture
    cv2.circle(pixels, (u, v), 5, (255, 255, 255), -1)
    view = area_view(pixels, Box(x, y, x + side, y + side), 192)
    plane = view.pixels[:, :, 0] / 255
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


@pytest.mark.parametrize("side", [None, 640])
@pytest.mark.parametrize(("factor", "area"), [(0.4, Box(300, 200, 1500, 1100)), (1.0, Box(0, 0, 600, 333))])
def test_a_closer_look_knows_the_way_back(side: int | None, factor: float, area: Box) -> None:
    pixels = np.zeros((1200, 1600, 3), np.uint8)
    u, v = round(area.x1) + 411, round(area.y1) + 222
    cv2.circle(pixels, (u, v), 6, (255, 255, 255), -1)
    view = closer_view(pixels, area, factor, side)
    height, width = view.pixels.shape[:2]
    assert (height, width) == ((640, 640) if side else (-(-round(area.height * factor) // 32) * 32, width))
    assert width % 32 == 0
    plane = view.pixels[:, :, 0] / 255
    rows, columns = np.mgrid[:height, :width]
    column, row = (plane * columns).sum() / plane.sum() + 0.5, (plane * rows).sum() / plane.sum() + 0.5
    found = column / view.x_factor + view.left - 0.5, row / view.y_factor + view.top - 0.5
    assert found == pytest.approx((u, v), abs=1.0)


def test_of_overlapping_boxes_the_best_stays() -> None:
    boxes = np.array([[0, 0, 100, 100], [5, 5, 105, 105], [200, 0, 300, 100], [0, 0, 100, 60]], np.float32)
    scores = np.array([0.7, 0.9, 0.6, 0.8], np.float32)
    assert suppress(boxes, scores, SUPPRESSION) == [1, 2]
    assert suppress(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), SUPPRESSION) == []


@pytest.mark.parametrize(("shift", "scale", "kept"), [(4, 1.0, [0]), (5, 1.0, [0, 1]), (4, 10.0, [0, 1])])
def test_boxes_include_their_last_pixel_of_the_original(shift: float, scale: float, kept: list[int]) -> None:
    boxes = np.array([[0, 0, 9, 9], [shift, 0, 9 + shift, 9]], np.float32)
    assert suppress(boxes, np.array([0.9, 0.8], np.float32), SUPPRESSION, extra=1 / scale) == kept
