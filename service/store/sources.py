"""The sources: the list of them, the progress of their listings, and their people."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, select, update

from immich_facesets.accounts import check_account
from immich_facesets.assets import Person
from service.store import births, failures
from service.store.forgotten import forgotten_people
from service.store.tables import assets, hints, people, sources
from service.store.upsert import BOOKKEEPING, upsert

FOLDER = "folder"
"""The kind of a source that is a folder."""
REMOVED = "removed"
"""The mode of a source that the next sync forgets."""


@dataclass(frozen=True, slots=True)
class SourceMarks:
    """The progress of a source's listings. ``is_reading_faces``: all faces were asked for, and not all are read."""

    watermark: datetime | None
    full_listing_at: datetime | None
    is_reading_faces: bool = False


def bound_accounts(tx: Connection) -> dict[str, str]:
    """Return the account of each source that is bound to one, by the source's name."""
    rows: Any = tx.execute(select(sources.c.name, sources.c.user_id).where(sources.c.user_id != ""))
    return {name: account for name, account in rows}  # noqa: C416 - rows are not pairs for the type checker


def remember_source(tx: Connection, name: str, kind: str, user_id: str) -> SourceMarks:
    """
    Store a source, bind it to the account of its key, and return the progress of its listings.

    A key of another account, or an account that another source is bound to, is a ``SetupError``. ``user_id`` is empty
    for a folder.
    """
    if user_id:
        check_account(name, user_id, bound_accounts(tx))
    upsert(tx, sources, [{"name": name, "kind": kind, "user_id": user_id}])
    row = tx.execute(select(sources).where(sources.c.name == name)).one()
    return SourceMarks(row.watermark, row.full_listing_at, row.faces_asked_at is not None)


def begin_reading_faces(tx: Connection, source: str, now: datetime) -> None:
    """
    Have the faces of every asset of a source read again.

    While an earlier such reading is open, nothing changes: what it has not reached yet is still due.
    """
    begun = update(sources).where(sources.c.name == source, sources.c.faces_asked_at.is_(None))
    if tx.execute(begun.values(faces_asked_at=now), execution_options=BOOKKEEPING).rowcount:
        mine = (assets.c.source == source, assets.c.is_gone.is_(False))
        tx.execute(update(assets).where(*mine).values(hints_due_at=now), execution_options=BOOKKEEPING)


def finish_reading_faces(tx: Connection, source: str) -> None:
    """Record that the faces of every asset have been read again."""
    open_one = (sources.c.name == source, sources.c.faces_asked_at.is_not(None))
    tx.execute(update(sources).where(*open_one).values(faces_asked_at=None), execution_options=BOOKKEEPING)


def finish_listing(
    tx: Connection,
    source: str,
    *,
    watermark: datetime | None,
    full_at: datetime | None,
    left_alone: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """
    Record the end of a listing, where the next one starts. ``full_at`` is None for a listing of changes.

    ``left_alone``: how many ``videos`` and ``motion_photos`` a whole listing met; others stay as they were.
    """
    values: dict[str, Any] = {}
    if watermark is not None:
        values["watermark"] = watermark
    if full_at is not None:
        values |= {"full_listing_at": full_at, **left_alone}
        failures.forget_unlisted(tx, source, full_at)
    if values:
        tx.execute(update(sources).where(sources.c.name == source).values(**values), execution_options=BOOKKEEPING)


def remember_people(tx: Connection, source: str, found: Sequence[Person]) -> None:
    """
    Write people of a source, with their links to identities kept; absence from ``found`` changes nothing.

    People who were forgotten are left out.
    """
    gone = forgotten_people(tx, source, {person.person_id for person in found})
    found = [person for person in found if person.person_id not in gone]
    rows = [
        {
            "source": source,
            "person_id": person.person_id,
            "name": person.name,
            "birth_date": person.birth_date,
            "is_hidden": person.is_hidden,
            "is_gone": False,
        }
        for person in found
    ]
    upsert(tx, people, rows)
    births.remember_births(tx, source, {one.person_id: one.birth_date for one in found if one.birth_date is not None})


def absent_people(tx: Connection, source: str, found: Collection[str]) -> list[str]:
    """Return the ids of a source's people that are not among ``found`` and were not confirmed as gone."""
    rows = tx.scalars(
        select(people.c.person_id)
        .where(people.c.source == source, people.c.is_gone.is_(False))
        .order_by(people.c.person_id)
    )
    known = set(found)
    return [person_id for person_id in rows if person_id not in known]


def mark_person_gone(tx: Connection, source: str, person_id: str, now: datetime) -> None:
    """
    Record that a source no longer has a person (confirmed by id), and let its faces be read again at once.

    The row stays, with its link to an identity: a person that returns has its number again. Where the person was merged,
    the faces name another person by now.
    """
    tx.execute(update(people).where(people.c.source == source, people.c.person_id == person_id).values(is_gone=True))
    shown = select(hints.c.asset_id).where(hints.c.source == source, hints.c.person_id == person_id)
    tx.execute(
        update(assets)
        .where(assets.c.source == source, assets.c.is_gone.is_(False), assets.c.asset_id.in_(shown))
        .values(hints_due_at=now),
        execution_options=BOOKKEEPING,
    )
