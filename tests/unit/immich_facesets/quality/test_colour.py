"""The colour of a face's picture: grey, brown and infrared ones have none, pale ones have some."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from immich_facesets.quality.colour import COLOURED, colour_of

Picture = NDArray[np.uint8]


def face() -> Picture:
    """A pale skin that is redder in the middle, with dark hair and blue eyes, (120, 100, 3) BGR."""
    y, x = np.mgrid[0:120, 0:100]
    light = 215.0 - 0.5 * y - 0.3 * np.abs(x - 50)
    red = 20.0 * np.exp(-(((x - 50) / 25) ** 2) - ((y - 70) / 25) ** 2)
    picture = np.dstack([light - 30 - red, light - 15 - red, light])
    picture[:25] = 40, 45, 60
    for eye in (30, 70):
        picture[45:52, eye - 6 : eye + 6] = 150, 110, 80
    return np.asarray(np.clip(picture, 0, 255), dtype=np.uint8)


def grey() -> Picture:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(face(), cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR), dtype=np.uint8)


def brown() -> Picture:
    return np.asarray(np.clip(grey() * np.array([0.6, 0.8, 1.0]) + np.array([10, 15, 20]), 0, 255), dtype=np.uint8)


def noisy() -> Picture:
    return np.asarray(np.clip(grey() + np.random.default_rng(1).normal(0, 12, grey().shape), 0, 255), dtype=np.uint8)


def stored(picture: Picture) -> Picture:
    body = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
    return np.asarray(cv2.imdecode(body, cv2.IMREAD_COLOR), dtype=np.uint8)


def test_a_face_in_colour_has_colour_and_a_mirrored_or_small_one_as_much() -> None:
    assert colour_of(face()) > COLOURED
    assert colour_of(np.ascontiguousarray(face()[:, ::-1])) == pytest.approx(colour_of(face()), abs=0.3)
    assert colour_of(stored(face()[::2, ::2])) > COLOURED


@pytest.mark.parametrize("picture", [grey(), brown(), noisy()], ids=["grey", "brown", "noisy"])
def test_a_monochrome_picture_has_none_whatever_its_tint_and_its_noise(picture: Picture) -> None:
    assert colour_of(stored(picture)) < COLOURED


def test_a_plain_picture_and_one_without_pixels_have_none() -> None:
    assert colour_of(np.full((9, 9, 3), (10, 90, 200), dtype=np.uint8)) == 0.0
    assert colour_of(face()[:0]) == 0.0
