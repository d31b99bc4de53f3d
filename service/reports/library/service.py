"""Sources, settings in force, and jobs."""

import re
from datetime import timedelta
from typing import Any

import msgspec
from pydantic import SecretStr

from immich_facesets.runtime.settings import is_secret, variable_names
from service.progress import ProgressBoard
from service.reports.library.known_figures import KnownFigures
from service.reports.library.shown import slice_of
from service.reports.status import by_reason
from service.settings import Settings
from service.store import folders, runs
from service.store.browsing.failed_items import failure_page
from service.store.failures import count_by_reason
from service.store.reading import Reader
from service.web.cursors import encode_cursor
from service.web.library import service as shown
from service.web.schemas import Failure, FailuresAnswer, SourceCounts

_CREDENTIALS = re.compile(r"(?<=//)[^/?#\s]*@")
_HIDDEN = "***@"


class ServiceReads:
    """The answers about the service itself."""

    def __init__(self, store: Reader, settings: Settings, board: ProgressBoard, figures: KnownFigures) -> None:
        self._store = store
        self._settings = settings
        self._board = board
        self._figures = figures

    async def sources(self) -> shown.SourcesAnswer:
        counted = await self._store.read(runs.source_counts, self._figures.kept)
        known = {source.name: source for source in await self._store.read(folders.stored_sources)}
        return shown.SourcesAnswer(
            sources=tuple(
                shown.Source(
                    counts=msgspec.convert(one, SourceCounts, from_attributes=True),
                    root=known[one.name].root if one.name in known else None,
                    mode=known[one.name].mode if one.name in known else None,
                )
                for one in counted
            )
        )

    async def source_names(self) -> tuple[str, ...]:
        return tuple(source.name for source in await self._store.read(folders.stored_sources))

    async def settings(self) -> shown.SettingsAnswer:
        return shown.SettingsAnswer(settings=settings_in_force(self._settings))

    async def failures(self, query: shown.FailuresQuery) -> FailuresAnswer:
        order = f"failures {query.reason}"
        page = await self._store.read(failure_page, query.reason, slice_of(query, order))
        counts = by_reason(await self._store.read(count_by_reason))
        return FailuresAnswer(
            total=sum(one.count for one in counts if query.reason in {"", one.reason}),
            by_reason=counts,
            failures=msgspec.convert(page.items, tuple[Failure, ...], from_attributes=True),
            next=encode_cursor(order, page.last),
        )

    async def jobs(self, query: shown.JobsQuery) -> shown.JobsAnswer:
        page = await self._store.read(runs.run_page, slice_of(query, "jobs"))
        return shown.JobsAnswer(
            jobs=tuple(map(self._job, page.items)),
            next_sync_at=self._board.now.next_sync_at,
            next=encode_cursor("jobs", page.last),
        )

    async def job(self, number: int) -> shown.Job | None:
        row = await self._store.read(runs.one_run, number)
        return None if row is None else self._job(row)

    def _job(self, row: runs.Run) -> shown.Job:
        now = self._board.now
        return shown.Job(
            id=row.id,
            kind=row.kind,
            sources=row.sources,
            started_at=row.started_at,
            ended_at=row.ended_at,
            outcome=row.outcome,
            message=row.message,
            counts=row.counts,
            stages=now.stages if now.run_id == row.id else (),
        )


def settings_in_force(settings: Settings) -> tuple[shown.Setting, ...]:
    """Return every setting with its value; secrets have none."""
    names = variable_names(Settings)
    return tuple(
        shown.Setting(
            name=names[name],
            value=None if is_secret(field) else _text(getattr(settings, name)),
            is_set=_is_set(getattr(settings, name)),
            is_default=name not in settings.model_fields_set,
            is_secret=is_secret(field),
            description=field.description or "",
        )
        for name, field in Settings.model_fields.items()
    )


def _is_set(value: Any) -> bool:
    return value is not None and (value.get_secret_value() if isinstance(value, SecretStr) else value) != ""


def _text(value: Any) -> str | None:
    match value:
        case None | "" | SecretStr():
            return None
        case bool():
            return str(value).lower()
        case timedelta():
            return f"{value.total_seconds():g}"
        case _:
            return _CREDENTIALS.sub(_HIDDEN, str(value))
