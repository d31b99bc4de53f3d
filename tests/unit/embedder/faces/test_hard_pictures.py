"""Face extraction from difficult real photos: close-ups, distant faces, profiles, crowds, and every format."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from face_check import Faces, answered
from labelled_photos import LabelledPhotos, labelled_photos
from numpy.typing import NDArray
from PIL import Image
from real_embedder import RealEmbedder
from testdata import shared_data

from immich_facesets.faces import Box
from immich_facesets.quality.pose import estimate_pose

pytestmark = pytest.mark.models

Pixels = NDArray[np.uint8]
SAME_PERSON = 0.3
"""
With these models the similarity of two people is always lower (0.35 at most on the labelled set), of one person mostly
higher.
"""


class Portraits:
    """The labelled single portraits with insightface's faces and the names of the people."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.labelled: LabelledPhotos = labelled_photos(data)
        self._reference = np.load(data / "reference_bench_s.npz")
        self.paths: list[str] = self._reference["path"].tolist()
        self.rows: list[int] = np.flatnonzero(self.labelled.is_single).tolist()

    def pixels(self, row: int) -> Pixels:
        with Image.open(self.data / self.paths[row]) as image:
            return np.asarray(image.convert("RGB"))

    def box(self, row: int) -> Box:
        return Box(*self._reference["bbox"][row].tolist())

    def vector(self, row: int) -> NDArray[np.float64]:
        vector: NDArray[np.float64] = self._reference["embedding"][row].astype(np.float64)
        return vector

    def yaw(self, row: int) -> float:
        a, b, c, d, e = ((x, y) for x, y in self._reference["kps"][row].tolist())
        return estimate_pose((a, b, c, d, e)).yaw

    def one_a_person(self, folder: str, count: int) -> list[int]:
        """The first portrait of each of ``count`` people."""
        first: dict[str | None, int] = {}
        for row in self.rows:
            if folder in self.paths[row]:
                first.setdefault(self.labelled.names[row], row)
        assert len(first) >= count
        return [row for _name, row in sorted(first.items(), key=lambda item: item[0] or "")][:count]


@pytest.fixture(scope="module")
def portraits() -> Portraits:
    return Portraits(shared_data() / "data")


@pytest.fixture(scope="module")
def upright(embedder_of_bench_s: RealEmbedder) -> Faces:
    """The faces of the photo that other files of the set hold in other formats."""
    photo = (shared_data() / "data" / "images/exif_orientation/orient_1.jpg").read_bytes()
    return answered(embedder_of_bench_s.faces(photo))


def png(pixels: Pixels) -> bytes:
    done, encoded = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    assert done
    return encoded.tobytes()


def at(found: Faces, box: Box) -> tuple[float, NDArray[np.float64]]:
    """The overlap and the vector of the face that lies best on a box; no overlap and zeros where no face was found."""
    ious = [box.iou(Box(*other.tolist())) for other in found.boxes]
    if not ious:
        return 0.0, np.zeros(512)
    best = int(np.argmax(ious))
    return ious[best], found.vectors[best]


@pytest.mark.slow
def test_faces_that_fill_the_picture_are_found_and_known(
    portraits: Portraits, embedder_of_bench_s: RealEmbedder
) -> None:
    rows = portraits.one_a_person("/lfw/", 20)
    photos, boxes = [], []
    for row in rows:
        box, pixels = portraits.box(row), portraits.pixels(row)
        left, top = max(0, round(box.x1)), max(0, round(box.y1))
        photos.append(png(np.ascontiguousarray(pixels[top : round(box.y2), left : round(box.x2)])))
        boxes.append(Box(box.x1 - left, box.y1 - top, box.x2 - left, box.y2 - top))
    for guided in (False, True):
        answers = (
            embedder_of_bench_s.guided_of_all(photos, [[box] for box in boxes])
            if guided
            else embedder_of_bench_s.faces_of_all(photos)
        )
        seen = [at(answered(answer), box) for answer, box in zip(answers, boxes, strict=True)]
        overlaps = [overlap for overlap, _vector in seen]
        cosines = [float(vector @ portraits.vector(row)) for (_, vector), row in zip(seen, rows, strict=True)]
        assert min(overlaps) > 0.6
        assert min(cosines) > SAME_PERSON
        assert float(np.median(cosines)) > 0.75


