"""Questions about identities."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, time

import msgspec

from immich_facesets.errors import RequestError
from immich_facesets.moderation.requests import FaceSelection
from service.passes.group_inputs.operating_points import points_today
from service.reports.library.known_figures import KnownFigures
from service.reports.library.proposals import Proposals
from service.reports.library.shown import shown_crop, shown_decision, shown_face, shown_identity, slice_of
from service.settings import Settings
from service.store.browsing.identity_details import (
    MergedNumber,
    companions,
    eras_of,
    examples_of_eras,
    identity_details,
    survivor,
)
from service.store.browsing.identity_faces import (
    BrowsedFace,
    browsed_faces,
    count_faces,
    dates_of_faces,
    faces_by_column,
    faces_by_quality,
)
from service.store.browsing.identity_figures import BIN_WIDTH, identity_figures
from service.store.browsing.identity_lists import IdentityFilter, covers_of, identity_page, shown_labels
from service.store.browsing.made_decisions import decision_page, decision_with_id, decisions_about_identity
from service.store.browsing.slices import Page, Slice
from service.store.reading import Reader
from service.store.spaces import grouped_points
from service.web.cursors import encode_cursor
from service.web.library import identities as shown
from service.web.library.decisions import DecisionsPage, DecisionsQuery
from service.web.library.faces import FacesAnswer
from service.web.library.proposals import (
    PartsAnswer,
    SimilarAnswer,
    SimilarFace,
    SimilarQuery,
    SplitPart,
)

_OF_AN_ERA = 8
_EXAMPLES = 4
"""The faces that stand for a proposed part."""


class IdentityReads:
    """The answers about identities."""

    def __init__(self, store: Reader, settings: Settings, figures: KnownFigures, proposals: Proposals) -> None:
        self._store = store
        self._settings = settings
        self._figures = figures
        self._proposals = proposals
        self._base = settings.base_path

    async def page(self, query: shown.IdentitiesQuery) -> shown.IdentitiesAnswer:
        order = f"identities {query.sort} {query.reverse}"
        kind = str if query.sort == "name" else float
        found = await self._store.read(
            identity_page,
            filter_of(query),
            query.sort,
            slice_of(query, order, kind=kind, is_reversed=query.reverse),
            self._figures.kept,
        )
        return shown.IdentitiesAnswer(
            identities=tuple(shown_identity(row, self._base) for row in found.page.items),
            total=found.total,
            next=encode_cursor(order, found.page.last),
        )

    async def labels(self, numbers: Collection[int]) -> Mapping[int, str]:
        found = await self._figures.read(shown_labels)
        return {number: found[number] for number in numbers if number in found}

    async def covers(self, numbers: Collection[int]) -> Mapping[int, shown.Crop]:
        found = await self._store.read(covers_of, sorted(numbers), self._figures.kept)
        shown_covers = {
            number: shown_crop(face, found.files.get(face), self._base) for number, face in found.faces.items()
        }
        return {number: cover for number, cover in shown_covers.items() if cover is not None}

    async def survivor(self, number: int) -> int | None:
        return await self._store.read(survivor, number, self._figures.kept)

    async def one(self, number: int) -> shown.IdentityAnswer | None:
        found = await self._store.read(identity_details, number, self._figures.kept)
        if isinstance(found, MergedNumber):  # since the caller asked for the survivor
            raise RequestError(f"identity {number} was merged into {found.into} just now: ask for that one", status=409)
        if found is None:
            return None
        return shown.IdentityAnswer(
            identity=shown_identity(found.listed, self._base),
            names=msgspec.convert(found.names, tuple[shown.GivenLabel, ...], from_attributes=True),
            created_at=found.created_at,
            birth_date=found.birth_date,
            is_minor=found.is_minor,
            how=dict(found.how),
            sources=dict(found.sources),
            is_stranger=found.is_stranger,
            profiles_off=found.profiles_off,
            why_not_exported=found.why_not_exported,
        )

    async def faces(self, number: int, query: shown.FacesQuery) -> FacesAnswer:
        order = f"faces {query.sort} {query.reverse}"
        part = slice_of(query, order, kind=str if query.sort == "time" else float, is_reversed=query.reverse)
        wanted = query.selection(number)
        page = await self._faces(wanted, query.sort, part)
        return FacesAnswer(
            faces=tuple(shown_face(row, self._base) for row in page.items),
            total=await self._figures.read(count_faces, wanted),
            next=encode_cursor(order, page.last),
        )

    async def _faces(self, wanted: FaceSelection, sort: shown.FaceOrder, part: Slice) -> Page[BrowsedFace]:
        if sort != "quality":
            return await self._store.read(faces_by_column, wanted, sort, part, self._figures.kept)
        known = self._figures.ranking(wanted.identity)
        page, ranking = await self._store.read(faces_by_quality, wanted, part, known)
        self._figures.keep_ranking(wanted.identity, ranking)
        return page

    async def eras(self, number: int) -> shown.ErasAnswer:
        rows = await self._figures.read(eras_of, number)
        some = await self._figures.read(examples_of_eras, number, _OF_AN_ERA)
        return shown.ErasAnswer(
            eras=tuple(
                msgspec.structs.replace(
                    msgspec.convert(row, shown.Era, from_attributes=True),
                    examples=tuple(
                        crop
                        for face, file in some.get(row.name, ())
                        if (crop := shown_crop(face, file, self._base)) is not None
                    ),
                )
                for row in rows
            )
        )

    async def nearest(self, number: int, query: shown.NearestQuery) -> shown.NearestAnswer:
        return shown.NearestAnswer(identities=await self._figures.near_identity(number, query.limit))

    async def together(self, number: int, query: shown.PageQuery) -> shown.TogetherAnswer:
        page = await self._store.read(companions, number, slice_of(query, "together"), self._figures.kept)
        return shown.TogetherAnswer(
            identities=msgspec.convert(page.items, tuple[shown.Companion, ...], from_attributes=True),
            next=encode_cursor("together", page.last),
        )

    async def figures(self, number: int) -> shown.FiguresAnswer:
        found = await self._figures.read(identity_figures, number)
        points = points_today(self._settings, await self._store.read(grouped_points))
        return shown.FiguresAnswer(
            years=tuple(shown.YearCount(year=year, faces=count) for year, count in found.years.items()),
            undated=found.undated,
            distances=found.distances,
            bin_width=BIN_WIDTH,
            cut=round(points.match, 4),
        )

    async def similar(self, number: int, query: SimilarQuery) -> SimilarAnswer:
        found = await self._proposals.similar(number)
        some = found[: query.limit]
        rows = await self._store.read(browsed_faces, [one.face_id for one in some])
        faces = [
            SimilarFace(
                face=shown_face(rows[one.face_id], self._base),
                distance=one.distance,
                rival=one.rival,
                rival_distance=one.rival_distance,
                is_clear=one.is_clear,
            )
            for one in some
            if one.face_id in rows
        ]
        return SimilarAnswer(total=len(found), clear=sum(one.is_clear for one in found), faces=tuple(faces))

    async def parts(self, number: int) -> PartsAnswer:
        found = await self._proposals.split(number)
        dates = await self._store.read(dates_of_faces, [face for part in found.parts for face in part])
        parts = [
            await self._split_part(part, distance, [dates[face] for face in part if face in dates])
            for part, distance in zip(found.parts, found.distances, strict=True)
        ]
        return PartsAnswer(parts=tuple(parts), unclear=found.unclear)

    async def _split_part(self, part: Sequence[int], distance: float, dates: Collection[str]) -> SplitPart:
        some = part[:: max(1, len(part) // _EXAMPLES)][:_EXAMPLES]
        rows = await self._store.read(browsed_faces, some)
        return SplitPart(
            faces=tuple(part),
            distance=distance,
            first_date=min(dates, default=None),
            last_date=max(dates, default=None),
            examples=tuple(shown_face(rows[face], self._base) for face in some if face in rows),
        )

    async def history(self, number: int, query: shown.PageQuery) -> shown.HistoryAnswer:
        page = await self._store.read(decisions_about_identity, number, slice_of(query, "history"))
        return shown.HistoryAnswer(
            decisions=tuple(map(shown_decision, page.items)), next=encode_cursor("history", page.last)
        )

    async def decisions(self, query: DecisionsQuery) -> DecisionsPage:
        order = "decisions" if query.identity is None else f"decisions {query.identity}"
        part = slice_of(query, order)
        page = (
            await self._store.read(decision_page, part)
            if query.identity is None
            else await self._store.read(decisions_about_identity, query.identity, part)
        )
        return DecisionsPage(decisions=tuple(map(shown_decision, page.items)), next=encode_cursor(order, page.last))

    async def decision(self, number: int) -> shown.MadeDecision | None:
        found = await self._store.read(decision_with_id, number)
        return None if found is None else shown_decision(found)


def filter_of(query: shown.IdentitiesQuery) -> IdentityFilter:
    """Return the filter that a query asks for."""
    return IdentityFilter(
        text=query.q.strip(),
        is_named=query.named,
        is_locked=query.locked,
        is_never_exported=query.never_export,
        has_birth_date=None if query.birth is None else query.birth == "known",
        is_minor=query.minor,
        has_questions=query.questions,
        found_since=None if query.found_since is None else datetime.combine(query.found_since, time(), UTC),
        least_pictures=query.min_pictures,
        source=query.source,
    )
