"""Failed items, the reasons, and the times of their retries."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, or_, select, true, update

from immich_facesets.errors import ItemError, TransientError
from service.store.named_values import read_value, write_value
from service.store.tables import assets, failures, sources
from service.store.upsert import BOOKKEEPING, upsert

_FIRST_PAUSE = timedelta(hours=1)
_LONGEST_PAUSE = timedelta(days=14)
_FREE_TRIES = 3
UNAVAILABLE = "unavailable"
"""The reason of an item that failed because of its remote."""
AT_CRASH = "at_crash"
"""The reason of a picture in process when the embedder ended: possibly one of several, and not the cause."""
CRASHES_EMBEDDER = "crashes_embedder"
"""The reason of a picture that was the only one in process when the embedder ended."""
TOO_SLOW = "too_slow"
"""The reason of a picture that takes longer than a limit of time, though it is the only one in process."""
OWN_EXPORT = "own_export"
"""The reason of a picture that this program wrote: it is left out on purpose."""
FETCH = "fetch"
"""The stage name for pictures that a source could not give: the item is one asset, and only that place rests."""
EMBED = "embed"
"""The stage name for bytes that the embedder cannot use: the item is their fingerprint, whichever source gave them."""
LISTING = "listing"
"""The stage name for files and folders that a listing could not read."""
_BY_LIMIT = {
    "too_many_pixels": ("max_pixels",),
    "too_large": ("max_bytes", "max_file_bytes"),
    "too_much_memory": ("max_memory",),
    TOO_SLOW: ("decode_seconds", "embedding_timeout"),
}
"""The reasons of items that exceed a limit which a user sets, each with the names of these limits."""
_LIMITS = "limits_of_failures"
_CRASHED = (AT_CRASH, CRASHES_EMBEDDER)
_BLAMELESS = (UNAVAILABLE, AT_CRASH)


@dataclass(frozen=True, slots=True)
class Failure:
    """
    One failed item; ``retry_at`` is the time of its next try.

    ``name`` is the file's name in Immich, or the path below a folder; the item itself when it is not a known picture.
    ``path`` is the source's own path of that picture, None when there is none.
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
    name: str
    path: str | None = None


def record_failure(
    tx: Connection, stage: str, source: str, item: str, *, error: ItemError | TransientError, now: datetime
) -> bool:
    """
    Store a failure and return whether the item is now paused.

    The pause grows fourfold with every try, from an hour to two weeks. If the item is not at fault (a
    ``TransientError``), its first tries cause no pause. Those tries do not count if the item later proves faulty.
    The record of embedder crashes with the item is kept.
    """
    reason = reason_of(error)
    before = _taken(tx, stage, source, item)
    if reason == UNAVAILABLE and before is not None and before.reason in _CRASHED:
        upsert(tx, failures, [dict(before._mapping)])  # noqa: SLF001 - SQLAlchemy's documented mapping access
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
    if stage == EMBED:
        clear_places(tx, item)  # the bytes were fetched, whatever failed afterwards
    upsert(tx, failures, [row])
    return pause > timedelta(0)


def reason_of(error: ItemError | TransientError) -> str:
    """Return the short stable code of a failure."""
    return error.reason if isinstance(error, ItemError) else UNAVAILABLE


def record_crash(
    tx: Connection, stage: str, source: str, item: str, *, message: str, now: datetime, alone: bool
) -> int:
    """
    Store that the embedder ended while processing this picture, ``alone`` or with others; this causes no pause.

    Returns how often it ended with this picture alone, since the picture was last done or failed otherwise.
    """
    before = _taken(tx, stage, source, item)
    if before is not None and before.reason == CRASHES_EMBEDDER:
        upsert(tx, failures, [dict(before._mapping)])  # noqa: SLF001 - SQLAlchemy's documented mapping access
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
    """Return the items in process when the embedder ended that have not been done since."""
    return set(tx.scalars(select(failures.c.item).where(failures.c.stage == stage, failures.c.reason.in_(_CRASHED))))


def _taken(tx: Connection, stage: str, source: str, item: str) -> Any:
    """Remove and return the failure of an item, for the caller to write it anew; bytes have one, whatever its source."""
    place = [failures.c.stage == stage, failures.c.item == item]
    if stage != EMBED:
        place.append(failures.c.source == source)
    before = tx.execute(select(failures).where(*place).order_by(failures.c.last_at.desc()).limit(1)).one_or_none()
    if before is not None:
        tx.execute(delete(failures).where(*place))
    return before


def clear(tx: Connection, stage: str, item: str, *, source: str | None = None) -> None:
    """Delete the failure of an item that has now been done; ``source`` None: whichever source it came from."""
    of_source = true() if source is None else failures.c.source == source
    tx.execute(delete(failures).where(failures.c.stage == stage, failures.c.item == item, of_source))


def clear_places(tx: Connection, fingerprint: str) -> None:
    """Delete the failures of fetching these bytes, at every place: they have been fetched now."""
    places = exists().where(
        assets.c.fingerprint == fingerprint, assets.c.source == failures.c.source, assets.c.asset_id == failures.c.item
    )
    tx.execute(delete(failures).where(failures.c.stage == FETCH, places))


