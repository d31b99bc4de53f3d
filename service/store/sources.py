"""The sources: the list of them, the progress of their listings, and their people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update

from immich_facesets.assets import Person
from service.store import failures
from service.store.tables import people, sources
from service.store.upsert import BOOKKEEPING, upsert

FOLDER = "folder"
"""The kind of a source that is a folder."""


@dataclass(frozen=True, slots=True)
class SourceMarks:
    """The progress of a source's listings."""

    watermark: datetime | None
    full_listing_at: datetime | None


def remember_source(tx: Connection, name: str, kind: str, user_id: str) -> SourceMarks:
    """
    Store a source and return the progress of its listings.

    If the name now belongs to another user at the source, its marks are cleared and it starts over.
    """
    before = tx.execute(select(sources).where(sources.c.name == name)).one_or_none()
    if before is not None and before.user_id == user_id:
        return SourceMarks(before.watermark, before.full_listing_at)
    upsert(
        tx,
        sources,
        [{"name": name, "kind": kind, "user_id": user_id, "watermark": None, "full_listing_at": None}],
    )
    return SourceMarks(None, None)


def finish_listing(tx: Connection, source: str, *, watermark: datetime | None, full_at: datetime | None) -> None:
    """Record the end of a listing, where the next one starts. ``full_at`` is None for a listing of changes."""
    values: dict[str, Any] = {}
    if watermark is not None:
        values["watermark"] = watermark
    if full_at is not None:
        values["full_listing_at"] = full_at
        failures.forget_unlisted(tx, source, full_at)
    if values:
        tx.execute(update(sources).where(sources.c.name == source).values(**values), execution_options=BOOKKEEPING)


def remember_people(tx: Connection, source: str, found: Sequence[Person]) -> None:
    """Write the people of a source; drop those it no longer has, and keep the others' links to identities."""
    ids = [person.person_id for person in found]
    tx.execute(delete(people).where(people.c.source == source, people.c.person_id.not_in(ids)))
    rows = [
        {
            "source": source,
            "person_id": person.person_id,
            "name": person.name,
            "birth_date": person.birth_date,
            "is_hidden": person.is_hidden,
        }
        for person in found
    ]
    upsert(tx, people, rows)