@pytest.mark.parametrize(("short", "least_found", "least_known"), [(40, 1.0, 1.0), (24, 1.0, 0.9), (16, 0.9, 0.5)])
def test_tiny_faces_are_found_and_mostly_known(
    short: int, least_found: float, least_known: float, portraits: Portraits, embedder_of_bench_s: RealEmbedder
) -> None:
    """Faces of so many pixels in a picture of the detector's input size: smaller ones cannot be told apart."""
    rows = portraits.one_a_person("/lfw/", 12)
    canvas = np.full((480, 640, 3), 110, np.uint8)
    boxes = []
    for number, row in enumerate(rows):
        box, pixels = portraits.box(row), portraits.pixels(row)
        factor = short / box.face_short
        small = np.asarray(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
        small = small[:155, :155]
        left, top = 160 * (number % 4), 160 * (number // 4)
        canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
        boxes.append(
            Box(*(v * factor + o for v, o in zip((box.x1, box.y1, box.x2, box.y2), (left, top) * 2, strict=True)))
        )
    found = answered(embedder_of_bench_s.faces(png(canvas)))
    seen = [at(found, box) for box in boxes]
    shares = np.mean([overlap > 0.5 for overlap, _vector in seen])
    known = np.mean(
        [float(vector @ portraits.vector(row)) > SAME_PERSON for (_, vector), row in zip(seen, rows, strict=True)]
    )
    assert shares >= least_found
    assert known >= least_known


@pytest.mark.slow
def test_faces_from_the_side_are_found_and_nearest_to_their_own_person(
    portraits: Portraits, embedder_of_bench_s: RealEmbedder
) -> None:
    turned = sorted(portraits.rows, key=lambda row: -abs(portraits.yaw(row)))[:10]
    assert abs(portraits.yaw(turned[-1])) > 25
    frontal = [row for row in portraits.rows if abs(portraits.yaw(row)) < 15]
    others = np.stack([portraits.vector(row) for row in frontal])
    names = np.array([portraits.labelled.names[row] for row in frontal])
    right = 0
    for row in turned:
        photo = (portraits.data / portraits.paths[row]).read_bytes()
        overlap, vector = at(answered(embedder_of_bench_s.faces(photo)), portraits.box(row))
        assert overlap > 0.9
        mine = names == portraits.labelled.names[row]
        right += not mine.any() or bool((others[mine] @ vector).max() > (others[~mine] @ vector).max())
    assert right == len(turned)


def test_all_twenty_faces_of_a_group_photo_are_found_and_told_apart(
    portraits: Portraits, embedder_of_bench_s: RealEmbedder
) -> None:
    rows = portraits.one_a_person("/lfw/", 20)
    side = 250
    canvas = np.zeros((4 * side, 5 * side, 3), np.uint8)
    boxes = []
    for number, row in enumerate(rows):
        left, top = side * (number % 5), side * (number // 5)
        canvas[top : top + side, left : left + side] = portraits.pixels(row)
        box = portraits.box(row)
        boxes.append(Box(box.x1 + left, box.y1 + top, box.x2 + left, box.y2 + top))
    truth = np.stack([portraits.vector(row) for row in rows])
    for asked in ([], boxes):
        found = answered(embedder_of_bench_s.faces(png(canvas), asked))
        seen = [at(found, box) for box in boxes]
        cosines = np.stack([vector for _overlap, vector in seen]) @ truth.T
        assert min(overlap for overlap, _vector in seen) > 0.7
        assert cosines.argmax(axis=1).tolist() == list(range(20))
        assert cosines.diagonal().min() > 0.75


@pytest.mark.parametrize(
    ("path", "least_cosine"),
    [
        *[(f"images/exif_orientation/orient_{number}.jpg", 0.95) for number in range(2, 9)],
        ("images/formats/group.heic", 0.95),
        ("images/formats/group.avif", 0.92),
        ("images/formats/group.webp", 0.9),
        ("images/formats/group.png", 0.95),
        ("images/formats/group.tiff", 0.95),
        ("images/formats/group_cmyk.jpg", 0.95),
        ("images/formats/group_gray.jpg", 0.85),
        ("images/formats/group.dng", 0.9),
    ],
)
def test_the_same_photo_in_any_format_and_orientation_shows_the_same_faces(
    path: str, least_cosine: float, upright: Faces, embedder_of_bench_s: RealEmbedder
) -> None:
    found = answered(embedder_of_bench_s.faces((shared_data() / "data" / path).read_bytes()))
    seen = [at(found, Box(*box.tolist())) for box in upright.boxes]
    cosines = [float(vector @ mine) for (_, vector), mine in zip(seen, upright.vectors, strict=True)]
    assert len(found.boxes) == len(upright.boxes)
    assert min(overlap for overlap, _vector in seen) > 0.95
    assert min(cosines) > least_cosine


@pytest.mark.slow
def test_a_photo_keeps_its_faces_when_it_is_stored_in_another_way(embedder_of_bench_s: RealEmbedder) -> None:
    """The same pixels as a JPEG of high quality, in CMYK and in AVIF."""
    data = shared_data() / "data"
    with Image.open(data / "images/groups/2007_007763.jpg") as image:
        plain = image.convert("RGB")
    truth = answered(embedder_of_bench_s.faces(png(np.asarray(plain))))
    for kind, mode in (("JPEG", "RGB"), ("JPEG", "CMYK"), ("AVIF", "RGB"), ("WEBP", "RGB")):
        stream = io.BytesIO()
        plain.convert(mode).save(stream, kind, quality=97)
        found = answered(embedder_of_bench_s.faces(stream.getvalue()))
        seen = [at(found, Box(*box.tolist())) for box in truth.boxes]
        cosines = [float(vector @ mine) for (_, vector), mine in zip(seen, truth.vectors, strict=True)]
        assert len(found.boxes) == len(truth.boxes)
        assert min(cosines) > 0.95


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_picture_that_lies_on_its_side_or_head_shows_the_same_people(
    turns: int, portraits: Portraits, embedder_of_bench_s: RealEmbedder
) -> None:
    """Scanners write no EXIF; where Immich says there is a face the picture is turned until that one is upright."""
    rows = portraits.one_a_person("/lfw/", 10)
    photos, boxes = [], []
    for row in rows:
        pixels, box = portraits.pixels(row), portraits.box(row)
        height, width = pixels.shape[:2]
        photos.append(png(np.ascontiguousarray(np.rot90(pixels, turns))))
        for _ in range(turns):
            box, width, height = Box(box.y1, width - box.x2, box.y2, width - box.x1), height, width
        boxes.append(box)
    answers = embedder_of_bench_s.guided_of_all(photos, [[box] for box in boxes])
    seen = [at(answered(answer), box) for answer, box in zip(answers, boxes, strict=True)]
    assert min(overlap for overlap, _vector in seen) > 0.7
    assert min(float(vector @ portraits.vector(row)) for (_, vector), row in zip(seen, rows, strict=True)) > 0.9
