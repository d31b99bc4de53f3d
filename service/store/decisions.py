"""Moderators' decisions: only ever added, and the only data here that cannot be computed again."""

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Text, case, cast, func, insert, null, select, update

from immich_facesets.faces import SAME_FACE_IOU, Box
from immich_facesets.moderation.constraints import Constraints, constraints
from immich_facesets.moderation.decisions import (
    Decision,
    Eras,
    FaceRef,
    Forget,
    Part,
    Undo,
    faces_in,
    from_text,
    rename_source,
    to_json,
)
from immich_facesets.moderation.records import Author, Record, uid_of
from service.store.chunks import chunks
from service.store.tables import decisions, faces


def record_decision(
    tx: Connection,
    decision: Decision,
    *,
    made_by: str,
    now: datetime,
    made_from: str = "command",
    reason: str = "",
    uid: str | None = None,
    batch: str | None = None,
    members: Sequence[Part] = (),
) -> int:
    """Append a decision and return its number. The digests of a ``Forget`` are not stored with it."""
    if isinstance(decision, Forget):
        decision = Forget(decision.identity, decision.merged)
    body, uid = to_json(decision), uid or secrets.token_hex(8)
    result = tx.execute(
        insert(decisions).values(
            kind=body["kind"],
            body=body,
            made_by=made_by,
            made_at=now,
            uid=uid,
            batch=batch or uid,
            made_from=made_from,
            reason=reason,
            members=msgspec.to_builtins(tuple(members)) if members else None,
        )
    )
    key = result.inserted_primary_key
    return int(key[0]) if key is not None else 0


def record_batch(
    tx: Connection, made: Iterable[tuple[Decision, Sequence[Part]]], author: Author, now: datetime
) -> tuple[int, ...]:
    """Append decisions made in one step, each with the members of what it mentions, and return their numbers."""
    batch = secrets.token_hex(8)
    return tuple(
        record_decision(
            tx,
            decision,
            made_by=author.made_by,
            now=now,
            made_from=author.made_from,
            reason=author.reason,
            uid=batch if place == 0 else None,
            batch=batch,
            members=members,
        )
        for place, (decision, members) in enumerate(made)
    )


ERAS = "eras"
"""The kind of changes of eras."""

TEXT = cast(decisions.c.body, Text).label("text")
"""The body of a decision, for ``from_text``: no reader decodes it twice."""

_MEMBERS = cast(decisions.c.members, Text).label("members")
_PARTS = msgspec.json.Decoder(tuple[Part, ...] | None)
_IS_ERAS = decisions.c.kind == ERAS
_BODIES = (
    case((_IS_ERAS, null()), else_=TEXT).label("text"),
    case((_IS_ERAS, decisions.c.body["identity"].as_integer())).label("identity"),
    case((_IS_ERAS, decisions.c.body["change"].as_string())).label("change"),
)
"""The bodies of all decisions but changes of eras: there may be many of these, with thousands of faces each."""


def all_decisions(tx: Connection, *, with_eras: bool = True) -> list[tuple[int, Decision]]:
    """Return every decision with its number, in the order they were made; ``with_eras`` as ``all_records``."""
    bodies = (TEXT,) if with_eras else _BODIES
    rows = tx.execute(select(decisions.c.decision_id, *bodies).order_by(decisions.c.decision_id))
    return [(row.decision_id, _decision(row)) for row in rows]


def all_records(tx: Connection, *, with_eras: bool = True) -> list[Record]:
    """
    Return every decision with who made it, when, from where and why, in the order they were made.

    ``with_eras``: without it, changes of eras have no spans, faces and names; ``whole_eras`` reads those of some people.
    """
    bodies = (TEXT,) if with_eras else _BODIES
    columns = (column for column in decisions.c if column.name not in {"body", "members"})
    rows = tx.execute(select(*columns, *bodies, _MEMBERS).order_by(decisions.c.decision_id))
    return [_record(row) for row in rows]


def whole_eras(tx: Connection, made: Mapping[int, Decision], identities: Collection[int]) -> dict[int, Decision]:
    """Return the changes of the eras of these identities, by number, as they were made; ``made``: without spans and faces."""
    mine = [number for number, one in made.items() if isinstance(one, Eras) and one.identity in identities]
    found: dict[int, Decision] = {}
    for some in chunks(sorted(mine)):
        rows = tx.execute(select(decisions.c.decision_id, TEXT).where(decisions.c.decision_id.in_(some)))
        found |= {row.decision_id: from_text(row.text) for row in rows}
    return found


