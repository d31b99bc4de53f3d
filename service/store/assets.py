"""The sources' assets, and the faces the sources know of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, exists, func, select, true, update

from immich_facesets.assets import Asset, FaceHint, Rendition
from immich_facesets.dates import DateKind
from immich_facesets.faces import Box
from immich_facesets.listing import AssetPlan, KnownAsset, ListingRules, is_big_enough, is_wanted, next_look
from service.store import births, failures, past_people
from service.store.chunks import chunks, delete_others
from service.store.moved_faces import record_moves
from service.store.sources import FOLDER
from service.store.tables import assets, fingerprints, hints, sources
from service.store.upsert import BOOKKEEPING, upsert

_SEEN = frozenset({"hints_read_at", "hints_due_at", "hint_looks", "listing_seen"})
"""The columns that record when an asset was looked at; they do not describe the asset itself."""


@dataclass(frozen=True, slots=True)
class PageCounts:
    new: int
    changed: int


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


def known_assets(tx: Connection, source: str, asset_ids: Sequence[str]) -> dict[str, KnownAsset]:
    """Return the stored state of these assets of a source, by asset id."""
    found: dict[str, KnownAsset] = {}
    for some in chunks(asset_ids):
        rows = tx.execute(select(assets).where(assets.c.source == source, assets.c.asset_id.in_(some)))
        for row in rows:
            found[row.asset_id] = KnownAsset(
                fingerprint=row.fingerprint,
                updated_at=row.updated_at,
                date_kind=DateKind(row.date_kind),
                width=row.width,
                height=row.height,
                is_wanted=row.is_wanted,
                is_gone=row.is_gone,
                hints_read_at=row.hints_read_at,
                hints_due_at=row.hints_due_at,
                hint_looks=row.hint_looks,
            )
    return found


def _row(plan: AssetPlan, run_id: int) -> dict[str, Any]:
    asset = plan.asset
    return {
        "source": asset.source,
        "asset_id": asset.asset_id,
        "checksum": asset.checksum,
        "fingerprint": asset.fingerprint,
        "rendition": asset.rendition.value,
        "path": asset.path,
        "file_name": asset.file_name,
        "mime_type": asset.mime_type,
        "taken_at": asset.taken_at,
        "local_date": asset.local_date,
        "date_kind": asset.date_kind.value,
        "created_at": asset.created_at,
        "updated_at": asset.updated_at,
        "width": asset.width,
        "height": asset.height,
        "visibility": asset.visibility,
        "is_external": asset.is_external,
        "is_edited": asset.is_edited,
        "is_offline": asset.is_offline,
        "is_wanted": plan.is_wanted,
        "is_gone": False,
        "hints_read_at": plan.hints_read_at,
        "hints_due_at": plan.hints_due_at,
        "hint_looks": plan.hint_looks,
        "listing_seen": run_id,
        "stamp": asset.stamp,
    }


def remember_page(tx: Connection, plans: Sequence[AssetPlan], *, run_id: int) -> PageCounts:
    """Write one page of a listing. This is the commit point of discover."""
    rows = [_row(plan, run_id) for plan in plans]
    upsert(tx, assets, rows, keep=_SEEN)
    upsert(tx, assets, rows, keep=[column.name for column in assets.c if column.name not in _SEEN], options=BOOKKEEPING)
    _show_known_contents(tx, [plan.asset for plan in plans if plan.is_new or plan.is_changed])
    for plan in plans:
        if plan.hints is not None:
            _replace_hints(tx, plan.asset.source, plan.asset.asset_id, plan.hints, is_new=plan.is_new)
    return PageCounts(sum(plan.is_new for plan in plans), sum(plan.is_changed for plan in plans))


def _show_known_contents(tx: Connection, changed: Sequence[Asset]) -> None:
    """Link assets to the contents of their fingerprints, where these are known; the others keep what they showed."""
    known = select(fingerprints.c.sha256).where(fingerprints.c.fingerprint == assets.c.fingerprint).scalar_subquery()
    for some in chunks(changed):
        tx.execute(
            update(assets)
            .where(
                assets.c.source.in_({asset.source for asset in some}),
                assets.c.asset_id.in_([asset.asset_id for asset in some]),
                known.is_not(None),
                assets.c.content.is_distinct_from(known),
            )
            .values(content=known)
        )


def stamps(tx: Connection, source: str, asset_ids: Sequence[str]) -> dict[str, str]:
    """Return the stamps of these files at their last reading, by asset id; assets that are gone are left out."""
    found: dict[str, str] = {}
    for some in chunks(asset_ids):
        rows: Any = tx.execute(
            select(assets.c.asset_id, assets.c.stamp).where(
                assets.c.source == source,
                assets.c.asset_id.in_(some),
                assets.c.is_gone.is_(False),
                assets.c.stamp.is_not(None),
            )
        )
        found.update((asset_id, stamp) for asset_id, stamp in rows)
    return found


def has_any(tx: Connection, source: str) -> bool:
    """Return whether the store holds any asset of this source that is not gone."""
    return bool(tx.scalar(select(exists().where(assets.c.source == source, assets.c.is_gone.is_(False)))))


def see_again(tx: Connection, source: str, asset_ids: Sequence[str], *, run_id: int) -> None:
    """Record that a listing contained these assets and that they are unchanged."""
    for some in chunks(asset_ids):
        tx.execute(
            update(assets).where(assets.c.source == source, assets.c.asset_id.in_(some)).values(listing_seen=run_id),
            execution_options=BOOKKEEPING,
        )


def _replace_hints(tx: Connection, source: str, asset_id: str, found: Sequence[FaceHint], *, is_new: bool) -> None:
    place = (hints.c.source == source, hints.c.asset_id == asset_id)
    before = () if is_new else [hint_from_row(row) for row in tx.execute(select(hints).where(*place))]
    if before:
        record_moves(tx, source, asset_id, before, found)
    rows = [
        {
            "source": source,
            "asset_id": asset_id,
            "face_id": hint.face_id,
            "person_id": hint.person_id,
            "x1": hint.box.x1,
            "y1": hint.box.y1,
            "x2": hint.box.x2,
            "y2": hint.box.y2,
            "image_width": hint.image_width,
            "image_height": hint.image_height,
        }
        for hint in found
    ]
    births.remember_births(
        tx, source, {one.person_id: one.birth_date for one in found if one.person_id and one.birth_date}
    )
    if not is_new:
        past_people.keep_hints(tx, source, asset_id, {hint.face_id: hint.person_id for hint in found})
    if before:
        delete_others(tx, hints.c.face_id, [row["face_id"] for row in rows], *place)
    upsert(tx, hints, rows)


def record_look(
    tx: Connection, asset: Asset, found: tuple[FaceHint, ...], *, now: datetime, rules: ListingRules
) -> None:
    """Write the faces that one look at an asset found, and when the next look is due."""
    place = (assets.c.source == asset.source, assets.c.asset_id == asset.asset_id)
    looks = 1 + (tx.scalar(select(assets.c.hint_looks).where(*place)) or 0)
    _replace_hints(tx, asset.source, asset.asset_id, found, is_new=False)
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
    known = exists().where(hints.c.source == assets.c.source, hints.c.asset_id == assets.c.asset_id)
    here = (assets.c.source == source, assets.c.is_gone.is_(False), assets.c.is_offline.is_(False))
    rows = tx.execute(
        select(assets.c.asset_id, assets.c.hints_due_at)
        .where(*here, listed, ~known, assets.c.asset_id > after)
        .order_by(assets.c.asset_id)
        .limit(limit)
    )
    return [FacelessAsset(row.asset_id, row.hints_due_at is not None and row.hints_due_at <= now) for row in rows]


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


def to_look_at(tx: Connection, source: str, now: datetime, *, after: str = "", limit: int = 1000) -> list[Asset]:
    """Return the assets whose faces are due to be read again, by id; ``after``: the last id of the previous batch."""
    rows = tx.execute(
        select(assets)
        .where(
            assets.c.source == source,
            assets.c.hints_due_at <= now,
            assets.c.is_gone.is_(False),
            assets.c.asset_id > after,
            ~failures.resting_place("discover", now),
        )
        .order_by(assets.c.asset_id)
        .limit(limit)
    )
    return [asset_from_row(row) for row in rows]


def count_due(tx: Connection, source: str, now: datetime) -> tuple[int, int]:
    """Return how many assets of a source are due for a look, and how many it has."""
    mine = (assets.c.source == source, assets.c.is_gone.is_(False))
    due = tx.scalar(select(func.count()).select_from(assets).where(*mine, assets.c.hints_due_at <= now))
    return due or 0, tx.scalar(select(func.count()).select_from(assets).where(*mine)) or 0


def unseen(tx: Connection, source: str, run_id: int) -> list[str]:
    """Return the assets missing from a whole listing by this run; absence alone does not prove a deletion."""
    rows = tx.scalars(
        select(assets.c.asset_id)
        .where(assets.c.source == source, assets.c.is_gone.is_(False), assets.c.listing_seen < run_id)
        .order_by(assets.c.asset_id)
    )
    return list(rows)


def mark_gone(tx: Connection, source: str, asset_id: str) -> None:
    """Mark an asset as deleted at its source (confirmed by id), and drop its hints."""
    place = (assets.c.source == source, assets.c.asset_id == asset_id)
    tx.execute(update(assets).where(*place).values(is_gone=True, is_wanted=False, hints_due_at=None))
    past_people.keep_hints(tx, source, asset_id, {})
    tx.execute(delete(hints).where(hints.c.source == source, hints.c.asset_id == asset_id))


def asset_from_row(row: Any) -> Asset:
    """Return the stored asset as a value, without its hints."""
    return Asset(
        source=row.source,
        asset_id=row.asset_id,
        checksum=row.checksum,
        path=row.path,
        file_name=row.file_name,
        mime_type=row.mime_type,
        taken_at=row.taken_at,
        local_date=row.local_date,
        date_kind=DateKind(row.date_kind),
        created_at=row.created_at,
        updated_at=row.updated_at,
        width=row.width,
        height=row.height,
        visibility=row.visibility,
        is_external=row.is_external,
        is_edited=row.is_edited,
        is_offline=row.is_offline,
        rendition=Rendition(row.rendition),
        stamp=row.stamp,
    )


def hint_from_row(row: Any) -> FaceHint:
    """Return one stored hint as a value."""
    return FaceHint(
        face_id=row.face_id,
        box=Box(row.x1, row.y1, row.x2, row.y2),
        image_width=row.image_width,
        image_height=row.image_height,
        person_id=row.person_id,
    )
