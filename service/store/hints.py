"""The faces that sources know on their assets."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from immich_facesets.assets import FaceHint
from immich_facesets.faces import Box
from service.store import births, past_people
from service.store.chunks import delete_others
from service.store.forgotten import without_forgotten_people
from service.store.moved_faces import record_moves
from service.store.tables import hints
from service.store.upsert import upsert


def replace_hints(tx: Connection, source: str, asset_id: str, found: Sequence[FaceHint], *, is_new: bool) -> None:
    """
    Write the faces that a source has on an asset now, with what follows from the difference to those before.

    Faces of forgotten people stay as places of nobody.
    """
    found = without_forgotten_people(tx, source, found)
    place = (hints.c.source == source, hints.c.asset_id == asset_id)
    before = () if is_new else [hint_from_row(row) for row in tx.execute(select(hints).where(*place))]
    if before:
        record_moves(tx, source, asset_id, before, found)
    rows = [
        {
            "source": source,
            "asset_id": asset_id,
            "face_id": hint.face_id,
            "person_id": hint.person_id,
            "x1": hint.box.x1,
            "y1": hint.box.y1,
            "x2": hint.box.x2,
            "y2": hint.box.y2,
            "image_width": hint.image_width,
            "image_height": hint.image_height,
        }
        for hint in found
    ]
    births.remember_births(
        tx, source, {one.person_id: one.birth_date for one in found if one.person_id and one.birth_date}
    )
    if not is_new:
        past_people.keep_hints(tx, source, asset_id, {hint.face_id: hint.person_id for hint in found})
    if before:
        delete_others(tx, hints.c.face_id, [row["face_id"] for row in rows], *place)
    upsert(tx, hints, rows)


def hint_from_row(row: Any) -> FaceHint:
    """Return one stored hint as a value."""
    return FaceHint(
        face_id=row.face_id,
        box=Box(row.x1, row.y1, row.x2, row.y2),
        image_width=row.image_width,
        image_height=row.image_height,
        person_id=row.person_id,
    )
