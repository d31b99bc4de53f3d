"""Marks by which exported pictures are known again."""

import cv2
import numpy as np
from artifact_builders import form, whole, written
from faceset_builders import faceset

from immich_facesets.exports.crops import png
from immich_facesets.exports.origin_marks import HEAD_BYTES, is_own_picture, marked_jpeg, software

PIXELS = np.full((40, 60, 3), 90, np.uint8)
WEBP = cv2.imencode(".webp", PIXELS)[1].tobytes()
PLAIN = cv2.imencode(".jpg", PIXELS)[1].tobytes()


def test_every_picture_of_a_face_set_is_known_again() -> None:
    files = [written(made) for made in (whole(faceset(3)), form("plain:0:64:jpg"), form("plain:0:64:webp"))]
    pictures = [body for made in files for name, body in made.items() if name.endswith((".png", ".jpg", ".webp"))]
    assert len(pictures) == 4 + 3 + 3
    assert all(is_own_picture(body[:HEAD_BYTES], body[-HEAD_BYTES:]) for body in pictures)


def test_pictures_of_other_programs_are_not_ours() -> None:
    for body in (
        PLAIN,
        png(PIXELS, {"Software": "GIMP 3.0"}),
        png(PIXELS, {"Comment": software("1")}),
        b"",
        b"\xff",
        WEBP,
    ):
        assert not is_own_picture(body, body)


def test_a_marked_jpeg_shows_the_same_pixels() -> None:
    marked = cv2.imdecode(np.frombuffer(marked_jpeg(PLAIN), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(marked, cv2.imdecode(np.frombuffer(PLAIN, np.uint8), cv2.IMREAD_COLOR))
