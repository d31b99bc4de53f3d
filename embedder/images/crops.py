"""Crops of pictures for exports: at native resolution, never enlarged, with light compression."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from embedder.images.picture import Picture
from immich_facesets import face_requests, wire
from immich_facesets.exports.crop_geometry import plan_square
from immich_facesets.faces import Box

QUALITY = 97
_LONGEST = 65_500  # pixels of a side that the encoder takes


def cut_crop(
    picture: Picture, box: Box, request: face_requests.CropRequest, *, turns: int = 0
) -> wire.CropAnswer | None:
    """
    The JPEG of the square around a face (in the original), after ``turns`` quarter turns; None when the square lies
    wholly outside the picture.
    """
    pixels = picture.pixels
    height, width = pixels.shape[:2]
    square = plan_square(picture.inside(box), request.pad_ratio)
    right, bottom = square.left + square.side, square.top + square.side
    x1, y1, x2, y2 = max(0, square.left), max(0, square.top), min(width, right), min(height, bottom)
    if x1 >= x2 or y1 >= y2:
        return None
    side = min(square.side, request.side)
    factor = side / square.side
    above, below = round((y1 - square.top) * factor), round((bottom - y2) * factor)
    before, behind = round((x1 - square.left) * factor), round((right - x2) * factor)
    inner_width, inner_height = max(1, side - before - behind), max(1, side - above - below)
    part = cv2.cvtColor(pixels[y1:y2, x1:x2], cv2.COLOR_RGB2BGR)
    if (inner_width, inner_height) != (x2 - x1, y2 - y1):
        part = cv2.resize(part, (inner_width, inner_height), interpolation=cv2.INTER_AREA)
    part = cv2.copyMakeBorder(part, above, below, before, behind, cv2.BORDER_REPLICATE)[:side, :side]
    area = picture.outside_box(Box(square.left, square.top, right, bottom))
    return wire.CropAnswer(image=_jpeg(np.rot90(part, turns)), area=(area.x1, area.y1, area.x2, area.y2))


def cut_part(picture: Picture, request: face_requests.CutRequest) -> wire.CutAnswer | None:
    """Return the JPEG of a part of the picture, without what its file does not hold; None when nothing is left of it."""
    height, width = picture.pixels.shape[:2]
    wanted = picture.inside(request.area)
    held = Box(0, 0, width, height) if picture.whole_area is None else picture.inside(picture.whole_area)
    x1, y1 = math.floor(max(0.0, held.x1, wanted.x1)), math.floor(max(0.0, held.y1, wanted.y1))
    x2, y2 = math.ceil(min(width, held.x2, wanted.x2)), math.ceil(min(height, held.y2, wanted.y2))
    if x1 >= x2 or y1 >= y2:
        return None
    part = cv2.cvtColor(picture.pixels[y1:y2, x1:x2], cv2.COLOR_RGB2BGR)
    factor = min(math.sqrt(request.pixels / ((x2 - x1) * (y2 - y1))), _LONGEST / max(x2 - x1, y2 - y1))
    if factor < 1:
        size = max(1, math.floor((x2 - x1) * factor)), max(1, math.floor((y2 - y1) * factor))
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    area = picture.outside_box(Box(x1, y1, x2, y2))
    return wire.CutAnswer(
        image=_jpeg(part),
        area=(area.x1, area.y1, area.x2, area.y2),
        width=part.shape[1],
        height=part.shape[0],
    )


def _jpeg(picture: NDArray[Any]) -> bytes:
    settings = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    settings += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, encoded = cv2.imencode(".jpg", np.ascontiguousarray(picture), settings)
    if not done:
        raise RuntimeError("the crop could not be encoded")
    return encoded.tobytes()
