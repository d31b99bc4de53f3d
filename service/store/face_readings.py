"""When the faces of an asset are read from its source, and what each reading found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, bindparam, exists, func, or_, select, true, update

from immich_facesets.assets import Asset, FaceHint
from immich_facesets.listing import ListingRules, is_big_enough, is_wanted, next_look
from service.store import failures
from service.store.assets import asset_from_row
from service.store.chunks import chunks
from service.store.hints import hint_from_row, replace_hints
from service.store.sources import FOLDER
from service.store.tables import assets, hints, sources
from service.store.upsert import BOOKKEEPING


def apply_size_rule(tx: Connection, rules: ListingRules) -> None:
    """
    Decide again, from the stored hints, which assets are worth fetching, after the smallest face size has changed.

    Folders have no hints: all their pictures stay wanted.
    """
    wanted: set[tuple[str, str]] = set()
    rows = tx.execute(
        select(hints, assets.c.width, assets.c.height).join(
            assets, and_(assets.c.source == hints.c.source, assets.c.asset_id == hints.c.asset_id)
        )
    )
    for row in rows:
        if is_big_enough(hint_from_row(row), row.width, row.height, rules):
            wanted.add((row.source, row.asset_id))
    places = tx.execute(
        select(assets.c.source, assets.c.asset_id, assets.c.is_wanted)
        .join(sources, sources.c.name == assets.c.source)
        .where(assets.c.is_gone.is_(False), sources.c.kind != FOLDER)
    )
    changed = [
        {"of": row.source, "id": row.asset_id, "wanted": not row.is_wanted}
        for row in places.all()
        if ((row.source, row.asset_id) in wanted) != row.is_wanted
    ]
    if changed:
        tx.execute(
            update(assets)
            .where(assets.c.source == bindparam("of"), assets.c.asset_id == bindparam("id"))
            .values(is_wanted=bindparam("wanted")),
            changed,
        )


def record_look(
    tx: Connection, asset: Asset, found: tuple[FaceHint, ...], *, now: datetime, rules: ListingRules
) -> None:
    """Write the faces that one look at an asset found, and when the next look is due."""
    place = (assets.c.source == asset.source, assets.c.asset_id == asset.asset_id)
    looks = 1 + (tx.scalar(select(assets.c.hint_looks).where(*place)) or 0)
    replace_hints(tx, asset.source, asset.asset_id, found, is_new=False)
    wanted = is_wanted(asset, found, rules)
    tx.execute(update(assets).where(*place, assets.c.is_wanted.is_not(wanted)).values(is_wanted=wanted))
    due = next_look(asset.asset_id, asset.created_at, looks, now, rules)
    tx.execute(
        update(assets).where(*place).values(hints_read_at=now, hints_due_at=due, hint_looks=looks),
        execution_options=BOOKKEEPING,
    )
    failures.clear(tx, "discover", asset.asset_id, source=asset.source)


@dataclass(frozen=True, slots=True)
class FacelessAsset:
    """An asset of which no face is known. ``is_due``: its faces are to be read again."""

    asset_id: str
    is_due: bool


def without_hints(
    tx: Connection, source: str, now: datetime, *, listed_by: int | None = None, after: str = "", limit: int = 1000
) -> list[FacelessAsset]:
    """
    Return the assets without any known face, by id; those with a missing file are left out.

    ``listed_by``: only those that this run has listed. ``after``: the last id of the previous batch.
    """
    listed = true() if listed_by is None else assets.c.listing_seen == listed_by
    rows = tx.execute(
        select(assets.c.asset_id, assets.c.hints_due_at)
        .where(*_faceless(source), listed, assets.c.asset_id > after)
        .order_by(assets.c.asset_id)
        .limit(limit)
    )
    return [FacelessAsset(row.asset_id, row.hints_due_at is not None and row.hints_due_at <= now) for row in rows]


def count_due_without_hints(tx: Connection, source: str, now: datetime, listed_by: int) -> int:
    """Return how many assets without any known face are due, beside those that this run has listed."""
    elsewhere = assets.c.listing_seen != listed_by
    due = assets.c.hints_due_at <= now
    return tx.scalar(select(func.count()).select_from(assets).where(*_faceless(source), elsewhere, due)) or 0


def _faceless(source: str) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of an asset of which no face is known, and whose file is there."""
    known = exists().where(hints.c.source == assets.c.source, hints.c.asset_id == assets.c.asset_id)
    return (assets.c.source == source, assets.c.is_gone.is_(False), assets.c.is_offline.is_(False), ~known)


