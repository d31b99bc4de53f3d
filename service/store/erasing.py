"""Forgetting a person: what names and shows them is erased, and digests stay. Parts of larger transactions."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, update

from immich_facesets.assets import PersonKey
from immich_facesets.errors import RequestError
from immich_facesets.faces import Box
from immich_facesets.moderation.decisions import FaceRef, Forget, ForgottenFace
from immich_facesets.moderation.effects import Erasure
from immich_facesets.moderation.erasing import Forgotten, digest_of, faces_at, imported_mark, person_mark
from service.store import tables as t
from service.store.chunks import chunks
from service.store.decided_members import follow_settings
from service.store.decisions import all_records, constraints_of, replace_record
from service.store.forgotten import account_of, remember_forgotten
from service.store.imported_faces import IMPORTED
from service.store.ledger import ERASED, scrub_ledger
from service.store.named_values import add_directories_to_erase, forget_findings
from service.store.reference_pictures import drop_pictures
from service.store.traces import Traces, traces_of
from service.store.upsert import upsert


def count_traces(tx: Connection, traces: Traces) -> Erasure:
    """Return what there is to erase."""
    face_ids, total = sorted(traces.face_ids), dict[str, int]()
    for table in (t.faces, t.vectors, t.crops, t.cuts):
        total[table.name] = sum(
            tx.scalar(select(func.count()).select_from(table).where(table.c.face_id.in_(some))) or 0
            for some in chunks(face_ids)
        )
    return Erasure(
        faces=total["faces"],
        vectors=total["vectors"],
        crops=total["crops"] + total["cuts"],
        facesets=len(traces.directories),
        people=len(traces.people),
        decisions=len(traces.records),
        references=len(traces.references),
        copies=tuple(traces.copies),
    )


def preview_erasure(tx: Connection, forget: Forget) -> Erasure:
    """Return what ``forget_person`` would erase."""
    return count_traces(tx, traces_of(tx, _numbers(forget)))


def refuse_named_reason(tx: Connection, forget: Forget, reason: str) -> None:
    """Raise a ``RequestError`` (400) where the reason, which is kept for good, has a name of the person."""
    numbers = _numbers(forget)
    if Forgotten(numbers, lambda _: False, traces_of(tx, numbers).names).is_in(reason):
        raise RequestError(
            "the reason has the name of the person, and is kept for good: leave the name out", status=400
        )


def forget_person(
    tx: Connection, decision_id: int, forget: Forget, now: datetime, *, further: Sequence[FaceRef] = ()
) -> Erasure:
    """
    Erase what the database knows of a person, and keep digests of where they were: for a decision that was recorded.

    Files, exports, and the traces of deleted rows in the files of the database are erased afterwards (``erasures``).
    ``further``: places at which another installation forgot the person; its digests are in ``forget``.
    """
    if tx.dialect.name == "sqlite":
        tx.exec_driver_sql("PRAGMA secure_delete=ON")
    traces = traces_of(tx, _numbers(forget), further, _people_marked(tx, forget))
    found = count_traces(tx, traces)
    remember_forgotten(tx, decision_id, _with_own_digests(tx, forget, traces), now)
    _erase_faces(tx, traces)
    _erase_people(tx, traces.people)
    _erase_identities(tx, traces.numbers)
    for one in traces.records:
        replace_record(tx, one)
    _erase_texts(tx, traces)
    follow_settings(tx, constraints_of(all_records(tx, with_eras=False), lambda _: None), now)
    return found


def _numbers(forget: Forget) -> frozenset[int]:
    return frozenset((forget.identity, *forget.merged))


def _people_marked(tx: Connection, forget: Forget) -> set[PersonKey]:
    """Return the people of sources here that a decision of another installation names by their marks."""
    marks = frozenset(forget.marks)
    rows = tx.execute(select(t.people.c.source, t.people.c.person_id).where(t.people.c.source != IMPORTED))
    known = [(row.source, row.person_id) for row in rows] if marks else []
    accounts = {source: account_of(tx, source) for source in {source for source, _ in known}}
    return {key for key in known if digest_of(forget.salt, person_mark(accounts[key[0]], key[1])) in marks}


def _with_own_digests(tx: Connection, forget: Forget, traces: Traces) -> Forget:
    """Return the decision with digests of what is known here; one of another installation keeps its salt and digests."""
    salt = forget.salt or secrets.token_hex(16)
    places = {ForgottenFace(digest_of(salt, sha256), box) for sha256, boxes in traces.places.items() for box in boxes}
    marks = {digest_of(salt, person_mark(account_of(tx, source), person)) for source, person in traces.people}
    marks |= {digest_of(salt, imported_mark(key)) for _, key in traces.face_keys}
    return msgspec.structs.replace(
        forget,
        salt=salt,
        places=(*forget.places, *sorted(places - {*forget.places}, key=lambda one: (one.digest, one.box.x1))),
        marks=tuple(sorted({*forget.marks, *marks})),
    )


def _erase_faces(tx: Connection, traces: Traces) -> None:
    """Erase the faces, and what is known of them by their places."""
    upsert(tx, t.erased_pictures, [{"sha256": sha256} for sha256 in sorted(traces.places)])
    for some in chunks(sorted(traces.face_ids)):
        for table in (t.vectors, t.crops, t.cuts, t.enrichments, t.memberships, t.era_faces, t.faces):
            tx.execute(delete(table).where(table.c.face_id.in_(some)))
    drop_pictures(tx, traces.references)
    for person_id, key in sorted(traces.face_keys):
        mine = (t.imported_faces.c.person_id == person_id, t.imported_faces.c.face_key == key)
        tx.execute(delete(t.imported_faces).where(*mine))
    tx.execute(delete(t.former_members).where(t.former_members.c.identity.in_(traces.numbers)))
    for table in (t.former_members, t.past_places):
        _erase_places(tx, table, traces.places)
    for row in tx.execute(select(t.identities).where(t.identities.c.cover.is_not(None))).all():
        cover = msgspec.convert(row.cover, FaceRef)
        if faces_at(traces.places.get(cover.sha256, ()), [cover.box]):
            tx.execute(update(t.identities).where(t.identities.c.number == row.number).values(cover=None))


def _erase_places(tx: Connection, table: Any, places: Mapping[str, Sequence[Box]]) -> None:
    for some in chunks(sorted(places)):
        for row in tx.execute(select(table).where(table.c.sha256.in_(some))).all():
            if faces_at(places[row.sha256], [Box(row.x1, row.y1, row.x2, row.y2)]):
                tx.execute(
                    delete(table).where(*(table.c[one.name] == getattr(row, one.name) for one in table.primary_key))
                )


def _erase_people(tx: Connection, known: Collection[PersonKey]) -> None:
    """Erase the people of sources; faces that sources give to them stay as places of nobody."""
    tables = (t.people, t.births, t.past_links, t.past_hints, t.past_places, t.past_likenesses, t.imported_faces)
    for source, person_id in sorted(known):
        for table in tables:
            of_source: Collection[ColumnElement[bool]] = [table.c.source == source] if "source" in table.c else []
            if of_source or source == "":
                tx.execute(delete(table).where(*of_source, table.c.person_id == person_id))
        mine = (t.hints.c.source == source, t.hints.c.person_id == person_id)
        tx.execute(update(t.hints).where(*mine).values(person_id=None))
        moved = t.moved_faces.c
        taken = or_(moved.taken_from == person_id, moved.given_to == person_id)
        tx.execute(delete(t.moved_faces).where(and_(moved.source == source, taken)))
        named = and_(t.identities.c.named_by_source == source, t.identities.c.named_by_person == person_id)
        tx.execute(update(t.identities).where(named).values(named_by_source=None, named_by_person=None))


def _erase_identities(tx: Connection, numbers: frozenset[int]) -> None:
    """Leave of the identities no more than their numbers, which are never given again, and never exported."""
    for table in (t.era_faces, t.era_looks, t.eras, t.past_links, t.past_likenesses):
        tx.execute(delete(table).where(table.c.identity.in_(numbers)))
    asked = or_(t.review_items.c.identity.in_(numbers), t.review_items.c.other.in_(numbers))
    tx.execute(delete(t.review_items).where(asked))
    nothing = {"label": None, "named_by_source": None, "named_by_person": None, "cover": None, "merged_into": None}
    states = {"is_locked": False, "is_stranger": False, "never_export": True, "profiles_off": list[str]()}
    tx.execute(update(t.identities).where(t.identities.c.number.in_(numbers)).values(**nothing, **states))


def _erase_texts(tx: Connection, traces: Traces) -> None:
    """Erase the ledger's details of the person, and messages with a name or a directory of theirs."""
    add_directories_to_erase(tx, {*scrub_ledger(tx, traces.numbers), *traces.directories})
    who = Forgotten(traces.numbers, lambda _: False, traces.names)
    for row in tx.execute(select(t.sync_runs.c.run_id, t.sync_runs.c.message)).all():
        if who.is_in(row.message):
            tx.execute(update(t.sync_runs).where(t.sync_runs.c.run_id == row.run_id).values(message=ERASED))
    for row in tx.execute(select(t.failures)).all():
        if who.is_in(row.message):
            key = (t.failures.c[one.name] == getattr(row, one.name) for one in t.failures.primary_key)
            tx.execute(update(t.failures).where(*key).values(message=ERASED))
    forget_findings(tx)