def _decision(row: Any) -> Decision:
    return Eras(row.identity, row.change, (), ()) if row.text is None else from_text(row.text)


def _record(row: Any) -> Record:
    uid = row.uid or uid_of(row.decision_id, row.made_at, row.kind)
    return Record(
        decision_id=row.decision_id,
        uid=uid,
        batch=row.batch or uid,
        decision=_decision(row),
        made_by=row.made_by,
        made_from=row.made_from,
        made_at=row.made_at,
        reason=row.reason,
        members=_PARTS.decode(row.members or b"null") or (),
    )


def replace_record(tx: Connection, one: Record) -> None:
    """Write what is left of a decision when a person is forgotten: who made it and when stay."""
    body = to_json(one.decision)
    mine = update(decisions).where(decisions.c.decision_id == one.decision_id)
    members = msgspec.to_builtins(one.members) if one.members else None
    tx.execute(
        mine.values(kind=body["kind"], body=body, members=members, reason=one.reason, uid=one.uid, batch=one.batch)
    )


def rename_in_decisions(tx: Connection, old: str, new: str) -> None:
    """Give the people of a source in all decisions the source's new name."""
    for decision_id, decision in all_decisions(tx, with_eras=False):
        renamed = rename_source(decision, old, new)
        if renamed != decision:
            mine = update(decisions).where(decisions.c.decision_id == decision_id)
            tx.execute(mine.values(body=to_json(renamed)))


def last_id(tx: Connection) -> int:
    """Return the number of the latest decision, 0 without any."""
    return tx.scalar(select(func.max(decisions.c.decision_id))) or 0


def constraints_now(tx: Connection, space: str) -> Constraints:
    """Return the constraints that the decisions place on the faces of a space, but for their eras (``pins_now``)."""
    made = all_records(tx, with_eras=False)
    return constraints_of(made, resolver(tx, space, made)) if made else Constraints()


def constraints_of(made: Iterable[Record], resolve: Callable[[FaceRef], int | None]) -> Constraints:
    """Return the constraints that follow from records."""
    records = tuple(made)
    return constraints(
        ((one.decision_id, one.decision) for one in records),
        resolve,
        {one.decision_id: one.members for one in records if one.members},
    )


def resolver(tx: Connection, space: str, made: Iterable[Record]) -> Callable[[FaceRef], int | None]:
    """Return the function that finds the face of a space to which a reference in these records leads, if there is one."""
    refs = (
        ref
        for one in made
        if not isinstance(one.decision, Undo)
        for ref in (*faces_in(one.decision), *(face for part in one.members for face in part.faces))
    )
    return Finder(tx, space, {ref.sha256 for ref in refs})


class Finder:
    """The faces of a space in some contents, found by references; each reference is looked for once."""

    def __init__(self, tx: Connection, space: str, sha256s: Iterable[str]) -> None:
        self._tx = tx
        self._space = space
        self._places: dict[str, list[tuple[int, Box]]] = {}
        self._found: dict[FaceRef, int | None] = {}
        self._unread = set[str]()
        self.add(sha256s)

    def add(self, sha256s: Iterable[str]) -> None:
        """Read the faces in further contents."""
        new = {*sha256s} - self._places.keys()
        self._places |= {sha256: [] for sha256 in new}
        for some in chunks(sorted(new)):
            rows = self._tx.execute(
                select(faces.c.face_id, faces.c.sha256, faces.c.x1, faces.c.y1, faces.c.x2, faces.c.y2)
                .where(faces.c.space == self._space, faces.c.sha256.in_(some))
                .order_by(faces.c.face_id)
            )
            for row in rows:
                self._places[row.sha256].append((row.face_id, Box(row.x1, row.y1, row.x2, row.y2)))

    def know(self, known: Mapping[FaceRef, int]) -> None:
        """Note faces by their own places. The others in their contents are read when one is looked for."""
        self._found |= known
        self._unread |= {ref.sha256 for ref in known} - self._places.keys()

    def __call__(self, ref: FaceRef) -> int | None:
        """Return the face at a reference; None where there is none, or its content is not among those to be read."""
        if ref in self._found:
            return self._found[ref]
        if ref.sha256 in self._unread:
            self.add(self._unread)
            self._unread = set()
        places = self._places.get(ref.sha256)
        if not places:
            return None
        overlap, face_id = max((ref.box.iou(box), -face) for face, box in places)
        self._found[ref] = -face_id if overlap >= SAME_FACE_IOU else None
        return self._found[ref]
