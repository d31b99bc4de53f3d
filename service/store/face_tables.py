"""Faces with their vectors, measures and dates, as the tables that grouping works on."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Select, func, select

from immich_facesets.dates import EVIDENCE, day_of_instant
from immich_facesets.faces import light_of
from immich_facesets.grouping.face_table import FaceTable
from service.store.chunks import chunks
from service.store.tables import assets, faces, memberships, vectors

_ROWS_AT_ONCE = 4000


def face_table(tx: Connection, space: str, dimension: int) -> FaceTable:
    """
    Return every face of a space with its vector, in order of face id; a content's date is that of its first asset.

    Only dates that tell when a picture was taken count: those of files do not.
    """
    dates = (
        select(assets.c.content.label("sha256"), _first_date().label("taken_at"))
        .where(*_IS_DATED, assets.c.content.is_not(None))
        .group_by(assets.c.content)
        .subquery()
    )
    statement = _columns(space, dates.c.taken_at).outerjoin(dates, dates.c.sha256 == faces.c.sha256)
    return _table(tx.execute(statement).all(), dimension)


def members_table(tx: Connection, space: str, dimension: int, number: int) -> FaceTable:
    """Return the faces of one identity."""
    return _table(_rows(tx, space, _members(tx, number)), dimension)


def members_and_near(tx: Connection, space: str, number: int, centroid: NDArray[np.float32], limit: float) -> FaceTable:
    """
    Return the faces of one identity, and those of nobody within a cosine distance of a unit vector, (d,).

    All faces of nobody are read for it, some at a time (tests/bench/bench_api.py).
    """
    loose = (
        select(vectors.c.face_id, vectors.c.vector)
        .join(faces, faces.c.face_id == vectors.c.face_id)
        .outerjoin(memberships, memberships.c.face_id == faces.c.face_id)
        .where(faces.c.space == space, memberships.c.face_id.is_(None))
    )
    wanted = _members(tx, number)
    for some in tx.execute(loose, execution_options={"yield_per": _ROWS_AT_ONCE}).partitions():
        matrix = np.frombuffer(b"".join(row.vector for row in some), dtype="<f4").reshape(len(some), -1)
        wanted += [some[place].face_id for place in np.flatnonzero(1.0 - matrix @ centroid <= limit).tolist()]
    return _table(_rows(tx, space, wanted), len(centroid))


def _members(tx: Connection, number: int) -> list[int]:
    return list(tx.scalars(select(memberships.c.face_id).where(memberships.c.identity == number)))


def _rows(tx: Connection, space: str, face_ids: Iterable[int]) -> list[Any]:
    """Return the rows of some faces; their dates are looked up one by one, as a table of all costs more than they do."""
    taken = select(_first_date()).where(*_IS_DATED, assets.c.content == faces.c.sha256).correlate(faces)
    statement = _columns(space, taken.scalar_subquery().label("taken_at"))
    found: list[Any] = []
    for some in chunks(sorted(face_ids)):
        found += tx.execute(statement.where(faces.c.face_id.in_(some)))
    return found


_IS_DATED = (assets.c.is_gone.is_(False), assets.c.date_kind.in_(EVIDENCE))
"""The condition that the date of an asset tells when its picture was taken."""


def _first_date() -> ColumnElement[Any]:
    return func.min(assets.c.taken_at)


def _columns(space: str, taken: ColumnElement[Any]) -> Select[Any]:
    """Return the statement for the faces of a space, in order of face id; ``taken``: the date of the picture."""
    return (
        select(
            faces.c.face_id,
            faces.c.sha256,
            faces.c.x1,
            faces.c.y1,
            faces.c.x2,
            faces.c.y2,
            faces.c.blur,
            faces.c.det_score,
            faces.c.brightness,
            faces.c.contrast,
            faces.c.yaw,
            faces.c.quality,
            taken,
            vectors.c.vector,
        )
        .join(vectors, vectors.c.face_id == faces.c.face_id)
        .where(faces.c.space == space)
        .order_by(faces.c.face_id)
    )


def _table(rows: Sequence[Any], dimension: int) -> FaceTable:
    codes: dict[str, int] = {}
    matrix = np.frombuffer(b"".join(row.vector for row in rows), dtype="<f4").reshape(len(rows), dimension)
    return FaceTable(
        face_ids=np.array([row.face_id for row in rows], dtype=np.int64),
        vectors=matrix.astype(np.float32, copy=False),
        pictures=np.array([codes.setdefault(row.sha256, len(codes)) for row in rows], dtype=np.int64),
        face_short=np.array([min(row.x2 - row.x1, row.y2 - row.y1) for row in rows], dtype=np.float32),
        blur=np.array([row.blur for row in rows], dtype=np.float32),
        det_score=np.array([row.det_score for row in rows], dtype=np.float32),
        light=np.array([light_of(row.brightness, row.contrast) for row in rows], dtype=np.float32),
        taken=np.array([day_of_instant(row.taken_at) for row in rows], dtype=np.float64),  # NaN where unknown
        yaw=np.array([row.yaw for row in rows], dtype=np.float32),
        quality=np.array([row.quality for row in rows], dtype=np.float32),  # NaN where there is none
    )
