"""Pictures by the name of their file, and by their date."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, exists, func, select

from immich_facesets.dates import EVIDENCE
from service.store.browsing.identity_faces import PicturePlace, places_of
from service.store.chunks import chunks
from service.store.spaces import active_space
from service.store.tables import assets, embeddings, faces, memberships


@dataclass(frozen=True, slots=True)
class FoundPicture:
    """One picture that was embedded in the space in use. ``faces``: of each its id, and its identity or None."""

    sha256: str
    places: tuple[PicturePlace, ...]
    faces: tuple[tuple[int, int | None], ...]


def pictures_by_file_name(tx: Connection, text: str, limit: int) -> list[FoundPicture]:
    """Return pictures of whose file name the text is a part, by name; capitals of ASCII letters do not count."""
    is_like = func.lower(assets.c.file_name).contains(text.lower(), autoescape=True)
    return _pictures(tx, is_like, assets.c.file_name, limit)


def pictures_by_date(tx: Connection, begin: str, limit: int) -> list[FoundPicture]:
    """Return pictures whose date begins like this (``2014``, ``2014-07``, ``2014-07-21``), earliest first."""
    is_then = assets.c.local_date.startswith(begin, autoescape=True) & assets.c.date_kind.in_(EVIDENCE)
    return _pictures(tx, is_then, assets.c.local_date, limit)


def _pictures(tx: Connection, matches: Any, order: Any, limit: int) -> list[FoundPicture]:
    space = active_space(tx) or ""
    is_done = exists().where(embeddings.c.sha256 == assets.c.content, embeddings.c.space == space)
    is_shown = (assets.c.is_gone.is_(False), is_done)
    first = select(assets.c.content, func.min(order)).where(matches, *is_shown).group_by(assets.c.content)
    rows = tx.execute(first.order_by(func.min(order), assets.c.content).limit(limit))
    sha256s = [row[0] for row in rows]
    places, found = places_of(tx, sha256s), _faces(tx, sha256s, space)
    return [FoundPicture(sha256, places.get(sha256, ()), tuple(found.get(sha256, ()))) for sha256 in sha256s]


def _faces(tx: Connection, sha256s: list[str], space: str) -> dict[str, list[tuple[int, int | None]]]:
    found: dict[str, list[tuple[int, int | None]]] = {}
    for some in chunks(sha256s):
        rows = tx.execute(
            select(faces.c.sha256, faces.c.face_id, memberships.c.identity)
            .outerjoin(memberships, memberships.c.face_id == faces.c.face_id)
            .where(faces.c.sha256.in_(some), faces.c.space == space)
            .order_by(faces.c.face_id)
        )
        for row in rows:
            found.setdefault(row.sha256, []).append((row.face_id, row.identity))
    return found
