"""Finished crops of a real group photo, read by a real detector."""

import io
import zipfile
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import pytest
from insightface_reader import detected, face_reader
from testdata import shared_data

from embedder.images.crops import cut_crop
from embedder.images.picture import Picture as Decoded
from immich_facesets.exports.crops import box_in_crop, finished_picture, paint_over, png, provenance
from immich_facesets.exports.fsz import write_bundle
from immich_facesets.face_requests import CropRequest
from immich_facesets.faces import Box

pytestmark = pytest.mark.models
TEXTS = provenance(asset_id="asset", identity=1, version="1")


def bundled(pictures: Iterable[bytes]) -> bytes:
    file = io.BytesIO()
    write_bundle(file, pictures)
    return file.getvalue()


@pytest.fixture(scope="module")
def reader() -> Any:
    return face_reader()


def as_box(face: Any) -> Box:
    return Box(*(float(edge) for edge in face.bbox))


@pytest.mark.slow
def test_after_painting_over_strangers_a_reader_finds_one_face_in_each_picture_and_it_is_the_right_one(
    reader: Any,
) -> None:
    original = cv2.imread(str(shared_data() / "data/images/groups/composite_03_12faces.jpg"))
    assert original is not None
    image = np.asarray(original, dtype=np.uint8)
    pixels = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    pngs, vectors, crowded = [], [], 0
    for face in detected(reader, image):
        crop = cut_crop(Decoded.whole(pixels), as_box(face), CropRequest(side=512))
        assert crop is not None
        picture = finished_picture(crop.image, 512)
        expected = box_in_crop(as_box(face), crop.area, 512)
        found = [as_box(each) for each in detected(reader, picture)]
        main = max(found, key=expected.iou)
        assert main.iou(expected) > 0.5
        others = [box for box in found if box is not main]
        crowded += bool(others)
        pngs.append(png(paint_over(picture, others, main), TEXTS))
        vectors.append(face.normed_embedding)
    assert len(pngs) >= 12
    assert crowded >= 3
    with zipfile.ZipFile(io.BytesIO(bundled(pngs))) as archive:
        bodies = [archive.read(entry) for entry in archive.infolist()]
    for body, vector in zip(bodies, vectors, strict=True):
        decoded = cv2.imdecode(np.frombuffer(body, dtype=np.uint8), cv2.IMREAD_COLOR)
        faces = detected(reader, np.asarray(decoded, dtype=np.uint8))
        assert len(faces) == 1
        assert 1.0 - float(faces[0].normed_embedding @ vector) < 0.6  # the size gate of these weights
