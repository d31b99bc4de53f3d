"""Morphs of two labelled photos, made for one test in its temporary folder: the face of one person with part of another's."""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from real_library import Photo

from immich_facesets.face_template import similarity
from immich_facesets.faces import Box, Landmarks


@dataclass(frozen=True, slots=True)
class MarkedFace:
    """A face with its five points, in pixels of the picture."""

    box: Box
    points: Landmarks


def main_face(data: Path, photo: Photo) -> MarkedFace:
    """The largest and most central face that the reference detector found in a portrait."""
    reference = np.load(data / "data" / "reference_bench_s.npz")
    (rows,) = np.nonzero(reference["path"] == photo.name)
    middle = np.array(photo.size) / 2
    boxes = reference["bbox"][rows]
    offsets = np.hypot(*((boxes[:, :2] + boxes[:, 2:]) / 2 - middle).T)
    row = rows[(offsets - (boxes[:, 2:] - boxes[:, :2]).min(axis=1)).argmin()]
    a, b, c, d, e = ((float(x), float(y)) for x, y in reference["kps"][row])
    return MarkedFace(Box(*(float(edge) for edge in reference["bbox"][row])), (a, b, c, d, e))


def morph(data: Path, photo: Photo, other: Photo, share: float, path: Path) -> Photo:
    """Write ``photo`` with a face that is to this ``share`` the one of ``other``, moved onto its five points."""
    face, theirs = main_face(data, photo), main_face(data, other)
    pixels, moved = cv2.imread(str(photo.path)), cv2.imread(str(other.path))
    assert pixels is not None
    assert moved is not None
    height, width = pixels.shape[:2]
    matrix = similarity(theirs.points, np.array(face.points))
    moved = cv2.warpAffine(moved, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    weights = share * _oval(face.box, width, height)[..., None]
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.rint(pixels * (1 - weights) + moved * weights).astype(np.uint8))
    return replace(photo, path=path, name=path.name)


def _oval(box: Box, width: int, height: int) -> NDArray[np.float64]:
    """1 in the oval of a face, 0 outside, with a soft edge between; (height, width)."""
    rows, columns = np.mgrid[:height, :width]
    across = (columns - (box.x1 + box.x2) / 2) / (box.x2 - box.x1)
    down = (rows - (box.y1 + box.y2) / 2) / (box.y2 - box.y1)
    shape: NDArray[np.float64] = np.clip(3 - 6.9 * (across**2 + down**2), 0, 1)
    return shape
