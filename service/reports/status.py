"""The stored part of a status: counts, syncs, failures and warnings, for the page and for the command."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec

from immich_facesets.accounts import dropped_warning
from service.passes.context import utc_now
from service.passes.embed import recipe_of
from service.passes.fetched_again import warning
from service.progress import seconds_left
from service.reports.left_alone import left_alone_sentences
from service.reports.nearly_there import nearly_there_sentences
from service.settings import Settings
from service.store import embedding_work, face_readings, failures, runs, spaces
from service.store.database import Store
from service.store.named_values import GUARDRAILS, QUESTIONS, read_nearly_there, read_thresholds, read_value
from service.store.source_names import dropped_users
from service.web.schemas import Failure, LibraryCounts, ReasonCount, Reembedding, Run, StatusFacts

_RATE_SPAN = timedelta(minutes=1)
"""The time whose readings of faces tell how long the others take."""


class FacesToRead(msgspec.Struct, frozen=True, kw_only=True):
    """The pictures whose faces the running sync has yet to read. ``seconds_left`` is None while it is unknown."""

    pictures: int
    seconds_left: float | None


async def faces_to_read(store: Store, now: datetime) -> FacesToRead | None:
    """Return what the running sync has yet to read; None while none runs or nothing is due."""
    latest = await store.read(runs.last_runs)
    if not latest or latest[0].outcome is not None or latest[0].kind == "export":
        return None
    due, lately = await store.read(face_readings.count_readings, now, now - _RATE_SPAN)
    if not due:
        return None
    left = seconds_left(done=lately, left=due, seconds=min(_RATE_SPAN, now - latest[0].started_at).total_seconds())
    return FacesToRead(pictures=due, seconds_left=left)


async def stored_status(
    store: Store, configured: Collection[str] | None, settings: Settings | None = None
) -> StatusFacts:
    """
    Return the facts that the database holds; those of the model, the disk and the settings keep their defaults.

    ``configured``: the names of the Immich users in the settings, None when these cannot be read. ``settings``: those
    by which the next sync may fetch pictures again, None to leave that out.
    """
    library = msgspec.convert(await store.read(runs.census), LibraryCounts, from_attributes=True)
    reasons, used = await store.read(failures.count_by_reason), await store.read(read_thresholds)
    return StatusFacts(
        library=library,
        runs=msgspec.convert(await store.read(runs.last_runs), tuple[Run, ...], from_attributes=True),
        failures=msgspec.convert(await store.read(failures.list_failures), tuple[Failure, ...], from_attributes=True),
        failures_by_reason=by_reason(reasons),
        guardrails=(
            *await dropped_warnings(store, configured),
            *(await fetch_warnings(store, settings) if settings is not None else ()),
            *(await store.read(read_value, GUARDRAILS) or ()),
            *(await store.read(read_value, QUESTIONS) or ()),
        ),
        nearly_there=nearly_there_sentences(await store.read(read_nearly_there), library, settings),
        left_alone=left_alone_sentences(library),
        reembedding=msgspec.convert(
            await store.read(spaces.reembedding, configured), Reembedding | None, from_attributes=True
        ),
        thresholds=replace(used, blank=()) if used is not None else None,  # thousands of numbers for nobody to read
    )


def by_reason(counts: Mapping[str, int]) -> tuple[ReasonCount, ...]:
    """Return the counts of failures, the most frequent reason first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(ReasonCount(reason=reason, count=count) for reason, count in ordered)


async def dropped_warnings(store: Store, configured: Collection[str] | None) -> list[str]:
    """Return a sentence for each known Immich user that the settings no longer name."""
    dropped = [] if configured is None else await store.read(dropped_users, configured)
    return [dropped_warning(name) for name in dropped]


async def fetch_warnings(store: Store, settings: Settings) -> list[str]:
    """Return a sentence about the pictures that a sync with these settings fetches again; none where it fetches none."""
    space = await store.read(spaces.active_space)
    if space is None:
        return []
    again = await store.read(embedding_work.fetched_again, recipe_of(space, settings), utc_now())
    return [warning(again)] if again.pictures else []
