"""People with what of them is in the export folder, a page at a time."""

import asyncio
from collections.abc import Mapping, Sequence

from service.reports.library.facesets import FacesetReads, shown_faceset
from service.reports.library.known_figures import KnownFigures
from service.reports.library.shown import shown_identity, slice_of
from service.store.browsing.exported import (
    ExportedDirectory,
    counts_by_profile,
    directories_of,
    directories_of_everybody,
)
from service.store.browsing.identity_details import why_not_exported
from service.store.browsing.identity_lists import IdentityFilter, identity_page
from service.store.browsing.standing import standing
from service.store.database import Store
from service.web.cursors import encode_cursor
from service.web.library.facesets import ExportedAnswer, ExportedPerson, ExportedQuery, FacesetSummary


class ExportedPeople:
    """The answers about people and their directories; ``base``: the base path of addresses."""

    def __init__(self, store: Store, facesets: FacesetReads, figures: KnownFigures, base: str) -> None:
        self._store = store
        self._facesets = facesets
        self._figures = figures
        self._base = base

    async def page(self, query: ExportedQuery) -> ExportedAnswer:
        wanted = IdentityFilter(text=query.q.strip(), is_exported=query.exported, profile=query.profile)
        order = f"exported {query.sort}"
        part = slice_of(query, order, kind=str if query.sort == "name" else float)
        found = await self._store.read(identity_page, wanted, query.sort, part, self._figures.kept)
        people = found.page.items
        rows = await self._store.read(directories_of, [one.number for one in people])
        reasons = await self._store.read(why_not_exported, people)
        facesets = await self._summaries(rows, query.profile)
        state = await self._store.read(standing)
        return ExportedAnswer(
            people=tuple(
                ExportedPerson(
                    identity=shown_identity(one, self._base),
                    why_not_exported=reasons[one.number],
                    facesets=facesets.get(one.number, ()),
                    profiles_off=state.profiles_off(one.number),
                )
                for one in people
            ),
            total=found.total,
            directories=await self._store.read(counts_by_profile),
            of_everybody=tuple(
                one
                for row in await self._store.read(directories_of_everybody)
                if query.profile in {"", (one := shown_faceset(row, self._base)).profile}
            ),
            next=encode_cursor(order, found.page.last),
        )

    async def of_one(self, number: int) -> tuple[FacesetSummary, ...]:
        """Return the directories of one identity, its face sets first."""
        rows = await self._store.read(directories_of, [number])
        return (await self._summaries(rows)).get(number, ())

    async def _summaries(
        self, rows: Mapping[int, Sequence[ExportedDirectory]], profile: str = ""
    ) -> dict[int, tuple[FacesetSummary, ...]]:
        """Return directories at a glance by identity, face sets first; those of a profile alone, where it is named."""
        return await asyncio.to_thread(self._read, rows, profile)

    def _read(
        self, rows: Mapping[int, Sequence[ExportedDirectory]], profile: str
    ) -> dict[int, tuple[FacesetSummary, ...]]:
        return {
            number: tuple(
                self._facesets.summary(row)
                for row in sorted(several, key=lambda row: (row.directory.startswith("_"), row.directory))
                if profile in {"", shown_faceset(row, self._base).profile}
            )
            for number, several in rows.items()
        }
