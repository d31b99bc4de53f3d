"""The answers to writes that named a key, so that a caller that repeats one gets the same answer, and nothing twice."""

from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from immich_facesets.errors import RequestError
from service.store.tables import kept_answers
from service.store.upsert import BOOKKEEPING

MOST_KEPT = 1000
KEPT_FOR = timedelta(days=7)


class Key(msgspec.Struct, frozen=True):
    """The key that a caller gave to a write, and the digest of what was asked."""

    text: str
    digest: str


def kept_answer(tx: Connection, key: Key) -> bytes | None:
    """Return the answer that was given under a key; ``RequestError`` (422) where something else was asked under it."""
    row = tx.execute(select(kept_answers).where(kept_answers.c.key == key.text)).one_or_none()
    if row is None:
        return None
    if row.digest != key.digest:
        raise RequestError(
            "this Idempotency-Key was used for another request: a new request takes a new key", status=422
        )
    return bytes(row.answer)


def keep_answer(tx: Connection, key: Key, answer: bytes, now: datetime) -> None:
    """Keep the answer under a key, unless it has one; those that are old, or more than ``MOST_KEPT``, go."""
    if kept_answer(tx, key) is not None:
        return
    row = {"key": key.text, "digest": key.digest, "answer": answer, "made_at": now}
    tx.execute(insert(kept_answers), row, execution_options=BOOKKEEPING)
    last = tx.scalar(select(func.max(kept_answers.c.answer_id))) or 0
    old = (kept_answers.c.answer_id <= last - MOST_KEPT) | (kept_answers.c.made_at < now - KEPT_FOR)
    tx.execute(delete(kept_answers).where(old), execution_options=BOOKKEEPING)
