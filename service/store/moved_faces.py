"""Faces that an owner moved to another person in a source, or deleted there: a user's word, kept until it is undone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, and_, delete, exists, func, insert, select

from immich_facesets.assets import FaceHint, PersonKey
from immich_facesets.faces import Box
from immich_facesets.moves import Move, is_returned, moves
from service.store.tables import assets, contents, hints, moved_faces, people


def record_moves(
    tx: Connection, source: str, asset_id: str, before: Sequence[FaceHint], after: Sequence[FaceHint]
) -> None:
    """Write what the owner changed between two readings of an asset's faces; forget what was changed back."""
    place = (moved_faces.c.source == source, moved_faces.c.asset_id == asset_id)
    for row in tx.execute(select(moved_faces).where(*place)).all():
        stored = Move(Box(row.x1, row.y1, row.x2, row.y2), row.taken_from, row.given_to)
        if is_returned(stored, after):
            tx.execute(delete(moved_faces).where(moved_faces.c.move_id == row.move_id))
    rows = [
        {
            "source": source,
            "asset_id": asset_id,
            "x1": move.box.x1,
            "y1": move.box.y1,
            "x2": move.box.x2,
            "y2": move.box.y2,
            "taken_from": move.taken_from,
            "given_to": move.given_to,
        }
        for move in moves(before, after)
    ]
    if rows:
        tx.execute(insert(moved_faces), rows)


@dataclass(frozen=True, slots=True)
class Moved:
    """The stored faces that owners gave to people, and took from them."""

    given: dict[PersonKey, set[int]] = field(default_factory=dict)
    taken: dict[PersonKey, set[int]] = field(default_factory=dict)


def moved(
    tx: Connection, boxes: Mapping[str, Sequence[tuple[int, Box]]], asserted: Mapping[PersonKey, set[int]], iou: float
) -> Moved:
    """
    Return the moves that count now. ``boxes``: the stored faces of each content; ``asserted``: those of each person.

    A person whose last face was moved, or who is gone, was merged into another. That is no word about single faces.
    """
    found = Moved()
    earlier = exists().where(hints.c.source == moved_faces.c.source, hints.c.person_id == moved_faces.c.taken_from)
    rows = tx.execute(
        select(
            moved_faces,
            assets.c.content.label("sha256"),
            func.coalesce(assets.c.width, contents.c.width).label("width"),
            func.coalesce(assets.c.height, contents.c.height).label("height"),
        )
        .join(people, and_(people.c.source == moved_faces.c.source, people.c.person_id == moved_faces.c.taken_from))
        .join(assets, and_(assets.c.source == moved_faces.c.source, assets.c.asset_id == moved_faces.c.asset_id))
        .join(contents, contents.c.sha256 == assets.c.content)
        .where(assets.c.is_gone.is_(False), people.c.is_gone.is_(False), earlier)
        .order_by(moved_faces.c.move_id)
    )
    for row in rows:
        box = Box(row.x1, row.y1, row.x2, row.y2).scaled(row.width, row.height)
        overlap, face = max(((box.iou(other), -face) for face, other in boxes.get(row.sha256, ())), default=(0.0, 0))
        if overlap < iou:
            continue
        if -face not in asserted.get((row.source, row.taken_from), ()):
            found.taken.setdefault((row.source, row.taken_from), set()).add(-face)
        if row.given_to is not None and -face in asserted.get((row.source, row.given_to), ()):
            found.given.setdefault((row.source, row.given_to), set()).add(-face)
    return found
