"""Failed items a page at a time, latest first."""

import hashlib
from typing import Any

from sqlalchemy import Connection, select, tuple_

from service.store.browsing.slices import Key, Page, Slice, page_of
from service.store.failures import Failure, with_names
from service.store.tables import failures

_PLACE = (failures.c.stage, failures.c.source, failures.c.item)


def failure_page(tx: Connection, reason: str, part: Slice) -> Page[Failure]:
    """
    Return the failures of one reason, of every one with "".

    The key of each is read at every call: a listing may fail for many items in one moment, and no column orders these.
    """
    keys = select(*_PLACE, failures.c.last_at)
    if reason:
        keys = keys.where(failures.c.reason == reason)
    page = page_of(tx.execute(keys).all(), _key, part)
    chosen = [(row.stage, row.source, row.item) for row in page.items]
    rows: Any = tx.execute(select(failures).where(tuple_(*_PLACE).in_(chosen))).all() if chosen else ()
    return Page(tuple(with_names(tx, sorted(rows, key=_key))), page.last)


def _key(row: Any) -> Key:
    place = f"{row.stage}\0{row.source}\0{row.item}".encode()
    return (-row.last_at.timestamp(), int.from_bytes(hashlib.blake2b(place, digest_size=6).digest()))
