"""The history of syncs, and the counts of stored data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, exists, func, insert, select, true, update

from immich_facesets.exports.profile import PROFILES_FOLDER
from service.store.browsing.kept import Kept
from service.store.browsing.slices import Page, Slice, cut_page
from service.store.spaces import active_space
from service.store.tables import (
    assets,
    contents,
    embeddings,
    exports,
    faces,
    fingerprints,
    identities,
    memberships,
    sources,
    sync_runs,
)


@dataclass(frozen=True, slots=True)
class Run:
    """One sync. ``outcome`` is None while it runs."""

    id: int
    kind: str
    sources: tuple[str, ...]
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    message: str
    counts: dict[str, Any]


def begin_run(tx: Connection, kind: str, sources: Sequence[str], now: datetime) -> int:
    """Record the start of a sync and return its number; runs still marked as running are recorded as killed."""
    tx.execute(
        update(sync_runs)
        .where(sync_runs.c.outcome.is_(None))
        .values(outcome="killed", ended_at=now, message="the process ended before the sync did")
    )
    result = tx.execute(
        insert(sync_runs).values(kind=kind, sources=list(sources), started_at=now, message="", counts={})
    )
    key = result.inserted_primary_key
    return int(key[0]) if key is not None else 0


def end_run(
    tx: Connection, run_id: int, *, outcome: str, message: str, counts: Mapping[str, Any], now: datetime
) -> None:
    """Record the end of a sync."""
    tx.execute(
        update(sync_runs)
        .where(sync_runs.c.run_id == run_id)
        .values(outcome=outcome, message=message, counts=dict(counts), ended_at=now)
    )


def last_runs(tx: Connection, *, limit: int = 20) -> list[Run]:
    """Return the latest syncs, newest first."""
    return [_run(row) for row in tx.execute(select(sync_runs).order_by(sync_runs.c.run_id.desc()).limit(limit))]


def run_page(tx: Connection, part: Slice) -> Page[Run]:
    """Return all syncs, newest first."""
    statement = select(sync_runs).order_by(sync_runs.c.run_id.desc()).limit(part.limit + 1)
    if part.after is not None:
        statement = statement.where(sync_runs.c.run_id < part.after[1])
    return cut_page([_run(row) for row in tx.execute(statement)], lambda run: (0.0, run.id), part)


def one_run(tx: Connection, run_id: int) -> Run | None:
    """Return one sync; None when there was none of this number."""
    row = tx.execute(select(sync_runs).where(sync_runs.c.run_id == run_id)).one_or_none()
    return None if row is None else _run(row)


def _run(row: Any) -> Run:
    return Run(
        row.run_id,
        row.kind,
        tuple(row.sources),
        row.started_at,
        row.ended_at,
        row.outcome,
        row.message,
        dict(row.counts),
    )


@dataclass(frozen=True, slots=True)
class SourceCensus:
    """
    The counts of one source. ``embedded``: assets with a picture that is done. ``unavailable``: assets that are shown
    as they last were, because the source cannot give their bytes now, or has changed ones that were not fetched yet.
    ``videos`` and ``motion_photos`` are those of the last whole listing.
    """

    name: str
    kind: str
    assets: int
    wanted: int
    embedded: int
    unavailable: int
    videos: int
    motion_photos: int
    full_listing_at: datetime | None


@dataclass(frozen=True, slots=True)
class Census:
    """The counts of all stored data. ``contents`` and ``embedded`` count distinct pictures."""

    assets: int
    wanted: int
    contents: int
    embedded: int
    faces: int
    members: int
    identities: int
    facesets: int
    sources: tuple[SourceCensus, ...]


def source_counts(tx: Connection, kept: Kept | None = None) -> tuple[SourceCensus, ...]:
    """
    Return the counts of each source, by name; of several spaces, only the one in use.

    ``kept``: what the reader read before, where it keeps anything.
    """
    numbers = _counts_of_assets(tx) if kept is None else kept.at(tx).read(_counts_of_assets)
    found = []
    for source in tx.execute(select(sources).order_by(sources.c.name)):
        row = numbers.get(source.name)
        found.append(
            SourceCensus(
                name=source.name,
                kind=source.kind,
                assets=row.assets if row else 0,
                wanted=row.wanted if row else 0,
                embedded=row.embedded if row else 0,
                unavailable=row.unavailable if row else 0,
                videos=source.videos or 0,
                motion_photos=source.motion_photos or 0,
                full_listing_at=source.full_listing_at,
            )
        )
    return tuple(found)


def _counts_of_assets(tx: Connection) -> dict[str, Any]:
    """Return the counts of the assets of each source that has any."""
    space = active_space(tx)
    is_used = true() if space is None else embeddings.c.space == space
    done = exists().where(
        fingerprints.c.fingerprint == assets.c.fingerprint, embeddings.c.sha256 == fingerprints.c.sha256, is_used
    )
    is_fetched = exists().where(fingerprints.c.fingerprint == assets.c.fingerprint)
    rows = tx.execute(
        select(
            assets.c.source,
            func.count().label("assets"),
            func.count().filter(assets.c.is_wanted).label("wanted"),
            func.count().filter(done).label("embedded"),
            func.count().filter(assets.c.content.is_not(None), assets.c.is_offline | ~is_fetched).label("unavailable"),
        )
        .where(assets.c.is_gone.is_(False))
        .group_by(assets.c.source)
    )
    return {row.source: row for row in rows}


def census(tx: Connection) -> Census:
    """Count everything; of several spaces, only the one in use."""
    found, space = source_counts(tx), active_space(tx)
    used = (true(), true()) if space is None else (embeddings.c.space == space, faces.c.space == space)

    def count(statement: Any) -> int:
        return tx.scalar(statement) or 0

    return Census(
        assets=sum(source.assets for source in found),
        wanted=sum(source.wanted for source in found),
        contents=count(select(func.count()).select_from(contents)),
        embedded=count(select(func.count(embeddings.c.sha256.distinct())).where(used[0])),
        faces=count(select(func.count()).select_from(faces).where(used[1])),
        members=count(select(func.count()).select_from(memberships)),
        identities=count(select(func.count(memberships.c.identity.distinct()))),
        facesets=count(
            select(func.count()).where(~exports.c.directory.startswith(f"{PROFILES_FOLDER}/", autoescape=True))
        ),
        sources=found,
    )


def highest_number(tx: Connection) -> int:
    """Return the highest identity number ever used, 0 before the first."""
    return tx.scalar(select(func.max(identities.c.number))) or 0
