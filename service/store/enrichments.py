"""Landmarks and head pose of the faces that may be exported: which are missing, and the stored results."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, and_, or_, select

from immich_facesets.faces import Face
from immich_facesets.quality.landmarks import Enriched, Points
from immich_facesets.quality.pose import Pose
from service.store.chunks import chunks
from service.store.exports import CROP_COLUMNS, StoredCrop, crop_of, face_of
from service.store.forgotten import faces_there
from service.store.tables import crops, enrichments, faces, identities, memberships
from service.store.upsert import upsert


@dataclass(frozen=True, slots=True)
class Unenriched:
    """A face that may be exported and has not been run through these models."""

    face: Face
    crop: StoredCrop


def to_enrich(tx: Connection, space: str, models: str, min_short: float) -> list[Unenriched]:
    """
    Return the exportable faces with a crop that have not been run through ``models``, by face id.

    ``min_short`` is the smallest short edge of a face, in pixels.
    """
    rows = tx.execute(
        select(faces, *CROP_COLUMNS)
        .join(memberships, memberships.c.face_id == faces.c.face_id)
        .join(identities, identities.c.number == memberships.c.identity)
        .join(crops, crops.c.face_id == faces.c.face_id)
        .outerjoin(enrichments, enrichments.c.face_id == faces.c.face_id)
        .where(
            faces.c.space == space,
            identities.c.never_export.is_(False),
            and_(faces.c.x2 - faces.c.x1 >= min_short, faces.c.y2 - faces.c.y1 >= min_short),
            or_(enrichments.c.face_id.is_(None), enrichments.c.models != models),
        )
        .order_by(faces.c.face_id)
    )
    return [Unenriched(face_of(row), crop) for row in rows if (crop := crop_of(row)) is not None]


def record_enrichment(tx: Connection, face_id: int, found: Enriched, *, models: str) -> None:
    """
    Store these models' result for a face, even an empty one, so that they are not run on it again.

    Nothing is written of a face that was forgotten meanwhile.
    """
    if not faces_there(tx, [face_id]):
        return
    pose = found.pose
    row = {
        "face_id": face_id,
        "models": models,
        "landmarks_106": _blob(found.of_106),
        "landmarks_68": _blob(found.of_68),
        "yaw": None if pose is None else pose.yaw,
        "pitch": None if pose is None else pose.pitch,
        "roll": None if pose is None else pose.roll,
    }
    upsert(tx, enrichments, [row])


def enriched_of(tx: Connection, face_ids: Sequence[int]) -> dict[int, Enriched]:
    """Return the latest result for each of these faces that has one, by face id."""
    return {
        row.face_id: _enriched(row)
        for some in chunks(face_ids)
        for row in tx.execute(select(enrichments).where(enrichments.c.face_id.in_(some)))
    }


def enriched_faces(tx: Connection, space: str) -> dict[int, Enriched]:
    """Return the latest result for each face of the space, by face id, from whichever models ran last."""
    rows = tx.execute(
        select(enrichments).join(faces, faces.c.face_id == enrichments.c.face_id).where(faces.c.space == space)
    )
    return {row.face_id: _enriched(row) for row in rows}


def _enriched(row: Any) -> Enriched:
    return Enriched(
        _points(row.landmarks_106, 2),
        _points(row.landmarks_68, 3),
        None if row.yaw is None else Pose(row.yaw, row.pitch, row.roll),
    )


def _blob(points: Points | None) -> bytes | None:
    return None if points is None else np.ascontiguousarray(points, dtype="<f4").tobytes()


def _points(blob: bytes | None, dimensions: int) -> NDArray[np.float32] | None:
    return None if blob is None else np.frombuffer(blob, dtype="<f4").reshape(-1, dimensions).astype(np.float32)
