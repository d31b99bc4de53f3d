"""The sources' assets, and the faces the sources know of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, exists, select, tuple_, update

from immich_facesets.assets import Asset, Rendition
from immich_facesets.dates import DateKind
from immich_facesets.listing import AssetPlan, KnownAsset
from service.store import past_people
from service.store.chunks import chunks
from service.store.hints import replace_hints
from service.store.tables import assets, fingerprints, hints
from service.store.upsert import BOOKKEEPING, upsert

_SEEN = frozenset({"hints_read_at", "hints_due_at", "hint_looks", "listing_seen"})
"""The columns that record when an asset was looked at; they do not describe the asset itself."""


@dataclass(frozen=True, slots=True)
class PageCounts:
    new: int
    changed: int


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
    _keep_places(tx, [plan.asset for plan in plans if plan.is_changed])
    upsert(tx, assets, rows, keep=_SEEN)
    upsert(tx, assets, rows, keep=[column.name for column in assets.c if column.name not in _SEEN], options=BOOKKEEPING)
    _show_known_contents(tx, [plan.asset for plan in plans if plan.is_new or plan.is_changed])
    for plan in plans:
        if plan.hints is not None:
            replace_hints(tx, plan.asset.source, plan.asset.asset_id, plan.hints, is_new=plan.is_new)
    return PageCounts(sum(plan.is_new for plan in plans), sum(plan.is_changed for plan in plans))


def _keep_places(tx: Connection, changed: Sequence[Asset]) -> None:
    """Keep where minors are in the bytes that these assets may show no longer: their boxes are those of other bytes."""
    for some in chunks(changed):
        now = {(asset.source, asset.asset_id): asset.fingerprint for asset in some}
        sources, asset_ids = zip(*now, strict=True)
        rows: Any = tx.execute(
            select(assets.c.source, assets.c.asset_id, assets.c.fingerprint).where(
                assets.c.source.in_(set(sources)), assets.c.asset_id.in_(asset_ids), assets.c.content.is_not(None)
            )
        )
        others = [(source, asset_id) for source, asset_id, before in rows if now.get((source, asset_id)) != before]
        if others:
            past_people.keep_places(tx, tuple_(assets.c.source, assets.c.asset_id).in_(others))


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
