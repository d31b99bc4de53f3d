"""Rows of the store as values of the API."""

from service.store.browsing.identity_faces import BrowsedFace, PicturePlace
from service.store.browsing.identity_lists import ListedIdentity
from service.store.browsing.made_decisions import MadeDecision
from service.store.browsing.slices import Slice
from service.web.cursors import decode_cursor
from service.web.library import faces as shown_faces
from service.web.library import identities as shown
from service.web.library.addresses import (
    THUMBNAIL_SIDES,
    crop_address,
    faceset_address,
    picture_address,
    thumbnail_address,
)

_SIDE = THUMBNAIL_SIDES[-1]


def slice_of(
    query: shown.PageQuery, order: str, *, kind: type[float] | type[str] = float, is_reversed: bool = False
) -> Slice:
    """Return the slice that a query asks for; ``order`` names the list and how it is sorted."""
    return Slice(query.limit, decode_cursor(query.cursor, order, kind), is_reversed)


def shown_crop(face_id: int | None, file: str | None, base: str) -> shown.Crop | None:
    """Return the addresses of a face's crop; None without one."""
    if face_id is None or file is None:
        return None
    return shown.Crop(face=face_id, crop=crop_address(base, file), thumbnail=thumbnail_address(base, file, _SIDE))


def shown_identity(row: ListedIdentity, base: str) -> shown.Identity:
    """Return an identity with its addresses below the base path."""
    return shown.Identity(
        number=row.number,
        label=row.label,
        origin=row.origin,
        is_locked=row.is_locked,
        is_never_exported=row.is_never_exported,
        faces=row.faces,
        pictures=row.pictures,
        cover=shown_crop(row.cover, row.cover_file, base),
        facesets=tuple(faceset_address(base, directory) for directory in row.directories),
        first_date=row.days[0] or None,
        last_date=row.days[1] or None,
        questions=row.questions,
    )


def shown_face(row: BrowsedFace, base: str) -> shown_faces.Face:
    """Return a face with its picture, and the addresses of its crop."""
    face, measures = row.face, row.face.measures
    box = face.box
    return shown_faces.Face(
        id=face.face_id,
        box=shown_faces.Edges(x1=box.x1, y1=box.y1, x2=box.x2, y2=box.y2),
        picture=shown_faces.Picture(
            sha256=face.sha256,
            address=picture_address(base, face.sha256),
            width=row.picture_width,
            height=row.picture_height,
            places=shown_places(row.places),
        ),
        crop=shown_crop(face.face_id, row.crop_file, base),
        identity=row.identity,
        distance=row.distance,
        how=row.how,
        confidence=row.confidence,
        score=row.score,
        det_score=face.det_score,
        blur=measures.blur,
        yaw=measures.yaw,
        pitch=measures.pitch,
        roll=measures.roll,
        taken=row.taken or None,
    )


def shown_places(places: tuple[PicturePlace, ...]) -> tuple[shown_faces.Place, ...]:
    """Return the places of a picture."""
    return tuple(
        shown_faces.Place(
            source=place.source,
            asset_id=place.asset_id,
            path=place.path,
            file_name=place.file_name,
            taken=place.taken or None,
        )
        for place in places
    )


def shown_decision(made: MadeDecision) -> shown.MadeDecision:
    """Return a decision as the API shows it."""
    return shown.MadeDecision(
        id=made.id,
        kind=made.kind,
        body=made.body,
        made_by=made.made_by,
        made_from=made.made_from,
        made_at=made.made_at,
        reason=made.reason,
        is_undone=made.is_undone,
    )
