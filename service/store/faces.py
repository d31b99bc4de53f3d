"""Faces with their boxes in pictures, and the pictures under all their names: the data labels are matched with."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from immich_facesets.faces import Box
from immich_facesets.grouping.plan import Assertion, FaceTable
from service.store.chunks import chunks
from service.store.face_tables import face_table
from service.store.identities import all_memberships, assertions
from service.store.tables import assets, crops, faces, memberships, vectors


@dataclass(frozen=True, slots=True)
class StoredFace:
    """One face, its location, and the file of its crop (None: it was too small for one)."""

    face_id: int
    sha256: str
    box: Box
    crop: str | None


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """One asset under the names users know; ``sha256`` is None until it was fetched."""

    source: str
    asset_id: str
    path: str = field(repr=False)
    file_name: str = field(repr=False)
    sha256: str | None


@dataclass(frozen=True, slots=True)
class StoredLibrary:
    """
    A snapshot of everything in one space.

    ``faces`` are in the order of the ``table``; ``identities`` and ``confidences`` are by face id.
    """

    table: FaceTable
    faces: tuple[StoredFace, ...]
    pictures: tuple[StoredPicture, ...]
    identities: Mapping[int, int]
    confidences: Mapping[int, float]
    named: tuple[Assertion, ...]


def read_library(tx: Connection, space: str) -> StoredLibrary:
    """Return a snapshot of the faces, pictures and people of a space."""
    table = face_table(tx, space, dimension_of(tx, space))
    found = {face.face_id: face for face in _faces(tx, space)}
    return StoredLibrary(
        table=table,
        faces=tuple(found[face_id] for face_id in table.face_ids.tolist()),
        pictures=_pictures(tx),
        identities=all_memberships(tx),
        confidences={
            row.face_id: row.confidence
            for row in tx.execute(
                select(memberships.c.face_id, memberships.c.confidence).where(memberships.c.confidence.is_not(None))
            )
        },
        named=tuple(assertions(tx, space)),
    )


def dimension_of(tx: Connection, space: str) -> int:
    """Return the dimension of the vectors of the space; 1 while there is none."""
    holds = select(func.length(vectors.c.vector)).join(faces, faces.c.face_id == vectors.c.face_id)
    return (tx.scalar(holds.where(faces.c.space == space).limit(1)) or 4) // 4


def boxes_of_faces(tx: Connection, face_ids: Collection[int]) -> dict[str, list[Box]]:
    """Return the boxes of these faces in upright original pixels, by the SHA-256 of the picture."""
    found: dict[str, list[Box]] = {}
    for some in chunks(face_ids):
        columns = select(faces.c.sha256, faces.c.x1, faces.c.y1, faces.c.x2, faces.c.y2)
        for sha256, *edges in tx.execute(columns.where(faces.c.face_id.in_(some)).order_by(faces.c.face_id)):
            found.setdefault(sha256, []).append(Box(*edges))
    return found


def _faces(tx: Connection, space: str) -> list[StoredFace]:
    rows = tx.execute(
        select(faces.c.face_id, faces.c.sha256, faces.c.x1, faces.c.y1, faces.c.x2, faces.c.y2, crops.c.file)
        .outerjoin(crops, crops.c.face_id == faces.c.face_id)
        .where(faces.c.space == space)
    )
    return [StoredFace(row.face_id, row.sha256, Box(row.x1, row.y1, row.x2, row.y2), row.file) for row in rows]


def _pictures(tx: Connection) -> tuple[StoredPicture, ...]:
    """Return every asset that is not gone."""
    rows = tx.execute(
        select(assets.c.source, assets.c.asset_id, assets.c.path, assets.c.file_name, assets.c.content)
        .where(assets.c.is_gone.is_(False))
        .order_by(assets.c.source, assets.c.asset_id)
    )
    return tuple(StoredPicture(row.source, row.asset_id, row.path, row.file_name, row.content) for row in rows)
