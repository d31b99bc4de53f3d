"""Identities and their faces as shown to users."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from immich_facesets.faces import Box
from service.store.identities import labels
from service.store.tables import assets, faces, identities, memberships


@dataclass(frozen=True, slots=True)
class IdentityRow:
    """One identity as an entry of a list."""

    number: int
    origin: str
    label: str | None
    is_locked: bool
    faces: int
    pictures: int


def list_identities(tx: Connection) -> list[IdentityRow]:
    """Return every identity that has faces, by number; strangers are left out."""
    names: Mapping[int, str] = labels(tx)
    rows = tx.execute(
        select(
            identities,
            func.count(memberships.c.face_id).label("faces"),
            func.count(faces.c.sha256.distinct()).label("pictures"),
        )
        .join(memberships, memberships.c.identity == identities.c.number)
        .join(faces, faces.c.face_id == memberships.c.face_id)
        .where(identities.c.is_stranger.is_(False))
        .group_by(identities.c.number)
        .order_by(identities.c.number)
    )
    return [
        IdentityRow(row.number, row.origin, names.get(row.number), row.is_locked, row.faces, row.pictures)
        for row in rows
    ]


class MemberRow(msgspec.Struct, frozen=True):
    """One face of an identity and its locations. ``places``: (source, asset id, path)."""

    face_id: int
    sha256: str
    box: Box
    det_score: float
    blur: float
    distance: float
    how: str
    confidence: float | None
    places: tuple[tuple[str, str, str], ...]


def members_of(tx: Connection, number: int) -> list[MemberRow]:
    """Return the faces of one identity, nearest to its centroid first."""
    rows = tx.execute(
        select(faces, memberships.c.distance, memberships.c.how, memberships.c.confidence)
        .join(memberships, memberships.c.face_id == faces.c.face_id)
        .where(memberships.c.identity == number)
        .order_by(memberships.c.distance, faces.c.face_id)
    ).all()
    where: dict[str, list[tuple[str, str, str]]] = {}
    found: Any = tx.execute(
        select(assets.c.content, assets.c.source, assets.c.asset_id, assets.c.path)
        .join(faces, faces.c.sha256 == assets.c.content)
        .join(memberships, memberships.c.face_id == faces.c.face_id)
        .where(memberships.c.identity == number, assets.c.is_gone.is_(False))
        .distinct()
        .order_by(assets.c.source, assets.c.asset_id)
    )
    for sha256, source, asset_id, path in found:
        where.setdefault(sha256, []).append((source, asset_id, path))
    return [
        MemberRow(
            row.face_id,
            row.sha256,
            Box(row.x1, row.y1, row.x2, row.y2),
            row.det_score,
            row.blur,
            row.distance,
            row.how,
            row.confidence,
            tuple(where.get(row.sha256, ())),
        )
        for row in rows
    ]
