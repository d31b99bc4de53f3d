"""Square crops around faces for exports: at native resolution, never enlarged, with light compression."""

import cv2
import numpy as np

from embedder.images.picture import Picture
from immich_facesets import wire
from immich_facesets.exports.crop_geometry import plan_square
from immich_facesets.faces import Box

QUALITY = 97


def cut_crop(picture: Picture, box: Box, request: wire.CropRequest, *, turns: int = 0) -> wire.CropAnswer | None:
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
    settings = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    settings += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    done, encoded = cv2.imencode(".jpg", np.ascontiguousarray(np.rot90(part, turns)), settings)
    if not done:
        raise RuntimeError("the crop could not be encoded")
    area = picture.outside_box(Box(square.left, square.top, right, bottom))
    return wire.CropAnswer(image=encoded.tobytes(), area=(area.x1, area.y1, area.x2, area.y2))
