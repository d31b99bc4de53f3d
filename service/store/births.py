"""Birth dates of the sources' people: every one that a source ever stated is kept, whatever becomes of the person."""

from collections.abc import Mapping

from sqlalchemy import Connection, select, update

from immich_facesets.assets import PersonKey
from service.store.chunks import chunks
from service.store.tables import births, sources
from service.store.upsert import upsert

_AT_ONCE = 500  # person ids in one query


def remember_births(tx: Connection, source: str, stated: Mapping[str, str]) -> None:
    """
    Record the birth dates (ISO) that a source states, by person id. None of those before is deleted.

    A person without a date, hidden, merged or deleted keeps the last one; another date of the same person replaces it.
    """
    account = tx.scalar(select(sources.c.user_id).where(sources.c.name == source)) or ""
    for some in chunks(sorted(stated)):
        mine = (births.c.source == source, births.c.account == account, births.c.person_id.in_(some))
        rows = tx.execute(select(births).where(*mine, births.c.is_last.is_(True)))
        last = {row.person_id: row.birth_date for row in rows}
        changed = [person for person in some if last.get(person) != stated[person]]
        tx.execute(
            update(births)
            .where(*mine[:2], births.c.person_id.in_(changed), births.c.is_last.is_(True))
            .values(is_last=False)
        )
        named = [{"person_id": person, "birth_date": stated[person]} for person in changed]
        upsert(tx, births, [{"source": source, "account": account, **one, "is_last": True} for one in named])


def births_of_people(tx: Connection) -> dict[PersonKey, tuple[str, ...]]:
    """
    Return the birth dates (ISO) of each person, earliest first: the last that each account of the source stated.

    People who are gone are among them.
    """
    found: dict[PersonKey, list[str]] = {}
    rows = tx.execute(select(births).where(births.c.is_last.is_(True)).order_by(births.c.birth_date))
    for row in rows:
        found.setdefault((row.source, row.person_id), []).append(row.birth_date)
    return {person: tuple(dates) for person, dates in found.items()}
