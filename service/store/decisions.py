"""Moderators' decisions: only ever added, and the only data here that cannot be computed again."""

from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from immich_facesets.faces import SAME_FACE_IOU, Box
from immich_facesets.moderation.constraints import Constraints, constraints
from immich_facesets.moderation.decisions import Decision, FaceRef, from_json, rename_source, to_json
from service.store.tables import decisions, faces


def record_decision(tx: Connection, decision: Decision, *, made_by: str, now: datetime) -> int:
    """Append a decision and return its number."""
    body = to_json(decision)
    result = tx.execute(insert(decisions).values(kind=body["kind"], body=body, made_by=made_by, made_at=now))
    key = result.inserted_primary_key
    return int(key[0]) if key is not None else 0


def all_decisions(tx: Connection) -> list[tuple[int, Decision]]:
    """Return every decision with its number, in the order they were made."""
    rows = tx.execute(select(decisions).order_by(decisions.c.decision_id))
    return [(row.decision_id, from_json(row.body)) for row in rows]


def rename_in_decisions(tx: Connection, old: str, new: str) -> None:
    """Give the people of a source in all decisions the source's new name; nothing else of a decision ever changes."""
    for decision_id, decision in all_decisions(tx):
        renamed = rename_source(decision, old, new)
        if renamed != decision:
            mine = update(decisions).where(decisions.c.decision_id == decision_id)
            tx.execute(mine.values(body=to_json(renamed)))


def last_id(tx: Connection) -> int:
    """Return the number of the latest decision, 0 without any."""
    return tx.scalar(select(func.max(decisions.c.decision_id))) or 0


def constraints_now(tx: Connection, space: str) -> Constraints:
    """Return the constraints that the decisions place on the faces of a space."""
    made = all_decisions(tx)
    if not made:
        return constraints([], lambda _: None)
    places: dict[str, list[tuple[int, Box]]] = {}
    rows = tx.execute(
        select(faces.c.face_id, faces.c.sha256, faces.c.x1, faces.c.y1, faces.c.x2, faces.c.y2)
        .where(faces.c.space == space)
        .order_by(faces.c.face_id)
    )
    for row in rows:
        places.setdefault(row.sha256, []).append((row.face_id, Box(row.x1, row.y1, row.x2, row.y2)))

    def resolve(ref: FaceRef) -> int | None:
        overlap, face_id = max(
            ((ref.box.iou(box), -face) for face, box in places.get(ref.sha256, ())), default=(0.0, 0)
        )
        return -face_id if overlap >= SAME_FACE_IOU else None

    return constraints(made, resolve)
