"""Faces, candidates and face sets of invented people, for the tests of exports."""

import io
from collections.abc import Iterable
from datetime import date, timedelta

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_facesets.exports.profile import Content, PictureFile
from immich_facesets.faces import Box, Face, Landmarks, Measures
from immich_facesets.facesets.curation import build_faceset, choose, curate
from immich_facesets.facesets.faceset import (
    WHOLLY,
    Candidate,
    Check,
    EraYears,
    ExportRules,
    Faceset,
    FacesetFolder,
    Place,
    Verdict,
)
from immich_facesets.facesets.minors import Held
from immich_facesets.quality.visibility import Visible

RULES = ExportRules(outlier=0.45)
DIMENSION = 64
FRONTAL: Landmarks = ((-30.0, -30.0), (30.0, -30.0), (0.0, 0.0), (-25.0, 35.0), (25.0, 35.0))


def sha256(number: int) -> str:
    return f"{number:064x}"


def face(
    number: int = 1,
    *,
    size: float = 200.0,
    blur: float = 300.0,
    det_score: float = 0.85,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    landmarks: Landmarks = FRONTAL,
) -> Face:
    return Face(
        face_id=number,
        sha256=sha256(number),
        box=Box(100.0, 100.0, 100.0 + size, 100.0 + 1.2 * size),
        landmarks=landmarks,
        det_score=det_score,
        measures=Measures(blur=blur, blur_size=112, brightness=120.0, contrast=50.0, yaw=yaw, pitch=pitch, roll=roll),
    )


def candidate(
    number: int = 1,
    *,
    of: Face | None = None,
    phash: int | None = None,
    user: str = "anna",
    places: tuple[Place, ...] | None = None,
    taken: str | None = "",
    is_minor: bool = False,
    visible: Visible = WHOLLY,
) -> Candidate:
    """A candidate whose picture has no near-duplicate, unless a hash is given; taken on a day of its own, if none is."""
    return Candidate(
        face=of or face(number),
        phash=unlike_hash(number) if phash is None else phash,
        crop_sha256=sha256(1_000_000 + number),
        places=places or (Place(user, f"asset-{number}", f"/photos/{number}.jpg"),),
        taken=str(date(2020, 5, 1) + 2 * timedelta(days=number - 1)) if taken == "" else taken,
        held=Held.MINOR if is_minor else None,
        visible=visible,
    )


def unlike_hash(number: int) -> int:
    """64 random bits: two of these are about 32 bits apart."""
    return int(np.random.default_rng(number).integers(0, 2**63, dtype=np.uint64))


def vectors(count: int, *, spread: float = 0.3, seed: int = 0) -> NDArray[np.float32]:
    """Unit vectors of one person: (count, 64), about ``spread``**2 / 2 from their mean."""
    dice = np.random.default_rng(seed)
    middle = np.zeros(DIMENSION)
    middle[0] = 1.0
    rows = middle + spread * dice.normal(size=(count, DIMENSION)) / np.sqrt(DIMENSION)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def faceset(
    count: int = 3,
    *,
    identity: int = 1,
    label: str | None = "Anna",
    era: EraYears | None = None,
    folder: FacesetFolder = FacesetFolder.MAIN,
    candidates: list[Candidate] | None = None,
) -> Faceset:
    """A faceset whose crops all passed their check."""
    rows = candidates or [candidate(number) for number in range(1, count + 1)]
    shortlist = curate(rows, vectors(len(rows)), RULES)
    checks = {row.face.face_id: Check(Verdict.OK) for row in rows}
    built = build_faceset(choose(shortlist, checks), identity=identity, label=label, era=era, folder=folder)
    assert built is not None
    return built


def picture(side: int = 300, *, seed: int = 0) -> NDArray[np.uint8]:
    """A square colour picture with broad shapes in it, (side, side, 3)."""
    dice = np.random.default_rng(seed)
    coarse = dice.integers(0, 256, size=(6, 6, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def jpeg(image: NDArray[np.uint8], quality: int = 97) -> bytes:
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())


def gathered(files: Iterable[tuple[str, Content]]) -> dict[str, bytes]:
    """Return every file of a directory as the writer makes it."""
    bodies: dict[str, bytes] = {}
    for name, content in files:
        assert name not in bodies
        if isinstance(content, bytes):
            bodies[name] = content
        elif isinstance(content, PictureFile):
            bodies[name] = content.encode()
        else:
            file = io.BytesIO()
            content(file, bodies.__getitem__)
            bodies[name] = file.getvalue()
    return bodies
