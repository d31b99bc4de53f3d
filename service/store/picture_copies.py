"""Pictures with all their locations, and the appearance of each: the data for finding copies."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, case, exists, func, select

from immich_facesets.dates import EVIDENCE
from immich_facesets.faces import Box
from service.store.chunks import chunks
from service.store.tables import assets, contents, crops, embeddings, faces, fingerprints, sources, vectors


@dataclass(frozen=True, slots=True)
class Copy:
    """
    One location of a picture.

    ``sha256`` is None until the picture is done in the space; ``root`` is a folder's root, None for Immich.
    ``stamp`` is the file's stamp when it was read; ``width`` and ``height`` are as given by the source.
    ``taken``: the local date when it was taken (ISO), empty where no date tells.
    """

    source: str
    asset_id: str
    path: str = field(repr=False)
    root: str | None = field(repr=False)
    stamp: str | None
    fingerprint: str
    sha256: str | None
    width: int | None
    height: int | None
    taken: str

    @property
    def bytes_name(self) -> str:
        """A name that is equal for equal bytes; before they are fetched, it relies on the source's data."""
        return self.sha256 or self.fingerprint


@dataclass(frozen=True, slots=True)
class StoredLook:
    """
    The stored data of a content.

    ``taken``: seconds since 1970, NaN if unknown; ``faces`` are those of the requested space.
    """

    sha256: str
    size_bytes: int
    width: int
    height: int
    phash: str | None
    taken: float
    faces: int


@dataclass(frozen=True, slots=True)
class StoredFaces:
    """Faces as columns: the content of each, its box in fractions of the picture (m, 4), its unit vector (m, d)."""

    sha256: list[str]
    boxes: NDArray[np.float32]
    vectors: NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True, slots=True)
class FaceCrop:
    """The crop of one face, a file of the crops folder."""

    face_id: int
    sha256: str
    box: Box
    file: str | None


def copies(tx: Connection, space: str | None) -> list[Copy]:
    """Return every picture that is not gone, by source and id."""
    is_done = exists().where(embeddings.c.sha256 == fingerprints.c.sha256, embeddings.c.space == space)
    rows: Any = tx.execute(
        select(
            assets.c.source,
            assets.c.asset_id,
            assets.c.path,
            sources.c.root,
            assets.c.stamp,
            assets.c.fingerprint,
            fingerprints.c.sha256,
            assets.c.width,
            assets.c.height,
            case((assets.c.date_kind.in_(EVIDENCE), assets.c.local_date), else_=""),
        )
        .join(sources, sources.c.name == assets.c.source)
        .outerjoin(fingerprints, (fingerprints.c.fingerprint == assets.c.fingerprint) & is_done)
        .where(assets.c.is_gone.is_(False))
        .order_by(assets.c.source, assets.c.asset_id)
    )
    return [Copy(*row) for row in rows]


def looks(tx: Connection, space: str | None) -> list[StoredLook]:
    """Return every content that is done in the space and that a source still has, by hash."""
    living = exists().where(
        assets.c.content == contents.c.sha256,
        assets.c.is_gone.is_(False),
    )
    taken = (
        select(assets.c.content.label("sha256"), func.min(assets.c.taken_at).label("taken_at"))
        .where(assets.c.is_gone.is_(False), assets.c.date_kind.in_(EVIDENCE), assets.c.content.is_not(None))
        .group_by(assets.c.content)
        .subquery()
    )
    seen = (
        select(faces.c.sha256, func.count().label("faces"))
        .where(faces.c.space == space)
        .group_by(faces.c.sha256)
        .subquery()
    )
    rows = tx.execute(
        select(contents, taken.c.taken_at, seen.c.faces)
        .join(embeddings, embeddings.c.sha256 == contents.c.sha256)
        .outerjoin(taken, taken.c.sha256 == contents.c.sha256)
        .outerjoin(seen, seen.c.sha256 == contents.c.sha256)
        .where(living, embeddings.c.space == space)
        .order_by(contents.c.sha256)
    )
    return [
        StoredLook(
            sha256=row.sha256,
            size_bytes=row.size_bytes,
            width=row.width,
            height=row.height,
            phash=row.phash,
            taken=np.nan if row.taken_at is None else row.taken_at.timestamp(),
            faces=row.faces or 0,
        )
        for row in rows
    ]


def faces_in(tx: Connection, space: str, sha256s: Sequence[str]) -> StoredFaces:
    """Return the faces of these contents, in the order of the contents."""
    names: list[str] = []
    boxes: list[tuple[float, float, float, float]] = []
    found: list[bytes] = []
    for some in chunks(sha256s):
        rows = tx.execute(
            select(faces, contents.c.width, contents.c.height, vectors.c.vector)
            .join(contents, contents.c.sha256 == faces.c.sha256)
            .join(vectors, vectors.c.face_id == faces.c.face_id)
            .where(faces.c.space == space, faces.c.sha256.in_(some))
            .order_by(faces.c.face_id)
        ).all()
        place = {sha256: number for number, sha256 in enumerate(some)}
        for row in sorted(rows, key=lambda row: place[row.sha256]):
            names.append(row.sha256)
            boxes.append((row.x1 / row.width, row.y1 / row.height, row.x2 / row.width, row.y2 / row.height))
            found.append(row.vector)
    dimension = len(found[0]) // 4 if found else 0
    return StoredFaces(
        names,
        np.array(boxes, dtype=np.float32).reshape(len(names), 4),
        np.frombuffer(b"".join(found), dtype="<f4").reshape(len(names), dimension).astype(np.float32),
    )


def face_crops(tx: Connection, space: str | None) -> list[FaceCrop]:
    """Return every face of the space with the file of its crop, the largest of each content first."""
    rows = tx.execute(
        select(faces.c.face_id, faces.c.sha256, faces.c.x1, faces.c.y1, faces.c.x2, faces.c.y2, crops.c.file)
        .outerjoin(crops, crops.c.face_id == faces.c.face_id)
        .where(faces.c.space == space)
        .order_by(faces.c.sha256, (faces.c.x2 - faces.c.x1).desc(), faces.c.face_id)
    )
    return [FaceCrop(row.face_id, row.sha256, Box(row.x1, row.y1, row.x2, row.y2), row.file) for row in rows]
