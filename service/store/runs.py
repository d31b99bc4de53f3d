"""The syncs that ran, and the counts of what there is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from service.store.tables import assets, contents, embeddings, exports, faces, identities, memberships, sync_runs


@dataclass(frozen=True, slots=True)
class Run:
    """One sync. ``outcome`` is None while it runs."""

    run_id: int
    kind: str
    sources: tuple[str, ...]
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    message: str
    counts: dict[str, Any]


def begin_run(tx: Connection, kind: str, sources: Sequence[str], now: datetime) -> int:
    """A sync starts; returns its number. Whatever still counted as running was killed."""
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
    """A sync came to its end."""
    tx.execute(
        update(sync_runs)
        .where(sync_runs.c.run_id == run_id)
        .values(outcome=outcome, message=message, counts=dict(counts), ended_at=now)
    )


def last_runs(tx: Connection, *, limit: int = 20) -> list[Run]:
    """The newest syncs first."""
    rows = tx.execute(select(sync_runs).order_by(sync_runs.c.run_id.desc()).limit(limit))
    return [
        Run(
            row.run_id,
            row.kind,
            tuple(row.sources),
            row.started_at,
            row.ended_at,
            row.outcome,
            row.message,
            dict(row.counts),
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Census:
    """How much of everything there is. ``by_source``: name -> (assets, wanted)."""

    assets: int
    wanted: int
    contents: int
    embedded: int
    faces: int
    members: int
    identities: int
    facesets: int
    by_source: dict[str, tuple[int, int]]


def census(tx: Connection) -> Census:
    """Count everything."""

    def count(statement: Any) -> int:
        return tx.scalar(statement) or 0

    per_source = tx.execute(
        select(assets.c.source, assets.c.is_wanted, func.count())
        .where(assets.c.is_gone.is_(False))
        .group_by(assets.c.source, assets.c.is_wanted)
    )
    by_source: dict[str, tuple[int, int]] = {}
    for source, wanted, number in per_source:
        total, wanted_total = by_source.get(source, (0, 0))
        by_source[source] = (total + number, wanted_total + (number if wanted else 0))
    return Census(
        assets=sum(total for total, _ in by_source.values()),
        wanted=sum(wanted for _, wanted in by_source.values()),
        contents=count(select(func.count()).select_from(contents)),
        embedded=count(select(func.count(embeddings.c.sha256.distinct()))),
        faces=count(select(func.count()).select_from(faces)),
        members=count(select(func.count()).select_from(memberships)),
        identities=count(select(func.count(memberships.c.identity.distinct()))),
        facesets=count(select(func.count()).select_from(exports)),
        by_source=dict(sorted(by_source.items())),
    )


def highest_number(tx: Connection) -> int:
    """The highest identity number ever used, 0 before the first."""
    return tx.scalar(select(func.max(identities.c.number))) or 0
