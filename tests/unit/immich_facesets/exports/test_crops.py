"""Finished crops: size, pixels, embedded texts, and reproducible bytes."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from faceset_builders import jpeg, picture
from PIL import Image

from immich_facesets.errors import ItemError
from immich_facesets.exports.crops import (
    box_in_crop,
    finished_picture,
    grey_picture,
    paint_over,
    png,
    points_in_original,
    provenance,
)
from immich_facesets.faces import Box

TEXTS = provenance(asset_id="0a1b-asset", identity=7, version="1.2.3")


@pytest.mark.parametrize("side", [64, 200, 511, 512, 513, 1500])
def test_a_finished_picture_has_exactly_the_size_asked_for(side: int) -> None:
    finished = finished_picture(jpeg(picture(side)), 512)
    assert finished.shape == (512, 512, 3)
    assert finished.dtype == np.uint8


@pytest.mark.parametrize("side", [150, 1024])
def test_a_finished_picture_shows_what_the_crop_showed(side: int) -> None:
    original = picture(side)
    reference = cv2.resize(original, (512, 512), interpolation=cv2.INTER_CUBIC).astype(float)
    assert np.abs(finished_picture(jpeg(original), 512).astype(float) - reference).mean() < 3.0


def test_a_crop_that_is_not_quite_square_still_becomes_one() -> None:
    assert finished_picture(jpeg(picture(300)[:299]), 512).shape == (512, 512, 3)


@pytest.mark.parametrize("body", [b"", b"no picture", jpeg(picture(64))[:80]])
def test_a_broken_crop_is_an_error_of_this_item_alone(body: bytes) -> None:
    with pytest.raises(ItemError) as trouble:
        finished_picture(body, 512)
    assert trouble.value.reason == "bad_crop"


def test_a_crop_is_taken_as_stored_whatever_orientation_it_claims() -> None:
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(100)[:, :, ::-1]).save(turned, "JPEG", quality=97, exif=exif)
    plain = io.BytesIO()
    Image.fromarray(picture(100)[:, :, ::-1]).save(plain, "JPEG", quality=97)
    assert np.array_equal(finished_picture(turned.getvalue(), 100), finished_picture(plain.getvalue(), 100))


def test_the_grey_picture_keeps_the_size_of_the_crop() -> None:
    assert grey_picture(jpeg(picture(123))).shape == (123, 123)


def test_a_box_is_found_again_in_the_finished_picture() -> None:
    assert box_in_crop(Box(150, 250, 250, 350), (100, 200, 300, 400), 512) == Box(128, 128, 384, 384)
    with pytest.raises(ValueError, match="no size"):
        box_in_crop(Box(0, 0, 1, 1), (5, 5, 5, 5), 512)


def test_painting_over_hides_the_stranger_and_leaves_the_face_and_the_rest_alone() -> None:
    image, face, stranger = picture(512), Box(160, 160, 350, 380), Box(300, 20, 420, 200)
    painted = paint_over(image, [stranger], face)
    assert np.array_equal(painted[160:380, 160:350], image[160:380, 160:350])
    assert np.array_equal(painted[400:], image[400:])
    hidden = painted[20:150, 300:420].reshape(-1, 3)
    assert (hidden == hidden[0]).all()


def test_the_paint_has_the_colour_of_what_surrounds_the_stranger() -> None:
    image = np.full((200, 200, 3), (10, 120, 200), dtype=np.uint8)
    image[50:90, 50:90] = 255
    assert (paint_over(image, [Box(50, 50, 90, 90)], Box(150, 150, 160, 160)) == (10, 120, 200)).all()


def test_painting_does_not_touch_the_picture_it_was_given() -> None:
    image = picture(100)
    before = image.copy()
    paint_over(image, [Box(0, 0, 40, 40)], Box(50, 50, 90, 90))
    assert np.array_equal(image, before)


def test_a_stranger_inside_the_face_or_outside_the_picture_changes_nothing() -> None:
    image, face = picture(100), Box(20, 20, 90, 90)
    for stranger in (Box(40, 40, 60, 60), Box(-90, -90, -50, -50), Box(150, 150, 190, 190)):
        assert np.array_equal(paint_over(image, [stranger], face), image)


def test_strangers_that_fill_the_picture_are_painted_all_the_same() -> None:
    image, face = picture(100), Box(40, 40, 60, 60)
    painted = paint_over(image, [Box(-50, -50, 150, 150)], face)
    assert np.array_equal(painted[40:60, 40:60], image[40:60, 40:60])
    assert (painted[:40] == painted[0, 0]).all()


def test_everybody_reads_the_pixels_of_the_png(tmp_path: Path) -> None:
    image = picture(512)
    path = tmp_path / "0001.png"
    path.write_bytes(png(image, TEXTS))
    loaded = cv2.imread(str(path))
    assert loaded is not None
    assert np.array_equal(loaded, image)
    with Image.open(path) as opened:
        opened.load()
        assert (opened.format, opened.mode, opened.size) == ("PNG", "RGB", (512, 512))
        assert np.array_equal(np.asarray(opened)[:, :, ::-1], image)


def test_a_png_says_where_it_came_from_and_nothing_else() -> None:
    with Image.open(io.BytesIO(png(picture(64), TEXTS))) as opened:
        opened.load()
        assert opened.info == {"Software": "immich-facesets 1.2.3", "Asset": "0a1b-asset", "Identity": "7"}
        assert not opened.getexif()


def test_a_text_beyond_latin_1_is_written_as_unicode() -> None:
    body = png(picture(64), provenance(asset_id="фото/\udc80\0.jpg", identity=1, version="1"))
    with Image.open(io.BytesIO(body)) as opened:
        opened.load()
        assert opened.info["Asset"] == "фото/? .jpg"
    assert cv2.imdecode(np.frombuffer(body, dtype=np.uint8), cv2.IMREAD_COLOR) is not None


def test_the_same_crop_gives_the_same_bytes() -> None:
    stored = jpeg(picture(300))
    assert png(finished_picture(stored, 512), TEXTS) == png(finished_picture(stored, 512), TEXTS)


def test_a_keyword_png_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="no PNG keyword"):
        png(picture(8), {"": "text"})


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_box_turns_with_its_crop(turns: int) -> None:
    crop = np.zeros((100, 100), np.uint8)
    crop[20:30, 10:60] = 255  # the original's box (110, 220, 160, 230) in the area from (100, 200) on
    found = box_in_crop(Box(110, 220, 160, 230), (100, 200, 200, 300), 100, turns=turns)
    rows, columns = np.nonzero(np.rot90(crop, turns))
    assert found == Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


@pytest.mark.parametrize("turns", range(4))
def test_points_lead_back_to_where_their_box_lies_in_the_original(turns: int) -> None:
    box, area = Box(130.0, 240.0, 190.0, 320.0), (100.0, 200.0, 260.0, 360.0)
    seen = box_in_crop(box, area, 512, turns=turns)
    left_eye = {0: (seen.x1, seen.y1), 1: (seen.x1, seen.y2), 2: (seen.x2, seen.y2), 3: (seen.x2, seen.y1)}[turns]
    found = points_in_original(np.array([(*left_eye, 32.0)]), area, 512, turns=turns)
    assert found == pytest.approx(np.array([(box.x1, box.y1, 10.0)]))
