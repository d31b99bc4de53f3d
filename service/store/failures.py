"""What failed, why, and when it is tried again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, or_, select

from immich_facesets.errors import ItemError, TransientError
from service.store.tables import assets, failures
from service.store.upsert import upsert

_FIRST_PAUSE = timedelta(hours=1)
_LONGEST_PAUSE = timedelta(days=14)
_FREE_TRIES = 3
UNAVAILABLE = "unavailable"
"""The reason of an item whose remote failed it."""
AT_CRASH = "at_crash"
"""The reason of a picture that the embedder had in hand when it ended: one of several, perhaps, and not the guilty one."""
CRASHES_EMBEDDER = "crashes_embedder"
"""The reason of a picture of which the embedder ended although it had no other."""
LISTING = "listing"
"""The stage of files and folders that a listing could not read."""
_CRASHED = (AT_CRASH, CRASHES_EMBEDDER)
_BLAMELESS = (UNAVAILABLE, AT_CRASH)


@dataclass(frozen=True, slots=True)
class Failure:
    """
    One item that could not be done; ``retry_at`` is when it is tried again.

    ``path`` is the source's own path of a picture with these bytes, None when the item is no picture any more.
    """

    stage: str
    source: str
    item: str
    reason: str
    message: str
    tries: int
    first_at: datetime
    last_at: datetime
    retry_at: datetime
    path: str | None = None


def record_failure(
    tx: Connection, stage: str, source: str, item: str, *, error: ItemError | TransientError, now: datetime
) -> bool:
    """
    Remember a failure: it rests for a pause that grows fourfold with every try, from an hour to two weeks.

    Where nothing is wrong with the item (a ``TransientError``), its first tries do not rest at all, and do not count
    when something is found wrong with it after all; what is known of it and the embedder's end stays known. Returns
    whether it rests.
    """
    reason = reason_of(error)
    before = _find(tx, stage, source, item)
    if reason == UNAVAILABLE and before is not None and before.reason in _CRASHED:
        return False
    is_alike = before is not None and (before.reason in _BLAMELESS) == (reason in _BLAMELESS)
    tries = before.tries + 1 if before is not None and is_alike else 1
    free = 0 if isinstance(error, ItemError) else _FREE_TRIES
    pause = min(_FIRST_PAUSE * 4 ** min(tries - free - 1, 10), _LONGEST_PAUSE) if tries > free else timedelta(0)
    row = {
        "stage": stage,
        "source": source,
        "item": item,
        "reason": reason,
        "message": str(error),
        "tries": tries,
        "first_at": now if before is None else before.first_at,
        "last_at": now,
        "retry_at": now + pause,
    }
    upsert(tx, failures, [row])
    return pause > timedelta(0)


def reason_of(error: ItemError | TransientError) -> str:
    """The short stable code of a failure."""
    return error.reason if isinstance(error, ItemError) else UNAVAILABLE


def record_crash(
    tx: Connection, stage: str, source: str, item: str, *, message: str, now: datetime, alone: bool
) -> int:
    """
    Remember that the embedder ended while it had this picture, ``alone`` or beside others; it does not rest for that.

    Returns how often it happened while the picture was alone, since it was last done or had another failure.
    """
    before = _find(tx, stage, source, item)
    if before is not None and before.reason == CRASHES_EMBEDDER:
        return int(before.tries) + alone
    crashes = int(before.tries if before is not None and before.reason == AT_CRASH else 0) + alone
    row = {
        "stage": stage,
        "source": source,
        "item": item,
        "reason": AT_CRASH,
        "message": message,
        "tries": crashes,
        "first_at": now if before is None else before.first_at,
        "last_at": now,
        "retry_at": now,
    }
    upsert(tx, failures, [row])
    return crashes


def items_at_crash(tx: Connection, stage: str) -> set[str]:
    """The items that the embedder had when it ended, and that were not done since."""
    return set(tx.scalars(select(failures.c.item).where(failures.c.stage == stage, failures.c.reason.in_(_CRASHED))))


def _find(tx: Connection, stage: str, source: str, item: str) -> Any:
    place = (failures.c.stage == stage, failures.c.source == source, failures.c.item == item)
    return tx.execute(select(failures).where(*place)).one_or_none()


def clear(tx: Connection, stage: str, item: str) -> None:
    """The item was done after all."""
    tx.execute(delete(failures).where(failures.c.stage == stage, failures.c.item == item))


def record_unlisted(tx: Connection, source: str, failed: Sequence[tuple[str, ItemError]], now: datetime) -> None:
    """Remember what a listing could not read; the next one tries it again, and ``forget_unlisted`` what it could."""
    for item, error in failed:
        record_failure(tx, LISTING, source, item, error=error, now=now)


def forget_unlisted(tx: Connection, source: str, before: datetime) -> None:
    """A whole listing that began at ``before`` has ended: what failed in earlier ones alone is well, or gone."""
    mine = (failures.c.stage == LISTING, failures.c.source == source)
    tx.execute(delete(failures).where(*mine, failures.c.last_at < before))


def forget_gone(tx: Connection) -> None:
    """
    Drop the failures of pictures that are deleted, or whose bytes are others now: they are not tried again.

    What a listing could not read may never have been a picture we know.
    """
    this_asset = and_(assets.c.source == failures.c.source, assets.c.asset_id == failures.c.item)
    mine = or_(assets.c.fingerprint == failures.c.item, this_asset)
    tx.execute(delete(failures).where(failures.c.stage != LISTING, ~exists().where(mine, assets.c.is_gone.is_(False))))


def resting(stage: str, item: ColumnElement[str], now: datetime) -> ColumnElement[bool]:
    """The condition that an item failed and its pause is not over."""
    return exists().where(failures.c.stage == stage, failures.c.item == item, failures.c.retry_at > now)


def retry_all(tx: Connection, now: datetime) -> int:
    """End every pause; returns how many items rest no longer."""
    return tx.execute(failures.update().where(failures.c.retry_at > now).values(retry_at=now)).rowcount


def list_failures(tx: Connection, *, limit: int = 200) -> list[Failure]:
    """The latest failures first."""
    path = (
        select(func.min(assets.c.path))
        .where(
            assets.c.source == failures.c.source,
            or_(assets.c.fingerprint == failures.c.item, assets.c.asset_id == failures.c.item),
        )
        .scalar_subquery()
    )
    latest = select(failures, path.label("path")).order_by(failures.c.last_at.desc(), failures.c.item)
    return [Failure(**row._mapping) for row in tx.execute(latest.limit(limit))]  # noqa: SLF001 - SQLAlchemy's documented mapping access


def count_by_reason(tx: Connection) -> dict[str, int]:
    """How many items fail for each reason."""
    rows: Any = tx.execute(select(failures.c.reason, func.count()).group_by(failures.c.reason))
    return {reason: count for reason, count in sorted(rows)}  # noqa: C416 - rows are not pairs for the type checker
