"""The part of a finished crop that an export shows where it holds other faces, or lies outside its picture."""

import numpy as np
import pytest
from faceset_builders import picture
from hypothesis import given
from hypothesis import strategies as st

from immich_facesets.exports.crop_geometry import largest_square
from immich_facesets.exports.crops import blacken_outside
from immich_facesets.exports.framing import frame_for_detectors, frame_for_people, in_frame
from immich_facesets.faces import Box

SIDE = 512.0
WHOLE = Box(0, 0, SIDE, SIDE)
FACE = Box(166, 186, 346, 396)


def holds(outer: Box, inner: Box) -> bool:
    return (
        outer.x1 <= inner.x1 + 1e-6
        and outer.y1 <= inner.y1 + 1e-6
        and outer.x2 >= inner.x2 - 1e-6
        and outer.y2 >= inner.y2 - 1e-6
    )


def test_a_stranger_at_the_side_is_left_out_by_a_smaller_square_with_all_margins() -> None:
    stranger = Box(460, 300, 512, 360)
    frame = frame_for_detectors(FACE, [stranger], SIDE)
    assert frame is not None
    assert frame.width == pytest.approx(frame.height)
    assert frame.x2 <= 460 - 0.25 * 52 + 1e-6
    assert holds(frame, Box(166 - 45, 186 - 105, 346 + 45, 396 + 52.5))
    assert frame.width > 400


def test_a_stranger_within_the_margin_leaves_no_square_for_detectors() -> None:
    assert frame_for_detectors(FACE, [Box(350, 250, 450, 380)], SIDE) is None
    assert frame_for_detectors(Box(10, 10, 200, 200), [Box(460, 460, 500, 500)], SIDE) is None


def test_people_get_a_square_without_strangers_and_without_what_is_no_picture() -> None:
    inside, stranger = Box(80, 0, SIDE, SIDE), Box(470, 20, 510, 60)
    frame = frame_for_people(FACE, inside, [stranger], SIDE)
    assert frame is not None
    assert holds(inside, frame)
    assert frame.iou(stranger) == 0.0
    assert holds(frame, FACE)
    assert frame.width > 380


def test_people_get_the_whole_crop_where_nothing_is_wrong_with_it() -> None:
    assert frame_for_people(FACE, WHOLE, [], SIDE) is None


def test_a_stranger_that_touches_the_face_stays_in_the_picture_for_people() -> None:
    inside, stranger = Box(0, 100, SIDE, SIDE), Box(340, 200, 480, 380)
    frame = frame_for_people(FACE, inside, [stranger], SIDE)
    assert frame is not None
    assert holds(inside, frame)


def test_a_face_that_fills_more_than_a_square_of_the_picture_keeps_the_whole_crop() -> None:
    assert frame_for_people(FACE, Box(160, 0, 360, SIDE), [], SIDE) is None


@given(
    st.lists(st.tuples(*(st.floats(0, 480) for _ in range(2)), *(st.floats(2, 200) for _ in range(2))), max_size=4),
    st.floats(0, 150),
    st.floats(0, 150),
)
def test_a_square_holds_what_it_must_and_nothing_that_it_must_not(
    spots: list[tuple[float, float, float, float]], left: float, top: float
) -> None:
    avoid = [Box(x, y, x + wide, y + high) for x, y, wide, high in spots]
    within = Box(left, top, SIDE, SIDE)
    square = largest_square(FACE, within, avoid)
    if square is None:
        return
    assert square.width == pytest.approx(square.height)
    assert holds(square, FACE)
    assert holds(within, square)
    assert all(square.iou(box) < 1e-6 for box in avoid)


@given(st.integers(0, 300), st.integers(0, 300), st.floats(1, 200), st.floats(1, 100))
def test_the_least_square_is_found_where_only_it_fits(x: int, y: int, side: float, more: float) -> None:
    keep = Box(x, y, x + side, y + side)
    within = Box(x, y, x + side + more, y + side + more)
    beside = [Box(x + side, y, x + side + more, y + side + more), Box(x, y + side, x + side, y + side + more)]
    square = largest_square(keep, within, beside)
    assert square is not None
    assert square.width > side - 1e-6


def test_a_box_of_the_crop_is_found_again_in_the_frame() -> None:
    assert in_frame(Box(100, 100, 200, 200), Box(100, 50, 356, 306), 512) == Box(0, 100, 200, 300)


def test_outside_of_its_picture_a_crop_is_black() -> None:
    shown = picture(100) // 2 + 100
    black = blacken_outside(shown, Box(20.4, 0, 100, 90.0))
    assert not black[:, :21].any()
    assert not black[90:].any()
    np.testing.assert_array_equal(black[:90, 21:], shown[:90, 21:])
    assert blacken_outside(shown, Box(0, 0, 100, 100)) is shown