def record_unlisted(tx: Connection, source: str, failed: Sequence[tuple[str, ItemError]], now: datetime) -> None:
    """
    Store the items that a listing could not read; the next listing tries them again.

    ``forget_unlisted`` drops those that it could read.
    """
    for item, error in failed:
        record_failure(tx, LISTING, source, item, error=error, now=now)


def forget_unlisted(tx: Connection, source: str, before: datetime) -> None:
    """
    Drop a source's listing failures from before ``before``, the start of a whole listing that has ended.

    Items that failed only in earlier listings are readable again, or gone.
    """
    mine = (failures.c.stage == LISTING, failures.c.source == source)
    tx.execute(delete(failures).where(*mine, failures.c.last_at < before))


def retry_above_limits(tx: Connection, limits: Mapping[str, float], now: datetime) -> None:
    """End the pauses of items that exceeded one of the ``limits``, by name, that was raised since the last call."""
    before = read_value(tx, _LIMITS) or {}
    if before == limits:
        return
    raised = {name for name, limit in limits.items() if limit > before.get(name, 0)}
    if reasons := [reason for reason, names in _BY_LIMIT.items() if not raised.isdisjoint(names)]:
        paused = (failures.c.reason.in_(reasons), failures.c.retry_at > now)
        tx.execute(update(failures).where(*paused).values(retry_at=now))
    write_value(tx, _LIMITS, dict(limits), options=BOOKKEEPING)


def forget_gone(tx: Connection) -> None:
    """
    Drop the failures of pictures that were deleted or whose bytes have changed: they are not tried again.

    Listing failures are kept: an item that a listing could not read need not be a known picture.
    """
    this_asset = and_(assets.c.source == failures.c.source, assets.c.asset_id == failures.c.item)
    mine = or_(assets.c.fingerprint == failures.c.item, this_asset)
    tx.execute(delete(failures).where(failures.c.stage != LISTING, ~exists().where(mine, assets.c.is_gone.is_(False))))


def resting(stage: str, item: ColumnElement[str], now: datetime) -> ColumnElement[bool]:
    """Return the condition that an item failed and its pause is not over."""
    return exists().where(failures.c.stage == stage, failures.c.item == item, failures.c.retry_at > now)


def resting_place(stage: str, now: datetime) -> ColumnElement[bool]:
    """Return the condition that the asset of a row failed in this stage and its pause is not over."""
    here = (failures.c.source == assets.c.source, failures.c.item == assets.c.asset_id)
    return exists().where(failures.c.stage == stage, *here, failures.c.retry_at > now)


def list_failures(tx: Connection, *, limit: int = 200) -> list[Failure]:
    """Return the failures, latest first."""
    return with_names(
        tx, tx.execute(select(failures).order_by(failures.c.last_at.desc(), failures.c.item).limit(limit)).all()
    )


def with_names(tx: Connection, rows: Sequence[Any]) -> list[Failure]:
    """Return rows of the table as failures with the names of their pictures."""
    pictures = _pictures_of(tx, {row.item for row in rows}, {row.source for row in rows})
    found = []
    for row in rows:
        # The failing source may hold the bytes no longer: then another one gives the name.
        known = sorted(pictures.get(row.item, ()), key=lambda one: (one.source != row.source, one.is_gone, one.path))
        name, path = (_name(known[0]), known[0].path) if known else (row.item, None)
        found.append(Failure(**row._mapping, name=name, path=path))  # noqa: SLF001 - SQLAlchemy's documented mapping access
    return found


def _name(picture: Any) -> str:
    """Return the name under which a user finds a picture: Immich's own paths hold only ids."""
    name: str = picture.path if picture.kind == "folder" else picture.file_name
    return name


def _pictures_of(tx: Connection, items: Collection[str], among: Collection[str]) -> dict[str, list[Any]]:
    """Return the pictures, gone ones included, by fingerprint, and by their id in one of the sources ``among``."""
    found: dict[str, list[Any]] = defaultdict(list)
    known = select(assets.c.source, assets.c.path, assets.c.file_name, assets.c.is_gone, sources.c.kind)
    by_id = and_(assets.c.source.in_(among), assets.c.asset_id.in_(items))
    for key, is_meant in ((assets.c.fingerprint, assets.c.fingerprint.in_(items)), (assets.c.asset_id, by_id)):
        chosen = known.add_columns(key.label("item")).join(sources, sources.c.name == assets.c.source)
        for row in tx.execute(chosen.where(is_meant)):
            found[row.item].append(row)
    return found


def count_by_reason(tx: Connection) -> dict[str, int]:
    """Return the number of failed items for each reason."""
    rows: Any = tx.execute(select(failures.c.reason, func.count()).group_by(failures.c.reason))
    return {reason: count for reason, count in sorted(rows)}  # noqa: C416 - rows are not pairs for the type checker