def record_no_faces(
    tx: Connection, source: str, asset_ids: Sequence[str], *, now: datetime, rules: ListingRules
) -> None:
    """Write that the source has no face on these assets, and when the next look at each is due."""
    for some in chunks(asset_ids):
        found = tx.execute(
            select(assets.c.asset_id, assets.c.created_at, assets.c.hint_looks).where(
                assets.c.source == source, assets.c.asset_id.in_(some)
            )
        ).all()
        looked = [
            {
                "id": row.asset_id,
                "looks": row.hint_looks + 1,
                "due": next_look(row.asset_id, row.created_at, row.hint_looks + 1, now, rules),
            }
            for row in found
        ]
        tx.execute(
            update(assets)
            .where(assets.c.source == source, assets.c.asset_id == bindparam("id"))
            .values(hints_read_at=now, hints_due_at=bindparam("due"), hint_looks=bindparam("looks")),
            looked,
            execution_options=BOOKKEEPING,
        )


def make_due(tx: Connection, source: str, asset_ids: Sequence[str], *, now: datetime) -> None:
    """Have the faces of these assets read again now."""
    for some in chunks(asset_ids):
        tx.execute(
            update(assets).where(assets.c.source == source, assets.c.asset_id.in_(some)).values(hints_due_at=now),
            execution_options=BOOKKEEPING,
        )


def to_look_at(
    tx: Connection, source: str, now: datetime, *, after: Asset | None = None, limit: int = 1000
) -> list[Asset]:
    """
    Return the assets whose faces are due to be read again, newest first.

    ``after``: the last one of the previous batch.
    """
    older: ColumnElement[bool] = true()
    if after is not None:
        tie = and_(assets.c.taken_at == after.taken_at, assets.c.asset_id > after.asset_id)
        older = or_(assets.c.taken_at < after.taken_at, tie)
    rows = tx.execute(
        select(assets)
        .where(
            assets.c.source == source,
            assets.c.is_gone.is_(False),
            older,
            *_due(now),
        )
        .order_by(assets.c.taken_at.desc(), assets.c.asset_id)
        .limit(limit)
    )
    return [asset_from_row(row) for row in rows]


def count_due(tx: Connection, source: str, now: datetime) -> tuple[int, int]:
    """Return how many assets of a source are due for a look, and how many it has."""
    mine = (assets.c.source == source, assets.c.is_gone.is_(False))
    due = tx.scalar(select(func.count()).select_from(assets).where(*mine, *_due(now)))
    return due or 0, tx.scalar(select(func.count()).select_from(assets).where(*mine)) or 0


def count_readings(tx: Connection, now: datetime, since: datetime) -> tuple[int, int]:
    """
    Return how many assets of all sources are due for a look, and how many looks were taken ``since``.

    Each look has a time of its own; the assets that one answer settled share theirs and count once.
    """
    due = tx.scalar(select(func.count()).select_from(assets).where(assets.c.is_gone.is_(False), *_due(now)))
    looks = select(func.count(assets.c.hints_read_at.distinct())).where(assets.c.hints_read_at > since)
    return due or 0, tx.scalar(looks) or 0


def _due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of an asset that is due for a look, and does not rest after a failure."""
    return (assets.c.hints_due_at <= now, ~failures.resting_place("discover", now))
