"""Whole pictures for picture exports: their locations, stored orientation, and the identities of their faces."""

from sqlalchemy import Connection, exists, or_, select

from immich_facesets.assets import Rendition
from immich_facesets.exports.library import PlacedPicture
from immich_facesets.faces import Face
from service.store.decisions import constraints_now
from service.store.exports import face_of
from service.store.tables import assets, contents, embeddings, faces, identities, memberships


def placed_pictures(tx: Connection, space: str) -> list[PlacedPicture]:
    """Return every location of every content that is done in the space, by user and path."""
    has_faces = exists().where(faces.c.sha256 == contents.c.sha256, faces.c.space == space)
    rows = tx.execute(
        select(
            assets.c.source,
            assets.c.asset_id,
            assets.c.path,
            assets.c.rendition,
            assets.c.is_external,
            contents.c.size_bytes,
            contents.c.sha256,
            contents.c.width,
            contents.c.height,
            contents.c.orientation,
            has_faces.label("has_faces"),
        )
        .join(contents, contents.c.sha256 == assets.c.content)
        .join(embeddings, embeddings.c.sha256 == contents.c.sha256)
        .where(assets.c.is_gone.is_(False), embeddings.c.space == space)
        .order_by(assets.c.source, assets.c.path, assets.c.asset_id)
    )
    return [
        PlacedPicture(
            user=row.source,
            asset_id=row.asset_id,
            path=row.path,
            sha256=row.sha256,
            width=row.width,
            height=row.height,
            orientation=row.orientation if row.rendition == Rendition.ORIGINAL.value else None,
            has_faces=bool(row.has_faces),
            is_external=row.is_external,
            size_bytes=row.size_bytes,
        )
        for row in rows
    ]


def exportable_faces(tx: Connection, space: str) -> list[tuple[Face, int]]:
    """
    Return every face of the space with the number of its identity (0: unassigned).

    Faces of identities that must not be exported are left out. So are those that a moderator holds back, and what is none.
    """
    decided = constraints_now(tx, space)
    left_out = decided.not_for_sets | decided.no_faces
    rows = tx.execute(
        select(faces, memberships.c.identity)
        .outerjoin(memberships, memberships.c.face_id == faces.c.face_id)
        .outerjoin(identities, identities.c.number == memberships.c.identity)
        .where(faces.c.space == space, or_(identities.c.never_export.is_(None), identities.c.never_export.is_(False)))
        .order_by(faces.c.face_id)
    )
    return [
        (face_of(row), row.identity or 0)
        for row in rows
        if row.identity not in decided.strangers and row.face_id not in left_out
    ]
