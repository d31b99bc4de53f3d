"""Square crops around faces, for exports."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from embedder.images.crops import cut_crop, cut_part
from embedder.images.picture import Picture
from immich_facesets.exports.crop_geometry import plan_square, shown_area
from immich_facesets.exports.crops import box_in_crop, finished_picture
from immich_facesets.face_requests import CropRequest, CutRequest
from immich_facesets.faces import Box


def smooth(height: int = 300, width: int = 400) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns % 256, rows % 256, (rows + columns) % 256], axis=-1).astype(np.uint8)


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


def test_a_tight_pad_gives_the_available_space_to_the_side_above() -> None:
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


def test_a_crop_larger_than_requested_is_reduced_and_one_outside_is_none() -> None:
    pixels = smooth(1500, 1500)
    crop = cut_crop(Picture.whole(pixels), Box(-200, -300, 900, 1000), CropRequest(side=333))
    assert crop is not None
    with Image.open(io.BytesIO(crop.image)) as image:
        assert image.size == (333, 333)
    assert crop.area[2] - crop.area[0] == 2600
    assert cut_crop(Picture.whole(pixels), Box(4000, 0, 4010, 10), CropRequest(side=64)) is None


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("box", [Box(150, 100, 210, 180), Box(5, 60, 65, 140), Box(340, 220, 395, 299)])
def test_a_part_of_a_stored_crop_is_what_a_crop_with_less_around_it_shows(box: Box, turns: int) -> None:
    picture = Picture.whole(smooth())
    stored, wanted = (cut_crop(picture, box, CropRequest(side=1000, pad_ratio=pad), turns=turns) for pad in (0.75, 0.3))
    assert stored is not None
    assert wanted is not None
    area = shown_area(box, Box(*stored.area), stored_pad=0.75, pad_ratio=0.3)
    assert (area.x1, area.y1, area.x2, area.y2) == wanted.area
    part = finished_picture(stored.image, 96, box_in_crop(area, stored.area, 1, turns=turns))
    assert np.abs(part.astype(int) - finished_picture(wanted.image, 96)).mean() < 2


def test_a_stored_crop_with_less_around_it_than_wanted_is_shown_whole() -> None:
    stored = Box(100, 60, 260, 220)
    assert shown_area(Box(150, 100, 210, 180), stored, stored_pad=0.5, pad_ratio=0.5) == stored
    assert shown_area(Box(150, 100, 210, 180), stored, stored_pad=0.5, pad_ratio=2.0) == stored


def test_a_part_of_a_picture_is_cut_at_its_own_size_and_reduced_above_the_wanted_pixels() -> None:
    pixels = smooth()
    cut = cut_part(Picture.whole(pixels), CutRequest(Box(50, 20, 150, 220), 512 * 512))
    assert cut is not None
    assert (cut.area, cut.width, cut.height) == ((50.0, 20.0, 150.0, 220.0), 100, 200)
    with Image.open(io.BytesIO(cut.image)) as image:
        shown = np.asarray(image).astype(int)
    assert np.abs(shown - pixels[20:220, 50:150]).mean() < 2
    small = cut_part(Picture.whole(pixels), CutRequest(Box(50, 20, 150, 220), 5000))
    assert small is not None
    assert (small.width, small.height, small.area) == (50, 100, cut.area)


def test_a_part_shows_what_the_picture_and_its_file_hold_alone() -> None:
    whole = Picture.whole(smooth())
    beyond = cut_part(whole, CutRequest(Box(-50, -50, 10_000, 10_000), 4096**2))
    assert beyond is not None
    assert beyond.area == (0.0, 0.0, 400.0, 300.0)
    missing = cut_part(whole.cut_off(100), CutRequest(Box(0, 50, 400, 300), 4096**2))
    assert missing is not None
    assert missing.area == (0.0, 50.0, 400.0, 100.0)
    assert cut_part(whole, CutRequest(Box(500, 0, 600, 100), 4096**2)) is None


def test_a_part_of_a_reduced_picture_states_its_place_in_the_original() -> None:
    reduced = Picture(smooth(150, 200), 400, 300, reduction=2)
    cut = cut_part(reduced, CutRequest(Box(50, 20, 150, 220), 4096**2))
    assert cut is not None
    assert (cut.area, cut.width, cut.height) == ((50.0, 20.0, 150.0, 220.0), 50, 100)


def test_a_part_longer_than_a_jpeg_may_be_is_reduced() -> None:
    strip = Picture.whole(np.full((10, 70_000, 3), 128, np.uint8))
    cut = cut_part(strip, CutRequest(Box(0, 0, 70_000, 10), 4096**2))
    assert cut is not None
    assert (cut.width, cut.height) == (65_500, 9)
