"""
Bytes of kept crops: as they are stored, and without loss at the resolution of the photo.

    FACESETS_TEST_DATA=... PYTHONPATH=.:tests:tests/support python tests/bench/bench_crop_bytes.py

The faces are those of the labelled photos with a short edge of 100 pixels or more. The figures are means per face, of all
and of those whose square is wider than 512 pixels: only these were reduced.
"""

import cv2
import numpy as np
from PIL import Image, ImageOps
from real_library import labelled_photos
from testdata import shared_data

from embedder.images.crops import cut_crop
from embedder.images.picture import Picture
from immich_facesets.exports.crop_geometry import plan_square
from immich_facesets.face_requests import CropRequest

FOLDERS = ("lfw", "multi_age", "portraits_pd", "groups")
COLUMNS = ("stored at 512", "stored, not reduced", "square, lossless", "box, lossless", "whole file")
LEAST, SIDE, NATIVE = 100.0, 512, 1 << 20
LOSSLESS = (cv2.IMWRITE_WEBP_QUALITY, 101)


def lossless(pixels: np.ndarray, left: float, top: float, width: float, height: float) -> int:
    """The bytes of this part of a picture as a lossless WebP."""
    x, y = max(0, round(left)), max(0, round(top))
    part = pixels[y : round(top + height), x : round(left + width), ::-1]
    return len(cv2.imencode(".webp", np.ascontiguousarray(part), LOSSLESS)[1])


def main() -> None:
    data = shared_data()
    assert data is not None, "set FACESETS_TEST_DATA"
    rows = []
    for photo in labelled_photos(data, folders=FOLDERS):
        pixels = np.asarray(ImageOps.exif_transpose(Image.open(photo.path)).convert("RGB"))
        picture = Picture(pixels, pixels.shape[1], pixels.shape[0])
        for box in photo.boxes:
            square = plan_square(picture.inside(box), 0.5)
            crops = [cut_crop(picture, box, CropRequest(side)) for side in (SIDE, NATIVE)]
            if min(box.width, box.height) < LEAST or None in crops:
                continue
            stored = [len(crop.image) for crop in crops if crop is not None]
            whole = lossless(pixels, square.left, square.top, square.side, square.side)
            tight = lossless(pixels, box.x1, box.y1, box.width, box.height)
            rows.append((square.side, *stored, whole, tight, photo.path.stat().st_size))
    found = np.array(rows)
    for name, some in (("all", found), (f"wider than {SIDE}", found[found[:, 0] > SIDE])):
        means = ", ".join(
            f"{column} {mean / 1000:.0f} kB" for column, mean in zip(COLUMNS, some[:, 1:].mean(0), strict=True)
        )
        print(f"{len(some)} faces, {name}: {means}")


if __name__ == "__main__":
    main()
