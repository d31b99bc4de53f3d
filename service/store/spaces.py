"""Embedding spaces in the store: which one is in use, and how another takes its place."""

from typing import Any

from sqlalchemy import Connection, delete, insert, select

from immich_facesets.faces import Box
from service.store.contents import SAME_FACE_IOU
from service.store.tables import embeddings, faces, facts, memberships
from service.store.upsert import upsert

_BOX = (faces.c.x1, faces.c.y1, faces.c.x2, faces.c.y2)


def active_space(tx: Connection) -> str | None:
    """The space whose vectors are in use, None before the first."""
    value: str | None = tx.scalar(select(facts.c.value).where(facts.c.name == "space"))
    return value


def use_space(tx: Connection, space: str) -> None:
    """
    Make a space the one in use, in one step; what only another space knew is dropped.

    Each membership is carried over to the face of the new space at the same place of the same content.
    """
    before = active_space(tx)
    if before == space:
        return
    if before is not None:
        _carry_memberships(tx, before, space)
        tx.execute(delete(faces).where(faces.c.space != space))
        tx.execute(delete(embeddings).where(embeddings.c.space != space))
    upsert(tx, facts, [{"name": "space", "value": space}])


def _carry_memberships(tx: Connection, before: str, after: str) -> None:
    new: dict[str, list[tuple[int, Box]]] = {}
    for row in tx.execute(select(faces.c.face_id, faces.c.sha256, *_BOX).where(faces.c.space == after)):
        new.setdefault(row.sha256, []).append((row.face_id, Box(row.x1, row.y1, row.x2, row.y2)))
    held = select(faces.c.sha256, *_BOX, memberships.c.identity, memberships.c.how, memberships.c.distance).join(
        memberships, memberships.c.face_id == faces.c.face_id
    )
    carried: dict[int, dict[str, Any]] = {}
    for member in tx.execute(held.where(faces.c.space == before).order_by(faces.c.face_id)):
        old = Box(member.x1, member.y1, member.x2, member.y2)
        face_id, box = max(new.get(member.sha256, [(0, old)]), key=lambda item: old.iou(item[1]))
        if face_id and old.iou(box) >= SAME_FACE_IOU and face_id not in carried:
            carried[face_id] = {
                "face_id": face_id,
                "identity": member.identity,
                "how": member.how,
                "distance": member.distance,
            }
    if carried:
        tx.execute(insert(memberships), list(carried.values()))
