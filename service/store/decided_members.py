"""Rows that follow from decisions: memberships, people, eras, and the settings of identities. Parts of larger transactions."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, exists, insert, or_, select, update

from immich_facesets.moderation.constraints import Constraints
from service.store.change_tracking import MOVED_FACES, renewing
from service.store.chunks import chunks
from service.store.tables import era_faces, eras, identities, memberships, people
from service.store.upsert import upsert


def follow_settings(tx: Connection, decided: Constraints, now: Any) -> None:
    """
    Let the rows of identities have what decisions set: label, lock, cover, exports, profiles, strangers, merges.

    A merged number has a row, too, so that it is never given again and leads to its survivor.
    """
    wanted: dict[int, dict[str, Any]] = {}
    for number, is_locked in decided.locks.items():
        wanted.setdefault(number, {})["is_locked"] = is_locked
    for number, label in decided.labels.items():
        wanted.setdefault(number, {})["label"] = label
    for number, is_hidden in decided.hidden.items():
        wanted.setdefault(number, {})["never_export"] = is_hidden
    for number, off in decided.profiles_off.items():
        wanted.setdefault(number, {})["profiles_off"] = list(off)
    for number, cover in decided.covers.items():
        wanted.setdefault(number, {})["cover"] = None if cover is None else msgspec.to_builtins(cover)
    known = _rows_to_compare(tx, wanted.keys() | decided.strangers | decided.merged.keys())
    for number in {*decided.strangers, *decided.merged, *known}:
        ours = {"is_stranger": number in decided.strangers, "merged_into": decided.merged.get(number)}
        wanted.setdefault(number, {}).update(ours)
    missing = sorted(decided.merged.keys() - known.keys())
    if missing:
        tx.execute(insert(identities), [{"number": one, "origin": "asserted", "created_at": now} for one in missing])
    for number, values in sorted(wanted.items()):
        row = known.get(number)
        differs = {name: value for name, value in values.items() if row is None or getattr(row, name) != value}
        if differs and (row is not None or number in decided.merged):
            tx.execute(update(identities).where(identities.c.number == number).values(**differs))


def _rows_to_compare(tx: Connection, numbers: Iterable[int]) -> dict[int, Any]:
    """Return the rows of these identities, and of all strangers and merged ones: others have nothing that decisions set."""
    one_of: list[ColumnElement[bool]] = [identities.c.number.in_(some) for some in chunks(sorted(numbers))]
    one_of.append(or_(identities.c.is_stranger.is_(True), identities.c.merged_into.is_not(None)))
    return {row.number: row for some in one_of for row in tx.execute(select(identities).where(some))}


def write_members(
    tx: Connection, owners: Mapping[int, int | None], distances: Mapping[int, float], how: Mapping[int, str]
) -> None:
    """
    Write the identity of each of these faces, which had another one before (None: of none).

    Of those that have one, the distance and how it joined are written, too.
    """
    joined = [
        {
            "face_id": face_id,
            "identity": number,
            "distance": distances[face_id],
            "how": how[face_id],
            "confidence": None,
        }
        for face_id, number in owners.items()
        if number is not None
    ]
    with renewing(tx, MOVED_FACES):
        for leaves in chunks([face_id for face_id, number in owners.items() if number is None]):
            tx.execute(delete(memberships).where(memberships.c.face_id.in_(leaves)))
        upsert(tx, memberships, joined)


def attach_to(tx: Connection, attached: Mapping[tuple[str, str], int]) -> None:
    """Attach people to identities, those who are gone too."""
    for (source, person_id), number in sorted(attached.items()):
        mine = (people.c.source == source, people.c.person_id == person_id)
        tx.execute(update(people).where(*mine, people.c.identity.is_distinct_from(number)).values(identity=number))


def move_eras(
    tx: Connection,
    owners: Mapping[int, int | None],
    before: Mapping[int, int | None],
    merged: Collection[int],
    now: Any,
) -> None:
    """
    Let the eras of moved faces follow them: into an identity that has none, or one of the same name.

    Otherwise the next publish finds the era of a face anew. The identity that a face leaves keeps its place: a face that
    returns is in the era there that it was in before. Eras end where no face has a place any more. ``before``: the
    identities that the faces had. ``merged``: numbers that lead to others now.
    """
    found = _eras_of_faces(tx, owners)
    there = {(row.face_id, row.identity) for row in found}
    # The other rows are the places of faces that were away already.
    left = [row for row in found if before.get(row.face_id) in (None, row.identity)]
    rows = [row for row in left if owners[row.face_id] not in (None, row.identity)]
    rows.sort(key=lambda row: (row.identity in merged, row.identity))  # of a face of nobody, one place counts
    targets = {owners[row.face_id] for row in rows}
    named = _eras_of(tx, {*(number for number in targets if number is not None), *(row.identity for row in rows)})
    taken = {number for number, _ in named}
    for row in rows:
        if (row.face_id, owners[row.face_id]) in there:
            if before.get(row.face_id) == row.identity:
                mine = (era_faces.c.face_id == row.face_id, era_faces.c.identity == row.identity)
                tx.execute(delete(era_faces).where(*mine))
            continue
        key = (owners[row.face_id], row.name)
        if key not in named:
            if key[0] in taken:
                continue
            old = named[row.identity, row.name]._mapping  # noqa: SLF001 - SQLAlchemy's documented mapping access
            upsert(tx, eras, [{**dict(old), "identity": key[0], "made_at": now}])
            named[key[0], row.name] = named[row.identity, row.name]  # type: ignore[index]  # never None: see above
        upsert(tx, era_faces, [{**dict(row._mapping), "identity": key[0]}])  # noqa: SLF001 as above
        there.add((row.face_id, key[0]))
    _end_empty(tx, {row.identity for row in rows})


def _eras_of_faces(tx: Connection, face_ids: Iterable[int]) -> list[Any]:
    """Return the places of faces in eras."""
    parts = (select(era_faces).where(era_faces.c.face_id.in_(some)) for some in chunks(sorted(face_ids)))
    return [row for part in parts for row in tx.execute(part)]


def _eras_of(tx: Connection, numbers: Iterable[int]) -> dict[tuple[int, str], Any]:
    return {
        (row.identity, row.name): row
        for some in chunks(sorted(set(numbers)))
        for row in tx.execute(select(eras).where(eras.c.identity.in_(some)))
    }


def _end_empty(tx: Connection, numbers: Iterable[int]) -> None:
    for number in sorted(numbers):
        is_filled = exists().where(era_faces.c.identity == eras.c.identity, era_faces.c.name == eras.c.name)
        tx.execute(delete(eras).where(eras.c.identity == number, ~is_filled))
