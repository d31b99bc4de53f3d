"""Cuts of originals: what a framing shows around a face, however the picture lies, and never more pixels than there are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from immich_facesets.exports.crops import AlphaMask
from immich_facesets.exports.cuts import Framing, box_in_cut, planned_area, size_of, upright_size
from immich_facesets.faces import Box

FACE = Box(950.0, 700.0, 1050.0, 800.0)
SHOWN = [framing for framing in Framing if framing is not Framing.FACE]


def test_a_head_is_three_boxes_wide_and_a_half_body_reaches_below_the_waist() -> None:
    assert planned_area(Framing.HEAD, FACE, 0, 4000, 3000) == Box(850, 610, 1150, 910)
    assert planned_area(Framing.HALF_BODY, FACE, 0, 4000, 3000) == Box(790, 590, 1210, 1150)
    assert planned_area(Framing.ORIGINAL, FACE, 0, 4000, 3000) == Box(0, 0, 4000, 3000)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_the_body_lies_below_the_face_once_the_picture_is_turned(turns: int) -> None:
    area = planned_area(Framing.HALF_BODY, FACE, turns, 4000, 3000)
    size = size_of(*upright_size(round(area.width), round(area.height), turns), 4096)
    found = box_in_cut(FACE, area, size, turns)
    assert size == (420, 560)
    assert (found.x1, found.y1, found.x2, found.y2) == pytest.approx((160, 110, 260, 210))


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_boxes_are_where_the_turned_pixels_are(turns: int) -> None:
    area, spot = Box(10, 20, 90, 60), Box(30, 24, 40, 34)
    pixels = np.zeros((100, 100), np.uint8)
    pixels[24:34, 30:40] = 1
    shown = np.rot90(pixels[20:60, 10:90], turns)
    found = box_in_cut(spot, area, (shown.shape[1], shown.shape[0]), turns)
    rows, columns = np.nonzero(shown)
    assert (found.x1, found.y1, found.x2, found.y2) == pytest.approx(
        (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    )


@given(
    framing=st.sampled_from(SHOWN), turns=st.integers(0, 3), x=st.floats(-10, 1990), y=st.floats(-10, 1490),
    side=st.floats(20, 3000),
)  # fmt: skip
def test_a_cut_lies_in_the_original_and_holds_what_of_the_face_does(
    framing: Framing, turns: int, x: float, y: float, side: float
) -> None:
    face = Box(x, y, x + side, y + side * 1.2)
    area = planned_area(framing, face, turns, 2000, 1500)
    assert 0 <= area.x1 < area.x2 <= 2000
    assert 0 <= area.y1 < area.y2 <= 1500
    assert area.x1 <= max(x, 0)
    assert area.x2 >= min(x + side, 2000)
    assert area.y1 <= max(y, 0)
    assert area.y2 >= min(y + side * 1.2, 1500)


@given(width=st.integers(1, 9000), height=st.integers(1, 9000), pixels=st.integers(64, 4096))
def test_a_picture_is_never_enlarged_and_has_no_more_pixels_than_the_square(
    width: int, height: int, pixels: int
) -> None:
    found = size_of(width, height, pixels)
    assert found[0] <= width
    assert found[1] <= height
    if width * height <= pixels * pixels:
        assert found == (width, height)
    elif min(found) > 1:
        assert 0.8 * pixels**2 - 2 * sum(found) < found[0] * found[1] <= pixels**2 + 1


def test_a_mask_has_the_shape_of_its_picture() -> None:
    mask = AlphaMask((Box(0, 0, 4, 4),), Box(5, 5, 9, 9), Box(0, 0, 10, 20))
    opaque = mask.opaque(20, 10)
    assert opaque.shape == (20, 10)
    assert not opaque[:5, :5].any()
    assert opaque[5:, :].all()
    assert opaque[:5, 5:].all()
