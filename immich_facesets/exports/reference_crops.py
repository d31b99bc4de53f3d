"""The aligned face of a reference picture, from the square that is kept of it."""

import cv2

from immich_facesets.exports.crop_geometry import part_in_picture
from immich_facesets.exports.crops import aligned_picture, box_in_crop, points_in_crop
from immich_facesets.faces import Box, Landmarks

ALIGNED_SIDE = 112
"""The pixels of a side of an aligned face: ArcFace's template."""

_QUALITY = (cv2.IMWRITE_JPEG_QUALITY, 97, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)


def aligned_face(display: bytes, landmarks: Landmarks, area: Box, width: float, height: float) -> bytes:
    """
    Return the face on ArcFace's template as a JPEG; points on one spot are an ``ItemError``.

    ``display``: the stored square, which shows ``area`` of a picture of this size; ``landmarks``: in pixels of that picture.
    """
    where = (area.x1, area.y1, area.x2, area.y2)
    inside = box_in_crop(part_in_picture(area, width, height), where, 1)
    aligned = aligned_picture(display, points_in_crop(landmarks, where, 1), inside, ALIGNED_SIDE)
    is_encoded, body = cv2.imencode(".jpg", aligned, _QUALITY)
    if not is_encoded:
        raise ValueError("OpenCV could not encode a picture as JPEG")
    return body.tobytes()
