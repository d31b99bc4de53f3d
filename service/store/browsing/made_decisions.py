"""Decisions as they were made, newest first: all, about one identity, or about one face."""

from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Text, cast, or_, select

from immich_facesets.faces import SAME_FACE_IOU, Box
from immich_facesets.moderation.decisions import FaceRef
from service.store.browsing.slices import Page, Slice, cut_page
from service.store.tables import decisions

MERGE, UNDO = "merge", "undo"

_NUMBERS = ("identity", "other", "into", "number", "origin")
"""The fields of decisions that hold the number of an identity."""


@dataclass(frozen=True, slots=True)
class MadeDecision:
    """One decision. ``body``: what was decided, with the faces by content and box; ``is_undone``: it has no effect now."""

    id: int
    kind: str
    body: dict[str, Any]
    made_by: str
    made_from: str
    made_at: datetime
    reason: str
    is_undone: bool


def decision_page(tx: Connection, part: Slice) -> Page[MadeDecision]:
    """Return all decisions, newest first."""
    statement = select(decisions).order_by(decisions.c.decision_id.desc()).limit(part.limit + 1)
    if part.after is not None:
        statement = statement.where(decisions.c.decision_id < part.after[1])
    undone = _undone_ids(tx)
    found = [_made(row, undone) for row in tx.execute(statement)]
    return cut_page(found, lambda one: (0.0, one.id), part)


def decision_with_id(tx: Connection, number: int) -> MadeDecision | None:
    """Return one decision; None where there is none with this id."""
    row = tx.execute(select(decisions).where(decisions.c.decision_id == number)).one_or_none()
    return None if row is None else _made(row, _undone_ids(tx))


def decisions_about_identity(tx: Connection, number: int, part: Slice) -> Page[MadeDecision]:
    """Return the decisions that name an identity, newest first."""
    named = or_(*(decisions.c.body[field].as_integer() == number for field in _NUMBERS))
    statement = select(decisions).where(or_(named, decisions.c.kind == MERGE)).order_by(decisions.c.decision_id.desc())
    if part.after is not None:
        statement = statement.where(decisions.c.decision_id < part.after[1])
    undone = _undone_ids(tx)
    found = (row for row in tx.execute(statement) if number in _numbers_in(row.body))
    about = [_made(row, undone) for row in islice(found, part.limit + 1)]
    return cut_page(about, lambda one: (0.0, one.id), part)


def decisions_about_face(tx: Connection, ref: FaceRef, limit: int) -> list[MadeDecision]:
    """Return the latest decisions that name a face, newest first."""
    statement = select(decisions).where(cast(decisions.c.body, Text).contains(ref.sha256))
    rows = tx.execute(statement.order_by(decisions.c.decision_id.desc()))
    about = (
        row
        for row in rows
        if any(one == ref.sha256 and ref.box.iou(box) >= SAME_FACE_IOU for one, box in _faces_in(row.body))
    )
    undone = _undone_ids(tx)
    return [_made(row, undone) for row in islice(about, limit)]


def _undone_ids(tx: Connection) -> frozenset[int]:
    """Return the decisions that are undone by an undo that is not undone itself."""
    undone: set[int] = set()
    rows = tx.execute(select(decisions).where(decisions.c.kind == UNDO).order_by(decisions.c.decision_id.desc()))
    for row in rows:
        if row.decision_id not in undone:
            undone.add(int(row.body["decision"]))
    return frozenset(undone)


def _made(row: Any, undone: frozenset[int]) -> MadeDecision:
    return MadeDecision(
        row.decision_id,
        row.kind,
        row.body,
        row.made_by,
        row.made_from,
        row.made_at,
        row.reason,
        row.decision_id in undone,
    )


def _numbers_in(body: dict[str, Any]) -> set[Any]:
    parts = body.get("parts") or ()
    return {body.get(field) for field in _NUMBERS} | {part.get("number") for part in parts}


def _faces_in(body: dict[str, Any]) -> list[tuple[str, Box]]:
    """Return the faces of a decision, those of merged parts too: (sha256, box)."""
    several = [*(body.get("faces") or ()), *([body["face"]] if body.get("face") else ())]
    several += [face for part in body.get("parts") or () for face in part.get("faces") or ()]
    return [(face["sha256"], Box(**face["box"])) for face in several]
