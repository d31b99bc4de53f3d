"""Digests that keep forgotten people from coming back: of where their faces were, and of what named them."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

import msgspec
from sqlalchemy import Connection, insert, select

from immich_facesets.assets import FaceHint
from immich_facesets.faces import Box
from immich_facesets.imports.sorted_faces import SortedFace, SortedSet
from immich_facesets.moderation.decisions import FaceRef, Forget, ForgottenFace, from_json, numbers_in
from immich_facesets.moderation.erasing import digest_of, faces_at, imported_mark, person_mark
from immich_facesets.moderation.records import Record
from service.store.chunks import chunks
from service.store.decisions import all_records
from service.store.tables import (
    contents,
    decisions,
    erasures,
    faces,
    forgotten_faces,
    forgotten_marks,
    imported_faces,
    reference_pictures,
    sources,
)
from service.store.upsert import upsert


def forgotten_places(tx: Connection, sha256s: Collection[str]) -> dict[str, list[Box]]:
    """Return the places of forgotten faces in these contents, by content; it costs a digest for each salt."""
    known = {digest_of(salt, sha256): sha256 for salt in _salts(tx) for sha256 in sha256s}
    found: dict[str, list[Box]] = {}
    for some in chunks(sorted(known)):
        rows = tx.execute(
            select(forgotten_faces).where(forgotten_faces.c.digest.in_(some)).order_by(forgotten_faces.c.place_id)
        )
        for row in rows:
            found.setdefault(known[row.digest], []).append(Box(row.x1, row.y1, row.x2, row.y2))
    return found


def forgotten_in(tx: Connection, sha256: str, boxes: Sequence[Box]) -> set[int]:
    """Return which of the faces found in a content are forgotten, by their index."""
    return faces_at(forgotten_places(tx, [sha256]).get(sha256, ()), boxes)


def forgotten_people(tx: Connection, source: str, person_ids: Collection[str]) -> set[str]:
    """Return which of these people of a source are forgotten."""
    salts = _salts(tx) if person_ids else []
    if not salts:
        return set()
    account = account_of(tx, source)
    marks = {person_mark(account, person_id): person_id for person_id in person_ids}
    return {marks[mark] for mark in _marked(tx, salts, marks)}


def without_forgotten_people(tx: Connection, source: str, hints: Sequence[FaceHint]) -> Sequence[FaceHint]:
    """Return the faces that a source knows on an asset; those of forgotten people are of nobody."""
    gone = forgotten_people(tx, source, {hint.person_id for hint in hints if hint.person_id is not None})
    if not gone:
        return hints
    return [replace(one, person_id=None, birth_date=None) if one.person_id in gone else one for one in hints]


def without_forgotten_sets(tx: Connection, sets: Sequence[SortedSet]) -> list[SortedSet]:
    """Return the sets of another tool without forgotten faces. A set that is forgotten for the most part is left out."""
    salts = _salts(tx)
    if not salts:
        return list(sets)
    kept = [replace(one, faces=tuple(_remembered(tx, salts, one.faces))) for one in sets]
    return [new for new, old in zip(kept, sets, strict=True) if 2 * len(new.faces) >= len(old.faces)]


def _remembered(tx: Connection, salts: Sequence[str], sorted_faces: Sequence[SortedFace]) -> list[SortedFace]:
    gone = _marked(tx, salts, {imported_mark(face.key) for face in sorted_faces})
    places = forgotten_places(tx, {face.sha256 for face in sorted_faces if face.sha256 is not None})
    return [
        face
        for face in sorted_faces
        if imported_mark(face.key) not in gone
        and (face.sha256 is None or face.box is None or not faces_at(places.get(face.sha256, ()), [face.box]))
    ]


def faces_there(tx: Connection, face_ids: Collection[int]) -> set[int]:
    """Return those of these faces that are there; one that was read before may have been forgotten meanwhile."""
    found: set[int] = set()
    for some in chunks(face_ids):
        found |= set(tx.scalars(select(faces.c.face_id).where(faces.c.face_id.in_(some))))
    return found


def account_of(tx: Connection, source: str) -> str:
    """Return what tells the people of a source from those of others: the account, which stays when it is renamed."""
    return tx.scalar(select(sources.c.user_id).where(sources.c.name == source)) or source


def forgotten_numbers(tx: Connection) -> frozenset[int]:
    """Return the numbers of all people who were ever forgotten."""
    bodies = tx.scalars(select(decisions.c.body).join(erasures, erasures.c.decision_id == decisions.c.decision_id))
    return frozenset(number for body in bodies for number in numbers_in(from_json(body)))


def remember_forgotten(tx: Connection, decision_id: int, forget: Forget, now: datetime) -> None:
    """Store the digests of a decision to forget a person; what is to be erased elsewhere is open from now on."""
    tx.execute(insert(erasures).values(decision_id=decision_id, salt=forget.salt, begun_at=now))
    rows = [
        {
            "decision_id": decision_id,
            "digest": one.digest,
            "x1": one.box.x1,
            "y1": one.box.y1,
            "x2": one.box.x2,
            "y2": one.box.y2,
        }
        for one in forget.places
    ]
    if rows:
        tx.execute(insert(forgotten_faces), rows)
    upsert(tx, forgotten_marks, [{"decision_id": decision_id, "digest": mark} for mark in dict.fromkeys(forget.marks)])


def exported_records(tx: Connection) -> list[Record]:
    """Return every decision for an export: those to forget a person carry their digests."""
    return [
        msgspec.structs.replace(one, decision=_carried(tx, one.decision_id, one.decision))
        if isinstance(one.decision, Forget)
        else one
        for one in all_records(tx)
    ]


def _carried(tx: Connection, decision_id: int, forget: Forget) -> Forget:
    salt = tx.scalar(select(erasures.c.salt).where(erasures.c.decision_id == decision_id)) or ""
    rows = tx.execute(
        select(forgotten_faces)
        .where(forgotten_faces.c.decision_id == decision_id)
        .order_by(forgotten_faces.c.digest, forgotten_faces.c.place_id)
    )
    places = tuple(ForgottenFace(row.digest, Box(row.x1, row.y1, row.x2, row.y2)) for row in rows)
    marks = tx.scalars(select(forgotten_marks.c.digest).where(forgotten_marks.c.decision_id == decision_id))
    return msgspec.structs.replace(forget, salt=salt, places=places, marks=tuple(sorted(marks)))


def places_here(tx: Connection, forget: Forget) -> list[FaceRef]:
    """Return the places of a forgotten person in the contents of this database, whatever installation forgot them."""
    wanted: dict[str, list[Box]] = {}
    for one in forget.places:
        wanted.setdefault(one.digest, []).append(one.box)
    sorted_there = select(imported_faces.c.sha256).where(imported_faces.c.sha256.is_not(None))
    sent = select(reference_pictures.c.sha256)
    known = tx.scalars(select(contents.c.sha256).union(sorted_there, sent)) if wanted else ()
    return [FaceRef(sha256, box) for sha256 in sorted(known) for box in wanted.get(digest_of(forget.salt, sha256), ())]


def _salts(tx: Connection) -> list[str]:
    return list(tx.scalars(select(erasures.c.salt).distinct().order_by(erasures.c.salt)))


def _marked(tx: Connection, salts: Sequence[str], texts: Collection[str]) -> set[str]:
    """Return which of these texts are marks of forgotten people."""
    known = {digest_of(salt, text): text for salt in salts for text in texts}
    return {
        known[digest]
        for some in chunks(sorted(known))
        for digest in tx.scalars(select(forgotten_marks.c.digest).where(forgotten_marks.c.digest.in_(some)))
    }
