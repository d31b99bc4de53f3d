"""The rows of reference pictures, their files, and the vectors of the faces in them. Parts of larger transactions."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, delete, exists, insert, select, update

from immich_facesets.faces import Box, light_of
from immich_facesets.grouping.face_table import FaceTable
from immich_facesets.grouping.references import ReferenceFaces
from immich_facesets.moderation.decisions import FaceRef
from immich_facesets.moderation.facts import KnownReference
from immich_facesets.wire import FaceAnswer
from service.store.chunks import chunks
from service.store.tables import reference_pictures, reference_vectors, review_items
from service.store.upsert import upsert


@dataclass(frozen=True, slots=True)
class KeptPicture:
    """
    The kept parts of a picture that was sent: its face, and files relative to the references folder.

    ``digest``: the SHA-256 of the ``display`` file; ``area``: the square that it shows, in upright pixels of the picture.
    ``aligned`` is None until the face was embedded here.
    """

    digest: str
    face: FaceRef
    area: Box
    display: str
    aligned: str | None = None
    original: str | None = None


def picture_of(row: Row[Any]) -> KeptPicture:
    """Return what is kept of the picture of a row."""
    return KeptPicture(
        digest=row.digest,
        face=FaceRef(row.sha256, Box(row.x1, row.y1, row.x2, row.y2)),
        area=Box(row.area_x1, row.area_y1, row.area_x2, row.area_y2),
        display=row.display,
        aligned=row.aligned,
        original=row.original,
    )


def insert_picture(tx: Connection, kept: KeptPicture, sent_for: int, now: datetime, *, rival: int | None = None) -> int:
    """Add the row of a picture and return its id."""
    box, area = kept.face.box, kept.area
    result = tx.execute(
        insert(reference_pictures).values(
            digest=kept.digest,
            sha256=kept.face.sha256,
            x1=box.x1,
            y1=box.y1,
            x2=box.x2,
            y2=box.y2,
            area_x1=area.x1,
            area_y1=area.y1,
            area_x2=area.x2,
            area_y2=area.y2,
            sent_for=sent_for,
            rival=rival,
            display=kept.display,
            aligned=kept.aligned,
            original=kept.original,
            made_at=now,
        )
    )
    key = result.inserted_primary_key
    return int(key[0]) if key is not None else 0


def insert_vector(tx: Connection, reference_id: int, space: str, answer: FaceAnswer) -> None:
    """Add the vector and the measures of the face of a picture in a space."""
    measures = answer.quality
    row = {
        "reference_id": reference_id,
        "space": space,
        "vector": answer.embedding,
        "det_score": answer.det_score,
        "blur": measures.blur,
        "brightness": measures.brightness,
        "contrast": measures.contrast,
        "yaw": measures.yaw,
        "quality": measures.quality,
    }
    upsert(tx, reference_vectors, [row])


def known_references(tx: Connection, reference_ids: Collection[int]) -> dict[int, KnownReference]:
    """Return these pictures by id, as requests for decisions need them."""
    found: dict[int, KnownReference] = {}
    for some in chunks(sorted(set(reference_ids))):
        for row in tx.execute(select(reference_pictures).where(reference_pictures.c.reference_id.in_(some))):
            found[row.reference_id] = KnownReference(row.reference_id, row.digest, picture_of(row).face, row.sent_for)
    return found


def drop_pictures(tx: Connection, reference_ids: Collection[int]) -> None:
    """Delete the rows of pictures, their vectors, and the questions about them; their files are deleted afterwards."""
    for some in chunks(sorted(set(reference_ids))):
        tx.execute(delete(review_items).where(review_items.c.reference_id.in_(some)))
        tx.execute(delete(reference_vectors).where(reference_vectors.c.reference_id.in_(some)))
        tx.execute(delete(reference_pictures).where(reference_pictures.c.reference_id.in_(some)))


def ids_of(tx: Connection, digests: Iterable[str]) -> frozenset[int]:
    """Return the ids of the pictures with these digests."""
    found: set[int] = set()
    for some in chunks(sorted(set(digests))):
        rows = select(reference_pictures.c.reference_id).where(reference_pictures.c.digest.in_(some))
        found |= set(tx.scalars(rows))
    return frozenset(found)


def all_pictures(tx: Connection) -> list[KeptPicture]:
    """Return what is kept of every picture, by id."""
    rows = tx.execute(select(reference_pictures).order_by(reference_pictures.c.reference_id))
    return [picture_of(row) for row in rows]


def display_files(tx: Connection, reference_ids: Collection[int]) -> dict[int, str]:
    """Return the display file of each of these pictures."""
    found: dict[int, str] = {}
    for some in chunks(sorted(set(reference_ids))):
        columns = (reference_pictures.c.reference_id, reference_pictures.c.display)
        rows = tx.execute(select(*columns).where(reference_pictures.c.reference_id.in_(some)))
        found |= {row.reference_id: row.display for row in rows}
    return found


def original_file(tx: Connection, reference_id: int) -> str | None:
    """Return the file of the original of a picture; None where none was kept, or there is no such picture."""
    mine = reference_pictures.c.reference_id == reference_id
    found: str | None = tx.scalar(select(reference_pictures.c.original).where(mine))
    return found


def reference_files(tx: Connection) -> set[str]:
    """Return the files of all reference pictures; others in their folder are leftovers."""
    columns = (reference_pictures.c.display, reference_pictures.c.aligned, reference_pictures.c.original)
    return {file for row in tx.execute(select(*columns)) for file in row if file is not None}


def reference_faces(tx: Connection, space: str, dimension: int) -> ReferenceFaces:
    """Return the faces of all reference pictures in a space, for a grouping; they have no date."""
    rows = tx.execute(
        select(reference_pictures, reference_vectors)
        .join(reference_vectors, reference_vectors.c.reference_id == reference_pictures.c.reference_id)
        .where(reference_vectors.c.space == space)
        .order_by(reference_pictures.c.reference_id)
    ).all()
    ids = np.array([-row.reference_id for row in rows], dtype=np.int64)
    matrix = np.frombuffer(b"".join(row.vector for row in rows), dtype="<f4").reshape(len(rows), dimension)
    table = FaceTable(
        face_ids=ids,
        vectors=matrix.astype(np.float32, copy=False),
        pictures=ids,
        face_short=np.array([min(row.x2 - row.x1, row.y2 - row.y1) for row in rows], dtype=np.float32),
        blur=np.array([row.blur for row in rows], dtype=np.float32),
        det_score=np.array([row.det_score for row in rows], dtype=np.float32),
        light=np.array([light_of(row.brightness, row.contrast) for row in rows], dtype=np.float32),
        taken=np.full(len(rows), np.nan),
        yaw=np.array([row.yaw for row in rows], dtype=np.float32),
        quality=np.array([row.quality for row in rows], dtype=np.float32),
    )
    return ReferenceFaces(table, {-row.reference_id: row.digest for row in rows})


def embedded_references(tx: Connection, space: str, owners: Mapping[str, int]) -> dict[int, int]:
    """Return the identity of each picture that is embedded in a space; ``owners``: by digest, as decisions say."""
    rows = tx.execute(
        select(reference_pictures.c.reference_id, reference_pictures.c.digest)
        .join(reference_vectors, reference_vectors.c.reference_id == reference_pictures.c.reference_id)
        .where(reference_vectors.c.space == space)
    )
    return {row.reference_id: owners[row.digest] for row in rows if row.digest in owners}


def waiting_pictures(tx: Connection, space: str) -> list[tuple[int, KeptPicture]]:
    """Return the pictures that are not embedded in a space, by id: it is new, or they were imported."""
    is_done = exists().where(
        reference_vectors.c.reference_id == reference_pictures.c.reference_id, reference_vectors.c.space == space
    )
    rows = tx.execute(select(reference_pictures).where(~is_done).order_by(reference_pictures.c.reference_id))
    return [(row.reference_id, picture_of(row)) for row in rows]


def record_vector(tx: Connection, reference_id: int, space: str, answer: FaceAnswer, aligned: str | None) -> bool:
    """
    Store the vector of a picture in another space: the commit point of its embedding. False where it was deleted meanwhile.

    ``aligned``: the file of its aligned face, for a picture without one.
    """
    mine = reference_pictures.c.reference_id == reference_id
    row = tx.execute(select(reference_pictures.c.aligned).where(mine)).one_or_none()
    if row is None:
        return False
    if row.aligned is None and aligned is not None:
        tx.execute(update(reference_pictures).where(mine).values(aligned=aligned))
    insert_vector(tx, reference_id, space, answer)
    return True
